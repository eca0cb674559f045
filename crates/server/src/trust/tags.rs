//! Session tags as condition keys.

use wigeon_core::policy::Context;
use wigeon_core::sts::SessionTags;

use crate::session::tag_values;

/// `aws:RequestTag/KEY`, `aws:TagKeys` and `sts:TransitiveTagKeys`.
pub(super) fn enter_tags<'a>(context: &mut Context<'a>, tags: &'a SessionTags) {
    if !tags.principal.is_empty() {
        let values = tag_values(&tags.principal);
        context.set("aws:TagKeys", values.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        for (key, value) in values {
            context.set(format!("aws:RequestTag/{key}"), value);
        }
    }
    if !tags.transitive.is_empty() {
        let keys: Vec<&str> = tags.transitive.iter().map(String::as_str).collect();
        context.set("sts:TransitiveTagKeys", keys);
    }
}
