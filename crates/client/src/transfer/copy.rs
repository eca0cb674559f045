//! Objects copied: inside a store without their bytes passing through here, between stores in a stream.

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::stream;
use tokio_util::io::StreamReader;

use super::engine::Transfers;
use super::error::TransferError;
use super::item::{Address, Done};
use super::parts::PartsInFlight;
use super::reader::{ObjectReader, changed};
use crate::s3::{Client, CopyOptions, ETag, ErrorKind, GetOptions, ObjectHead, PutOptions};

impl Transfers {
    /// Copies an object inside one store, with its metadata; large ones in parts. What a store cannot copy with the
    /// encryption that is wished for (Ceph RGW 16) passes through here.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn copy(
        &self,
        client: &Client,
        from: &Address,
        known_size: Option<u64>,
        to: &Address,
    ) -> Result<Done, TransferError> {
        match self.copy_inside(client, from, known_size, to).await {
            Err(error) if error.kind() == Some(ErrorKind::NotSupported) && client.has_encryption() => {
                self.copy_across(client, from, client, to).await
            }
            other => other,
        }
    }

    async fn copy_inside(
        &self,
        client: &Client,
        from: &Address,
        known_size: Option<u64>,
        to: &Address,
    ) -> Result<Done, TransferError> {
        if let Some(size) = known_size.filter(|size| *size <= self.tuning.copy_threshold) {
            let options = CopyOptions::default();
            let stored = self.unless_stopped(client.copy_object(from.pair(), to.pair(), &options)).await??;
            self.progress.moved(size);
            return Ok(Done { bytes: size, verified: stored.verified });
        }
        let get = GetOptions::default();
        let head = self.unless_stopped(client.head_object(&from.bucket, &from.key, &get)).await??;
        let options = CopyOptions { source_if_match: head.etag.clone(), ..CopyOptions::default() };
        if head.size <= self.tuning.copy_threshold {
            let stored = self.unless_stopped(client.copy_object(from.pair(), to.pair(), &options)).await?;
            let stored = stored.map_err(changed(from))?;
            self.progress.moved(head.size);
            return Ok(Done { bytes: head.size, verified: stored.verified });
        }
        // In one piece they would go with the object by themselves.
        let tags = self.tags_to_keep(client, from, &head, None, &PutOptions::default()).await?;
        let put = PutOptions { tags, ..described_by(&head) };
        match self.copy_parts(client, from, &head, to, &options, &put).await {
            // Some stores do not decode the name of a part's source (Ceph RGW 16), and find nothing there.
            Err(error) if error.kind() == Some(ErrorKind::NotFound) => {
                self.copy_across(client, from, client, to).await
            }
            other => other,
        }
    }

    pub(crate) async fn copy_parts(
        &self,
        client: &Client,
        from: &Address,
        head: &ObjectHead,
        to: &Address,
        options: &CopyOptions,
        put: &PutOptions,
    ) -> Result<Done, TransferError> {
        let part_size = self.tuning.copy_part_size_for(head.size);
        let mut parts = PartsInFlight::begin(self, client, to, put).await?;
        let step = usize::try_from(part_size).unwrap_or(usize::MAX);
        let sent = async {
            for (number, first) in (1..).zip((0..head.size).step_by(step)) {
                parts.make_room().await?;
                let last = head.size.min(first + part_size) - 1;
                let (from, options) = (from.clone(), options.clone());
                let progress = Arc::clone(&self.progress);
                parts.spawn(|client, upload| async move {
                    let copied = client.copy_part(&upload, number, from.pair(), first, last, &options).await;
                    let part = copied.map_err(|error| match error.kind() {
                        // There was such a range a moment ago.
                        ErrorKind::Range => TransferError::Changed(from.to_string()),
                        _ => changed(&from)(error),
                    })?;
                    progress.moved(part.size);
                    Ok(part)
                })?;
            }
            Ok(())
        }
        .await;
        parts.finish(sent, put).await
    }

    /// Copies an object from one store into another, with its metadata: the bytes pass through here.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn copy_across(
        &self,
        from_client: &Client,
        from: &Address,
        to_client: &Client,
        to: &Address,
    ) -> Result<Done, TransferError> {
        let (head, reader) = self.unless_stopped(ObjectReader::whole(from_client, from, None)).await??;
        self.write(reader, to_client, to, &described_by(&head)).await
    }

    /// The same for the object of this entity tag, with other things to go with it.
    pub(crate) async fn pass_through(
        &self,
        from_client: &Client,
        from: &Address,
        etag: Option<ETag>,
        to_client: &Client,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let (_, reader) = self.unless_stopped(ObjectReader::whole(from_client, from, etag)).await??;
        self.write(reader, to_client, to, options).await
    }

    async fn write(
        &self,
        reader: ObjectReader,
        to_client: &Client,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let chunks = stream::try_unfold(reader, |mut reader| async move {
            let chunk = reader.next().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(chunk.map(|chunk| (chunk, reader)))
        });
        let stream = StreamReader::new(Box::pin(chunks.into_stream()));
        self.upload_stream(to_client, stream, to, options).await
    }
}

fn described_by(head: &ObjectHead) -> PutOptions {
    PutOptions {
        content_type: head.content_type.clone(),
        metadata: head.metadata.clone(),
        content_headers: head.content_headers.clone(),
        ..PutOptions::default()
    }
}
