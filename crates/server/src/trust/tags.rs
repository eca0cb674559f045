//! Session tags, and those of the role, as condition keys.

use std::borrow::Cow;

use wigeon_core::policy::{Context, Value};
use wigeon_core::sts::SessionTags;

use crate::directory::Role;
use crate::session::tag_values;

/// `aws:ResourceTag/KEY` and `iam:ResourceTag/KEY`: the tags of the role that is to be assumed.
pub(super) fn enter_role_tags<'a>(context: &mut Context<'a>, role: &'a Role) {
    for (key, value) in &role.tags {
        context.set(format!("aws:ResourceTag/{key}"), value.as_str());
        context.set(format!("iam:ResourceTag/{key}"), value.as_str());
    }
}

/// `aws:RequestTag/KEY`, `aws:TagKeys` and `sts:TransitiveTagKeys`. With Ceph RGW's ways an operator without a
/// quantifier takes any of the keys.
pub(super) fn enter_tags<'a>(context: &mut Context<'a>, tags: &'a SessionTags, ceph: bool) {
    if !tags.principal.is_empty() {
        let values = tag_values(&tags.principal);
        let names = values.iter().map(|(key, _)| Cow::Borrowed(*key)).collect();
        context.set("aws:TagKeys", if ceph { Value::Any(names) } else { Value::Texts(names) });
        for (key, value) in values {
            context.set(format!("aws:RequestTag/{key}"), value);
        }
    }
    if !tags.transitive.is_empty() {
        let keys: Vec<&str> = tags.transitive.iter().map(String::as_str).collect();
        context.set("sts:TransitiveTagKeys", keys);
    }
}
