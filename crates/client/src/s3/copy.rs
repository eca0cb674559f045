//! Objects copied inside a store, without their bytes passing through here.

use http::Method;
use serde::Deserialize;
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::object::ETag;
use super::put::{PutOptions, Stored, Verified, version_id};
use super::xml;

/// How an object is copied.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Only if the source is still this one.
    pub source_if_match: Option<ETag>,
    /// A version of the source that is not the current one.
    pub source_version_id: Option<String>,
    /// What goes with the copy in place of what goes with the source; without it the source's type and metadata do.
    /// Tags are the source's unless there are some here.
    pub replace: Option<PutOptions>,
    /// The store's default without it.
    pub storage_class: Option<String>,
}

#[derive(Deserialize)]
struct CopyObjectResult {
    #[serde(rename = "ETag")]
    etag: String,
}

impl Client {
    /// Copies an object of at most 5 GiB with its metadata (CopyObject).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn copy_object(
        &self,
        from: (&BucketName, &ObjectKey),
        to: (&BucketName, &ObjectKey),
        options: &CopyOptions,
    ) -> Result<Stored, S3Error> {
        let call = Call::object("CopyObject", Method::PUT, to.0, to.1);
        let call = options.on_target(copy_source(call, from, options)?)?;
        let answer = self.send_whole(&call).await?;
        let result: CopyObjectResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("CopyObject", what))?;
        Ok(Stored {
            etag: Some(ETag::new(&result.etag)),
            version_id: version_id(&answer.headers),
            verified: Verified::Store,
        })
    }
}

impl CopyOptions {
    /// What the copy is to have of its own.
    fn on_target(&self, call: Call) -> Result<Call, S3Error> {
        let Some(replace) = &self.replace else {
            return call.maybe_header("x-amz-storage-class", self.storage_class.as_deref());
        };
        let mut call = replace.on(call)?.header("x-amz-metadata-directive", "REPLACE")?;
        if !replace.tags.is_empty() {
            call = call.header("x-amz-tagging-directive", "REPLACE")?;
        }
        match &self.storage_class {
            Some(class) => call.header("x-amz-storage-class", class),
            None => Ok(call),
        }
    }
}

/// Names the source of a copy, and the condition on it.
pub(crate) fn copy_source(
    call: Call,
    from: (&BucketName, &ObjectKey),
    options: &CopyOptions,
) -> Result<Call, S3Error> {
    let mut source = format!("/{}/{}", from.0, percent_encode(from.1.as_str(), true));
    if let Some(version) = &options.source_version_id {
        source.push_str("?versionId=");
        source.push_str(&percent_encode(version, false));
    }
    call.header("x-amz-copy-source", &source)?
        .maybe_header("x-amz-copy-source-if-match", options.source_if_match.as_ref().map(ETag::as_str))
}
