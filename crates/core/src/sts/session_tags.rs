//! Session tags that a provider puts into its tokens: the nested claim `https://aws.amazon.com/tags`, or
//! the flat claims below it. Source: sts.md, "Trust"; limits of AWS STS's tag model.

use serde_json::Value;

use crate::claims::Claims;

const CLAIM: &str = "https://aws.amazon.com/tags";
const FLAT_TAG: &str = "https://aws.amazon.com/tags/principal_tags/";
const FLAT_TRANSITIVE: &str = "https://aws.amazon.com/tags/transitive_tag_keys";

const MAX_TAGS: usize = 50;
const MAX_KEY_LEN: usize = 128;
const MAX_VALUE_LEN: usize = 256;

/// The tags of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionTags {
    /// Keys and values, in the token's order.
    pub principal: Vec<(String, String)>,
    /// Keys that a chained session inherits; each is among `principal`.
    pub transitive: Vec<String>,
}

/// Why the tags of a token are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagsError {
    /// The claim has another shape; a bare string where an array of one is needed, for one.
    #[error("{0} passed in claim is not in correct format.")]
    Format(&'static str),
    /// More than 50.
    #[error("the token has {0} session tags; at most 50 are allowed")]
    TooMany(usize),
    /// Length, characters, or the reserved prefix `aws:`.
    #[error("the session tag `{0}` breaks the rules for keys or values")]
    Tag(String),
    /// Two keys that differ in case at most.
    #[error("the session tag `{0}` is given twice")]
    Duplicate(String),
    /// A transitive key that no tag has.
    #[error("the transitive tag key `{0}` has no tag")]
    Transitive(String),
}

impl SessionTags {
    /// Reads the tags of a token; none when it has no such claim. With `many_values`, as at Ceph RGW, a tag may
    /// have several values and stand in both forms; it then comes several times among [`Self::principal`].
    pub fn from_claims(claims: &Claims, many_values: bool) -> Result<Self, TagsError> {
        let mut tags = Self::default();
        match claims.value(CLAIM) {
            None | Some(Value::Null) => {}
            Some(Value::Object(nested)) => {
                tags.read_principal(nested.get("principal_tags"), many_values)?;
                tags.read_transitive(nested.get("transitive_tag_keys"))?;
            }
            Some(_) => return Err(TagsError::Format("principal_tags")),
        }
        for (name, value) in claims.iter() {
            if let Some(key) = name.strip_prefix(FLAT_TAG) {
                let value = value.as_str().ok_or(TagsError::Format("principal_tags"))?;
                tags.principal.push((key.to_owned(), value.to_owned()));
            }
        }
        tags.read_transitive(claims.value(FLAT_TRANSITIVE))?;
        tags.check(many_values)?;
        Ok(tags)
    }

    /// The tags that a request names itself, by the same rules.
    pub fn from_request(
        principal: Vec<(String, String)>,
        transitive: Vec<String>,
    ) -> Result<Self, TagsError> {
        let tags = Self { principal, transitive };
        tags.check(false)?;
        Ok(tags)
    }

    /// The value of a tag; keys compare without case.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        let lower = key.to_lowercase();
        let found = self.principal.iter().find(|(known, _)| known.to_lowercase() == lower);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether there is nothing that would need `sts:TagSession`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.principal.is_empty() && self.transitive.is_empty()
    }

    fn read_principal(&mut self, value: Option<&Value>, many_values: bool) -> Result<(), TagsError> {
        let tags = match value {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Object(tags)) => tags,
            Some(_) => return Err(TagsError::Format("principal_tags")),
        };
        for (key, value) in tags {
            let values = match value.as_array().map(Vec::as_slice) {
                Some(values @ [_]) => values,
                Some(values @ [_, ..]) if many_values => values,
                _ => return Err(TagsError::Format("principal_tags")),
            };
            for value in values {
                let value = value.as_str().ok_or(TagsError::Format("principal_tags"))?;
                self.principal.push((key.clone(), value.to_owned()));
            }
        }
        Ok(())
    }

    fn read_transitive(&mut self, value: Option<&Value>) -> Result<(), TagsError> {
        let keys = match value {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(keys)) => keys,
            Some(_) => return Err(TagsError::Format("transitive_tag_keys")),
        };
        for key in keys {
            let key = key.as_str().ok_or(TagsError::Format("transitive_tag_keys"))?;
            self.transitive.push(key.to_owned());
        }
        Ok(())
    }

    fn check(&self, many_values: bool) -> Result<(), TagsError> {
        if self.principal.len() > MAX_TAGS {
            return Err(TagsError::TooMany(self.principal.len()));
        }
        for (index, (key, value)) in self.principal.iter().enumerate() {
            let reserved = key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"));
            let lengths =
                (1..=MAX_KEY_LEN).contains(&key.chars().count()) && value.chars().count() <= MAX_VALUE_LEN;
            if reserved || !lengths || !key.chars().chain(value.chars()).all(tag_char) {
                return Err(TagsError::Tag(key.chars().take(MAX_KEY_LEN).collect()));
            }
            let earlier = self.principal.iter().take(index);
            let mut same = earlier.filter(|(other, _)| other.to_lowercase() == key.to_lowercase());
            if !many_values && same.next().is_some() {
                return Err(TagsError::Duplicate(key.clone()));
            }
        }
        for key in &self.transitive {
            if self.value(key).is_none() {
                return Err(TagsError::Transitive(key.chars().take(MAX_KEY_LEN).collect()));
            }
        }
        Ok(())
    }
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`.
fn tag_char(char: char) -> bool {
    char.is_alphanumeric() || (char.is_whitespace() && !char.is_control()) || "_.:/=+-@".contains(char)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn read(claims: Value) -> Result<SessionTags, TagsError> {
        SessionTags::from_claims(&Claims::from(claims.as_object().unwrap().clone()), false)
    }

    #[test]
    fn nested_and_flat() {
        let nested = read(json!({CLAIM: {
            "principal_tags": {"Project": ["a b"], "Team": ["ä"]}, "transitive_tag_keys": ["Team"]}}))
        .unwrap();
        assert_eq!(
            nested.principal,
            [("Project".to_owned(), "a b".to_owned()), ("Team".to_owned(), "ä".to_owned())]
        );
        assert_eq!(nested.transitive, ["Team"]);
        let flat = read(json!({format!("{FLAT_TAG}Project"): "x", FLAT_TRANSITIVE: ["Project"]})).unwrap();
        assert_eq!(flat.principal, [("Project".to_owned(), "x".to_owned())]);
        assert!(read(json!({"sub": "x", CLAIM: null})).unwrap().is_empty());
    }

    #[rstest]
    #[case::bare_string(json!({"principal_tags": {"a": "b"}}), "principal_tags passed in claim is not in correct format.")]
    #[case::two_values(json!({"principal_tags": {"a": ["b", "c"]}}), "principal_tags passed in claim is not in correct format.")]
    #[case::no_value(json!({"principal_tags": {"a": []}}), "principal_tags passed in claim is not in correct format.")]
    #[case::number(json!({"principal_tags": {"a": [1]}}), "principal_tags passed in claim is not in correct format.")]
    #[case::array(json!({"principal_tags": ["a"]}), "principal_tags passed in claim is not in correct format.")]
    #[case::not_an_object(json!("x"), "principal_tags passed in claim is not in correct format.")]
    #[case::transitive(json!({"principal_tags": {"a": ["b"]}, "transitive_tag_keys": "a"}), "transitive_tag_keys passed in claim is not in correct format.")]
    #[case::unknown_transitive(json!({"transitive_tag_keys": ["a"]}), "the transitive tag key `a` has no tag")]
    #[case::reserved(json!({"principal_tags": {"AWS:a": ["b"]}}), "the session tag `AWS:a` breaks the rules for keys or values")]
    #[case::empty_key(json!({"principal_tags": {"": ["b"]}}), "the session tag `` breaks the rules for keys or values")]
    #[case::wildcard(json!({"principal_tags": {"a": ["*"]}}), "the session tag `a` breaks the rules for keys or values")]
    #[case::variable(json!({"principal_tags": {"a": ["${x}"]}}), "the session tag `a` breaks the rules for keys or values")]
    #[case::duplicate(json!({"principal_tags": {"a": ["b"], "A": ["c"]}}), "the session tag `A` is given twice")]
    fn refused(#[case] claim: Value, #[case] message: &str) {
        assert_eq!(read(json!({ CLAIM: claim })).unwrap_err().to_string(), message);
    }

    #[test]
    fn several_values_where_that_is_wanted() {
        let claims = json!({CLAIM: {"principal_tags": {"a": ["x", "y"]}}, format!("{FLAT_TAG}a"): "z"});
        let claims = Claims::from(claims.as_object().unwrap().clone());
        let tags = SessionTags::from_claims(&claims, true).unwrap();
        let values: Vec<&str> = tags.principal.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["x", "y", "z"]);
        assert_eq!(SessionTags::from_claims(&claims, false), Err(TagsError::Format("principal_tags")));
    }

    #[test]
    fn limits() {
        let tags = |count: usize| {
            let tags: serde_json::Map<_, _> = (0..count).map(|n| (format!("k{n}"), json!(["v"]))).collect();
            read(json!({CLAIM: {"principal_tags": tags}}))
        };
        assert_eq!(tags(50).unwrap().principal.len(), 50);
        assert_eq!(tags(51), Err(TagsError::TooMany(51)));
        let long = |key: usize, value: usize| {
            read(json!({CLAIM: {"principal_tags": {"k".repeat(key): ["v".repeat(value)]}}}))
        };
        assert!(long(128, 256).is_ok());
        assert!(long(129, 1).is_err() && long(1, 257).is_err());
        assert_eq!(
            read(json!({CLAIM: {"principal_tags": {"a": ["b"]}}, format!("{FLAT_TAG}a"): "c"})),
            Err(TagsError::Duplicate("a".to_owned()))
        );
    }
}
