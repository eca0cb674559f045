//! Presigned addresses of signature version 2: verified, never made.
//!
//! boto3, the AWS CLI and s3fs presign this way at a custom endpoint in us-east-1. Source: Amazon S3 User Guide,
//! "Signing and authenticating REST requests". Version 2 covers the method, the path, the sub-resources and every
//! `x-amz-*` header, but no other query parameter: one that it does not cover is refused.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::canonical::Query;
use super::sign::LONGEST_PRESIGNED;
use super::signed_request::{SignatureError, SignedRequest};
use crate::time::Timestamp;

/// Query parameters that version 2 signs, in the order in which it signs them.
const SUB_RESOURCES: [&str; 24] = [
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "website",
];

/// A version 2 signature as presented in a query.
#[derive(Debug, Clone)]
pub struct PresignedV2 {
    access_key_id: String,
    signature: String,
    /// Seconds since 1970.
    expires: i64,
}

impl PresignedV2 {
    pub(super) fn read(query: &Query) -> Result<Self, SignatureError> {
        let needed = |name| {
            query.value(name).filter(|value| !value.is_empty()).ok_or(SignatureError::MalformedQuery(
                "a presigned address of version 2 needs AWSAccessKeyId, Expires and Signature",
            ))
        };
        let expires = needed("Expires")?
            .parse()
            .map_err(|_| SignatureError::MalformedQuery("Expires must be a number of seconds since 1970"))?;
        Ok(Self {
            access_key_id: needed("AWSAccessKeyId")?.to_owned(),
            signature: needed("Signature")?.to_owned(),
            expires,
        })
    }

    pub(super) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub(super) fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret_key: &str,
        bucket_of_host: Option<&str>,
        now: Timestamp,
    ) -> Result<(), SignatureError> {
        let left = self.expires.saturating_sub(now.as_second());
        if left < 0 {
            return Err(SignatureError::Expired);
        }
        if left > i64::from(LONGEST_PRESIGNED) {
            return Err(SignatureError::MalformedQuery("Expires must be less than a week ahead"));
        }
        if let Some((name, _)) = request.query.iter().find(|(name, _)| !covered(name)) {
            return Err(SignatureError::UnsignedParameter(name.to_owned()));
        }
        if let Some(name) = request.headers.keys().find(|name| name.as_str() == "x-amz-security-token") {
            return Err(SignatureError::UnsignedHeader(name.as_str().to_owned()));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret_key.as_bytes());
        let presented = STANDARD.decode(&self.signature).map_err(|_| SignatureError::Mismatch)?;
        let text = self.string_to_sign(request, bucket_of_host);
        hmac::verify(&key, text.as_bytes(), &presented).map_err(|_| SignatureError::Mismatch)
    }

    fn string_to_sign(&self, request: &SignedRequest<'_>, bucket_of_host: Option<&str>) -> String {
        let header = |name: &str| {
            let header = request.headers.get(name).and_then(|value| value.to_str().ok());
            header.or(request.query.value(name)).unwrap_or_default().trim().to_owned()
        };
        let mut text = format!(
            "{}\n{}\n{}\n{}\n",
            request.method,
            header("content-md5"),
            header("content-type"),
            self.expires
        );
        let mut amz: Vec<(String, String)> = request
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-amz-"))
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
            })
            .collect();
        let hoisted = request.query.iter().filter(|(name, _)| name.starts_with("x-amz-"));
        amz.extend(hoisted.map(|(name, value)| (name.to_owned(), value.trim().to_owned())));
        amz.sort();
        for (name, value) in amz {
            text.push_str(&format!("{name}:{value}\n"));
        }
        if let Some(bucket) = bucket_of_host {
            text.push('/');
            text.push_str(bucket);
        }
        text.push_str(request.path);
        let mut separator = '?';
        for name in SUB_RESOURCES {
            if let Some(value) = request.query.value(name) {
                text.push(separator);
                text.push_str(name);
                if !value.is_empty() {
                    text.push('=');
                    text.push_str(value);
                }
                separator = '&';
            }
        }
        text
    }
}

fn covered(name: &str) -> bool {
    matches!(name, "AWSAccessKeyId" | "Expires" | "Signature" | "content-type" | "content-md5")
        || name.starts_with("x-amz-")
        || SUB_RESOURCES.contains(&name)
}
