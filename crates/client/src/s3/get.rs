//! Objects read: their heads, their bytes, parts of them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt, try_unfold};
use http::{Method, StatusCode};
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::object::{ByteRange, Conditions, ObjectHead};
use crate::connect::{ExactResponse, SendError};

/// What is asked for besides the object itself.
#[derive(Debug, Clone, Default)]
pub struct GetOptions {
    /// A part of it.
    pub range: Option<ByteRange>,
    /// Only if these hold.
    pub conditions: Conditions,
    /// A version that is not the current one.
    pub version_id: Option<String>,
}

/// An object on its way.
#[derive(Debug)]
pub struct Object {
    /// Of the whole object, also where a part was asked for.
    pub head: ObjectHead,
    /// Its bytes.
    pub body: ObjectBody,
}

/// The bytes of an object, as they come. Fewer than were announced end in an error, never in silence.
pub struct ObjectBody {
    chunks: BoxStream<'static, Result<Bytes, SendError>>,
    host: String,
    subject: String,
    left: Option<u64>,
}

impl Client {
    /// The head of an object (HeadObject).
    ///
    /// # Errors
    /// See [`S3Error`]; a HEAD's refusal has a status and no words.
    pub async fn head_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        options: &GetOptions,
    ) -> Result<ObjectHead, S3Error> {
        let call = read_call("HeadObject", Method::HEAD, bucket, key, options)?;
        Ok(ObjectHead::read(self.send(&call).await?.headers()))
    }

    /// An object, or a part of it (GetObject).
    ///
    /// # Errors
    /// See [`S3Error`]. A store that answers a range with the whole object is not understood.
    pub async fn get_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        options: &GetOptions,
    ) -> Result<Object, S3Error> {
        let mut call = read_call("GetObject", Method::GET, bucket, key, options)?;
        if let Some(range) = options.range {
            call = call.header("range", &range.header())?;
        }
        let response = self.send(&call).await?;
        let whole = response.status() != StatusCode::PARTIAL_CONTENT;
        let length = response.content_length().unwrap_or(u64::MAX);
        let covers = |range: ByteRange| range.first == 0 && range.last.is_none_or(|last| last >= length - 1);
        if whole && length > 0 && !options.range.is_none_or(covers) {
            return Err(self.not_understood("GetObject", "it is the whole object where a part was asked for"));
        }
        let head = ObjectHead::read(response.headers());
        let body = ObjectBody {
            host: self.endpoint().origin(),
            subject: call.subject(),
            left: response.content_length(),
            chunks: chunks(response).boxed(),
        };
        Ok(Object { head, body })
    }
}

fn chunks(response: ExactResponse) -> impl Stream<Item = Result<Bytes, SendError>> {
    try_unfold(response, async |mut response| Ok(response.chunk().await?.map(|chunk| (chunk, response))))
}

fn read_call(
    operation: &'static str,
    method: Method,
    bucket: &BucketName,
    key: &ObjectKey,
    options: &GetOptions,
) -> Result<Call, S3Error> {
    let mut call = Call::object(operation, method, bucket, key).header("x-amz-checksum-mode", "ENABLED")?;
    if let Some(version) = &options.version_id {
        call = call.query("versionId", version.as_str());
    }
    options.conditions.on(call)
}

impl Stream for ObjectBody {
    type Item = Result<Bytes, S3Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let chunk = std::task::ready!(self.chunks.poll_next_unpin(context));
        Poll::Ready(match chunk {
            Some(Ok(chunk)) => {
                self.left = self.left.map(|left| left.saturating_sub(chunk.len() as u64));
                Some(Ok(chunk))
            }
            Some(Err(source)) => Some(Err(S3Error::BrokenOff { host: self.host.clone(), source })),
            None if self.left.is_some_and(|left| left > 0) => {
                let what = format!("{} bytes are missing", self.left.take().unwrap_or_default());
                Some(Err(S3Error::Corrupt { subject: self.subject.clone(), what }))
            }
            None => None,
        })
    }
}

impl std::fmt::Debug for ObjectBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectBody").field("subject", &self.subject).finish_non_exhaustive()
    }
}
