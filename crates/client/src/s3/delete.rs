//! Objects removed, one by one or by the thousand.

use http::Method;
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
    /// Which version, where one was named.
    pub version: Option<String>,
    /// `AccessDenied`, …
    pub code: String,
    /// The store's sentence; may be empty.
    pub message: String,
}

/// What is to be removed: an object, or one version of it for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doomed {
    /// Which object.
    pub key: ObjectKey,
    /// Which version; `null` for the one from before the bucket kept versions.
    pub version: Option<String>,
}

/// Whether versions go although somebody keeps them, which takes `s3:BypassGovernanceRetention`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governance {
    /// What is kept stays.
    Kept,
    /// What is kept under governance goes.
    Bypassed,
}

impl Governance {
    fn on(self, call: Call) -> Result<Call, S3Error> {
        match self {
            Self::Kept => Ok(call),
            Self::Bypassed => call.header("x-amz-bypass-governance-retention", "true"),
        }
    }
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
    version_id: Option<String>,
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

    /// Removes an object, or one version of it (DeleteObject).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn delete_one(
        &self,
        bucket: &BucketName,
        doomed: &Doomed,
        governance: Governance,
    ) -> Result<(), S3Error> {
        let call = Call::object("DeleteObject", Method::DELETE, bucket, &doomed.key);
        let call = governance.on(call.version(doomed.version.as_deref()))?;
        self.send_whole(&call).await.map(drop)
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
        let doomed: Vec<_> = keys.iter().map(|key| Doomed { key: key.clone(), version: None }).collect();
        self.delete_versions(bucket, &doomed, Governance::Kept).await
    }

    /// The same for versions, which are gone for good.
    ///
    /// # Errors
    /// Where the request as a whole failed; some may have been removed.
    pub async fn delete_versions(
        &self,
        bucket: &BucketName,
        doomed: &[Doomed],
        governance: Governance,
    ) -> Result<Vec<NotDeleted>, S3Error> {
        let (written, single): (Vec<_>, Vec<_>) =
            doomed.iter().partition(|doomed| xml::can_hold(doomed.key.as_str()));
        for doomed in single {
            self.delete_one(bucket, doomed, governance).await?;
        }
        if written.is_empty() {
            return Ok(Vec::new());
        }
        let mut body =
            String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
        for Doomed { key, version } in written {
            body.push_str("<Object>");
            xml::element(&mut body, "Key", key.as_str());
            if let Some(version) = version {
                xml::element(&mut body, "VersionId", version);
            }
            body.push_str("</Object>");
        }
        body.push_str("</Delete>");
        let call = Call::bucket("DeleteObjects", Method::POST, bucket).query("delete", "").document(body)?;
        let answer = self.send_whole(&governance.on(call)?).await?;
        // A store that has nothing to report may send no document at all.
        if answer.body.trim_ascii().is_empty() {
            return Ok(Vec::new());
        }
        let result: DeleteResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("DeleteObjects", what))?;
        let not_deleted = |error: DeleteError| NotDeleted {
            key: error.key,
            version: error.version_id.filter(|id| !id.is_empty()),
            code: error.code,
            message: error.message,
        };
        Ok(result.errors.into_iter().map(not_deleted).collect())
    }
}
