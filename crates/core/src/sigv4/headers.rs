//! The headers that Signature Version 4 brings, by names that are made once.

use http::header::HeaderName;

/// When a request was signed.
pub const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// The payload's hash, or one of S3's fixed words.
pub const AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// The token of temporary credentials.
pub const AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
