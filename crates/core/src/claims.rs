//! Claims: the JSON object inside a token, read by rules instead of by chance.
//!
//! Enters: the payload of a JWT. Leaves: typed views of single claims. Refused: anything that is not one
//! JSON object. A name that stands twice counts with its last value (docs/sts.md, "The token"). Nothing here
//! says that a claim is true: that is what the signature is for.

use std::fmt;

use serde_json::{Map, Value};

use crate::time::Timestamp;

/// The claims of a token, in the order in which they stand there.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Map<String, Value>);

/// Why claims, or one of them, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ClaimsError {
    /// The bytes are not JSON.
    #[error("the claims are not JSON")]
    NotJson(#[source] serde_json::Error),
    /// The JSON is an array, a text, a number …
    #[error("the claims are not a JSON object")]
    NotAnObject,
}

/// A claim is there and has not the shape that its name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClaimShapeError {
    /// A time that is neither an integer nor the text of one, or lies outside the calendar.
    #[error("claim `{0}` is not a time in whole seconds since 1970")]
    NotATime(&'static str),
    /// An audience that is neither a text nor an array of texts.
    #[error("claim `{0}` is neither a string nor an array of strings")]
    NotStrings(&'static str),
}

impl Claims {
    /// Reads a JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, ClaimsError> {
        match serde_json::from_slice(json).map_err(ClaimsError::NotJson)? {
            Value::Object(map) => Ok(Self(map)),
            _ => Err(ClaimsError::NotAnObject),
        }
    }

    /// The raw value, `null` included.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The claim when it is a JSON string.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A time in seconds since 1970: an integer, or a string that holds one. A `null`, a fraction or any
    /// other text is an error, and so is a year that the calendar does not have.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, ClaimShapeError> {
        let seconds = match self.0.get(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64(),
            Some(Value::String(text)) => text.parse().ok(),
            Some(_) => None,
        };
        let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        time.map(Some).ok_or(ClaimShapeError::NotATime(name))
    }

    /// The values of `aud`: one string, or an array of strings. `None` when absent or `null`; an empty
    /// array stays an empty list.
    pub fn audiences(&self) -> Result<Option<Vec<&str>>, ClaimShapeError> {
        match self.0.get("aud") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => strings_of(value).map(Some).ok_or(ClaimShapeError::NotStrings("aud")),
        }
    }

    /// The claim when it is a string or an array of nothing but strings.
    #[must_use]
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        self.0.get(name).and_then(strings_of)
    }

    /// All claims in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The JSON object itself.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(map: Map<String, Value>) -> Self {
        Self(map)
    }
}

/// Names only: values may be personal.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn strings_of(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(claims(r#"{"sub":"a","x":1,"sub":"b"}"#).string("sub"), Some("b"));
    }

    #[rstest]
    #[case::integer("1700000000", Some(1_700_000_000))]
    #[case::integer_string(r#""1700000000""#, Some(1_700_000_000))]
    #[case::before_1970("-1", Some(-1))]
    #[case::null("null", None)]
    #[case::fraction("1700000000.5", None)]
    #[case::fraction_string(r#""1700000000.5""#, None)]
    #[case::text(r#""tomorrow""#, None)]
    #[case::empty(r#""""#, None)]
    #[case::beyond_the_calendar("9223372036854775807", None)]
    #[case::boolean("true", None)]
    fn times(#[case] json: &str, #[case] seconds: Option<i64>) {
        let read = claims(&format!(r#"{{"exp":{json}}}"#)).time("exp");
        match seconds {
            Some(seconds) => assert_eq!(read, Ok(Some(Timestamp::from_second(seconds).unwrap()))),
            None => assert_eq!(read, Err(ClaimShapeError::NotATime("exp"))),
        }
        assert_eq!(claims("{}").time("exp"), Ok(None));
    }

    #[test]
    fn audiences() {
        assert_eq!(claims(r#"{"aud":"a"}"#).audiences(), Ok(Some(vec!["a"])));
        assert_eq!(claims(r#"{"aud":["a","b"]}"#).audiences(), Ok(Some(vec!["a", "b"])));
        assert_eq!(claims(r#"{"aud":[]}"#).audiences(), Ok(Some(vec![])));
        assert_eq!(claims(r#"{"aud":null}"#).audiences(), Ok(None));
        assert_eq!(claims(r#"{"aud":["a",1]}"#).audiences(), Err(ClaimShapeError::NotStrings("aud")));
        assert_eq!(claims(r#"{"aud":{"a":"b"}}"#).audiences(), Err(ClaimShapeError::NotStrings("aud")));
    }

    #[test]
    fn only_objects_are_claims() {
        assert!(matches!(Claims::parse(b"[]"), Err(ClaimsError::NotAnObject)));
        assert!(matches!(Claims::parse(b"{"), Err(ClaimsError::NotJson(_))));
        assert!(matches!(Claims::parse(b"{} {}"), Err(ClaimsError::NotJson(_))));
        let deep = "[".repeat(5000);
        assert!(matches!(Claims::parse(format!(r#"{{"a":{deep}"#).as_bytes()), Err(ClaimsError::NotJson(_))));
    }

    #[test]
    fn debug_shows_no_values() {
        assert_eq!(format!("{:?}", claims(r#"{"email":"a@example.org"}"#)), r#"{"email"}"#);
    }
}
