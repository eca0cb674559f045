//! A client's body on its way through: checked as it streams, its end withheld until everything about it holds.
//!
//! The last piece is sent only when signature, length and checksum have been found right; until then the upstream has
//! fewer bytes than were announced to it and commits nothing. Nothing is read ahead of what the upstream takes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::{Notify, mpsc};
use wigeon_core::s3::operation::Operation;
use wigeon_core::sigv4::canonical::{EMPTY_SHA256, sha256_hex};
use wigeon_core::sigv4::sign::{UNSIGNED_PAYLOAD, UNSIGNED_TRAILER};
use wigeon_core::sigv4::verify::Payload;

use super::framing::Framing;
use super::head::Head;
use super::settings::Trailers;
use crate::authorize::Permit;
use crate::backend::local::checksum::Hasher;
use crate::backend::protocol::upload::Promised;
use crate::body::RequestBody;
use crate::refusal::Refusal;

/// Bodies up to this length are read whole first, and can then be sent again.
const WHOLE: u64 = 64 << 10;

/// How long an upstream that was asked whether it wants the body may take to say so (RFC 9110, section 10.1.1).
const LONGEST_DOUBT: Duration = Duration::from_secs(1);

/// What is sent.
#[derive(Debug)]
pub(super) enum Outgoing<'b, 'i> {
    /// In memory, with its SHA-256 or the word that stands for it.
    Whole(Bytes, String),
    /// As it comes.
    Stream(Upload<'b, 'i>),
}

/// A body that streams.
pub(super) struct Upload<'b, 'i> {
    body: &'b mut RequestBody<'i>,
    promised: Option<Promised>,
    hasher: Option<Hasher>,
    framing: Option<Framing>,
    /// Bytes on the wire.
    pub(super) length: u64,
    /// What the upstream is told of the payload's hash.
    pub(super) word: String,
    /// Whether any of it was handed over.
    pub(super) begun: bool,
}

impl std::fmt::Debug for Upload<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload")
            .field("length", &self.length)
            .field("begun", &self.begun)
            .finish_non_exhaustive()
    }
}

impl<'b, 'i> Outgoing<'b, 'i> {
    /// No body.
    pub(super) fn nothing() -> Self {
        Self::Whole(Bytes::new(), EMPTY_SHA256.to_owned())
    }

    /// A document.
    pub(super) fn document(document: Bytes) -> Self {
        match document.is_empty() {
            true => Self::nothing(),
            false => {
                let hash = sha256_hex(&document);
                Self::Whole(document, hash)
            }
        }
    }

    /// The body of a permitted request; sets the headers that go with how it is sent.
    pub(super) async fn of(
        permit: &Permit,
        body: &'b mut RequestBody<'i>,
        head: &mut Head,
        trailers: Trailers,
    ) -> Result<Self, Refusal> {
        let request = permit.request();
        let length = match permit.operation() {
            Operation::PutObject | Operation::UploadPart => body.length()?,
            // What has no body, or a short one, may leave its length out.
            _ => body.announced().unwrap_or_default(),
        };
        let promised = Promised::of(request)?;
        let trailer = promised.trailer();
        if length == 0 || (length <= WHOLE && !head.expects) {
            let mut hasher = promised.algorithm().map(Hasher::new);
            let document = body.collect(WHOLE as usize).await?;
            if let Some(hasher) = &mut hasher {
                hasher.update(&document);
            }
            let checksum = checked(promised, hasher, body)?;
            // The value is known before the body goes.
            if let (Some(algorithm), Some(checksum)) = (trailer, checksum) {
                head.set(algorithm.header(), &checksum)?;
            }
            head.expects = false;
            return Ok(match permit.authenticated().payload() {
                Payload::Sha256(hash) => Self::Whole(document, hash.clone()),
                _ => Self::document(document),
            });
        }
        let (framing, word) = match (trailer, trailers, permit.authenticated().payload()) {
            (Some(algorithm), Trailers::Pass, _) => {
                head.set("x-amz-trailer", algorithm.header())?;
                head.set("x-amz-decoded-content-length", &length.to_string())?;
                let codings = head.headers.get("content-encoding").and_then(|value| value.to_str().ok());
                let codings = codings
                    .map_or_else(|| "aws-chunked".to_owned(), |before| format!("{before},aws-chunked"));
                head.set("content-encoding", &codings)?;
                (Framing::trailer(algorithm), UNSIGNED_TRAILER.to_owned())
            }
            (Some(_), Trailers::Check, _) => {
                // Alone it would announce a checksum that does not come.
                head.headers.remove("x-amz-sdk-checksum-algorithm");
                (Framing::Plain, UNSIGNED_PAYLOAD.to_owned())
            }
            (None, _, Payload::Sha256(hash)) => (Framing::Plain, hash.clone()),
            (None, ..) => (Framing::Plain, UNSIGNED_PAYLOAD.to_owned()),
        };
        Ok(Self::Stream(Upload {
            length: framing.length(length),
            hasher: promised.algorithm().map(Hasher::new),
            promised: Some(promised),
            framing: Some(framing),
            body,
            word,
            begun: false,
        }))
    }

    /// What stands in `x-amz-content-sha256`.
    pub(super) fn word(&self) -> &str {
        match self {
            Self::Whole(_, word) => word,
            Self::Stream(upload) => &upload.word,
        }
    }

    /// Bytes on the wire.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Whole(bytes, _) => bytes.len() as u64,
            Self::Stream(upload) => upload.length,
        }
    }

    /// Whether nothing of it is lost yet.
    pub(super) fn can_be_sent_again(&self) -> bool {
        match self {
            Self::Whole(..) => true,
            Self::Stream(upload) => !upload.begun,
        }
    }
}

impl Upload<'_, '_> {
    /// Moves the body, once `go` says that the upstream wants it. An upstream that takes no more is none of this
    /// one's business: its answer says why.
    pub(super) async fn pump(
        &mut self,
        to: mpsc::Sender<Bytes>,
        go: Option<Arc<Notify>>,
        patience: Duration,
    ) -> Result<(), Refusal> {
        if let Some(go) = go {
            let _ = tokio::time::timeout(LONGEST_DOUBT, go.notified()).await;
        }
        let mut withheld: Option<Bytes> = None;
        while let Some(piece) = self.body.next().await? {
            self.begun = true;
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            let framed = match &mut self.framing {
                Some(framing) => framing.push(piece),
                None => None,
            };
            if let Some(framed) = framed
                && let Some(before) = withheld.replace(framed)
                && !hand_over(&to, before, patience).await?
            {
                return Ok(());
            }
        }
        let promised = self.promised.take().ok_or_else(|| Refusal::internal("a body was sent twice"))?;
        let checksum = checked(promised, self.hasher.take(), self.body)?;
        let end =
            self.framing.take().and_then(|framing| framing.finish(checksum.as_deref().unwrap_or_default()));
        for piece in [withheld, end].into_iter().flatten() {
            if !hand_over(&to, piece, patience).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Whether the upstream goes on taking.
async fn hand_over(to: &mpsc::Sender<Bytes>, piece: Bytes, patience: Duration) -> Result<bool, Refusal> {
    match tokio::time::timeout(patience, to.send(piece)).await {
        Ok(sent) => Ok(sent.is_ok()),
        Err(_) => Err(Refusal {
            reason: Some(format!("the upstream took nothing for {} seconds", patience.as_secs())),
            ..Refusal::new(
                "ServiceUnavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "Service is unable to handle request.",
            )
        }),
    }
}

/// Holds what was read to the checksum that came with it, before it or after it, and gives that.
fn checked(
    promised: Promised,
    hasher: Option<Hasher>,
    body: &RequestBody<'_>,
) -> Result<Option<String>, Refusal> {
    let Some(expected) = promised.value(body.trailers())? else { return Ok(None) };
    match hasher.map(Hasher::finish) {
        Some(computed) if computed == expected => Ok(Some(computed.to_string())),
        _ => Err(Refusal::bad_digest(expected.algorithm().name())),
    }
}
