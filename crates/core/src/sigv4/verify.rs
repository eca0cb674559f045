//! Verification: a request's claim to be signed, and the proof that it is.
//!
//! [`Claim::read`] parses what a request says of its signature; [`Claim::verify`] checks it with the secret key
//! and is the only maker of [`Verified`]. Refused (Amazon S3 API Reference, "Authenticating Requests"):
//!
//! - a signature that does not match (compared in constant time);
//! - a clock more than 15 minutes off; a presigned address before its time, after its end, or of more than
//!   seven days;
//! - a scope of another date, region or service than the request's;
//! - `host` or any `x-amz-*` header that is not among the signed ones; for S3, no `x-amz-content-sha256`;
//! - a header that changes a request's meaning given twice.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, DATE, HeaderName};

use super::canonical::{
    ALGORITHM, Canonical, EMPTY_SHA256, Query, Scope, Signature, SigningKey, SigningSecret, names, sha256_hex,
};
use super::headers::{AMZ_CONTENT_SHA256, AMZ_DATE, AMZ_SECURITY_TOKEN};
use super::presigned_v2::PresignedV2;
use super::sign::{LONGEST_PRESIGNED, UNSIGNED_PAYLOAD, UNSIGNED_TRAILER};
pub use super::signed_request::{SignatureError, SignedRequest};
use crate::time::{self, SignedDuration, Timestamp};

/// How far the clocks of the two sides may be apart.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(15);

/// Which scopes this server answers for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// `s3`, `sts` or `iam`.
    pub service: &'a str,
    /// The region's name in the scope.
    pub region: &'a str,
    /// Whether a scope may also leave the region empty, as clients of Ceph RGW do.
    pub empty_region: bool,
    /// Now.
    pub now: Timestamp,
}

/// How the payload is bound to the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// `UNSIGNED-PAYLOAD`: not at all.
    Unsigned,
    /// The body must have this SHA-256, in lower-case hexadecimal.
    Sha256(String),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: each chunk is signed.
    SignedChunks,
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: each chunk and the trailer are.
    SignedChunksTrailer,
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: chunks and a trailer, without signatures.
    UnsignedChunksTrailer,
}

/// What a request says of its signature. Nothing of it is believed yet.
#[derive(Debug, Clone)]
pub enum Claim<'r> {
    /// Version 4, in a header or the query.
    V4(ClaimV4<'r>),
    /// Version 2, in the query only.
    PresignedV2(PresignedV2),
}

/// A version 4 signature as presented.
#[derive(Debug, Clone)]
pub struct ClaimV4<'r> {
    access_key_id: &'r str,
    scope: Scope,
    signed_headers: &'r str,
    signature: &'r str,
    amz_date: Cow<'r, str>,
    at: Timestamp,
    /// Seconds of life of a presigned address.
    expires_in: Option<u32>,
}

/// The proof that a request was signed with the secret key of `access_key_id`.
#[derive(Debug, Clone)]
pub struct Verified {
    /// How the body is bound to the signature; the caller must hold the body to it.
    pub payload: Payload,
    /// The algorithm: `AWS4-HMAC-SHA256`, or `AWS` for version 2.
    pub version: &'static str,
    /// What signs the chunks of a body, where its chunks are signed.
    pub seed: Option<Seed>,
    /// Whether the signature stood in the address.
    pub presigned: bool,
    /// When it was signed; version 2 does not say.
    pub signed_at: Option<Timestamp>,
}

/// Where the chain of chunk signatures starts.
#[derive(Debug, Clone)]
pub struct Seed {
    pub(super) key: SigningKey,
    pub(super) signature: Signature,
    pub(super) amz_date: String,
    pub(super) scope: Scope,
}

impl<'r> Claim<'r> {
    /// Reads what the request says; `None` for a request that is not signed at all.
    ///
    /// # Errors
    /// [`SignatureError`] where it says something malformed or contradictory.
    pub fn read(request: &SignedRequest<'r>) -> Result<Option<Self>, SignatureError> {
        refuse_duplicates(request.headers)?;
        let header = request.headers.get(AUTHORIZATION);
        let in_query = request.query.has("X-Amz-Algorithm") || request.query.has("X-Amz-Signature");
        let in_query_v2 = request.query.has("AWSAccessKeyId") || request.query.has("Signature");
        refuse_two_tokens(request)?;
        match (header, in_query, in_query_v2) {
            (None, false, false) => Ok(None),
            (Some(value), false, false) => {
                let text = value.to_str().map_err(|_| SignatureError::Malformed("it is not ASCII"))?;
                ClaimV4::from_header(text, request.headers).map(|claim| Some(Self::V4(claim)))
            }
            (None, true, false) => ClaimV4::from_query(request.query).map(|claim| Some(Self::V4(claim))),
            (None, false, true) => {
                PresignedV2::read(request.query).map(|claim| Some(Self::PresignedV2(claim)))
            }
            _ => Err(SignatureError::TwoMechanisms),
        }
    }

    /// Whose key it claims to be signed with.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        match self {
            Self::V4(claim) => claim.access_key_id,
            Self::PresignedV2(claim) => claim.access_key_id(),
        }
    }

    /// The session token that came with the request: in the query of a presigned address, else in the header.
    #[must_use]
    pub fn session_token<'a>(&self, request: &SignedRequest<'a>) -> Option<&'a str> {
        let in_query = match self {
            Self::V4(claim) if claim.expires_in.is_some() => "X-Amz-Security-Token",
            Self::PresignedV2(_) => "x-amz-security-token",
            Self::V4(_) => return request.headers.get(AMZ_SECURITY_TOKEN)?.to_str().ok(),
        };
        request.query.value(in_query)
    }

    /// Checks the signature with the secret key.
    ///
    /// `body_sha256` is the hexadecimal SHA-256 of a body that was read already (STS and IAM, which send no
    /// `x-amz-content-sha256`); S3 passes `None`.
    ///
    /// # Errors
    /// [`SignatureError`], the first that applies.
    pub fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SigningSecret,
        bucket_of_host: Option<&str>,
        expected: &Expected<'_>,
        body_sha256: Option<&str>,
    ) -> Result<Verified, SignatureError> {
        match self {
            Self::V4(claim) => claim.verify(request, secret, expected, body_sha256),
            Self::PresignedV2(claim) => {
                claim.verify(request, secret.expose(), bucket_of_host, expected.now)?;
                let (payload, version) = (Payload::Unsigned, "AWS");
                Ok(Verified { payload, version, seed: None, presigned: true, signed_at: None })
            }
        }
    }
}

impl<'r> ClaimV4<'r> {
    fn from_header(text: &'r str, headers: &'r HeaderMap) -> Result<Self, SignatureError> {
        if text.starts_with("AWS ") {
            return Err(SignatureError::UnsupportedMechanism);
        }
        let fields = text.strip_prefix(ALGORITHM).ok_or(SignatureError::UnsupportedMechanism)?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) =
                field.trim().split_once('=').ok_or(SignatureError::Malformed("a field has no `=`"))?;
            let place = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(SignatureError::Malformed("it has an unknown field")),
            };
            if place.replace(value).is_some() {
                return Err(SignatureError::Malformed("it has a field twice"));
            }
        }
        let missing = SignatureError::Malformed("it needs Credential, SignedHeaders and Signature");
        let (Some(credential), Some(signed_headers), Some(signature)) =
            (credential, signed_headers, signature)
        else {
            return Err(missing);
        };
        let (amz_date, at) = header_date(headers)?;
        let (access_key_id, scope) = Scope::of_credential(credential)
            .ok_or(SignatureError::Malformed("the Credential is not KEY/DATE/REGION/SERVICE/aws4_request"))?;
        check_names(signed_headers).map_err(SignatureError::Malformed)?;
        Ok(Self { access_key_id, scope, signed_headers, signature, amz_date, at, expires_in: None })
    }

    fn from_query(query: &'r Query) -> Result<Self, SignatureError> {
        use SignatureError::MalformedQuery;
        let needed =
            |name| query.value(name).ok_or(MalformedQuery("a parameter of the signature is missing"));
        if needed("X-Amz-Algorithm")? != ALGORITHM {
            return Err(MalformedQuery("X-Amz-Algorithm only supports AWS4-HMAC-SHA256"));
        }
        let amz_date = needed("X-Amz-Date")?;
        let at =
            time::parse_amz(amz_date).ok_or(MalformedQuery("X-Amz-Date must be YYYYMMDD'T'HHMMSS'Z'"))?;
        let expires_in: u32 = needed("X-Amz-Expires")?
            .parse()
            .map_err(|_| MalformedQuery("X-Amz-Expires must be a number of seconds, not negative"))?;
        if expires_in > LONGEST_PRESIGNED {
            return Err(MalformedQuery(
                "X-Amz-Expires must be less than a week (in seconds), at most 604800",
            ));
        }
        let (access_key_id, scope) = Scope::of_credential(needed("X-Amz-Credential")?)
            .ok_or(MalformedQuery("X-Amz-Credential is not KEY/DATE/REGION/SERVICE/aws4_request"))?;
        let signed_headers = needed("X-Amz-SignedHeaders")?;
        check_names(signed_headers).map_err(MalformedQuery)?;
        Ok(Self {
            access_key_id,
            scope,
            signed_headers,
            signature: needed("X-Amz-Signature")?,
            amz_date: Cow::Borrowed(amz_date),
            at,
            expires_in: Some(expires_in),
        })
    }

    fn verify(
        &self,
        request: &SignedRequest<'_>,
        secret: &SigningSecret,
        expected: &Expected<'_>,
        body_sha256: Option<&str>,
    ) -> Result<Verified, SignatureError> {
        self.check_time(expected.now)?;
        check_scope(&self.scope, &self.amz_date, expected)?;
        self.check_signed_headers(request.headers)?;
        let hash = self.payload_hash(request, body_sha256)?;
        let canonical = Canonical {
            method: request.method,
            path: request.path,
            query: request.query,
            leave_out: self.expires_in.map(|_| "X-Amz-Signature"),
            headers: request.headers,
            host: request.host,
            signed_headers: self.signed_headers,
            payload: hash,
        };
        let canonical = canonical.text().ok_or(SignatureError::Mismatch)?;
        let key = secret.signing_key(&self.scope);
        let signature = key.sign_request(&self.amz_date, &self.scope, &canonical);
        if !signature.matches(self.signature) {
            return Err(SignatureError::Mismatch);
        }
        let payload = payload(hash)?;
        let seed = payload.is_chained().then(|| {
            let (amz_date, scope) = (self.amz_date.clone().into_owned(), self.scope.clone());
            Seed { key, signature, amz_date, scope }
        });
        let presigned = self.expires_in.is_some();
        Ok(Verified { payload, version: ALGORITHM, seed, presigned, signed_at: Some(self.at) })
    }

    fn check_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.duration_since(self.at);
        match self.expires_in {
            Some(_) if age < -CLOCK_SKEW => Err(SignatureError::NotYetValid),
            Some(seconds) if age > SignedDuration::from_secs(i64::from(seconds)) => {
                Err(SignatureError::Expired)
            }
            None if age.abs() > CLOCK_SKEW => Err(SignatureError::Skewed),
            Some(_) | None => Ok(()),
        }
    }

    fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let signed: Vec<&[u8]> = names(self.signed_headers).collect();
        let signed = |name: &str| signed.contains(&name.as_bytes());
        if !signed("host") {
            return Err(SignatureError::UnsignedHeader("host".into()));
        }
        match headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !signed(name.as_str())) {
            Some(name) => Err(SignatureError::UnsignedHeader(name.as_str().to_owned())),
            None => Ok(()),
        }
    }

    /// The last line of the canonical request.
    fn payload_hash<'h>(
        &self,
        request: &SignedRequest<'h>,
        body_sha256: Option<&'h str>,
    ) -> Result<&'h str, SignatureError> {
        if let Some(hash) = body_sha256 {
            return Ok(hash);
        }
        let header = request.headers.get(AMZ_CONTENT_SHA256).map(|value| value.to_str().unwrap_or_default());
        let query = request.query.value("X-Amz-Content-Sha256");
        match (header.or(query), self.expires_in) {
            (Some(hash), _) => Ok(hash),
            (None, Some(_)) => Ok(UNSIGNED_PAYLOAD),
            (None, None) => Err(SignatureError::NoPayloadHash),
        }
    }
}

impl Payload {
    /// What a request without a signature says of its body: nothing, or a form that needs no key to check.
    ///
    /// # Errors
    /// [`SignatureError::PayloadHash`] for signed chunks and unknown words.
    pub fn of_unsigned(request: &SignedRequest<'_>) -> Result<Self, SignatureError> {
        let Some(word) = request.headers.get(AMZ_CONTENT_SHA256) else { return Ok(Self::Unsigned) };
        match payload(word.to_str().unwrap_or_default())? {
            chained if chained.is_chained() => Err(SignatureError::PayloadHash),
            known => Ok(known),
        }
    }

    /// Whether a body that was read whole is the one that was signed.
    #[must_use]
    pub fn admits(&self, body: &[u8]) -> bool {
        match self {
            Self::Unsigned => true,
            Self::Sha256(hash) => *hash == sha256_hex(body),
            Self::SignedChunks | Self::SignedChunksTrailer | Self::UnsignedChunksTrailer => false,
        }
    }

    /// Whether each chunk of the body has a signature, which the one before it goes into.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        matches!(self, Self::SignedChunks | Self::SignedChunksTrailer)
    }

    /// Whether the body must be empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Sha256(hash) if hash == EMPTY_SHA256)
    }
}

fn payload(word: &str) -> Result<Payload, SignatureError> {
    match word {
        UNSIGNED_PAYLOAD => Ok(Payload::Unsigned),
        UNSIGNED_TRAILER => Ok(Payload::UnsignedChunksTrailer),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Payload::SignedChunks),
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Payload::SignedChunksTrailer),
        hash if hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) => {
            Ok(Payload::Sha256(hash.to_owned()))
        }
        _ => Err(SignatureError::PayloadHash),
    }
}

/// A scope of another date than the signature's, or another region or service than this server's, is refused.
pub(super) fn check_scope(
    scope: &Scope,
    amz_date: &str,
    expected: &Expected<'_>,
) -> Result<(), SignatureError> {
    let (date, region, service) = scope.parts();
    if !amz_date.starts_with(date) {
        return Err(SignatureError::ScopeDate(date.to_owned()));
    }
    if service != expected.service {
        return Err(SignatureError::ScopeService(service.to_owned()));
    }
    let unnamed = expected.empty_region && region.is_empty();
    if region != expected.region && !unnamed {
        return Err(SignatureError::ScopeRegion {
            actual: region.to_owned(),
            expected: expected.region.to_owned(),
        });
    }
    Ok(())
}

fn check_names(signed_headers: &str) -> Result<(), &'static str> {
    let lower = signed_headers.bytes().all(|byte| byte > b' ' && !byte.is_ascii_uppercase());
    match lower && names(signed_headers).all(|name| !name.is_empty()) {
        true => Ok(()),
        false => Err("the signed headers are not lower-case names"),
    }
}

/// The request's time: `x-amz-date`, else `date`.
fn header_date(headers: &HeaderMap) -> Result<(Cow<'_, str>, Timestamp), SignatureError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let written = text(AMZ_DATE).or(text(DATE)).ok_or(SignatureError::NoDate)?;
    if let Some(at) = time::parse_amz(written) {
        return Ok((Cow::Borrowed(written), at));
    }
    let otherwise = text(AMZ_DATE).is_none().then(|| time::parse_http_date(written));
    let at = otherwise.flatten().ok_or(SignatureError::NoDate)?;
    Ok((Cow::Owned(time::amz(at)), at))
}

/// A session token stands in one place: which of two would be the caller's?
fn refuse_two_tokens(request: &SignedRequest<'_>) -> Result<(), SignatureError> {
    let token = AMZ_SECURITY_TOKEN;
    let named = |name: &str| name.eq_ignore_ascii_case(token.as_str());
    let in_query = request.query.iter().filter(|(name, _)| named(name)).count();
    match in_query + usize::from(request.headers.contains_key(&token)) {
        0 | 1 => Ok(()),
        _ => Err(SignatureError::DuplicateHeader(token.as_str().to_owned())),
    }
}

/// Headers that a check and a handler could read differently if they stood twice.
fn refuse_duplicates(headers: &HeaderMap) -> Result<(), SignatureError> {
    const ONCE: [&str; 9] = [
        "host",
        "authorization",
        "date",
        "range",
        "content-type",
        "content-md5",
        "content-length",
        "if-match",
        "if-none-match",
    ];
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    for name in headers.keys() {
        let watched = name.as_str().starts_with("x-amz-") || ONCE.contains(&name.as_str());
        if watched && headers.get_all(name).iter().nth(1).is_some() {
            return Err(SignatureError::DuplicateHeader(name.as_str().to_owned()));
        }
    }
    Ok(())
}
