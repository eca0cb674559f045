//! The bytes of an object, whatever happens to the connection: where an answer breaks off, the rest is asked
//! for, of the same entity tag and with credentials of that moment.

use bytes::Bytes;
use futures_util::StreamExt;

use super::error::TransferError;
use super::item::Address;
use crate::s3::{
    ByteRange, Client, Conditions, ETag, ErrorKind, GetOptions, ObjectBody, ObjectHead, S3Error,
};

/// Reads an object, or a part of it, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    client: Client,
    from: Address,
    etag: Option<ETag>,
    /// The next byte.
    at: u64,
    /// The first byte that is not wanted.
    end: u64,
    whole: bool,
    body: Option<ObjectBody>,
    /// Answers that broke off one after the other, without a byte between them.
    fruitless: u32,
}

impl ObjectReader {
    /// The whole object, and its head.
    pub(crate) async fn whole(
        client: &Client,
        from: &Address,
        etag: Option<ETag>,
    ) -> Result<(ObjectHead, Self), TransferError> {
        let options = GetOptions { conditions: Conditions::still(etag), ..GetOptions::default() };
        let object = client.get_object(&from.bucket, &from.key, &options).await.map_err(changed(from))?;
        let reader = Self {
            client: client.clone(),
            from: from.clone(),
            etag: object.head.etag.clone(),
            at: 0,
            end: object.head.size,
            whole: true,
            body: Some(object.body),
            fruitless: 0,
        };
        Ok((object.head, reader))
    }

    /// The bytes from `first` up to, but without, `end`.
    pub(crate) fn part(client: &Client, from: &Address, etag: Option<ETag>, first: u64, end: u64) -> Self {
        let (client, from) = (client.clone(), from.clone());
        Self { client, from, etag, at: first, end, whole: false, body: None, fruitless: 0 }
    }

    /// Of which object they are.
    pub(crate) fn etag(&self) -> Option<&ETag> {
        self.etag.as_ref()
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        loop {
            if self.at >= self.end {
                return Ok(None);
            }
            let mut body = match self.body.take() {
                Some(body) => body,
                None => self.open().await?,
            };
            match body.next().await {
                Some(Ok(chunk)) => {
                    self.at += chunk.len() as u64;
                    self.fruitless = 0;
                    if self.at > self.end {
                        return Err(self.corrupt());
                    }
                    self.body = Some(body);
                    if !chunk.is_empty() {
                        return Ok(Some(chunk));
                    }
                }
                Some(Err(error)) => self.pause(error).await?,
                None => return Err(self.corrupt()),
            }
        }
    }

    async fn open(&mut self) -> Result<ObjectBody, TransferError> {
        let range = ByteRange { first: self.at, last: Some(self.end - 1) };
        let range = (!self.whole || self.at > 0).then_some(range);
        let conditions = Conditions::still(self.etag.clone());
        let options = GetOptions { range, conditions, version_id: None };
        let object = self.client.get_object(&self.from.bucket, &self.from.key, &options).await;
        let object = object.map_err(changed(&self.from))?;
        // A store that ignores the condition must not give us half of another object.
        if self.etag.is_some() && object.head.etag != self.etag {
            return Err(TransferError::Changed(self.from.to_string()));
        }
        Ok(object.body)
    }

    async fn pause(&mut self, error: S3Error) -> Result<(), TransferError> {
        self.fruitless += 1;
        let broken = matches!(error, S3Error::BrokenOff { .. } | S3Error::Corrupt { .. });
        match self.client.retry_policy().wait_after(self.fruitless, None) {
            Some(wait) if broken => {
                tracing::debug!(object = %self.from, at = self.at, %error, "the answer broke off: going on from here");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    fn corrupt(&self) -> TransferError {
        TransferError::Corrupt { subject: self.from.to_string(), what: "size" }
    }
}

/// `If-Match` that does not hold means that the object is another now.
pub(crate) fn changed(from: &Address) -> impl Fn(S3Error) -> TransferError + '_ {
    |error| match error.kind() {
        ErrorKind::Precondition => TransferError::Changed(from.to_string()),
        _ => error.into(),
    }
}
