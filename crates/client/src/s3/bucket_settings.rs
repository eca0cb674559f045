//! What a bucket is set to: documents under its subresources, read, written and removed as they are.

use bytes::Bytes;
use http::Method;
use wigeon_core::s3::BucketName;

use super::call::Call;
use super::client::Client;
use super::error::{ErrorKind, S3Error};
use super::xml;

/// A document that a bucket may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketSetting {
    /// Who may do what, in JSON.
    Policy,
    /// Which web pages may read and write.
    Cors,
    /// What becomes of objects over time.
    Lifecycle,
    /// How objects are encrypted that come without a word on it.
    Encryption,
    /// What stands in the way of public access.
    PublicAccessBlock,
    /// Whose objects are, and whether there are access control lists.
    OwnershipControls,
    /// The pages of a website.
    Website,
    /// Where accesses are recorded.
    Logging,
    /// Who is told of events.
    Notification,
    /// Where objects are copied to.
    Replication,
}

struct Names {
    query: &'static str,
    read: &'static str,
    write: &'static str,
    /// Some have no removal: an empty document takes its place.
    remove: Option<&'static str>,
}

impl BucketSetting {
    fn names(self) -> Names {
        let of = |query, read, write, remove| Names { query, read, write, remove };
        match self {
            Self::Policy => of("policy", "GetBucketPolicy", "PutBucketPolicy", Some("DeleteBucketPolicy")),
            Self::Cors => of("cors", "GetBucketCors", "PutBucketCors", Some("DeleteBucketCors")),
            Self::Lifecycle => of(
                "lifecycle",
                "GetBucketLifecycleConfiguration",
                "PutBucketLifecycleConfiguration",
                Some("DeleteBucketLifecycle"),
            ),
            Self::Encryption => {
                of("encryption", "GetBucketEncryption", "PutBucketEncryption", Some("DeleteBucketEncryption"))
            }
            Self::PublicAccessBlock => of(
                "publicAccessBlock",
                "GetPublicAccessBlock",
                "PutPublicAccessBlock",
                Some("DeletePublicAccessBlock"),
            ),
            Self::OwnershipControls => of(
                "ownershipControls",
                "GetBucketOwnershipControls",
                "PutBucketOwnershipControls",
                Some("DeleteBucketOwnershipControls"),
            ),
            Self::Website => {
                of("website", "GetBucketWebsite", "PutBucketWebsite", Some("DeleteBucketWebsite"))
            }
            Self::Logging => of("logging", "GetBucketLogging", "PutBucketLogging", None),
            Self::Notification => of(
                "notification",
                "GetBucketNotificationConfiguration",
                "PutBucketNotificationConfiguration",
                None,
            ),
            Self::Replication => of(
                "replication",
                "GetBucketReplication",
                "PutBucketReplication",
                Some("DeleteBucketReplication"),
            ),
        }
    }

    /// The name of the document's outermost element; of the policy, which is JSON, none.
    #[must_use]
    pub fn root(self) -> &'static str {
        match self {
            Self::Policy => "",
            Self::Cors => "CORSConfiguration",
            Self::Lifecycle => "LifecycleConfiguration",
            Self::Encryption => "ServerSideEncryptionConfiguration",
            Self::PublicAccessBlock => "PublicAccessBlockConfiguration",
            Self::OwnershipControls => "OwnershipControls",
            Self::Website => "WebsiteConfiguration",
            Self::Logging => "BucketLoggingStatus",
            Self::Notification => "NotificationConfiguration",
            Self::Replication => "ReplicationConfiguration",
        }
    }

    /// Whether a body is such a document. Stores that do not know a subresource answer as if it had not been named.
    fn is_document(self, body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        match self {
            Self::Policy => text.trim_start().starts_with('{'),
            // The older form has the same content under another name.
            Self::Lifecycle => text.contains("LifecycleConfiguration"),
            _ => text.contains(&format!("<{}", self.root())),
        }
    }

    fn empty(self) -> &'static str {
        match self {
            Self::Logging => "<BucketLoggingStatus xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
            _ => "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>",
        }
    }
}

/// Whether a bucket keeps versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioning {
    /// It never did.
    Off,
    /// It does.
    Enabled,
    /// It did, and has those of that time.
    Suspended,
}

impl Client {
    /// A document of a bucket; `None` where it has none.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn bucket_setting(
        &self,
        bucket: &BucketName,
        setting: BucketSetting,
    ) -> Result<Option<Bytes>, S3Error> {
        let names = setting.names();
        let call = Call::bucket(names.read, Method::GET, bucket).query(names.query, "");
        match self.send_whole(&call).await {
            Ok(answer) if answer.body.trim_ascii().is_empty() => Ok(None),
            Ok(answer) if !setting.is_document(&answer.body) => {
                Err(self.not_understood(names.read, "it is another document: the store has no such setting"))
            }
            Ok(answer) => Ok(Some(answer.body)),
            Err(error) if is_unset(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a document of a bucket, in the store's own form: JSON for the policy, XML for the others.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_bucket_setting(
        &self,
        bucket: &BucketName,
        setting: BucketSetting,
        document: String,
    ) -> Result<(), S3Error> {
        let names = setting.names();
        let kind = if setting == BucketSetting::Policy { "application/json" } else { "application/xml" };
        let call = Call::bucket(names.write, Method::PUT, bucket).query(names.query, "");
        let call = call.document(document)?.header("content-type", kind)?;
        self.send_whole(&call).await.map(drop)
    }

    /// Removes a document of a bucket. One that is not there is no error.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn remove_bucket_setting(
        &self,
        bucket: &BucketName,
        setting: BucketSetting,
    ) -> Result<(), S3Error> {
        let names = setting.names();
        let Some(remove) = names.remove else {
            return self.set_bucket_setting(bucket, setting, setting.empty().to_owned()).await;
        };
        let call = Call::bucket(remove, Method::DELETE, bucket).query(names.query, "");
        match self.send_whole(&call).await {
            Err(error) if is_unset(&error) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Whether a bucket keeps versions (GetBucketVersioning).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn versioning(&self, bucket: &BucketName) -> Result<Versioning, S3Error> {
        let call = Call::bucket("GetBucketVersioning", Method::GET, bucket).query("versioning", "");
        let answer = self.send_whole(&call).await?;
        let mut versioning = Versioning::Off;
        xml::walk(&answer.body, |path, text| {
            if path == "Status" {
                versioning = match text {
                    "Enabled" => Versioning::Enabled,
                    "Suspended" => Versioning::Suspended,
                    _ => Versioning::Off,
                };
            }
            Ok(())
        })
        .map_err(|what| self.not_understood("GetBucketVersioning", what))?;
        Ok(versioning)
    }

    /// Lets a bucket keep versions from now on, or no longer (PutBucketVersioning).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_versioning(&self, bucket: &BucketName, enabled: bool) -> Result<(), S3Error> {
        let mut body =
            String::from("<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        xml::element(&mut body, "Status", if enabled { "Enabled" } else { "Suspended" });
        body.push_str("</VersioningConfiguration>");
        let call = Call::bucket("PutBucketVersioning", Method::PUT, bucket).query("versioning", "");
        self.send_whole(&call.document(body)?).await.map(drop)
    }
}

/// There is no such document; the code has the document's name.
fn is_unset(error: &S3Error) -> bool {
    error.kind() == ErrorKind::NotFound && !matches!(error.code(), Some("NoSuchBucket" | "NotFound"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_objects_is_no_setting() {
        let list = b"<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name></ListBucketResult>";
        for setting in [BucketSetting::Policy, BucketSetting::Encryption, BucketSetting::Lifecycle] {
            assert!(!setting.is_document(list), "{setting:?}");
        }
        assert!(BucketSetting::Cors.is_document(b"<CORSConfiguration xmlns=\"x\"/>"));
        assert!(BucketSetting::Policy.is_document(b" {\"Version\": \"2012-10-17\"}"));
    }
}
