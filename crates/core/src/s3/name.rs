//! Names of buckets and keys of objects: a value of these types was checked when it was made.
//!
//! Source: Amazon S3 User Guide, "General purpose bucket naming rules" and "Naming Amazon S3 objects".

use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The name of a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BucketName(String);

/// The key of an object: 1–1024 bytes of UTF-8 without NUL. `.`, `..` and empty segments have no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

/// Why a text is no bucket name or object key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The rules for new general purpose buckets.
    #[error(
        "`{0}` is not a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens, starting and ending \
         with a letter or digit, and not an IP address"
    )]
    Bucket(String),
    /// Zero bytes, or more than 1024.
    #[error("an object key has 1 to 1024 bytes, this one has {0}")]
    KeyLength(usize),
    /// NUL cannot be written in S3's XML.
    #[error("an object key holds no NUL character")]
    KeyNul,
}

impl BucketName {
    /// Checks the rules for new buckets.
    ///
    /// # Errors
    /// [`NameError::Bucket`] with the text.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
        let valid = (3..=63).contains(&bytes.len())
            && bytes.iter().all(allowed)
            && alphanumeric(bytes.first())
            && alphanumeric(bytes.last())
            && !text.contains("..")
            && text.parse::<Ipv4Addr>().is_err();
        if valid { Ok(Self(text.to_owned())) } else { Err(NameError::Bucket(text.to_owned())) }
    }

    /// Checks the older, wider rules, under which buckets exist at some stores: 3–255 letters, digits, dots,
    /// hyphens and underscores.
    ///
    /// # Errors
    /// [`NameError::Bucket`] with the text.
    pub fn parse_existing(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let valid = (3..=255).contains(&text.len())
            && text.bytes().all(allowed)
            && !text.starts_with('.')
            && !text.contains("..");
        if valid { Ok(Self(text.to_owned())) } else { Err(NameError::Bucket(text.to_owned())) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ObjectKey {
    /// Checks the length and the absence of NUL.
    ///
    /// # Errors
    /// [`NameError::KeyLength`] or [`NameError::KeyNul`].
    pub fn parse(text: impl Into<String>) -> Result<Self, NameError> {
        let text = text.into();
        if text.is_empty() || text.len() > 1024 {
            return Err(NameError::KeyLength(text.len()));
        }
        if text.contains('\0') {
            return Err(NameError::KeyNul);
        }
        Ok(Self(text))
    }

    /// The key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text_type {
    ($name:ident, $parse:expr) => {
        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                $parse(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(BucketName, |text: String| Self::parse(&text));
text_type!(ObjectKey, |text: String| Self::parse(text));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["abc", "a-b.c", "0ab", "shared", &"a".repeat(63)] {
            assert!(BucketName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "ab", "-ab", "ab-", "a..b", "A-b", "a_b", "192.168.0.1", "..", "../etc", "a/b", &long]
        {
            assert!(BucketName::parse(bad).is_err(), "{bad}");
        }
        assert!(BucketName::parse_existing("Old_Bucket").is_ok());
        for bad in ["..", "../x", "a/b", ".hidden", "a\0b"] {
            assert!(BucketName::parse_existing(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn object_keys() {
        for good in ["a", "..", "a/../b", "//", "ü/ \n", &"k".repeat(1024)] {
            assert!(ObjectKey::parse(good).is_ok(), "{good}");
        }
        assert_eq!(ObjectKey::parse(""), Err(NameError::KeyLength(0)));
        assert_eq!(ObjectKey::parse("é".repeat(513)), Err(NameError::KeyLength(1026)));
        assert_eq!(ObjectKey::parse("a\0b"), Err(NameError::KeyNul));
    }
}
