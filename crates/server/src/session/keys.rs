//! The condition keys that a session is the source of, and how a claim becomes one.
//!
//! What the session itself is comes first, the claims last: a claim shadows nothing. Source: docs/sts.md, "Trust";
//! AWS IAM User Guide, "AWS global condition context keys".

use std::borrow::Cow;

use serde_json::Value as Json;
use wigeon_core::arn::without_scheme;
use wigeon_core::policy::{Context, Value};

use super::record::{Session, WebIdentityOrigin};
use crate::directory::BuiltIn;

impl Session {
    /// Enters the condition keys that the session is the source of. What stands there already stays, so the
    /// server's own keys come first.
    pub fn enter_keys<'a>(&'a self, context: &mut Context<'a>) {
        context.set_prepared(self.prepared.keys.get_or_init(|| of_session(self)));
    }
}

/// All keys of a session, each once.
fn of_session(session: &Session) -> Vec<(String, Value<'static>)> {
    let claims = session.web_identity().map_or(0, |origin| origin.claims.len());
    let mut keys = Keys(Vec::with_capacity(16 + 2 * claims));
    keys.text("aws:PrincipalArn", session.role_arn.as_str());
    keys.text("aws:PrincipalAccount", &session.account);
    keys.text("aws:PrincipalType", "AssumedRole");
    keys.text("aws:userid", &session.user_id());
    keys.add("aws:TokenIssueTime".to_owned(), Value::from(session.issued_at));
    // Nobody signs in to this service with a second factor; what the provider asked for stands in `amr`.
    keys.add("aws:MultiFactorAuthPresent".to_owned(), Value::from(false));
    if let Some(provider) = session.provider() {
        keys.text("aws:FederatedProvider", &provider.principal);
    }
    if let Some(source_identity) = &session.source_identity {
        keys.text("aws:SourceIdentity", source_identity);
    }
    let tags = tag_values(&session.principal_tags);
    if session.web_identity().is_some_and(|origin| origin.app_id) && !tags.is_empty() {
        // Ceph RGW's way: what the request of the session's beginning had, each of its requests has.
        let names = tags.iter().map(|(key, _)| Cow::Owned((*key).to_owned()));
        keys.add("aws:TagKeys".to_owned(), Value::Any(names.collect()));
    }
    for (key, value) in tags {
        keys.add(format!("aws:PrincipalTag/{key}"), owned(value));
    }
    if let Some(origin) = session.web_identity() {
        of_web_identity(origin, &mut keys);
    }
    keys.0
}

fn of_web_identity(origin: &WebIdentityOrigin, keys: &mut Keys) {
    let issuer = without_scheme(&origin.provider.issuer);
    let opaque = BuiltIn::of(&origin.provider.principal).is_some_and(|it| it.token_information().is_some());
    let prefixes: &[&str] = if origin.jwt_keys { &[issuer, "jwt"] } else { &[issuer] };
    for prefix in prefixes.iter().filter(|_| !opaque) {
        keys.text(&format!("{prefix}:sub"), &origin.subject);
        keys.text(&format!("{prefix}:aud"), &origin.audience);
        keys.add(format!("{prefix}:amr"), Value::from(origin.amr.clone()));
    }
    if origin.jwt_keys {
        keys.text("jwt:iss", &origin.provider.issuer);
    }
    if origin.app_id {
        keys.text(&format!("{issuer}:app_id"), &origin.audience);
    }
    for (name, claim) in origin.claims.iter() {
        for prefix in prefixes {
            if let Some(value) = claim_value(claim) {
                keys.add(format!("{prefix}:{name}"), owned(value));
            }
        }
    }
}

struct Keys(Vec<(String, Value<'static>)>);

impl Keys {
    fn text(&mut self, key: &str, text: &str) {
        self.add(key.to_owned(), Value::from(text.to_owned()));
    }

    fn add(&mut self, key: String, value: Value<'static>) {
        if !self.0.iter().any(|(present, _)| present.eq_ignore_ascii_case(&key)) {
            self.0.push((key, value));
        }
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Text(text) => Value::from(text.into_owned()),
        Value::Texts(texts) => Value::from(texts.into_iter().map(Cow::into_owned).collect::<Vec<String>>()),
        Value::Any(texts) => {
            Value::Any(texts.into_iter().map(|text| Cow::Owned(text.into_owned())).collect())
        }
        Value::Time(at) => Value::Time(at),
        Value::Number(number) => Value::Number(number),
        Value::Bool(flag) => Value::Bool(flag),
        Value::Address(address) => Value::Address(address),
    }
}

/// Each tag once, with its value, or, where it has several, with all of them.
pub(crate) fn tag_values(tags: &[(String, String)]) -> Vec<(&str, Value<'_>)> {
    let mut values: Vec<(&str, Vec<&str>)> = Vec::with_capacity(tags.len());
    for (key, value) in tags {
        match values.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, several)) => several.push(value),
            None => values.push((key, vec![value])),
        }
    }
    let value = |texts: Vec<&str>| match texts.as_slice() {
        [only] => Value::Text(Cow::Owned((*only).to_owned())),
        _ => Value::Any(texts.into_iter().map(|text| Cow::Owned(text.to_owned())).collect()),
    };
    values.into_iter().map(|(key, texts)| (key, value(texts))).collect()
}

/// A scalar or an array of strings; nothing else becomes a condition key.
pub(crate) fn claim_value(claim: &Json) -> Option<Value<'_>> {
    match claim {
        Json::String(text) => Some(Value::from(text)),
        Json::Bool(flag) => Some(Value::Bool(*flag)),
        Json::Number(number) => {
            Some(number.as_i64().map_or_else(|| Value::from(number.to_string()), Value::Number))
        }
        Json::Array(items) => {
            let texts: Option<Vec<Cow<'_, str>>> =
                items.iter().map(|item| item.as_str().map(Cow::Borrowed)).collect();
            texts.map(Value::Texts)
        }
        Json::Null | Json::Object(_) => None,
    }
}
