//! Parts of one upload, several at once: begun together, put together or given up together.

use md5::{Digest as _, Md5};
use tokio::task::{JoinError, JoinSet};
use wigeon_core::sigv4::canonical::hex;

use super::engine::Transfers;
use super::error::TransferError;
use super::item::{Address, Done};
use super::journal::Journal;
use super::tuning::FIRST_RANGES;
use super::width::Width;
use crate::s3::{
    Client, ETag, ErrorKind, GetOptions, MultipartUpload, Part, PutOptions, S3Error, Stored, Verified,
};

/// An upload whose parts are on their way.
#[derive(Debug)]
pub(crate) struct PartsInFlight {
    transfers: Transfers,
    client: Client,
    upload: MultipartUpload,
    tasks: JoinSet<Result<Part, TransferError>>,
    width: Width,
    arrived: Vec<Part>,
    /// With it the upload outlives a failure that passes.
    journal: Option<Journal>,
}

impl PartsInFlight {
    /// Begins an upload.
    pub(crate) async fn begin(
        transfers: &Transfers,
        client: &Client,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Self, TransferError> {
        let upload = client.create_multipart(&to.bucket, &to.key, options).await?;
        Ok(Self::of(transfers, client, upload, None))
    }

    /// Goes on with an upload, or begins one that can be gone on with.
    pub(crate) fn of(
        transfers: &Transfers,
        client: &Client,
        upload: MultipartUpload,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            transfers: transfers.clone(),
            client: client.clone(),
            upload,
            tasks: JoinSet::new(),
            width: Width::new(FIRST_RANGES, transfers.tuning.ranges),
            arrived: Vec::new(),
            journal,
        }
    }

    /// Waits until one more part may go.
    pub(crate) async fn make_room(&mut self) -> Result<(), TransferError> {
        while self.tasks.len() >= self.width.allowed() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    /// Sends one more part, once those that have failed are known. `part` gets the upload and makes the part.
    pub(crate) fn spawn<F>(
        &mut self,
        part: impl FnOnce(Client, MultipartUpload) -> F,
    ) -> Result<(), TransferError>
    where
        F: Future<Output = Result<Part, TransferError>> + Send + 'static,
    {
        while let Some(finished) = self.tasks.try_join_next() {
            self.arrive(finished)?;
        }
        self.tasks.spawn(part(self.client.clone(), self.upload.clone()));
        Ok(())
    }

    /// Waits for all that are on their way.
    pub(crate) async fn wait_for_all(&mut self) -> Result<(), TransferError> {
        while !self.tasks.is_empty() {
            self.wait_for_one().await?;
        }
        Ok(())
    }

    /// Waits for one part, or for the wish to stop.
    async fn wait_for_one(&mut self) -> Result<(), TransferError> {
        match self.transfers.unless_stopped(self.tasks.join_next()).await? {
            Some(finished) => self.arrive(finished),
            None => Ok(()),
        }
    }

    fn arrive(
        &mut self,
        finished: Result<Result<Part, TransferError>, JoinError>,
    ) -> Result<(), TransferError> {
        let part = finished.map_err(|_| TransferError::Worker)??;
        self.width.ended(part.size);
        self.arrived.push(part);
        Ok(())
    }

    /// Waits for all parts and puts them together; or gives the upload up, or leaves it for later, and says why.
    pub(crate) async fn finish(
        mut self,
        sent: Result<(), TransferError>,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let outcome = match sent {
            Ok(()) => self.complete(options).await,
            Err(error) => Err(error),
        };
        let error = match outcome {
            Ok(done) => {
                if let Some(journal) = self.journal.take() {
                    journal.remove();
                }
                return Ok(done);
            }
            Err(error) => error,
        };
        match self.journal.take() {
            Some(_) if error.may_go_on() => {
                if matches!(error, TransferError::Interrupted) {
                    // What is on its way arrives, so that nothing is sent twice.
                    while self.tasks.join_next().await.is_some() {}
                }
                tracing::info!(upload = %self.upload.id, "the upload stays, and can be gone on with");
            }
            journal => {
                self.give_up().await;
                if let Some(journal) = journal {
                    journal.remove();
                }
            }
        }
        Err(error)
    }

    async fn complete(&mut self, options: &PutOptions) -> Result<Done, TransferError> {
        self.wait_for_all().await?;
        let mut parts = std::mem::take(&mut self.arrived);
        parts.sort_by_key(|part| part.number);
        let bytes = parts.iter().map(|part| part.size).sum();
        let expected = etag_of_parts(&parts);
        let stored = match self.client.complete_multipart(&self.upload, parts, options).await {
            // The answer to an earlier attempt was lost: then the object is there, with the tag of these parts.
            Err(error) if error.code() == Some("NoSuchUpload") => {
                self.completed_before(expected, error).await?
            }
            other => other?,
        };
        Ok(Done { bytes, verified: stored.verified, source: None })
    }

    async fn completed_before(
        &self,
        expected: Option<ETag>,
        error: S3Error,
    ) -> Result<Stored, TransferError> {
        let (bucket, key) = (&self.upload.bucket, &self.upload.key);
        match self.client.head_object(bucket, key, &GetOptions::default()).await {
            Ok(head) if expected.is_some() && head.etag == expected => {
                Ok(Stored { etag: head.etag, version_id: head.version_id, verified: Verified::Md5 })
            }
            _ => Err(error.into()),
        }
    }

    /// No part may arrive after the abort: the store would keep it, and charge for it.
    async fn give_up(&mut self) {
        self.tasks.shutdown().await;
        match self.client.abort_multipart(&self.upload).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(
                upload = %self.upload.id, bucket = %self.upload.bucket, key = %self.upload.key, %error,
                "an unfinished upload could not be aborted and may cost storage"
            ),
        }
    }
}

/// The entity tag of an object of these parts, in their order: the MD5 of their MD5s, and their number.
fn etag_of_parts(parts: &[Part]) -> Option<ETag> {
    let mut whole = Md5::new();
    for part in parts {
        let digest: Option<Vec<u8>> = part
            .etag
            .md5()?
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        whole.update(digest?);
    }
    Some(ETag::new(&format!("{}-{}", hex(&whole.finalize()), parts.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_parts() {
        let part = |number, etag| Part {
            number,
            etag: ETag::new(etag),
            size: 1,
            checksum: None,
            verified: Verified::SignedPayload,
        };
        let two = [part(1, "0cc175b9c0f1b6a831c399e269772661"), part(2, "92eb5ffee6ae2fec3ad71c777531578f")];
        assert_eq!(etag_of_parts(&two), Some(ETag::new("96e024ba2074fe77e8e965ba43a704be-2")));
        assert_eq!(etag_of_parts(&[part(1, "opaque")]), None);
    }
}
