//! What is printed for an object: text with names in braces.

use wigeon_client::s3::ObjectSummary;

use super::super::objects::address::StorePlace;
use super::super::objects::human;
use crate::errors::Failure;

/// A text with gaps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Field(Field, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Address,
    Bucket,
    Key,
    Name,
    Folder,
    Size,
    Bytes,
    Time,
    Etag,
    Class,
}

const FIELDS: [(&str, Field); 10] = [
    ("address", Field::Address),
    ("bucket", Field::Bucket),
    ("key", Field::Key),
    ("name", Field::Name),
    ("folder", Field::Folder),
    ("size", Field::Size),
    ("bytes", Field::Bytes),
    ("time", Field::Time),
    ("etag", Field::Etag),
    ("class", Field::Class),
];

impl Format {
    /// Reads a text; `{{` and `}}` are braces, `\t` and `\n` what they are in most languages.
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let (mut pieces, mut plain) = (Vec::new(), String::new());
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            match (letter, rest.peek()) {
                ('{', Some('{')) | ('}', Some('}')) => {
                    plain.push(letter);
                    rest.next();
                }
                ('\\', Some('t')) => {
                    plain.push('\t');
                    rest.next();
                }
                ('\\', Some('n')) => {
                    plain.push('\n');
                    rest.next();
                }
                ('{', _) => {
                    let mut inside = String::new();
                    let closed = rest.by_ref().any(|letter| {
                        let closes = letter == '}';
                        inside.extend((!closes).then_some(letter));
                        closes
                    });
                    if !closed {
                        return Err(Failure::usage(format!("`{{{inside}` has no closing brace")));
                    }
                    let (name, quoted) = match inside.strip_suffix(":q") {
                        Some(name) => (name, true),
                        None => (inside.as_str(), false),
                    };
                    let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
                        let known = FIELDS.map(|(name, _)| format!("{{{name}}}")).join(" ");
                        return Err(Failure::usage(format!("`{{{inside}}}` is not known: there is {known}")));
                    };
                    if !plain.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut plain)));
                    }
                    pieces.push(Piece::Field(*field, quoted));
                }
                _ => plain.push(letter),
            }
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self(pieces))
    }

    /// The text for an object.
    pub(super) fn of(&self, place: &StorePlace, object: &ObjectSummary) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Field(field, true) => text.push_str(&quoted(&field.of(place, object))),
                Piece::Field(field, false) => text.push_str(&field.of(place, object)),
            }
        }
        text
    }
}

impl Field {
    fn of(self, place: &StorePlace, object: &ObjectSummary) -> String {
        let slash = object.key.rfind('/').map_or(0, |slash| slash + 1);
        let (folder, name) = object.key.split_at_checked(slash).unwrap_or(("", &object.key));
        match self {
            Self::Address => address(place, &object.key),
            Self::Bucket => place.bucket.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::Key => object.key.clone(),
            Self::Name => name.to_owned(),
            Self::Folder => folder.to_owned(),
            Self::Size => human::size(object.size),
            Self::Bytes => object.size.to_string(),
            Self::Time => object.last_modified.map(wigeon_core::time::iso8601).unwrap_or_default(),
            Self::Etag => object.etag.as_ref().map(ToString::to_string).unwrap_or_default(),
            Self::Class => object.storage_class.clone().unwrap_or_else(|| "STANDARD".to_owned()),
        }
    }
}

/// The address of a key, in the profile that the place names.
pub(super) fn address(place: &StorePlace, key: &str) -> String {
    StorePlace { key: key.to_owned(), ..place.clone() }.to_string()
}

/// As one word of a shell's.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        let place = StorePlace::parse("lab:team/x").unwrap();
        let object = ObjectSummary { key: "a/it's.txt".into(), size: 2048, ..ObjectSummary::default() };
        for (format, text) in [
            ("{address}", "lab:team/a/it's.txt"),
            ("rm {address:q}", "rm 'lab:team/a/it'\\''s.txt'"),
            ("{bucket} {folder}|{name}", "team a/|it's.txt"),
            ("{size} {bytes}\\t{{{class}}}", "2.0 KiB 2048\t{STANDARD}"),
        ] {
            assert_eq!(Format::parse(format).unwrap().of(&place, &object), text);
        }
        for bad in ["{what}", "{key", "{}"] {
            assert!(Format::parse(bad).is_err(), "{bad}");
        }
    }
}
