//! Session tags as condition keys.

use wigeon_core::policy::Context;
use wigeon_core::sts::SessionTags;

/// `aws:RequestTag/KEY`, `aws:TagKeys` and `sts:TransitiveTagKeys`.
pub(super) fn enter_tags<'a>(context: &mut Context<'a>, tags: &'a SessionTags) {
    if !tags.principal.is_empty() {
        let keys: Vec<&str> = tags.principal.iter().map(|(key, _)| key.as_str()).collect();
        context.set("aws:TagKeys", keys);
        for (key, value) in &tags.principal {
            context.set(format!("aws:RequestTag/{key}"), value);
        }
    }
    if !tags.transitive.is_empty() {
        let keys: Vec<&str> = tags.transitive.iter().map(String::as_str).collect();
        context.set("sts:TransitiveTagKeys", keys);
    }
}
