//! Signing: by headers, and as a presigned address.
//!
//! Every header that is on the request when it is signed becomes one of the signed parts, so nothing that
//! changes its meaning can be added on the way.

use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, InvalidHeaderValue};
use http::{HeaderMap, Method};

use super::canonical::{ALGORITHM, Canonical, Query, Scope, Signature, SigningKey};
use super::headers::{AMZ_CONTENT_SHA256, AMZ_DATE, AMZ_SECURITY_TOKEN};
use crate::credentials::Credentials;
use crate::time::{self, Timestamp};

/// `x-amz-content-sha256` where the payload is not part of the signature.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// `x-amz-content-sha256` of an `aws-chunked` body whose trailer is not signed.
pub const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// The longest life of a presigned address: seven days, in seconds.
pub const LONGEST_PRESIGNED: u32 = 604_800;

/// Where and when a signature counts.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    /// Whose signature.
    pub credentials: &'a Credentials,
    /// `us-east-1`, …
    pub region: &'a str,
    /// `s3`, `sts`, `iam`.
    pub service: &'a str,
    /// Now.
    pub at: Timestamp,
}

/// What [`Signer::sign`] did, for the signatures of the chunks that follow.
#[derive(Debug, Clone)]
pub struct Signed {
    /// The request's signature: the seed of the chunks'.
    pub signature: Signature,
    /// The key of this scope.
    pub key: SigningKey,
    /// The scope.
    pub scope: Scope,
    /// `x-amz-date`.
    pub amz_date: String,
}

impl Signer<'_> {
    /// Adds `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and `authorization` to the headers.
    ///
    /// `path` is the raw, encoded path; `host` goes into the signature and must be what is sent; `payload` is
    /// the hexadecimal SHA-256 of the body or one of S3's fixed words.
    ///
    /// # Errors
    /// Where the session token cannot stand in a header.
    pub fn sign(
        &self,
        method: &Method,
        host: &str,
        path: &str,
        query: &Query,
        headers: &mut HeaderMap,
        payload: &str,
    ) -> Result<Signed, InvalidHeaderValue> {
        let amz_date = time::amz(self.at);
        headers.insert(AMZ_DATE, HeaderValue::from_str(&amz_date)?);
        headers.insert(AMZ_CONTENT_SHA256, HeaderValue::from_str(payload)?);
        if let Some(token) = &self.credentials.session_token {
            let mut value = HeaderValue::from_str(token.expose())?;
            value.set_sensitive(true);
            headers.insert(AMZ_SECURITY_TOKEN, value);
        }
        let signed_headers = signed_headers(headers);
        let (scope, key) = self.scope();
        let signed_headers = signed_headers.as_str();
        let canonical =
            Canonical { method, path, query, leave_out: None, headers, host, signed_headers, payload };
        let signature = key.sign_request(&amz_date, &scope, &canonical.text().unwrap_or_default());
        let authorization = format!(
            "{ALGORITHM} Credential={}/{}, SignedHeaders={signed_headers}, Signature={}",
            self.credentials.access_key_id,
            scope.text(),
            signature.as_str()
        );
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&authorization)?);
        Ok(Signed { signature, key, scope, amz_date })
    }

    /// Adds the signature to the query, for an address that works for `expires_in` seconds (at most seven days;
    /// never longer than the session, whatever is written here). `headers` must be sent exactly so.
    #[must_use]
    pub fn presign(
        &self,
        method: &Method,
        host: &str,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
        expires_in: u32,
    ) -> Query {
        let amz_date = time::amz(self.at);
        let signed_headers = signed_headers(headers);
        let (scope, key) = self.scope();
        let mut query = query.clone();
        query.set("X-Amz-Algorithm", ALGORITHM);
        query.set("X-Amz-Credential", format!("{}/{}", self.credentials.access_key_id, scope.text()));
        query.set("X-Amz-Date", amz_date.as_str());
        query.set("X-Amz-Expires", expires_in.clamp(1, LONGEST_PRESIGNED).to_string());
        query.set("X-Amz-SignedHeaders", signed_headers.as_str());
        if let Some(token) = &self.credentials.session_token {
            query.set("X-Amz-Security-Token", token.expose());
        }
        let canonical = Canonical {
            method,
            path,
            query: &query,
            leave_out: None,
            headers,
            host,
            signed_headers: &signed_headers,
            payload: UNSIGNED_PAYLOAD,
        };
        let signature = key.sign_request(&amz_date, &scope, &canonical.text().unwrap_or_default());
        query.set("X-Amz-Signature", signature.as_str());
        query
    }

    fn scope(&self) -> (Scope, SigningKey) {
        let scope = Scope::new(&time::amz_date(self.at), self.region, self.service);
        let key = scope.signing_key(self.credentials.secret_key.expose());
        (scope, key)
    }
}

/// All headers there are but those that connections change, and `host`.
fn signed_headers(headers: &HeaderMap) -> String {
    let on_the_way =
        ["authorization", "connection", "expect", "transfer-encoding", "user-agent", "te", "accept"];
    let mut names: Vec<&str> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| !on_the_way.contains(name))
        .chain([HOST.as_str()])
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(";")
}
