//! JSON that knows where each of its parts stands, so that an error can point at it.
//!
//! Refuses what JSON allows and a policy must not: an object with the same key twice, of which one would
//! silently be lost.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A part of a JSON text.
#[derive(Debug, Clone)]
pub(super) struct Node<'t> {
    /// The whole text that the part belongs to.
    whole: &'t str,
    /// The part.
    raw: &'t str,
    /// The way to it, such as `Statement[1].Condition`.
    pub(super) path: String,
}

/// What a part is.
#[derive(Debug)]
pub(super) enum Shape<'t> {
    Object(Vec<(String, Node<'t>)>),
    Array(Vec<Node<'t>>),
    Text(String),
    /// A number or a truth value, as it was written.
    Scalar(&'t str),
    Null,
}

/// A fault at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) path: String,
    pub(super) reason: String,
}

impl<'t> Node<'t> {
    /// Checks the syntax of a whole text.
    pub(super) fn root(text: &'t str) -> Result<Self, Fault> {
        let root = Self { whole: text, raw: text, path: String::new() };
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| root.syntax(&error))?;
        Ok(Self { raw: raw.get(), ..root })
    }

    /// Opens the part: its own members, one level down.
    pub(super) fn shape(&self) -> Result<Shape<'t>, Fault> {
        let fault = |error: serde_json::Error| self.syntax(&error);
        match self.raw.as_bytes().first() {
            Some(b'{') => self.members(),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(self.raw).map_err(fault)?;
                let item =
                    |(at, raw): (usize, &&'t RawValue)| self.part(raw.get(), format!("{}[{at}]", self.path));
                Ok(Shape::Array(items.iter().enumerate().map(item).collect()))
            }
            Some(b'"') => serde_json::from_str(self.raw).map(Shape::Text).map_err(fault),
            Some(b'n') => Ok(Shape::Null),
            _ => Ok(Shape::Scalar(self.raw)),
        }
    }

    fn members(&self) -> Result<Shape<'t>, Fault> {
        let Members(raw) = serde_json::from_str(self.raw).map_err(|error| self.syntax(&error))?;
        let mut members: Vec<(String, Node<'t>)> = Vec::with_capacity(raw.len());
        for (key, value) in raw {
            let at = self.part(key.get(), self.path.clone());
            let key: String = serde_json::from_str(key.get()).map_err(|error| at.syntax(&error))?;
            if members.iter().any(|(known, _)| *known == key) {
                return Err(at.fault(format!("`{key}` stands here twice: one of them would be ignored")));
            }
            let dot = if self.path.is_empty() { "" } else { "." };
            let path = format!("{}{dot}{key}", self.path);
            members.push((key, self.part(value.get(), path)));
        }
        Ok(Shape::Object(members))
    }

    fn part(&self, raw: &'t str, path: String) -> Self {
        Self { whole: self.whole, raw, path }
    }

    /// A fault at this part.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        // The part is a slice of the whole, so the distance of their starts is its place.
        self.fault_at(self.raw.as_ptr() as usize - self.whole.as_ptr() as usize, reason.into())
    }

    fn fault_at(&self, offset: usize, reason: String) -> Fault {
        let before = self.whole.get(..offset).unwrap_or(self.whole);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Fault {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
            path: self.path.clone(),
            reason,
        }
    }

    /// A fault of syntax, where the parser found it within this part.
    fn syntax(&self, error: &serde_json::Error) -> Fault {
        let start = self.raw.as_ptr() as usize - self.whole.as_ptr() as usize;
        let lines_before: usize =
            self.raw.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let mut offset = start + lines_before + error.column().saturating_sub(1);
        while !self.whole.is_char_boundary(offset) && offset > 0 {
            offset -= 1;
        }
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason);
        self.fault_at(offset, format!("not JSON: {reason}"))
    }
}

/// The members of an object in their order, with their keys as they were written.
struct Members<'t>(Vec<(&'t RawValue, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(&'de RawValue, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = vec![];
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        from.deserialize_map(Collect).map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(text: &str) -> Result<Vec<(String, Node<'_>)>, Fault> {
        match Node::root(text)?.shape()? {
            Shape::Object(members) => Ok(members),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places() {
        let text = "{\"é\": 1,\n  \"a\\u0062\": [true, {\"c\": null}]}";
        let members = members(text).unwrap();
        let (key, node) = &members[1];
        assert_eq!(key, "ab");
        let Shape::Array(items) = node.shape().unwrap() else { panic!() };
        let Shape::Object(inner) = items[1].shape().unwrap() else { panic!() };
        let fault = inner[0].1.fault("x");
        assert_eq!((fault.line, fault.column, fault.path.as_str()), (2, 27, "ab[1].c"));
        assert!(matches!(items[0].shape().unwrap(), Shape::Scalar("true")));
        assert!(matches!(inner[0].1.shape().unwrap(), Shape::Null));
    }

    #[test]
    fn syntax_errors_say_where() {
        for (text, line, column) in
            [("", 1, 1), ("{\n \"a\": }", 2, 7), ("{} x", 1, 4), ("{\"a\":\"é\" 1}", 1, 10), ("[1,]", 1, 4)]
        {
            let fault = Node::root(text).unwrap_err();
            assert_eq!((fault.line, fault.column), (line, column), "{text} {fault:?}");
            assert!(fault.reason.starts_with("not JSON: ") && !fault.reason.contains("line"), "{fault:?}");
        }
    }

    #[test]
    fn the_same_key_twice_is_refused() {
        let fault = members(r#"{"a": 1, "\u0061": 2}"#).unwrap_err();
        assert_eq!((fault.line, fault.column), (1, 10));
        assert_eq!(fault.reason, "`a` stands here twice: one of them would be ignored");
    }

    #[test]
    fn depth_is_no_danger() {
        let deep = "[".repeat(200_000);
        assert!(Node::root(&deep).is_err());
        let closed = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        if let Ok(node) = Node::root(&closed) {
            assert!(matches!(node.shape(), Ok(Shape::Array(_)) | Err(_)));
        }
    }

    #[test]
    fn text_that_is_no_text_is_refused() {
        let text = r#"{"a": "\ud800"}"#;
        let fault = members(text).unwrap().remove(0).1.shape().unwrap_err();
        assert_eq!(fault.path, "a");
    }
}
