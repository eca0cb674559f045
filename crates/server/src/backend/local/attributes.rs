//! What a client says about an object and gets back as it was: headers, metadata, tags, storage class.
//!
//! The store keeps these and gives them no meaning; their rules (which names and lengths are allowed) are
//! the protocol's to check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::checksum::Checksums;
use super::object_lock::Lock;

/// An object's tags, by name.
pub type Tags = BTreeMap<String, String>;

/// What an object is written with, beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewObject {
    /// Headers and metadata.
    pub attributes: Attributes,
    /// Tags.
    pub tags: Tags,
    /// Storage class.
    pub storage_class: StorageClass,
    /// The checksums to keep and return; they are taken as checked.
    pub checksums: Checksums,
    /// What shall protect it; the bucket's default holds where this says nothing.
    pub lock: Lock,
}

/// Headers and metadata of an object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Attributes {
    /// The headers that HTTP and S3 define.
    #[serde(flatten)]
    pub system: SystemHeaders,
    /// User metadata: names in lower case, without `x-amz-meta-`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// The headers that an object keeps, as they were sent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SystemHeaders {
    /// `Content-Type`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `Cache-Control`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_control: Option<String>,
    /// `Content-Disposition`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_disposition: Option<String>,
    /// `Content-Encoding`, without `aws-chunked`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `Content-Language`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_language: Option<String>,
    /// `Expires`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// `x-amz-website-redirect-location`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website_redirect_location: Option<String>,
}

/// S3's storage classes. Here they are labels: everything is stored alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum StorageClass {
    /// `STANDARD`
    #[default]
    Standard,
    /// `REDUCED_REDUNDANCY`
    ReducedRedundancy,
    /// `STANDARD_IA`
    StandardIa,
    /// `ONEZONE_IA`
    OneZoneIa,
    /// `INTELLIGENT_TIERING`
    IntelligentTiering,
    /// `GLACIER_IR`
    GlacierIr,
}

impl StorageClass {
    /// The classes from which an object can be read at once. Those that must be restored first (`GLACIER`,
    /// `DEEP_ARCHIVE`) are not offered, since nothing here would ever restore them.
    pub const ALL: [Self; 6] = [
        Self::Standard,
        Self::ReducedRedundancy,
        Self::StandardIa,
        Self::OneZoneIa,
        Self::IntelligentTiering,
        Self::GlacierIr,
    ];

    /// As `x-amz-storage-class` writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "STANDARD",
            Self::ReducedRedundancy => "REDUCED_REDUNDANCY",
            Self::StandardIa => "STANDARD_IA",
            Self::OneZoneIa => "ONEZONE_IA",
            Self::IntelligentTiering => "INTELLIGENT_TIERING",
            Self::GlacierIr => "GLACIER_IR",
        }
    }

    /// Reads the name, exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Standard => 0,
            Self::ReducedRedundancy => 1,
            Self::StandardIa => 2,
            Self::OneZoneIa => 3,
            Self::IntelligentTiering => 4,
            Self::GlacierIr => 5,
        }
    }

    pub(super) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_round_trip_as_json_without_what_is_not_there() {
        let mut attributes = Attributes::default();
        assert_eq!(serde_json::to_string(&attributes).unwrap(), "{}");
        attributes.system.content_type = Some("text/plain".to_owned());
        attributes.metadata.insert("content_type".to_owned(), "mine".to_owned());
        let json = serde_json::to_string(&attributes).unwrap();
        assert_eq!(json, r#"{"content_type":"text/plain","metadata":{"content_type":"mine"}}"#);
        assert_eq!(serde_json::from_str::<Attributes>(&json).unwrap(), attributes);
    }

    #[test]
    fn storage_classes_round_trip() {
        for class in StorageClass::ALL {
            assert_eq!(StorageClass::parse(class.name()), Some(class));
            assert_eq!(StorageClass::from_code(class.code()), Some(class));
        }
        assert_eq!(StorageClass::parse("DEEP_ARCHIVE"), None);
    }
}
