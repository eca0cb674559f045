//! Signatures for an upstream: the same request under other credentials.
//!
//! Signed are `host`, every `x-amz-*` header, Content-Type and Content-MD5: what changes the meaning of a request.
//! Headers that proxies between may touch are left out.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, InvalidHeaderValue};
use http::{HeaderMap, HeaderValue, Method};
use wigeon_core::credentials::Credentials;
use wigeon_core::sigv4::canonical::{ALGORITHM, Canonical, Query, Scope, SigningKey};
use wigeon_core::sigv4::headers::{AMZ_CONTENT_SHA256, AMZ_DATE, AMZ_SECURITY_TOKEN};
use wigeon_core::time::{self, Timestamp};

const SERVICE: &str = "s3";

/// Signs for one upstream. The key of a day and region is derived once.
#[derive(Debug, Default)]
pub(super) struct Signing(Mutex<Option<Arc<Derived>>>);

#[derive(Debug)]
struct Derived {
    credentials: Arc<Credentials>,
    scope: Scope,
    key: SigningKey,
}

impl Signing {
    /// Adds the signature. `path` is as it will be sent; `payload` the body's SHA-256 or one of S3's fixed words.
    pub(super) fn sign(
        &self,
        credentials: &Arc<Credentials>,
        (region, at): (&str, Timestamp),
        (method, host, path, query): (&Method, &str, &str, &Query),
        headers: &mut HeaderMap,
        payload: &str,
    ) -> Result<(), InvalidHeaderValue> {
        let amz_date = time::amz(at);
        headers.insert(AMZ_DATE, HeaderValue::from_str(&amz_date)?);
        headers.insert(AMZ_CONTENT_SHA256, HeaderValue::from_str(payload)?);
        headers.remove(AMZ_SECURITY_TOKEN);
        if let Some(token) = &credentials.session_token {
            let mut value = HeaderValue::from_str(token.expose())?;
            value.set_sensitive(true);
            headers.insert(AMZ_SECURITY_TOKEN, value);
        }
        let derived = self.derived(credentials, region, amz_date.get(..8).unwrap_or_default());
        let signed_headers = signed_headers(headers);
        let signed_headers = signed_headers.as_str();
        let canonical =
            Canonical { method, path, query, leave_out: None, headers, host, signed_headers, payload };
        let canonical = canonical.text().unwrap_or_default();
        let signature = derived.key.sign_request(&amz_date, &derived.scope, &canonical);
        let parts = [
            ALGORITHM,
            " Credential=",
            &credentials.access_key_id,
            "/",
            derived.scope.text(),
            ", SignedHeaders=",
            signed_headers,
            ", Signature=",
            signature.as_str(),
        ];
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(parts.concat()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    fn derived(&self, credentials: &Arc<Credentials>, region: &str, date: &str) -> Arc<Derived> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(derived) = kept.as_ref()
            && Arc::ptr_eq(&derived.credentials, credentials)
            && derived.scope.parts() == (date, region, SERVICE)
        {
            return Arc::clone(derived);
        }
        let scope = Scope::new(date, region, SERVICE);
        let key = scope.signing_key(credentials.secret_key.expose());
        let derived = Arc::new(Derived { credentials: Arc::clone(credentials), scope, key });
        *kept = Some(Arc::clone(&derived));
        derived
    }
}

fn signed_headers(headers: &HeaderMap) -> String {
    let counts = |name: &&str| name.starts_with("x-amz-") || matches!(*name, "content-type" | "content-md5");
    let mut names: Vec<&str> =
        headers.keys().map(HeaderName::as_str).filter(counts).chain(["host"]).collect();
    names.sort_unstable();
    names.join(";")
}
