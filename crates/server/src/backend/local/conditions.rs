//! Conditional requests: what must hold of an object for it to be read or replaced.
//!
//! Reads follow RFC 9110, section 13.2.2, with S3's two combinations ("GetObject", "CopyObject" in the
//! Amazon S3 API Reference). Writes know what `PutObject`, `CompleteMultipartUpload` and `DeleteObject`
//! know. The store evaluates them beside the write they guard, never before it.

use wigeon_core::time::Timestamp;

use super::error::StoreError;
use super::etag::ETag;
use super::object::ObjectInfo;

/// What must hold of the object that a write replaces or deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PutCondition {
    /// No condition.
    #[default]
    Always,
    /// `If-None-Match: *`: there is no such object.
    IfAbsent,
    /// `If-Match: *`: there is one.
    IfPresent,
    /// `If-Match: "…"`: there is one, with this tag.
    IfMatches(ETag),
    /// `If-Match` with a tag that no object of this store can have.
    Never,
}

impl PutCondition {
    /// Evaluates it on the tag of the present object. An object that must be there and is not, is
    /// [`StoreError::NoSuchKey`], as S3 answers.
    pub(super) fn check(self, key: &str, present: Option<&ETag>) -> Result<(), StoreError> {
        match (self, present) {
            (Self::Always, _) | (Self::IfAbsent, None) | (Self::IfPresent, Some(_)) => Ok(()),
            (Self::IfMatches(wanted), Some(tag)) if wanted == *tag => Ok(()),
            (Self::IfPresent | Self::IfMatches(_) | Self::Never, None) => {
                Err(StoreError::NoSuchKey(key.to_owned()))
            }
            (Self::IfAbsent | Self::IfMatches(_) | Self::Never, Some(_)) => {
                Err(StoreError::PreconditionFailed)
            }
        }
    }
}

/// A list of tags as `If-Match` and `If-None-Match` carry it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagMatch {
    /// `*`
    Any,
    /// One of these. Tags that no object of this store can have are left out by whoever parsed them.
    OneOf(Vec<ETag>),
}

impl TagMatch {
    fn holds(&self, tag: &ETag) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.contains(tag),
        }
    }
}

/// The four conditions of a GET or HEAD, or of the source of a copy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadConditions {
    /// `If-Match`
    pub if_match: Option<TagMatch>,
    /// `If-None-Match`
    pub if_none_match: Option<TagMatch>,
    /// `If-Modified-Since`; compared in whole seconds.
    pub if_modified_since: Option<Timestamp>,
    /// `If-Unmodified-Since`; compared in whole seconds.
    pub if_unmodified_since: Option<Timestamp>,
}

/// What the conditions say of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Answer the request.
    Proceed,
    /// 304 to a GET or HEAD; 412 to a copy.
    NotModified,
    /// 412.
    Failed,
}

impl ReadConditions {
    /// Evaluates them on an object. RFC 9110, section 13.2.2, steps 1–4: a tag condition that is present
    /// makes the date condition of the same kind irrelevant.
    #[must_use]
    pub fn evaluate(&self, object: &ObjectInfo) -> ReadOutcome {
        let modified = object.modified.as_second();
        match (&self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !tags.holds(&object.etag) => return ReadOutcome::Failed,
            (None, Some(since)) if modified > since.as_second() => return ReadOutcome::Failed,
            _ => {}
        }
        match (&self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if tags.holds(&object.etag) => ReadOutcome::NotModified,
            (None, Some(since)) if modified <= since.as_second() => ReadOutcome::NotModified,
            _ => ReadOutcome::Proceed,
        }
    }
}
