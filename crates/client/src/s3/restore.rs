//! Archived objects brought back for some days (RestoreObject).

use http::{Method, StatusCode};
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::xml;

/// What the store made of the wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restoring {
    /// It has begun; HeadObject says when it is done.
    Begun,
    /// It was begun before.
    Underway,
    /// The object is there; how long has been changed.
    Extended,
}

impl Client {
    /// Brings an archived object back for `days`; `tier` is `Expedited`, `Standard` or `Bulk`, the store's own
    /// choice without it. Without days the object comes back for good, where the store's tiering knows that.
    ///
    /// # Errors
    /// [`ErrorKind`](super::ErrorKind)`::Denied` with the code `InvalidObjectState` where the object is not archived.
    pub async fn restore_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
        days: Option<u32>,
        tier: Option<&str>,
    ) -> Result<Restoring, S3Error> {
        let mut body = String::from("<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        if let Some(days) = days {
            xml::element(&mut body, "Days", &days.to_string());
        }
        if let Some(tier) = tier {
            body.push_str("<GlacierJobParameters>");
            xml::element(&mut body, "Tier", tier);
            body.push_str("</GlacierJobParameters>");
        }
        body.push_str("</RestoreRequest>");
        let call = Call::object("RestoreObject", Method::POST, bucket, key)
            .query("restore", "")
            .version(version)
            .document(body)?;
        match self.send(&call).await {
            Ok(answer) if answer.status() == StatusCode::OK => Ok(Restoring::Extended),
            Ok(_) => Ok(Restoring::Begun),
            Err(error) if error.code() == Some("RestoreAlreadyInProgress") => Ok(Restoring::Underway),
            Err(error) => Err(error),
        }
    }
}
