//! How full a bucket of a Wigeon server is, and the most that it may hold.

use http::Method;
use serde::Deserialize;
use wigeon_core::s3::BucketName;

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::xml;

/// What a bucket holds and may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BucketQuota {
    /// The most bytes, if there is a limit.
    pub max_bytes: Option<u64>,
    /// The most objects, if there is a limit.
    pub max_objects: Option<u64>,
    /// Bytes of all versions and parts.
    pub used_bytes: u64,
    /// Versions that are objects.
    pub used_objects: u64,
}

impl Client {
    /// How full a bucket is (GetBucketQuota, an operation of Wigeon's server).
    ///
    /// # Errors
    /// See [`S3Error`]; other stores do not know the operation.
    pub async fn quota(&self, bucket: &BucketName) -> Result<BucketQuota, S3Error> {
        let call = Call::bucket("GetBucketQuota", Method::GET, bucket).query("quota", "");
        let answer = self.send_whole(&call).await?;
        xml::read(&answer.body).map_err(|what| self.not_understood("GetBucketQuota", what))
    }

    /// Sets the most that a bucket may hold (PutBucketQuota); `None` is without limit.
    ///
    /// # Errors
    /// See [`S3Error`]; other stores do not know the operation.
    pub async fn set_quota(
        &self,
        bucket: &BucketName,
        max_bytes: Option<u64>,
        max_objects: Option<u64>,
    ) -> Result<(), S3Error> {
        let mut body = String::from("<BucketQuota xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (name, limit) in [("MaxBytes", max_bytes), ("MaxObjects", max_objects)] {
            if let Some(limit) = limit {
                xml::element(&mut body, name, &limit.to_string());
            }
        }
        body.push_str("</BucketQuota>");
        let call = Call::bucket("PutBucketQuota", Method::PUT, bucket).query("quota", "").body(body);
        self.send_whole(&call).await.map(drop)
    }
}
