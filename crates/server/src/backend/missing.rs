//! An object that is not there: known as such to those who may list it, and to nobody else.
//!
//! Enters: a backend's answer. Leaves: the answer, or AWS's refusal in the place of a 404 for whoever may not
//! `s3:ListBucket` with the key as prefix (for a version: `s3:ListBucketVersions`): a right to read names is no right to try
//! which there are. Source: Amazon S3 API Reference, "GetObject", "HeadObject" and "CopyObject", the sections on permissions.

use http::StatusCode;
use wigeon_core::s3::operation::Operation;

use super::protocol::xml::Answer;
use crate::authorize::Permit;
use crate::classify::On;
use crate::recording::Remark;

/// What the client is told.
pub(super) fn told(answer: Answer, permit: &Permit) -> Answer {
    let Some(on) = read_by(permit.operation()).filter(|_| is_missing(&answer)) else { return answer };
    permit.allows_missing(on)?;
    answer
}

/// Which object an operation reads.
fn read_by(operation: Operation) -> Option<On> {
    use Operation as Op;
    match operation {
        Op::GetObject
        | Op::HeadObject
        | Op::GetObjectAttributes
        | Op::GetObjectTagging
        | Op::GetObjectAcl
        | Op::GetObjectRetention
        | Op::GetObjectLegalHold => Some(On::Target),
        Op::CopyObject | Op::UploadPartCopy => Some(On::CopySource),
        _ => None,
    }
}

fn is_missing(answer: &Answer) -> bool {
    let of_an_object = |code: &str| matches!(code, "NoSuchKey" | "NoSuchVersion" | "404");
    match answer {
        Err(refusal) => refusal.status == StatusCode::NOT_FOUND && of_an_object(refusal.code),
        Ok(response) => {
            let remark = response.extensions().get::<Remark>();
            response.status() == StatusCode::NOT_FOUND
                && remark.is_none_or(|remark| of_an_object(&remark.code))
        }
    }
}
