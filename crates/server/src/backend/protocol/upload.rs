//! The body of a PUT: streamed into the store, then held to every digest that came with it.
//!
//! Nothing becomes visible here. What leaves is staged content whose length, signature, Content-MD5 and
//! checksums, from headers or from the trailer, have all been found to hold.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use md5::{Digest, Md5};

use crate::authorize::Permit;
use crate::backend::local::checksum::{Checksum, ChecksumAlgorithm, Checksums};
use crate::backend::local::staging::Staged;
use crate::backend::local::{Store, StoreError};
use crate::body::RequestBody;
use crate::refusal::Refusal;
use crate::request::Request;

/// The largest object or part that one request writes: 5 GiB.
pub const LARGEST: u64 = 5 << 30;

/// Content and the checksums to keep with it.
#[derive(Debug)]
pub struct Received {
    /// The content.
    pub staged: Staged,
    /// Those that the client sent; they hold.
    pub checksums: Checksums,
}

/// Receives a body. `also` is an algorithm to compute though the client sends no value of it; `room` is the most that the
/// bucket has room for.
///
/// # Errors
/// 400 `BadDigest`, `InvalidDigest`, `EntityTooLarge`, 403 `QuotaExceeded`, and what [`RequestBody::next`] refuses.
pub async fn receive(
    store: &Store,
    request: &Request,
    body: &mut RequestBody<'_>,
    also: Option<ChecksumAlgorithm>,
    room: Option<u64>,
) -> Result<Received, Refusal> {
    body.at_most(LARGEST)?;
    let fits = |bytes: u64| match room.is_none_or(|room| bytes <= room) {
        true => Ok(()),
        false => Err(StoreError::QuotaExceeded),
    };
    // A form's file is of unknown length, and is counted as it comes.
    fits(body.length().unwrap_or_default())?;
    let md5 = content_md5(request)?;
    let promised = Promised::of(request)?;
    let algorithm = promised.algorithm().or(also);
    let mut writer = store.writer(algorithm.as_slice());
    while let Some(piece) = body.next().await? {
        writer.write(piece).await?;
        fits(writer.written())?;
    }
    let staged = writer.finish().await?;
    let digests = staged.digests();
    if md5.is_some_and(|md5| md5 != *digests.etag.digest()) {
        return Err(Refusal::bad_digest("Content-MD5"));
    }
    let expected = promised.value(body.trailers())?;
    let mut checksums = Checksums::default();
    if let Some(algorithm) = algorithm {
        let computed =
            digests.checksums.of(algorithm).ok_or_else(|| Refusal::internal("no checksum was computed"))?;
        if expected.is_some_and(|expected| expected != *computed) {
            return Err(Refusal::bad_digest(algorithm.name()));
        }
        checksums.insert(computed.clone());
    }
    Ok(Received { staged, checksums })
}

/// The document that a request has for a body, of at most `longest` bytes, held to the digests that came with it.
///
/// # Errors
/// As [`check_document`], and what [`RequestBody::collect`] refuses.
pub async fn checked_body(
    permit: &Permit,
    body: &mut RequestBody<'_>,
    longest: usize,
) -> Result<Bytes, Refusal> {
    let document = body.collect(longest).await?;
    check_document(permit.request(), body, &document)?;
    Ok(document)
}

/// Holds an XML body that was read whole to its Content-MD5 and to the checksum sent with it.
///
/// # Errors
/// 400 `BadDigest`, `InvalidDigest`, `InvalidRequest`.
pub fn check_document(request: &Request, body: &RequestBody<'_>, document: &[u8]) -> Result<(), Refusal> {
    let md5: [u8; 16] = Md5::digest(document).into();
    if content_md5(request)?.is_some_and(|expected| expected != md5) {
        return Err(Refusal::bad_digest("Content-MD5"));
    }
    let Some(expected) = Promised::of(request)?.value(body.trailers())? else { return Ok(()) };
    let algorithm = expected.algorithm();
    match Checksum::of(algorithm, document) == expected {
        true => Ok(()),
        false => Err(Refusal::bad_digest(algorithm.name())),
    }
}

fn content_md5(request: &Request) -> Result<Option<[u8; 16]>, Refusal> {
    let Some(text) = request.header("content-md5") else { return Ok(None) };
    let digest = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    let invalid = || {
        let message = "The Content-MD5 you specified was invalid.";
        Refusal::new("InvalidDigest", StatusCode::BAD_REQUEST, message)
    };
    digest.map(Some).ok_or_else(invalid)
}

/// The checksum that a client sends, in a header or announced for the trailer.
pub(crate) enum Promised {
    None,
    Header(Checksum),
    Trailer(ChecksumAlgorithm),
}

impl Promised {
    /// Reads what the request says.
    pub(crate) fn of(request: &Request) -> Result<Self, Refusal> {
        let says = |name: &str| name.starts_with("x-amz-checksum-") || name == "x-amz-trailer";
        if !request.headers().keys().any(|name| says(name.as_str())) {
            return Ok(Self::None);
        }
        let mut in_headers = ChecksumAlgorithm::ALL
            .into_iter()
            .filter_map(|algorithm| request.header(algorithm.header()).map(|value| (algorithm, value)));
        let trailer = request.header("x-amz-trailer").unwrap_or_default().to_ascii_lowercase();
        let announced = |name: &str| {
            let known = ChecksumAlgorithm::ALL.into_iter().find(|algorithm| algorithm.header() == name);
            let unknown = "The value specified in the x-amz-trailer header is not supported";
            known.ok_or_else(|| Refusal::invalid_request(unknown))
        };
        let names = trailer.split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut in_trailer = names.map(announced).collect::<Result<Vec<_>, _>>()?.into_iter();
        let one = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
        match (in_headers.next(), in_headers.next(), in_trailer.next(), in_trailer.next()) {
            (None, None, None, None) => Ok(Self::None),
            (None, None, Some(algorithm), None) => Ok(Self::Trailer(algorithm)),
            (Some((algorithm, value)), None, None, None) => parse(algorithm, value).map(Self::Header),
            _ => Err(Refusal::invalid_request(one)),
        }
    }

    /// Of what kind it is.
    pub(crate) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::None => None,
            Self::Header(checksum) => Some(checksum.algorithm()),
            Self::Trailer(algorithm) => Some(*algorithm),
        }
    }

    /// Of what kind it is, where it comes after the body.
    pub(crate) fn trailer(&self) -> Option<ChecksumAlgorithm> {
        match self {
            Self::Trailer(algorithm) => Some(*algorithm),
            Self::None | Self::Header(_) => None,
        }
    }

    /// What it is, once the body has been read.
    pub(crate) fn value(self, trailers: &[(String, String)]) -> Result<Option<Checksum>, Refusal> {
        match self {
            Self::None => Ok(None),
            Self::Header(checksum) => Ok(Some(checksum)),
            Self::Trailer(algorithm) => {
                let value = trailers.iter().find(|(name, _)| name == algorithm.header());
                let (_, value) = value.ok_or_else(|| Refusal::bad_digest(algorithm.name()))?;
                parse(algorithm, value).map(Some)
            }
        }
    }
}

/// Reads a checksum's base64.
///
/// # Errors
/// 400 `InvalidRequest`.
pub fn parse(algorithm: ChecksumAlgorithm, value: &str) -> Result<Checksum, Refusal> {
    Checksum::parse(algorithm, value).ok_or_else(|| {
        Refusal::invalid_request(format!("Value for {} header is invalid.", algorithm.header()))
    })
}

/// `x-amz-checksum-algorithm` or `x-amz-sdk-checksum-algorithm`.
///
/// # Errors
/// 400 `InvalidRequest` for an unknown one.
pub fn requested_algorithm(request: &Request) -> Result<Option<ChecksumAlgorithm>, Refusal> {
    let name = request.header("x-amz-checksum-algorithm");
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(None) };
    let unknown = || {
        Refusal::invalid_request(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    };
    ChecksumAlgorithm::parse(name).map(Some).ok_or_else(unknown)
}
