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
    /// Copies an object inside one store; large ones in parts. What is wished goes with it, and else what goes with
    /// the object, except its class, encryption and list: there the bucket's own hold.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn copy(
        &self,
        client: &Client,
        from: &Address,
        known_size: Option<u64>,
        to: &Address,
        wished: &PutOptions,
    ) -> Result<Done, TransferError> {
        let in_one_piece = known_size.filter(|size| *size <= self.tuning.copy_threshold);
        let (Some(size), true) = (in_one_piece, is_at_most_a_class(wished)) else {
            return self.copy_described(client, from, to, wished).await;
        };
        let options = CopyOptions { storage_class: wished.storage_class.clone(), ..CopyOptions::default() };
        match self.unless_stopped(client.copy_object(from.pair(), to.pair(), &options)).await? {
            // What a store does not copy itself (of all that is encrypted, Ceph RGW 16) passes through here.
            Err(error) if error.kind() == ErrorKind::NotSupported => {
                self.copy_across(client, from, client, to, wished).await
            }
            stored => {
                let verified = stored?.verified;
                self.progress.moved(size);
                Ok(Done { bytes: size, verified })
            }
        }
    }

    /// Says what goes with the copy: where something of it is new, and where parts know nothing of it.
    async fn copy_described(
        &self,
        client: &Client,
        from: &Address,
        to: &Address,
        wished: &PutOptions,
    ) -> Result<Done, TransferError> {
        let get = GetOptions::default();
        let head = self.unless_stopped(client.head_object(&from.bucket, &from.key, &get)).await??;
        let options = wished.over(described_by(&head));
        let tags = self.tags_to_keep(client, from, &head, None, &options).await?;
        let done = self.copy_as(client, (from, to), &head, None, &options, &tags).await?;
        self.see_tags(client, to, &tags).await?;
        Ok(done)
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

    /// Copies an object from one store into another, with its metadata and its tags, and what is wished in their
    /// place: the bytes pass through here.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn copy_across(
        &self,
        from_client: &Client,
        from: &Address,
        to_client: &Client,
        to: &Address,
        wished: &PutOptions,
    ) -> Result<Done, TransferError> {
        let (head, reader) = self.unless_stopped(ObjectReader::whole(from_client, from, None)).await??;
        let mut options = wished.over(described_by(&head));
        if head.state.tags.is_some() {
            options.tags = self.tags_to_keep(from_client, from, &head, None, &options).await?;
        }
        let written = self.write(reader, to_client, to, &options).await;
        match written {
            Err(error) if error.kind() == Some(ErrorKind::NotSupported) && options.tags != wished.tags => {
                self.progress.skipped(&format!("the tags of {from}"), "the other store has none");
                options.tags.clear();
                self.pass_through(from_client, from, head.etag, to_client, to, &options).await
            }
            other => other,
        }
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

/// Whether the store has nothing to be told but where the copy is kept.
fn is_at_most_a_class(wished: &PutOptions) -> bool {
    *wished == PutOptions { storage_class: wished.storage_class.clone(), ..PutOptions::default() }
}

fn described_by(head: &ObjectHead) -> PutOptions {
    PutOptions {
        content_type: head.content_type.clone(),
        metadata: head.metadata.clone(),
        content_headers: head.content_headers.clone(),
        ..PutOptions::default()
    }
}
