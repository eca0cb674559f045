//! `aws-chunked` bodies: the payload in chunks, each with a signature of its own, then perhaps a trailer.
//!
//! Source: Amazon S3 API Reference, "Signature calculations … Transferring Payload in Multiple Chunks" and
//! "… Including Trailing Headers". Enters: the bytes of the body as they arrive. Leaves: the payload, not
//! copied. Refused: a chunk or trailer whose signature is wrong or missing, lengths that disagree with
//! `x-amz-decoded-content-length`, a trailer that was not announced, over-long lines, and anything after the end.
//!
//! Payload is handed out before its chunk's signature can be checked; a caller must not make it visible before
//! [`Decoder::finish`] has said that all is well.

use aws_lc_rs::digest;
use bytes::{Buf, Bytes, BytesMut};

use super::canonical::{EMPTY_SHA256, Signature, hex, sha256_hex};
use super::verify::{Payload, Seed};

/// The longest chunk header or trailer line, in bytes.
const LONGEST_LINE: usize = 4096;

/// The most trailer lines.
const MOST_TRAILERS: usize = 16;

/// Why a chunked body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Not the grammar of `aws-chunked`.
    #[error("the aws-chunked body is malformed: {0}")]
    Malformed(&'static str),
    /// A chunk's or the trailer's signature.
    #[error("the signature of a chunk or of the trailer does not match")]
    Signature,
    /// More or fewer bytes than `x-amz-decoded-content-length`.
    #[error("the body does not have the length that `x-amz-decoded-content-length` says")]
    Length,
    /// The body ended early.
    #[error("the body ended before its last chunk")]
    Incomplete,
    /// A trailer that `x-amz-trailer` did not announce, or an announced one that is missing.
    #[error("the trailer is not the one that `x-amz-trailer` announces")]
    Trailer,
}

/// What is left to read.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Header,
    Data { left: u64 },
    DataEnd,
    Trailer,
    End,
}

/// Reads one `aws-chunked` body.
#[derive(Debug)]
pub struct Decoder {
    chain: Option<Chain>,
    trailer_expected: Option<Vec<String>>,
    trailers: Vec<(String, String)>,
    trailer_signature: Option<String>,
    state: State,
    buffer: BytesMut,
    left_of_body: u64,
}

/// The signatures so far.
#[derive(Debug)]
struct Chain {
    seed: Seed,
    previous: Signature,
    claimed: String,
    hash: Hash,
}

struct Hash(digest::Context);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Decoder {
    /// A decoder for a body of `decoded_length` payload bytes; `announced` is the value of `x-amz-trailer`.
    ///
    /// # Errors
    /// [`ChunkError::Malformed`] where the payload kind is not a chunked one, or no seed came with a signed one.
    pub fn new(
        payload: &Payload,
        seed: Option<Seed>,
        decoded_length: u64,
        announced: Option<&str>,
    ) -> Result<Self, ChunkError> {
        let signed = match payload {
            Payload::SignedChunks | Payload::SignedChunksTrailer => true,
            Payload::UnsignedChunksTrailer => false,
            Payload::Unsigned | Payload::Sha256(_) => return Err(ChunkError::Malformed("it is not chunked")),
        };
        let with_trailer = !matches!(payload, Payload::SignedChunks);
        let chain = match (signed, seed) {
            (false, _) => None,
            (true, Some(seed)) => Some(Chain {
                previous: seed.signature.clone(),
                seed,
                claimed: String::new(),
                hash: Hash::new(),
            }),
            (true, None) => return Err(ChunkError::Signature),
        };
        let names = |text: &str| text.split(',').map(|name| name.trim().to_ascii_lowercase()).collect();
        Ok(Self {
            chain,
            trailer_expected: with_trailer.then(|| announced.map(names).unwrap_or_default()),
            trailers: Vec::new(),
            trailer_signature: None,
            state: State::Header,
            buffer: BytesMut::new(),
            left_of_body: decoded_length,
        })
    }

    /// Takes bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece of payload; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`ChunkError`], after which nothing more may be read.
    pub fn next_piece(&mut self) -> Result<Option<Bytes>, ChunkError> {
        loop {
            match self.state {
                State::Header => match self.line()? {
                    Some(line) => self.begin_chunk(&line)?,
                    None => return Ok(None),
                },
                State::Data { left } => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
                    let piece = self.buffer.split_to(take).freeze();
                    let left = left - piece.len() as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                    if let Some(chain) = &mut self.chain {
                        chain.hash.0.update(&piece);
                    }
                    return Ok(Some(piece));
                }
                State::DataEnd => {
                    let Some(end) = self.buffer.get(..2) else { return Ok(None) };
                    if end != b"\r\n" {
                        return Err(ChunkError::Malformed("a chunk is longer than its header says"));
                    }
                    self.buffer.advance(2);
                    self.end_chunk()?;
                    self.state = State::Header;
                }
                State::Trailer => match self.line()? {
                    Some(line) if line.is_empty() => self.state = State::End,
                    Some(line) => self.trailer_line(&line)?,
                    None => return Ok(None),
                },
                State::End if self.buffer.is_empty() => return Ok(None),
                State::End => return Err(ChunkError::Malformed("there are bytes after its end")),
            }
        }
    }

    /// Says that the body has ended, checks what can be checked only now, and gives the trailer's fields.
    ///
    /// # Errors
    /// [`ChunkError`]: what was handed out must not become visible.
    pub fn finish(mut self) -> Result<Vec<(String, String)>, ChunkError> {
        // Some clients leave out the last line break.
        if self.state == State::Trailer && self.buffer.is_empty() {
            self.state = State::End;
        }
        if self.state != State::End || !self.buffer.is_empty() {
            return Err(ChunkError::Incomplete);
        }
        if self.left_of_body != 0 {
            return Err(ChunkError::Length);
        }
        let Some(expected) = &self.trailer_expected else { return Ok(self.trailers) };
        let announced = |name: &String| self.trailers.iter().any(|(known, _)| known == name);
        if expected.len() != self.trailers.len() || !expected.iter().all(announced) {
            return Err(ChunkError::Trailer);
        }
        if let Some(chain) = &self.chain {
            let fields: String =
                self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
            let hash = sha256_hex(fields.as_bytes());
            let signature = chain.sign(&format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{hash}", chain.head()));
            let claimed = self.trailer_signature.as_deref().ok_or(ChunkError::Signature)?;
            if !signature.matches(claimed) {
                return Err(ChunkError::Signature);
            }
        }
        Ok(self.trailers)
    }

    /// A line without its end; `None` when it has not arrived yet.
    fn line(&mut self) -> Result<Option<String>, ChunkError> {
        match self.buffer.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') {
            Some(at) => {
                let line = self.buffer.split_to(at + 1);
                let line = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(&line);
                let text =
                    std::str::from_utf8(line).map_err(|_| ChunkError::Malformed("a line is not text"))?;
                Ok(Some(text.to_owned()))
            }
            None if self.buffer.len() >= LONGEST_LINE => Err(ChunkError::Malformed("a line is too long")),
            None => Ok(None),
        }
    }

    /// `SIZE[;chunk-signature=SIGNATURE]`
    fn begin_chunk(&mut self, line: &str) -> Result<(), ChunkError> {
        let (size, extension) = match line.split_once(';') {
            Some((size, extension)) => (size, Some(extension)),
            None => (line, None),
        };
        let hexadecimal =
            !size.is_empty() && size.len() <= 16 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = hexadecimal.then(|| u64::from_str_radix(size, 16).ok()).flatten();
        let size = size.ok_or(ChunkError::Malformed("a chunk's size is not hexadecimal"))?;
        if let Some(chain) = &mut self.chain {
            let claimed = extension.and_then(|text| text.strip_prefix("chunk-signature="));
            chain.claimed = claimed.ok_or(ChunkError::Signature)?.to_owned();
        }
        self.left_of_body = self.left_of_body.checked_sub(size).ok_or(ChunkError::Length)?;
        if size > 0 {
            self.state = State::Data { left: size };
            return Ok(());
        }
        self.end_chunk()?;
        // With or without a trailer, an empty line ends the body.
        self.state = State::Trailer;
        Ok(())
    }

    fn end_chunk(&mut self) -> Result<(), ChunkError> {
        let Some(chain) = &mut self.chain else { return Ok(()) };
        let hash = hex(std::mem::replace(&mut chain.hash, Hash::new()).0.finish().as_ref());
        let text = format!("AWS4-HMAC-SHA256-PAYLOAD\n{}\n{EMPTY_SHA256}\n{hash}", chain.head());
        let signature = chain.sign(&text);
        if !signature.matches(&chain.claimed) {
            return Err(ChunkError::Signature);
        }
        chain.previous = signature;
        Ok(())
    }

    fn trailer_line(&mut self, line: &str) -> Result<(), ChunkError> {
        if self.trailer_expected.is_none() || self.trailers.len() >= MOST_TRAILERS {
            return Err(ChunkError::Trailer);
        }
        let (name, value) =
            line.split_once(':').ok_or(ChunkError::Malformed("a trailer line has no colon"))?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim().to_owned());
        if name == "x-amz-trailer-signature" {
            return match self.trailer_signature.replace(value) {
                None => Ok(()),
                Some(_) => Err(ChunkError::Trailer),
            };
        }
        if self.trailer_signature.is_some() || self.trailers.iter().any(|(known, _)| *known == name) {
            return Err(ChunkError::Trailer);
        }
        self.trailers.push((name, value));
        Ok(())
    }
}

impl Chain {
    /// Time, scope and previous signature, which stand in each string to sign.
    fn head(&self) -> String {
        format!("{}\n{}\n{}", self.seed.amz_date, self.seed.scope.text(), self.previous.as_str())
    }

    fn sign(&self, text: &str) -> Signature {
        self.seed.key.sign(text.as_bytes())
    }
}
