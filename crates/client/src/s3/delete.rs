//! Objects removed, one by one or by the thousand.

use http::Method;
use serde::Deserialize;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::{ErrorKind, S3Error};
use super::object::ETag;
use super::xml;

/// Said of an object that is not there, where one had to be.
const NO_SUCH_KEY: &str = "NoSuchKey";

/// Said of an object that is another than it had to be.
const PRECONDITION_FAILED: &str = "PreconditionFailed";

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
    /// Only while the object is this one, where the store knows such a condition; one that does not removes it anyway.
    pub etag: Option<ETag>,
}

impl Doomed {
    /// An object, or a version, whatever it is.
    #[must_use]
    pub fn new(key: ObjectKey, version: Option<String>) -> Self {
        Self { key, version, etag: None }
    }
}

impl NotDeleted {
    /// Whether it is another object by now than the one that was to be removed.
    pub(crate) fn is_another(&self) -> bool {
        self.code == PRECONDITION_FAILED
    }
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

    /// Removes an object, or one version of it (DeleteObject). One that is not there is no error.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn delete_one(
        &self,
        bucket: &BucketName,
        doomed: &Doomed,
        governance: Governance,
    ) -> Result<(), S3Error> {
        let call = || {
            let call = Call::object("DeleteObject", Method::DELETE, bucket, &doomed.key);
            governance.on(call.version(doomed.version.as_deref()))
        };
        let removed = match &doomed.etag {
            Some(etag) => self.send_whole(&call()?.header("if-match", etag.as_str())?).await,
            None => self.send_whole(&call()?).await,
        };
        match removed {
            Err(error) if doomed.etag.is_some() && error.code() == Some(NO_SUCH_KEY) => Ok(()),
            Err(error) if doomed.etag.is_some() && error.kind() == ErrorKind::NotSupported => {
                self.send_whole(&call()?).await.map(drop)
            }
            other => other.map(drop),
        }
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
        let doomed: Vec<_> = keys.iter().map(|key| Doomed::new(key.clone(), None)).collect();
        self.delete_versions(bucket, &doomed, Governance::Kept).await
    }

    /// The same for versions, which are gone for good, and for objects that are to be certain ones.
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
        let mut kept = Vec::new();
        for doomed in single {
            match self.delete_one(bucket, doomed, governance).await {
                Err(error) if error.kind() == ErrorKind::Precondition => kept.push(NotDeleted {
                    key: doomed.key.to_string(),
                    version: doomed.version.clone(),
                    code: PRECONDITION_FAILED.to_owned(),
                    message: String::new(),
                }),
                other => other?,
            }
        }
        if written.is_empty() {
            return Ok(kept);
        }
        let mut body =
            String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
        for Doomed { key, version, etag } in written {
            body.push_str("<Object>");
            xml::element(&mut body, "Key", key.as_str());
            if let Some(version) = version {
                xml::element(&mut body, "VersionId", version);
            }
            if let Some(etag) = etag {
                xml::element(&mut body, "ETag", etag.as_str());
            }
            body.push_str("</Object>");
        }
        body.push_str("</Delete>");
        let call = Call::bucket("DeleteObjects", Method::POST, bucket).query("delete", "").document(body)?;
        let answer = self.send_whole(&governance.on(call)?).await?;
        // A store that has nothing to report may send no document at all.
        if answer.body.trim_ascii().is_empty() {
            return Ok(kept);
        }
        let result: DeleteResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("DeleteObjects", what))?;
        // As without a condition: what is not there is removed.
        let errors = result.errors.into_iter().filter(|error| error.code != NO_SUCH_KEY);
        let not_deleted = |error: DeleteError| NotDeleted {
            key: error.key,
            version: error.version_id.filter(|id| !id.is_empty()),
            code: error.code,
            message: error.message,
        };
        kept.extend(errors.map(not_deleted));
        Ok(kept)
    }
}
