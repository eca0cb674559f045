//! JSON, written as `serde_json` writes it, byte for byte, at half the price: what every request leaves behind is JSON.
//!
//! Enters: anything that serde serializes. Leaves: its JSON, at the end of a buffer. Each name and each text goes there
//! in one piece, looked at for characters to escape many bytes at once; what is rare `serde_json` itself writes.

use serde::ser::{self, Error as _, Serialize, Serializer};
use serde_json::Error;

/// Adds the JSON of a value.
///
/// # Errors
/// Where the value cannot be JSON: a map whose names are no texts, or what its own `Serialize` refuses. Then a part of
/// it stands in the buffer.
pub fn append<T: Serialize + ?Sized>(value: &T, to: &mut Vec<u8>) -> Result<(), Error> {
    value.serialize(Writer { to })
}

struct Writer<'b> {
    to: &'b mut Vec<u8>,
}

impl<'b> Writer<'b> {
    /// A text between quotation marks.
    fn text(self, text: &str) -> Result<(), Error> {
        // Without an early end many bytes are looked at together.
        let plain = |byte: u8| (byte >= b' ') & (byte != b'"') & (byte != b'\\');
        if !text.bytes().fold(true, |all, byte| all & plain(byte)) {
            return self.rare(text);
        }
        self.to.reserve(text.len() + 2);
        self.to.push(b'"');
        self.to.extend_from_slice(text.as_bytes());
        self.to.push(b'"');
        Ok(())
    }

    fn rare<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        serde_json::to_writer(self.to, value)
    }

    fn begin(self, opening: u8, end: &'static [u8]) -> Items<'b> {
        self.to.push(opening);
        Items { to: self.to, first: true, end }
    }

    /// `{"NAME":`, of which the end is still to come.
    fn variant(self, name: &str) -> Result<Self, Error> {
        self.to.push(b'{');
        Writer { to: &mut *self.to }.text(name)?;
        self.to.push(b':');
        Ok(self)
    }
}

/// The items of an array, or the members of an object.
struct Items<'b> {
    to: &'b mut Vec<u8>,
    first: bool,
    end: &'static [u8],
}

impl Items<'_> {
    fn separate(&mut self) {
        if !std::mem::take(&mut self.first) {
            self.to.push(b',');
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.separate();
        append(value, self.to)
    }

    fn member<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.separate();
        Writer { to: self.to }.text(name)?;
        self.to.push(b':');
        append(value, self.to)
    }

    fn finish(self) -> Result<(), Error> {
        self.to.extend_from_slice(self.end);
        Ok(())
    }
}

impl<'b> Serializer for Writer<'b> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Items<'b>;
    type SerializeTuple = Items<'b>;
    type SerializeTupleStruct = Items<'b>;
    type SerializeTupleVariant = Items<'b>;
    type SerializeMap = Items<'b>;
    type SerializeStruct = Items<'b>;
    type SerializeStructVariant = Items<'b>;

    fn serialize_bool(self, value: bool) -> Result<(), Error> {
        self.to.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_i16(self, value: i16) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_i32(self, value: i32) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_i64(self, value: i64) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_u8(self, value: u8) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_u16(self, value: u16) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_u32(self, value: u32) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_u64(self, value: u64) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_char(self, value: char) -> Result<(), Error> {
        self.rare(&value)
    }

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Error> {
        self.rare(value)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.to.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let Writer { to } = self.variant(variant)?;
        append(value, to)?;
        to.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'b>, Error> {
        Ok(self.begin(b'[', b"]"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Items<'b>, Error> {
        Ok(self.begin(b'[', b"]"))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'b>, Error> {
        Ok(self.begin(b'[', b"]"))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'b>, Error> {
        Ok(self.variant(variant)?.begin(b'[', b"]}"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Items<'b>, Error> {
        Ok(self.begin(b'{', b"}"))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Items<'b>, Error> {
        Ok(self.begin(b'{', b"}"))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'b>, Error> {
        Ok(self.variant(variant)?.begin(b'{', b"}}"))
    }
}

impl ser::SerializeSeq for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeTuple for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeTupleStruct for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeTupleVariant for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.item(value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeMap for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Error> {
        self.separate();
        let begins = self.to.len();
        append(name, self.to)?;
        match self.to.get(begins) {
            Some(b'"') => Ok(()),
            _ => Err(Error::custom("a name has to be text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.to.push(b':');
        append(value, self.to)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeStruct for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl ser::SerializeStructVariant for Items<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        self.member(name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::{btree_map, vec};
    use proptest::option;
    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;

    fn written<T: Serialize + ?Sized>(value: &T) -> String {
        let mut to = Vec::new();
        append(value, &mut to).unwrap();
        String::from_utf8(to).unwrap()
    }

    #[derive(Debug, Clone, Serialize)]
    enum Shape {
        Unit,
        One(String),
        Two(i64, Option<bool>),
        Named { text: String, number: f64 },
    }

    #[derive(Debug, Clone, Serialize)]
    struct Nothing;

    #[derive(Debug, Clone, Serialize)]
    struct Wrapped(u8);

    #[derive(Debug, Clone, Serialize)]
    struct Pair(i16, char);

    #[derive(Debug, Clone, Serialize)]
    struct Inner {
        a: Vec<Shape>,
        #[serde(skip_serializing_if = "Option::is_none")]
        b: Option<String>,
    }

    #[derive(Debug, Clone, Serialize)]
    struct Outer {
        before: String,
        #[serde(flatten)]
        inner: Inner,
        map: BTreeMap<String, Vec<u64>>,
        wrapped: Wrapped,
        pair: Pair,
        nothing: Nothing,
        tuple: (u32, i8, ()),
    }

    prop_compose! {
        fn outer()(
            texts in vec("\\PC{0,8}|[\\x00-\\x7f]{0,40}", 4),
            b in option::of(".{0,9}"),
            numbers in any::<(i64, u8, i16, char, u32, i8, Option<bool>)>(),
            number in proptest::num::f64::NORMAL,
            map in btree_map(".{0,5}", vec(any::<u64>(), 0..3), 0..3),
        ) -> Outer {
            let [before, one, text, ..] = texts.try_into().unwrap_or_else(|_| <[String; 4]>::default());
            let (two, wrapped, pair, char, tuple, small, flag) = numbers;
            let a = vec![Shape::Unit, Shape::One(one), Shape::Two(two, flag), Shape::Named { text, number }];
            Outer {
                before,
                inner: Inner { a, b },
                map,
                wrapped: Wrapped(wrapped),
                pair: Pair(pair, char),
                nothing: Nothing,
                tuple: (tuple, small, ()),
            }
        }
    }

    proptest! {
        #[test]
        fn byte_for_byte_as_serde_json_writes_it(value in outer()) {
            prop_assert_eq!(written(&value), serde_json::to_string(&value).unwrap());
        }
    }

    #[test]
    fn values_and_empty_ones() {
        let value: Value = json!({"a": [1, -2, 3.5, null, true, "\u{8}\"\\\n/é"], "b": {}, "c": [], "": ""});
        assert_eq!(written(&value), value.to_string());
        assert_eq!(written("a\u{0}b"), "\"a\\u0000b\"");
    }

    #[test]
    fn names_have_to_be_texts() {
        assert!(append(&BTreeMap::from([(1, 2)]), &mut Vec::new()).is_err());
    }
}
