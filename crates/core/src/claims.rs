//! Claims: the JSON object inside a token, read by rules instead of by chance.
//!
//! Enters: the payload of a JWT. Leaves: typed views of single claims. Refused: anything that is not one
//! JSON object. A name that stands twice counts with its last value (docs/sts.md, "The token"). Nothing here
//! says that a claim is true: that is what the signature is for.

use std::collections::HashMap;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// The claims of a token, in the order in which they stand there, each once. A list, because tokens have a dozen claims:
/// looking through those is cheaper than hashing their names.
#[derive(Clone, Default, PartialEq)]
pub struct Claims(Vec<(String, Value)>);

/// With more claims than this, reading looks equal names up: whoever sends a token decides how many it has.
const FEW: usize = 32;

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
        serde_json::from_slice(json).map_err(|error| match error.classify() {
            Category::Data => ClaimsError::NotAnObject,
            Category::Io | Category::Syntax | Category::Eof => ClaimsError::NotJson(error),
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The raw value, `null` included.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The claim when it is a JSON string.
    #[must_use]
    pub fn string(&self, name: &str) -> Option<&str> {
        self.value(name).and_then(Value::as_str)
    }

    /// A time in seconds since 1970: an integer, or a string that holds one. A `null`, a fraction or any
    /// other text is an error, and so is a year that the calendar does not have.
    pub fn time(&self, name: &'static str) -> Result<Option<Timestamp>, ClaimShapeError> {
        let seconds = match self.value(name) {
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
        match self.value("aud") {
            None | Some(Value::Null) => Ok(None),
            Some(value) => strings_of(value).map(Some).ok_or(ClaimShapeError::NotStrings("aud")),
        }
    }

    /// The claim when it is a string or an array of nothing but strings.
    #[must_use]
    pub fn strings(&self, name: &str) -> Option<Vec<&str>> {
        self.value(name).and_then(strings_of)
    }

    /// All claims in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Only those that `keep` says.
    #[must_use]
    pub fn kept(mut self, keep: impl Fn(&str, &Value) -> bool) -> Self {
        self.0.retain(|(name, value)| keep(name, value));
        self
    }

    /// The JSON object itself.
    #[must_use]
    pub fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().collect()
    }
}

impl From<Map<String, Value>> for Claims {
    fn from(map: Map<String, Value>) -> Self {
        Self(map.into_iter().collect())
    }
}

/// Of names that differ.
impl FromIterator<(String, Value)> for Claims {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(claims: I) -> Self {
        Self(claims.into_iter().collect())
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Claims, A::Error> {
        let mut claims: Vec<(String, Value)> = Vec::with_capacity(16);
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((name, value)) = object.next_entry::<String, Value>()? {
            let place = match claims.len() {
                0..=FEW => claims.iter().position(|(known, _)| *known == name),
                _ => places.get(&name).copied(),
            };
            match place.and_then(|place| claims.get_mut(place)) {
                Some((_, last)) => *last = value,
                None => {
                    if claims.len() >= FEW {
                        let known = claims.iter().enumerate().skip(places.len());
                        places.extend(known.map(|(place, (name, _))| (name.clone(), place)));
                        places.insert(name.clone(), claims.len());
                    }
                    claims.push((name, value));
                }
            }
        }
        Ok(Claims(claims))
    }
}

/// Names only: values may be personal.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
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
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn claims(json: &str) -> Claims {
        Claims::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        assert_eq!(claims(r#"{"sub":"a","x":1,"sub":"b"}"#).string("sub"), Some("b"));
        // However many there are.
        for many in [FEW - 1, FEW, FEW + 1, 5 * FEW] {
            let twice: Vec<String> = (0..2)
                .flat_map(|round| (0..many).map(move |name| format!(r#""c{name}":"{round}""#)))
                .collect();
            let read = claims(&format!("{{{}}}", twice.join(",")));
            assert_eq!(read.len(), many);
            for (place, (name, value)) in read.iter().enumerate() {
                assert_eq!((name, value.as_str()), (format!("c{place}").as_str(), Some("1")));
            }
        }
    }

    proptest! {
        /// With few names and many claims: most of them stand there several times.
        #[test]
        fn they_read_as_a_map_does(pairs in vec(("[a-h]{1,2}", 0..9_u8), 0..200)) {
            let members: Vec<String> = pairs.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
            let text = format!("{{{}}}", members.join(","));
            let map: Map<String, Value> = serde_json::from_str(&text).unwrap();
            let read = claims(&text);
            let as_map: Vec<(&str, &Value)> = map.iter().map(|(name, value)| (name.as_str(), value)).collect();
            prop_assert_eq!(read.iter().collect::<Vec<_>>(), as_map);
            for (name, _) in &pairs {
                prop_assert_eq!(read.value(name), map.get(name));
            }
        }
    }

    #[test]
    fn they_are_kept_and_read_again_in_their_order() {
        let read = claims(r#"{"z":1,"a":{"y":[1,"2"],"b":null},"m":"é"}"#);
        let text = serde_json::to_string(&read).unwrap();
        assert_eq!(text, r#"{"z":1,"a":{"y":[1,"2"],"b":null},"m":"é"}"#);
        assert_eq!(claims(&text), read);
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
