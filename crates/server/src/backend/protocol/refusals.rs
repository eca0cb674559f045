//! What the store refuses, as S3 says it.

use http::header::{ALLOW, HeaderName, HeaderValue, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};
use wigeon_core::time::http_date;

use super::headers::{insert, insert_version};
use crate::backend::local::StoreError;
use crate::backend::local::error::DeleteMarker;
use crate::refusal::Refusal;

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let not_found = |code, message: &str| Self::new(code, StatusCode::NOT_FOUND, message);
        let bad = |code, message: String| Self::new(code, StatusCode::BAD_REQUEST, message);
        match &error {
            StoreError::NoSuchBucket(_) => not_found("NoSuchBucket", "The specified bucket does not exist"),
            StoreError::BucketAlreadyExists(_) => {
                let message =
                    "Your previous request to create the named bucket succeeded and you already own it.";
                Self::new("BucketAlreadyOwnedByYou", StatusCode::CONFLICT, message)
            }
            StoreError::BucketNotEmpty(_) => {
                let message = "The bucket you tried to delete is not empty";
                Self::new("BucketNotEmpty", StatusCode::CONFLICT, message)
            }
            StoreError::NoSuchKey(_) => not_found("NoSuchKey", "The specified key does not exist."),
            StoreError::Deleted(marker) => {
                let refusal = not_found("NoSuchKey", "The specified key does not exist.");
                Self { headers: Some(Box::new(deleted(marker))), ..refusal }
            }
            StoreError::NoSuchVersion(_) => {
                not_found("NoSuchVersion", "The specified version does not exist.")
            }
            StoreError::IsDeleteMarker(marker) => {
                let mut headers = deleted(marker);
                headers.insert(ALLOW, HeaderValue::from_static("DELETE"));
                insert(&mut headers, LAST_MODIFIED, Some(&http_date(marker.modified)));
                let message = "The specified method is not allowed against this resource.";
                let refusal = Self::new("MethodNotAllowed", StatusCode::METHOD_NOT_ALLOWED, message);
                Self { headers: Some(Box::new(headers)), ..refusal }
            }
            StoreError::QuotaExceeded => {
                let message = "The bucket's quota does not allow for more. Nothing was changed.";
                Self::new("QuotaExceeded", StatusCode::FORBIDDEN, message)
            }
            StoreError::Locked => Self {
                message: "Access Denied because object protected by object lock.".to_owned(),
                ..Self::access_denied(error.to_string())
            },
            StoreError::NoBucketLock => Self::invalid_request("Bucket is missing Object Lock Configuration"),
            StoreError::LockNeedsVersions(_) => Self::new(
                "InvalidBucketState",
                StatusCode::CONFLICT,
                "Versioning must be 'Enabled' on a bucket with an Object Lock configuration.",
            ),
            StoreError::RetentionInThePast => {
                Self::invalid_argument("The retain until date must be in the future!")
            }
            StoreError::NoSuchUpload(_) => not_found(
                "NoSuchUpload",
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been \
                 aborted or completed.",
            ),
            StoreError::NoSuchPart(_) => Self::new(
                "InvalidPartNumber",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The requested partnumber is not satisfiable",
            ),
            StoreError::InvalidPart(number) => bad(
                "InvalidPart",
                format!(
                    "One or more of the specified parts could not be found. The part may not have been uploaded, \
                     or the specified entity tag may not match the part's entity tag. (part {number})"
                ),
            ),
            StoreError::InvalidPartOrder => bad(
                "InvalidPartOrder",
                "The list of parts was not in ascending order. Parts must be ordered by part number."
                    .to_owned(),
            ),
            StoreError::NoParts => Self::malformed_xml("You must specify at least one part"),
            StoreError::PartNumberOutOfRange(_) => {
                Self::invalid_argument("Part number must be an integer between 1 and 10000, inclusive")
            }
            StoreError::PartTooSmall { number, size, minimum } => bad(
                "EntityTooSmall",
                format!(
                    "Your proposed upload is smaller than the minimum allowed size: part {number} has {size} bytes, \
                     every part but the last needs {minimum}"
                ),
            ),
            StoreError::DigestMismatch(digest) => Self::bad_digest(digest),
            StoreError::PreconditionFailed => Self::new(
                "PreconditionFailed",
                StatusCode::PRECONDITION_FAILED,
                "At least one of the pre-conditions you specified did not hold",
            ),
            StoreError::RangeNotSatisfiable { .. } => Self::new(
                "InvalidRange",
                StatusCode::RANGE_NOT_SATISFIABLE,
                "The requested range is not satisfiable",
            ),
            StoreError::Full(_) => Self::new(
                "InsufficientStorage",
                StatusCode::INSUFFICIENT_STORAGE,
                "The server's disk is full. Nothing was changed.",
            ),
            StoreError::Corrupt(_)
            | StoreError::NoStore(_)
            | StoreError::InUse(_)
            | StoreError::OlderFormat { .. }
            | StoreError::NewerFormat { .. }
            | StoreError::Stopped
            | StoreError::Index(_)
            | StoreError::Io { .. } => {
                let mut reason = error.to_string();
                if let Some(source) = std::error::Error::source(&error) {
                    reason = format!("{reason}: {source}");
                }
                Self::internal(reason)
            }
        }
    }
}

/// What S3 says of a delete marker that stands in the way.
fn deleted(marker: &DeleteMarker) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static("x-amz-delete-marker"), HeaderValue::from_static("true"));
    insert_version(&mut headers, Some(marker.version));
    headers
}
