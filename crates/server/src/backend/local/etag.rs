//! Entity tags as S3 makes them: the MD5 of an object's bytes or, of a multipart object, the MD5 of its
//! parts' MD5s followed by `-` and their number.
//!
//! Source: Amazon S3 API Reference, `Object`, member `ETag`; the multipart form is not specified there but
//! is what every implementation and client does.

use std::fmt;
use std::str::FromStr;

use md5::{Digest, Md5};

/// An entity tag, without the quotation marks that HTTP puts around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ETag {
    digest: [u8; 16],
    parts: Option<u32>,
}

/// Why a text is not an entity tag of this store. Such a tag cannot match anything here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an entity tag: 32 hexadecimal digits, of a multipart object followed by `-` and a number"
)]
pub struct ETagError(String);

impl ETag {
    /// The tag of an object written in one piece, or of one part.
    #[must_use]
    pub fn of_md5(digest: [u8; 16]) -> Self {
        Self { digest, parts: None }
    }

    /// The tag of an object that consists of parts with these tags, in this order.
    #[must_use]
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a ETag>) -> Self {
        let mut hasher = Md5::new();
        let mut count = 0;
        for part in parts {
            hasher.update(part.digest);
            count += 1;
        }
        Self { digest: hasher.finalize().into(), parts: Some(count) }
    }

    /// The digest without the number of parts.
    #[must_use]
    pub fn digest(&self) -> &[u8; 16] {
        &self.digest
    }

    /// How many parts a multipart object was completed from.
    #[must_use]
    pub fn parts(&self) -> Option<u32> {
        self.parts
    }

    pub(super) fn from_columns(digest: [u8; 16], parts: Option<u32>) -> Self {
        Self { digest, parts }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.digest {
            write!(f, "{byte:02x}")?;
        }
        match self.parts {
            Some(parts) => write!(f, "-{parts}"),
            None => Ok(()),
        }
    }
}

impl FromStr for ETag {
    type Err = ETagError;

    /// Reads the tag with or without its quotation marks.
    fn from_str(text: &str) -> Result<Self, ETagError> {
        let refused = || ETagError(text.to_owned());
        let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        let (hex, parts) = match bare.split_once('-') {
            Some((hex, parts)) => (hex, Some(parts.parse().map_err(|_| refused())?)),
            None => (bare, None),
        };
        if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refused());
        }
        let digest = u128::from_str_radix(hex, 16).map_err(|_| refused())?.to_be_bytes();
        Ok(Self { digest, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_round_trip() {
        for text in ["d41d8cd98f00b204e9800998ecf8427e", "0007f0b5a1c3e2d4968778695a4b3c2d-10000"] {
            let tag: ETag = text.parse().unwrap();
            assert_eq!(tag.to_string(), text);
            assert_eq!(format!("\"{text}\"").parse(), Ok(tag));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "*", "\"", "abc", "d41d8cd98f00b204e9800998ecf8427g", "d41d8cd98f00b204e9800998ecf8427e-"]
        {
            assert!(text.parse::<ETag>().is_err(), "{text}");
        }
        assert!("+41d8cd98f00b204e9800998ecf8427e".parse::<ETag>().is_err());
    }

    #[test]
    fn of_parts_is_the_digest_of_the_digests() {
        let empty = ETag::of_md5(Md5::digest(b"").into());
        let expected: [u8; 16] = Md5::digest([*empty.digest(), *empty.digest()].concat()).into();
        let tag = ETag::of_parts([&empty, &empty]);
        assert_eq!((tag.digest(), tag.parts()), (&expected, Some(2)));
    }
}
