//! Objects, versions and folders as lists tell of them: one shape in JSON, one line for people.

use serde::Serialize;
use wigeon_client::s3::{Entry, Listed, ObjectSummary, VersionSummary};
use wigeon_core::time::Timestamp;

use super::human;

/// A line of `ls` and `find` in JSON.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Told<'a> {
    /// Keys up to and including a slash.
    Prefix { key: &'a str },
    Object {
        key: &'a str,
        size: u64,
        last_modified: Option<Timestamp>,
        etag: Option<String>,
        storage_class: Option<&'a str>,
    },
    Version {
        key: &'a str,
        version_id: &'a str,
        is_latest: bool,
        is_delete_marker: bool,
        size: u64,
        last_modified: Option<Timestamp>,
        etag: Option<String>,
        storage_class: Option<&'a str>,
    },
}

/// What lists tell of.
pub(crate) trait Tell: Listed {
    /// Its line.
    fn told(&self) -> Told<'_>;
}

impl Tell for ObjectSummary {
    fn told(&self) -> Told<'_> {
        Told::object(self)
    }
}

impl Tell for VersionSummary {
    fn told(&self) -> Told<'_> {
        Told::version(self)
    }
}

impl<'a> Told<'a> {
    /// An entry of a list.
    pub(crate) fn entry(entry: &'a Entry<impl Tell>) -> Self {
        match entry {
            Entry::Prefix(key) => Self::Prefix { key },
            Entry::Item(item) => item.told(),
        }
    }

    /// An object.
    pub(crate) fn object(object: &'a ObjectSummary) -> Self {
        Self::Object {
            key: &object.key,
            size: object.size,
            last_modified: object.last_modified,
            etag: object.etag.as_ref().map(ToString::to_string),
            storage_class: object.storage_class.as_deref(),
        }
    }

    /// A version.
    pub(crate) fn version(version: &'a VersionSummary) -> Self {
        Self::Version {
            key: &version.key,
            version_id: &version.version_id,
            is_latest: version.is_latest,
            is_delete_marker: version.is_delete_marker,
            size: version.size,
            last_modified: version.last_modified,
            etag: version.etag.as_ref().map(ToString::to_string),
            storage_class: version.storage_class.as_deref(),
        }
    }

    /// `2026-11-23 20:07:00     1.5 KiB  2026/report.pdf`; a version has its id, and `*` where it is the newest.
    pub(crate) fn line(&self, in_bytes: bool) -> String {
        let size_of = |size: u64| if in_bytes { size.to_string() } else { human::size(size) };
        match self {
            Self::Prefix { key } => format!("{:<19}  {:>10}  {}", "", "-", human::name(key)),
            Self::Object { key, size, last_modified, .. } => {
                format!("{:<19}  {:>10}  {}", human::time(*last_modified), size_of(*size), human::name(key))
            }
            Self::Version { key, version_id, is_latest, is_delete_marker, size, last_modified, .. } => {
                let size = if *is_delete_marker { "removed".to_owned() } else { size_of(*size) };
                let latest = if *is_latest { '*' } else { ' ' };
                let time = human::time(*last_modified);
                format!("{time:<19}  {size:>10}  {latest} {version_id:<32}  {}", human::name(key))
            }
        }
    }
}
