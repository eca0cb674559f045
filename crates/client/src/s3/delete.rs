//! Objects removed, one by one or by the thousand.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::xml;

/// An object that the store did not remove, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` was not removed: {code}{}{message}", if message.is_empty() { "" } else { ": " })]
pub struct NotDeleted {
    /// Which.
    pub key: String,
    /// `AccessDenied`, …
    pub code: String,
    /// The store's sentence; may be empty.
    pub message: String,
}

#[derive(Deserialize)]
struct DeleteResult {
    #[serde(rename = "Error", default)]
    errors: Vec<DeleteError>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteError {
    #[serde(default)]
    key: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Client {
    /// The most keys of one DeleteObjects.
    pub const MOST_DELETED: usize = 1000;

    /// Removes an object (DeleteObject). One that is not there is no error, by S3's rules.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn delete_object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<(), S3Error> {
        self.send_whole(&Call::object("DeleteObject", Method::DELETE, bucket, key)).await.map(drop)
    }

    /// Removes up to [`Client::MOST_DELETED`] objects in one request (DeleteObjects), and says which were not.
    /// A key that XML cannot hold is removed by itself.
    ///
    /// # Errors
    /// Where the request as a whole failed; some may have been removed.
    pub async fn delete_objects(
        &self,
        bucket: &BucketName,
        keys: &[ObjectKey],
    ) -> Result<Vec<NotDeleted>, S3Error> {
        let (written, single): (Vec<_>, Vec<_>) = keys.iter().partition(|key| xml::can_hold(key.as_str()));
        for key in single {
            self.delete_object(bucket, key).await?;
        }
        if written.is_empty() {
            return Ok(Vec::new());
        }
        let mut body =
            String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
        for key in written {
            body.push_str("<Object>");
            xml::element(&mut body, "Key", key.as_str());
            body.push_str("</Object>");
        }
        body.push_str("</Delete>");
        let md5 = BASE64_STANDARD.encode(Md5::digest(body.as_bytes()));
        let call = Call::bucket("DeleteObjects", Method::POST, bucket)
            .query("delete", "")
            .header("content-md5", &md5)?
            .header("content-type", "application/xml")?
            .body(body);
        let answer = self.send_whole(&call).await?;
        // A store that has nothing to report may send no document at all.
        if answer.body.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let result: DeleteResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("DeleteObjects", what))?;
        let not_deleted =
            |error: DeleteError| NotDeleted { key: error.key, code: error.code, message: error.message };
        Ok(result.errors.into_iter().map(not_deleted).collect())
    }
}
