//! Buckets: list, make, remove, ask after one.

use http::Method;
use serde::Deserialize;
use wigeon_core::s3::BucketName;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::xml;

/// A bucket in the list of buckets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSummary {
    /// As the store writes it.
    pub name: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAllMyBucketsResult {
    #[serde(default)]
    buckets: Buckets,
    continuation_token: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct Buckets {
    #[serde(default)]
    bucket: Vec<BucketElement>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BucketElement {
    name: String,
    creation_date: Option<String>,
}

impl Client {
    /// All buckets of the account (ListBuckets).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn list_buckets(&self) -> Result<Vec<BucketSummary>, S3Error> {
        let mut found = Vec::new();
        let mut call = Call::service("ListBuckets", Method::GET);
        loop {
            let answer = self.send_whole(&call).await?;
            let page: ListAllMyBucketsResult =
                xml::read(&answer.body).map_err(|what| self.not_understood("ListBuckets", what))?;
            found.extend(page.buckets.bucket.into_iter().map(|bucket| BucketSummary {
                name: bucket.name,
                created_at: bucket.creation_date.as_deref().and_then(parse_iso8601),
            }));
            match page.continuation_token.filter(|token| !token.is_empty()) {
                Some(token) if call.query.value("continuation-token") != Some(&token) => {
                    call = call.query("continuation-token", token);
                }
                _ => return Ok(found),
            }
        }
    }

    /// Makes a bucket (CreateBucket). The region of the endpoint is named only where AWS wants it: at its own
    /// endpoints outside us-east-1. Other stores have one region, and some refuse the element.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](super::ErrorKind) where the name is taken.
    pub async fn create_bucket(&self, bucket: &BucketName) -> Result<(), S3Error> {
        let region = self.endpoint().region();
        let aws = self.endpoint().origin().ends_with(".amazonaws.com");
        let mut call = Call::bucket("CreateBucket", Method::PUT, bucket);
        if aws && region != "us-east-1" {
            let mut body =
                String::from("<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
            xml::element(&mut body, "LocationConstraint", region);
            body.push_str("</CreateBucketConfiguration>");
            call = call.body(body);
        }
        self.send_whole(&call).await.map(drop)
    }

    /// Removes an empty bucket (DeleteBucket).
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](super::ErrorKind) where it is not empty.
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), S3Error> {
        self.send_whole(&Call::bucket("DeleteBucket", Method::DELETE, bucket)).await.map(drop)
    }

    /// Whether there is such a bucket, and we may list it (HeadBucket). Returns its region, where the store
    /// says.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](super::ErrorKind) or [`ErrorKind::Denied`](super::ErrorKind).
    pub async fn head_bucket(&self, bucket: &BucketName) -> Result<Option<String>, S3Error> {
        let answer = self.send(&Call::bucket("HeadBucket", Method::HEAD, bucket)).await?;
        let region = answer.headers().get("x-amz-bucket-region");
        Ok(region.and_then(|region| region.to_str().ok()).map(str::to_owned))
    }
}
