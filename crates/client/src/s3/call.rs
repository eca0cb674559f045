//! One operation before it is signed: everything that stays the same over all attempts.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use md5::{Digest as _, Md5};
use wigeon_core::s3::uri::Target;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::sigv4::canonical::Query;

use super::error::S3Error;

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// The operation's name in the S3 API.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    /// Held in memory, so that every attempt sends the same.
    pub(crate) body: Bytes,
    /// Whether a checksum header vouches for the body, so that the signature need not (over https).
    pub(crate) has_checksum: bool,
}

impl Call {
    /// A request about the service.
    pub(crate) fn service(operation: &'static str, method: Method) -> Self {
        Self::new(operation, method, Target::Service)
    }

    /// A request about a bucket.
    pub(crate) fn bucket(operation: &'static str, method: Method, bucket: &BucketName) -> Self {
        Self::new(operation, method, Target::Bucket(bucket.clone()))
    }

    /// A request about an object.
    pub(crate) fn object(
        operation: &'static str,
        method: Method,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Self {
        Self::new(operation, method, Target::Object(bucket.clone(), key.clone()))
    }

    fn new(operation: &'static str, method: Method, target: Target) -> Self {
        Self {
            operation,
            method,
            target,
            query: Query::default(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            has_checksum: false,
        }
    }

    pub(crate) fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.set(name, value);
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// About one version, where it is named.
    pub(crate) fn version(self, version: Option<&str>) -> Self {
        match version {
            Some(version) => self.query("versionId", version),
            None => self,
        }
    }

    /// An XML document as the body, with the MD5 that some operations need.
    pub(crate) fn document(self, body: String) -> Result<Self, S3Error> {
        let md5 = BASE64_STANDARD.encode(Md5::digest(body.as_bytes()));
        Ok(self.header("content-md5", &md5)?.header("content-type", "application/xml")?.body(body))
    }

    /// Adds a header. Values are sent as UTF-8, as S3 takes them.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self, S3Error> {
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| S3Error::Header(name))?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Adds a header where there is a value.
    pub(crate) fn maybe_header(self, name: &'static str, value: Option<&str>) -> Result<Self, S3Error> {
        match value {
            Some(value) => self.header(name, value),
            None => Ok(self),
        }
    }

    /// Adds the object's own metadata.
    pub(crate) fn metadata(mut self, metadata: &[(String, String)]) -> Result<Self, S3Error> {
        for (name, value) in metadata {
            let refused = |_| S3Error::Header("metadata");
            let name = HeaderName::from_bytes(format!("x-amz-meta-{name}").as_bytes())
                .map_err(|_| S3Error::Header("metadata"))?;
            self.headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).map_err(refused)?);
        }
        Ok(self)
    }

    /// What it is about, for people.
    pub(crate) fn subject(&self) -> String {
        match &self.target {
            Target::Service => "the service".to_owned(),
            Target::Bucket(bucket) => bucket.to_string(),
            Target::Object(bucket, key) => format!("{bucket}/{key}"),
        }
    }
}
