//! What completing an upload was answered, for a client that did not hear it and asks again.
//!
//! S3's CompleteMultipartUpload can be repeated: the upload is gone, the answer is the same. It is remembered for a day,
//! written by the very transaction that completes, and given to whoever names the same upload and the same parts.

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use wigeon_core::time::Timestamp;

use super::checksum::{Checksum, ChecksumAlgorithm};
use super::error::StoreError;
use super::etag::ETag;
use super::index::{self, BucketRow, milliseconds, one, run, unreadable};
use super::request::Completed;
use super::uploads::UploadAt;

/// How long an answer is remembered, in milliseconds.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;

/// As the index writes it; never changed.
#[derive(Serialize, Deserialize)]
struct Answer {
    etag: String,
    size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<(String, String)>,
}

/// Remembers an answer, and forgets old ones.
pub(super) fn remember(
    index: &Connection,
    bucket: BucketRow,
    at: &UploadAt,
    completed: &Completed,
    now: Timestamp,
) -> Result<(), StoreError> {
    let each = |checksum: &Checksum| (checksum.algorithm().name().to_owned(), checksum.to_string());
    let answer = Answer {
        etag: completed.etag.to_string(),
        size: completed.size,
        version: completed.version.map(|version| version.to_string()),
        checksums: completed.checksums.iter().map(each).collect(),
    };
    let answer = serde_json::to_string(&answer).unwrap_or_default();
    let now = milliseconds(now);
    run(index, "DELETE FROM completed WHERE at < ?1", &[&(now - REMEMBERED)])?;
    let sql = "INSERT INTO completed (upload, bucket, key, at, answer) VALUES (?1, ?2, ?3, ?4, ?5)";
    run(index, sql, &[&at.id.as_str(), &bucket.id, &at.key.as_str().as_bytes(), &now, &answer])?;
    Ok(())
}

/// The answer that completing this upload was given, if it made an object with this tag.
///
/// # Errors
/// [`StoreError::NoSuchUpload`].
pub(super) fn recall(index: &Connection, at: &UploadAt, tag: &ETag) -> Result<Completed, StoreError> {
    let bucket = index::bucket(index, &at.bucket)?;
    let sql = "SELECT answer FROM completed WHERE upload = ?1 AND bucket = ?2 AND key = ?3";
    let found = one(index, sql, &[&at.id.as_str(), &bucket.id, &at.key.as_str().as_bytes()], |row| {
        let answer = serde_json::from_str(&row.get::<_, String>(0)?).ok();
        answer.and_then(completed).ok_or_else(|| unreadable("the answer to a completed upload"))
    })?;
    found
        .filter(|completed| completed.etag == *tag)
        .ok_or_else(|| StoreError::NoSuchUpload(at.id.as_str().to_owned()))
}

fn completed(answer: Answer) -> Option<Completed> {
    let checksum = |(name, value): &(String, String)| Checksum::parse(ChecksumAlgorithm::parse(name)?, value);
    Some(Completed {
        etag: answer.etag.parse().ok()?,
        size: answer.size,
        version: match answer.version {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        },
        checksums: answer.checksums.iter().map(checksum).collect::<Option<_>>()?,
    })
}
