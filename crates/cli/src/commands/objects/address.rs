//! Addresses as people write them: `s3://bucket/key` in the profile in use, `profile:bucket/key` in another,
//! `-` for standard input or output, anything else a path on this machine (`./a:b` where a name has a colon).

use std::fmt;
use std::path::PathBuf;

use wigeon_client::transfer::{Address, Prefix};
use wigeon_core::s3::{BucketName, ObjectKey};

use crate::errors::{Failure, Kind};

/// What a word on the command line names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Standard input or output.
    Stream,
    /// A file or folder.
    Local(PathBuf),
    /// Something in a store.
    Store(StorePlace),
}

/// A store, a bucket, a prefix or an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorePlace {
    /// `None` for the profile in use.
    pub(crate) profile: Option<String>,
    /// `None` for the store itself.
    pub(crate) bucket: Option<BucketName>,
    /// The key or the prefix; may be empty.
    pub(crate) key: String,
}

impl Place {
    /// Reads a word.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        if text == "-" {
            return Ok(Self::Stream);
        }
        match split(text) {
            Some((profile, rest)) => Ok(Self::Store(StorePlace::new(profile, rest)?)),
            None if text.is_empty() => Err(Failure::usage("an address is empty")),
            None => Ok(Self::Local(PathBuf::from(text))),
        }
    }
}

impl StorePlace {
    /// Reads a word that can only mean something in a store.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match split(text) {
            Some((profile, rest)) => Self::new(profile, rest),
            None => Err(Failure::usage(format!("`{text}` is not an address in a store"))
                .hint("write s3://BUCKET/KEY, or PROFILE:BUCKET/KEY for another profile")),
        }
    }

    fn new(profile: Option<&str>, rest: &str) -> Result<Self, Failure> {
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() && !key.is_empty() {
            return Err(Failure::usage(format!("the address of `{key}` names no bucket")));
        }
        let bucket = match bucket {
            "" => None,
            name => Some(
                BucketName::parse_existing(name).map_err(|error| Failure::because(Kind::Usage, &error))?,
            ),
        };
        Ok(Self { profile: profile.map(str::to_owned), bucket, key: key.to_owned() })
    }

    /// The bucket that must be there.
    pub(crate) fn bucket(&self) -> Result<&BucketName, Failure> {
        self.bucket.as_ref().ok_or_else(|| Failure::usage(format!("`{self}` names no bucket")))
    }

    /// The object that must be there.
    pub(crate) fn object(&self) -> Result<Address, Failure> {
        self.object_of(&self.key)
    }

    /// An object in the same bucket.
    pub(crate) fn object_of(&self, key: &str) -> Result<Address, Failure> {
        if key.is_empty() {
            return Err(Failure::usage(format!("`{self}` names no object")));
        }
        let key = ObjectKey::parse(key).map_err(|error| Failure::because(Kind::Usage, &error))?;
        Ok(Address { bucket: self.bucket()?.clone(), key })
    }

    /// Everything below the key, as below a folder; the whole bucket where there is none.
    pub(crate) fn folder(&self) -> Result<Prefix, Failure> {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        Ok(Prefix { bucket: self.bucket()?.clone(), prefix: format!("{}{slash}", self.key) })
    }

    /// Whether a file put here keeps its own name.
    pub(crate) fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }
}

impl fmt::Display for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.profile {
            Some(profile) => write!(f, "{profile}:")?,
            None => f.write_str("s3://")?,
        }
        match &self.bucket {
            Some(bucket) if self.key.is_empty() => write!(f, "{bucket}"),
            Some(bucket) => write!(f, "{bucket}/{}", self.key),
            None => Ok(()),
        }
    }
}

/// The profile, if one is named, and the rest; `None` for a path.
fn split(text: &str) -> Option<(Option<&str>, &str)> {
    if let Some(rest) = text.strip_prefix("s3://") {
        return Some((None, rest));
    }
    let (profile, rest) = text.split_once(':')?;
    // Where there are drives, one letter before a colon is one; `C:\` is a path everywhere.
    let is_drive = profile.len() == 1 && (cfg!(windows) || rest.starts_with('\\'));
    let named = !profile.is_empty()
        && !is_drive
        && profile.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    (named && !profile.starts_with('.') && !rest.starts_with("//")).then_some((Some(profile), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(text: &str) -> (Option<String>, Option<String>, String) {
        match Place::parse(text).unwrap() {
            Place::Store(place) => (place.profile, place.bucket.map(String::from), place.key),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn addresses() {
        let of = |profile: Option<&str>, bucket: Option<&str>, key: &str| {
            (profile.map(str::to_owned), bucket.map(str::to_owned), key.to_owned())
        };
        assert_eq!(store("s3://bucket/a b/../ü"), of(None, Some("bucket"), "a b/../ü"));
        assert_eq!(store("s3://bucket"), of(None, Some("bucket"), ""));
        assert_eq!(store("s3://"), of(None, None, ""));
        assert_eq!(store("lab-2:bucket//k:1"), of(Some("lab-2"), Some("bucket"), "/k:1"));
        assert_eq!(store("lab:"), of(Some("lab"), None, ""));
        assert_eq!(Place::parse("-").unwrap(), Place::Stream);
        for path in ["file", "./a:b", "/tmp/a:b", "C:\\x", "a b:c", ".hidden:x", "http://x", ":x"] {
            assert_eq!(Place::parse(path).unwrap(), Place::Local(PathBuf::from(path)), "{path}");
        }
        if cfg!(windows) {
            assert_eq!(Place::parse("C:/x").unwrap(), Place::Local(PathBuf::from("C:/x")));
        } else {
            assert_eq!(store("k:bucket/x"), of(Some("k"), Some("bucket"), "x"));
        }
        for bad in ["", "s3://../x", "s3:///key", "lab:a b/k"] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn folders() {
        let folder = |text| StorePlace::parse(text).unwrap().folder().unwrap().prefix;
        assert_eq!(
            [folder("s3://bucket"), folder("s3://bucket/a"), folder("s3://bucket/a/")],
            ["", "a/", "a/"]
        );
    }
}
