//! Bodies: a request's, held to its signature as it streams, and an answer's.
//!
//! [`RequestBody::next`] gives the payload piece by piece and says that it has ended only when everything that
//! was signed or announced about it holds: the SHA-256, the chunks' signatures, the lengths. Whoever stores the
//! payload must not make it visible before that.

use std::future::poll_fn;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Body, Frame};
use multer::Field;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::time::Instant;
use wigeon_core::s3::form_policy::LengthRange;
use wigeon_core::sigv4::canonical::hex;
use wigeon_core::sigv4::chunked::Decoder;
use wigeon_core::sigv4::verify::Payload;

use crate::arriving::Arriving;
use crate::authenticate::Authenticated;
use crate::limits::{Pace, Purse};
use crate::refusal::Refusal;

/// The length of a body that comes in chunks, without their frames.
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

/// How much of what was put aside is read at once.
const PIECE: usize = 64 << 10;

/// Why an answer's body could not be sent to its end.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// An answer's body.
pub type ResponseBody = BoxBody<Bytes, BodyError>;

/// No body.
#[must_use]
pub fn empty() -> ResponseBody {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// A body that is in memory.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

/// A body that comes piece by piece.
#[must_use]
pub fn stream<E>(pieces: impl Stream<Item = Result<Bytes, E>> + Send + Sync + 'static) -> ResponseBody
where
    E: Into<BodyError>,
{
    use futures_util::StreamExt;
    BodyExt::boxed(StreamBody::new(pieces.map(|piece| piece.map(Frame::data).map_err(Into::into))))
}

/// The payload of a request.
#[derive(Debug)]
pub struct RequestBody<'i> {
    source: Source<'i>,
    rule: Rule,
    /// How many bytes of payload the request says it has.
    length: Option<u64>,
    received: u64,
    /// How many bytes it may have.
    range: LengthRange,
    /// What came over the wire, and how long it was waited for.
    arrived: u64,
    waited: Duration,
    pace: Pace,
    /// Where its sender's bandwidth is limited.
    purse: Option<Purse>,
    trailers: Vec<(String, String)>,
}

/// Where the bytes come from.
#[derive(Debug)]
enum Source<'i> {
    Wire(&'i mut Arriving),
    /// The file of a form.
    Form(Box<Field<'i>>),
    /// What was put aside of it.
    Kept(Box<File>),
}

enum Rule {
    Unsigned,
    Sha256 { so_far: digest::Context, expected: String },
    Chunked(Box<Decoder>),
    Ended,
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "Unsigned",
            Self::Sha256 { .. } => "Sha256",
            Self::Chunked(_) => "Chunked",
            Self::Ended => "Ended",
        })
    }
}

impl<'i> RequestBody<'i> {
    /// Binds a body to what the signature says of it.
    ///
    /// # Errors
    /// 411 where a chunked body does not say its length, or `Transfer-Encoding` stands around a body that is not
    /// `aws-chunked` (beside a `Content-Length` it would be a second, hidden length: RFC 9112, section 6.3); 400 where a header about it cannot be read.
    pub fn new(
        incoming: &'i mut Arriving,
        authenticated: &Authenticated,
        headers: &HeaderMap,
    ) -> Result<Self, Refusal> {
        let chunked = !matches!(authenticated.payload(), Payload::Unsigned | Payload::Sha256(_));
        if headers.contains_key(TRANSFER_ENCODING) && !chunked {
            return Err(missing_length());
        }
        let (rule, length) = match authenticated.payload() {
            Payload::Unsigned => (Rule::Unsigned, length_header(headers, CONTENT_LENGTH)?),
            Payload::Sha256(expected) => (
                Rule::Sha256 { so_far: digest::Context::new(&digest::SHA256), expected: expected.clone() },
                length_header(headers, CONTENT_LENGTH)?,
            ),
            Payload::SignedChunks | Payload::SignedChunksTrailer | Payload::UnsignedChunksTrailer => {
                let length = length_header(headers, DECODED_LENGTH)?.ok_or_else(missing_length)?;
                let announced = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
                let decoder =
                    Decoder::new(authenticated.payload(), authenticated.seed().cloned(), length, announced)?;
                (Rule::Chunked(Box::new(decoder)), Some(length))
            }
        };
        let (arrived, waited, trailers) = (0, Duration::ZERO, Vec::new());
        let (source, range) = (Source::Wire(incoming), LengthRange::ANY);
        let pace = Pace::default();
        Ok(Self { source, rule, length, received: 0, range, arrived, waited, pace, purse: None, trailers })
    }

    /// The file of a form, which is as long as the form's policy allows.
    #[must_use]
    pub fn of_form(file: Field<'i>, range: LengthRange) -> Self {
        Self {
            source: Source::Form(Box::new(file)),
            rule: Rule::Unsigned,
            length: None,
            received: 0,
            range,
            arrived: 0,
            waited: Duration::ZERO,
            pace: Pace::default(),
            purse: None,
            trailers: Vec::new(),
        }
    }

    /// Waits for a sender that is as slow as this, and for no slower one.
    #[must_use]
    pub fn at_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// What arrives counts against its sender's bandwidth, where that is limited.
    #[must_use]
    pub fn paid_from(self, purse: Option<Purse>) -> Self {
        Self { purse, ..self }
    }

    /// Takes at most so many bytes. A request says at once how many it has; a form's file is counted as it comes.
    ///
    /// # Errors
    /// 411 `MissingContentLength`, 400 `EntityTooLarge`.
    pub fn at_most(&mut self, most: u64) -> Result<(), Refusal> {
        self.range.most = self.range.most.min(most);
        match &self.source {
            Source::Wire(_) if self.length()? > most => Err(too_large()),
            Source::Wire(_) | Source::Form(_) | Source::Kept(_) => Ok(()),
        }
    }

    /// Bytes of payload, where the request says it.
    #[must_use]
    pub fn announced(&self) -> Option<u64> {
        self.length
    }

    /// Bytes of payload, as the request says.
    ///
    /// # Errors
    /// 411 `MissingContentLength` where it does not say.
    pub fn length(&self) -> Result<u64, Refusal> {
        self.length.ok_or_else(missing_length)
    }

    /// The next piece; `None` when the payload has ended and is what was signed.
    ///
    /// # Errors
    /// 400 or 403 where it is not, 400 `IncompleteBody` where the connection ended before, 400 `RequestTimeout` where
    /// the sender is silent or slow without end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            if let Rule::Chunked(decoder) = &mut self.rule
                && let Some(piece) = decoder.next_piece()?
            {
                self.received += piece.len() as u64;
                return Ok(Some(piece));
            }
            if matches!(self.rule, Rule::Ended) {
                return Ok(None);
            }
            // Most requests have no body, and nothing is waited for.
            let frame = match &self.source {
                Source::Wire(incoming) if incoming.is_end_stream() => None,
                _ => self.frame().await?,
            };
            let Some(frame) = frame else {
                self.finish()?;
                return Ok(None);
            };
            let Ok(data) = frame.into_data() else { continue };
            match &mut self.rule {
                Rule::Unsigned | Rule::Ended => {}
                Rule::Sha256 { so_far, .. } => so_far.update(&data),
                Rule::Chunked(decoder) => {
                    decoder.push(&data);
                    continue;
                }
            }
            self.received += data.len() as u64;
            if self.received > self.range.most {
                return Err(too_large());
            }
            if !data.is_empty() {
                return Ok(Some(data));
            }
        }
    }

    /// The next frame, from a sender that is neither silent nor slow without end.
    async fn frame(&mut self) -> Result<Option<Frame<Bytes>>, Refusal> {
        if let Some(purse) = &mut self.purse {
            poll_fn(|context| purse.poll_paid(context)).await;
        }
        let Pace { silence, slowest } = self.pace;
        let allowed = silence
            .saturating_add(Duration::from_secs(self.arrived.checked_div(slowest).unwrap_or(u64::MAX)));
        let limit = silence.min(allowed.saturating_sub(self.waited));
        let began = Instant::now();
        let source = &mut self.source;
        let next = async move {
            match source {
                Source::Wire(incoming) => incoming.frame().await.transpose().map_err(|_| incomplete()),
                Source::Form(file) => Ok(file.chunk().await.map_err(|_| incomplete())?.map(Frame::data)),
                Source::Kept(file) => {
                    let mut piece = BytesMut::with_capacity(PIECE);
                    let read = file.read_buf(&mut piece).await.map_err(not_kept)?;
                    Ok((read > 0).then(|| Frame::data(piece.freeze())))
                }
            }
        };
        let frame = tokio::time::timeout(limit, next).await.map_err(|_| too_slow())??;
        self.waited += began.elapsed();
        let bytes = frame.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        self.arrived += bytes as u64;
        if let Some(purse) = &mut self.purse {
            purse.pay(bytes);
        }
        Ok(frame)
    }

    /// The whole payload, of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`RequestBody::next`], and 400 `MaxMessageLengthExceeded`.
    pub async fn collect(&mut self, limit: usize) -> Result<Bytes, Refusal> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                let message = format!("Your request was too big: at most {limit} bytes are taken here.");
                return Err(Refusal::new("MaxMessageLengthExceeded", StatusCode::BAD_REQUEST, message));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The same payload, once all of it has come and holds: put aside in a file without a name, so that its length is
    /// known before it goes on.
    ///
    /// # Errors
    /// As [`RequestBody::next`], and 503 where it cannot be put aside.
    pub async fn kept(&mut self) -> Result<RequestBody<'static>, Refusal> {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
        let made = made.map_err(|_| not_kept("the work was cut off"))?;
        let mut file = File::from_std(made.map_err(not_kept)?);
        while let Some(piece) = self.next().await? {
            file.write_all(&piece).await.map_err(not_kept)?;
        }
        file.rewind().await.map_err(not_kept)?;
        Ok(RequestBody {
            source: Source::Kept(Box::new(file)),
            rule: Rule::Unsigned,
            length: Some(self.received),
            received: 0,
            range: LengthRange::ANY,
            arrived: 0,
            waited: Duration::ZERO,
            pace: self.pace,
            purse: None,
            trailers: Vec::new(),
        })
    }

    /// The trailer's fields, known when [`RequestBody::next`] has said that the payload has ended.
    #[must_use]
    pub fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    fn finish(&mut self) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.rule, Rule::Ended) {
            Rule::Ended | Rule::Unsigned => {}
            Rule::Chunked(decoder) => self.trailers = decoder.finish()?,
            Rule::Sha256 { so_far, expected } => {
                if hex(so_far.finish().as_ref()) != expected {
                    let message =
                        "The provided 'x-amz-content-sha256' header does not match what was computed.";
                    return Err(Refusal::new("XAmzContentSHA256Mismatch", StatusCode::BAD_REQUEST, message));
                }
            }
        }
        if self.length.is_some_and(|length| length != self.received) {
            return Err(incomplete());
        }
        if self.received < self.range.least {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(Refusal::new("EntityTooSmall", StatusCode::BAD_REQUEST, message));
        }
        Ok(())
    }
}

fn not_kept(error: impl std::fmt::Display) -> Refusal {
    let refusal = Refusal::new(
        "ServiceUnavailable",
        StatusCode::SERVICE_UNAVAILABLE,
        "Please reduce your request rate.",
    );
    Refusal { reason: Some(format!("a form's file cannot be put aside: {error}")), ..refusal }
}

fn length_header(headers: &HeaderMap, name: HeaderName) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(&name) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Refusal::invalid_argument(format!("The header {name} is not a number of bytes.")))
}

fn missing_length() -> Refusal {
    let message = "You must provide the Content-Length HTTP header.";
    Refusal::new("MissingContentLength", StatusCode::LENGTH_REQUIRED, message)
}

fn too_large() -> Refusal {
    let message = "Your proposed upload exceeds the maximum allowed size";
    Refusal::new("EntityTooLarge", StatusCode::BAD_REQUEST, message)
}

fn too_slow() -> Refusal {
    let message =
        "Your socket connection to the server was not read from or written to within the timeout period.";
    Refusal::new("RequestTimeout", StatusCode::BAD_REQUEST, message)
}

fn incomplete() -> Refusal {
    let message = "You did not provide the number of bytes specified by the Content-Length HTTP header.";
    Refusal::new("IncompleteBody", StatusCode::BAD_REQUEST, message)
}
