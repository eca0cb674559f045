//! The policy document of a browser's upload: what its form may say.
//!
//! Enters: the JSON that the form's signature covers. Leaves: a [`FormPolicy`] that forms are held to. Refused: a
//! document that is over, a condition that does not hold, and a field that no condition speaks of, since nobody
//! signed it. Source: Amazon S3 API Reference, "Creating a POST policy".

use serde_json::Value;

use crate::sigv4::form::FormFields;
use crate::time::{SignedDuration, Timestamp};

/// How far ahead a document's end may lie.
const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A policy document.
#[derive(Debug, Clone)]
pub struct FormPolicy {
    expires_at: Timestamp,
    conditions: Vec<FormCondition>,
}

#[derive(Debug, Clone)]
enum FormCondition {
    Equals { field: String, value: String },
    StartsWith { field: String, value: String },
    Length(LengthRange),
}

/// How many bytes the file may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LengthRange {
    /// At least so many.
    pub least: u64,
    /// At most so many.
    pub most: u64,
}

impl LengthRange {
    /// Any number of bytes.
    pub const ANY: Self = Self { least: 0, most: u64::MAX };
}

/// Why a form is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormPolicyError {
    /// It is no policy document.
    #[error("invalid policy: {0}")]
    Malformed(String),
    /// Its end has passed.
    #[error("invalid according to policy: policy expired")]
    Expired,
    /// A condition that does not hold.
    #[error("invalid according to policy: policy condition failed: {0}")]
    Condition(String),
    /// A field that no condition speaks of.
    #[error("invalid according to policy: extra input fields: {0}")]
    ExtraField(String),
}

impl FormPolicy {
    /// Reads a document.
    ///
    /// # Errors
    /// [`FormPolicyError::Malformed`]
    pub fn parse(json: &[u8]) -> Result<Self, FormPolicyError> {
        let malformed = |why: &str| FormPolicyError::Malformed(why.to_owned());
        let document: Value = serde_json::from_slice(json).map_err(|_| malformed("it is not JSON"))?;
        let members = document.as_object().ok_or_else(|| malformed("it is not an object"))?;
        if let Some(other) = members.keys().find(|name| !matches!(name.as_str(), "expiration" | "conditions"))
        {
            return Err(FormPolicyError::Malformed(format!("unexpected: `{other}`")));
        }
        let expires_at = members
            .get("expiration")
            .and_then(Value::as_str)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| malformed("it needs an expiration in the form 2026-11-23T20:07:00Z"))?;
        let conditions = members
            .get("conditions")
            .and_then(Value::as_array)
            .ok_or_else(|| malformed("it needs a list of conditions"))?;
        let conditions = conditions.iter().map(condition).collect::<Option<Vec<_>>>();
        let conditions =
            conditions.ok_or_else(|| malformed("a condition is none"))?.into_iter().flatten().collect();
        Ok(Self { expires_at, conditions })
    }

    /// Holds a form for a bucket to the document; gives how long its file may be.
    ///
    /// # Errors
    /// [`FormPolicyError`], the first that applies.
    pub fn check(
        &self,
        fields: &FormFields,
        bucket: &str,
        now: Timestamp,
    ) -> Result<LengthRange, FormPolicyError> {
        if now >= self.expires_at {
            return Err(FormPolicyError::Expired);
        }
        if self.expires_at.duration_since(now) > LONGEST {
            return Err(FormPolicyError::Malformed("it expires in more than a week".to_owned()));
        }
        let mut range = LengthRange::ANY;
        for condition in &self.conditions {
            let value = |field: &str| match field {
                "bucket" => bucket.to_owned(),
                _ => fields.value(field).unwrap_or_default().to_owned(),
            };
            let holds = match condition {
                FormCondition::Equals { field, value: expected } => value(field) == *expected,
                FormCondition::StartsWith { field, value: start } => starts_with(field, &value(field), start),
                FormCondition::Length(LengthRange { least, most }) => {
                    range.least = range.least.max(*least);
                    range.most = range.most.min(*most);
                    true
                }
            };
            if !holds {
                return Err(FormPolicyError::Condition(condition.to_string()));
            }
        }
        let covered = |name: &str| {
            self.conditions.iter().any(|condition| match condition {
                FormCondition::Equals { field, .. } | FormCondition::StartsWith { field, .. } => {
                    field == name
                }
                FormCondition::Length(_) => false,
            })
        };
        // The address names the bucket, and no signature covers the address: a condition has to.
        if !covered("bucket") {
            return Err(FormPolicyError::ExtraField("bucket".to_owned()));
        }
        // `bucket` as a field says what the address says: it is held to that.
        let stray = |(name, value): &(&str, &str)| match *name {
            "bucket" => *value != bucket,
            name => !covered(name),
        };
        match fields.to_be_covered().find(stray) {
            Some((name, _)) => Err(FormPolicyError::ExtraField(name.to_owned())),
            None => Ok(range),
        }
    }
}

/// A media type may be a list, each of which has to begin so.
fn starts_with(field: &str, value: &str, start: &str) -> bool {
    match field {
        "content-type" => value.split(',').all(|kind| kind.trim_start().starts_with(start)),
        _ => value.starts_with(start),
    }
}

/// One condition, or those of an object with several members.
fn condition(value: &Value) -> Option<Vec<FormCondition>> {
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    let field = |value: &Value| Some(value.as_str()?.strip_prefix('$')?.to_ascii_lowercase());
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let (field, value) = (name.to_ascii_lowercase(), value.as_str()?.to_owned());
                Some(FormCondition::Equals { field, value })
            })
            .collect(),
        Value::Array(items) => {
            let [kind, first, second] = items.as_slice() else { return None };
            let condition = match kind.as_str()?.to_ascii_lowercase().as_str() {
                "eq" => FormCondition::Equals { field: field(first)?, value: second.as_str()?.to_owned() },
                "starts-with" => {
                    FormCondition::StartsWith { field: field(first)?, value: second.as_str()?.to_owned() }
                }
                "content-length-range" => {
                    let (least, most) = (number(first)?, number(second)?);
                    FormCondition::Length(LengthRange { least, most })
                }
                _ => return None,
            };
            Some(vec![condition])
        }
        _ => None,
    }
}

impl std::fmt::Display for FormCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Equals { field, value } => write!(f, "[\"eq\", \"${field}\", \"{value}\"]"),
            Self::StartsWith { field, value } => write!(f, "[\"starts-with\", \"${field}\", \"{value}\"]"),
            Self::Length(LengthRange { least, most }) => {
                write!(f, "[\"content-length-range\", {least}, {most}]")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DOCUMENT: &str = r#"{"expiration": "2026-11-24T12:00:00.000Z", "conditions": [
        {"bucket": "home"}, ["starts-with", "$key", "alice/"], {"acl": "private"},
        ["starts-with", "$Content-Type", "image/"], ["eq", "$X-Amz-Meta-Uuid", "14365"],
        ["content-length-range", 10, "20"], ["content-length-range", 0, 15]]}"#;

    fn form(extra: &[(&str, &str)]) -> FormFields {
        let mut fields = FormFields::default();
        let usual = [
            ("key", "alice/a.png"),
            ("acl", "private"),
            ("Content-Type", "image/png,image/jpeg"),
            ("x-amz-meta-uuid", "14365"),
            ("policy", "not to be covered"),
            ("x-ignore-me", "nor this"),
        ];
        let new = extra.iter().filter(|(_, value)| !value.is_empty());
        let kept =
            usual.iter().filter(|(name, _)| !extra.iter().any(|(new, _)| new.eq_ignore_ascii_case(name)));
        for (name, value) in kept.chain(new) {
            assert!(fields.add(name, (*value).to_owned()));
        }
        fields
    }

    fn check(extra: &[(&str, &str)], bucket: &str, now: &str) -> Result<LengthRange, FormPolicyError> {
        FormPolicy::parse(DOCUMENT.as_bytes())?.check(&form(extra), bucket, now.parse().unwrap())
    }

    const NOW: &str = "2026-11-24T11:00:00Z";

    #[test]
    fn a_form_that_fits() {
        assert_eq!(check(&[], "home", NOW), Ok(LengthRange { least: 10, most: 15 }));
        assert_eq!(check(&[("bucket", "home")], "home", NOW), Ok(LengthRange { least: 10, most: 15 }));
    }

    #[rstest]
    #[case(&[("key", "bob/a.png")], "home", NOW, r#"["starts-with", "$key", "alice/"]"#)]
    #[case(&[("key", "")], "home", NOW, r#"["starts-with", "$key", "alice/"]"#)]
    #[case(&[("acl", "public-read")], "home", NOW, r#"["eq", "$acl", "private"]"#)]
    #[case(&[("content-type", "image/png,text/html")], "home", NOW, "$content-type")]
    #[case(&[("x-amz-meta-uuid", "")], "home", NOW, "$x-amz-meta-uuid")]
    #[case(&[], "other", NOW, r#"["eq", "$bucket", "home"]"#)]
    #[case(&[("bucket", "other")], "home", NOW, "extra input fields: bucket")]
    #[case(&[("x-amz-meta-more", "x")], "home", NOW, "extra input fields: x-amz-meta-more")]
    #[case(&[("success_action_redirect", "https://evil.example")], "home", NOW, "extra input fields: success_action_redirect")]
    #[case(&[("x-amz-security-token", "x")], "home", NOW, "extra input fields: x-amz-security-token")]
    #[case(&[], "home", "2026-11-24T12:00:00Z", "expired")]
    #[case(&[], "home", "2026-11-01T12:00:00Z", "more than a week")]
    fn forms_that_do_not(
        #[case] extra: &[(&str, &str)],
        #[case] bucket: &str,
        #[case] now: &str,
        #[case] why: &str,
    ) {
        let error = check(extra, bucket, now).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn a_form_is_for_a_bucket_that_its_document_names() {
        let document = DOCUMENT.replace(r#"{"bucket": "home"}, "#, "");
        let policy = FormPolicy::parse(document.as_bytes()).unwrap();
        let error = policy.check(&form(&[]), "home", NOW.parse().unwrap()).unwrap_err();
        assert_eq!(error, FormPolicyError::ExtraField("bucket".to_owned()));
    }

    #[rstest]
    #[case("")]
    #[case("[]")]
    #[case("{}")]
    #[case(r#"{"expiration": "tomorrow", "conditions": []}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z"}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z", "conditions": [], "more": 1}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z", "conditions": ["x"]}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z", "conditions": [["eq", "key", "x"]]}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z", "conditions": [["like", "$key", "x"]]}"#)]
    #[case(r#"{"expiration": "2026-11-24T12:00:00Z", "conditions": [["content-length-range", -1, 5]]}"#)]
    fn documents_that_are_none(#[case] text: &str) {
        assert!(matches!(FormPolicy::parse(text.as_bytes()), Err(FormPolicyError::Malformed(_))));
    }
}
