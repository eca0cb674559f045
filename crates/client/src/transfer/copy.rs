//! Objects copied: inside a store without their bytes passing through here, between stores in a stream; and copied onto
//! themselves, where something that goes with them changes.
//!
//! What goes with the object is the target's affair where it is another's (`copy`, `copy_across`), and stays where the object
//! stays the same one (`copy_to_move`, `rewrite`): what S3 drops with a copy unless it is said again is said again. Refused: an
//! object that changed since its head was read, and one whose list or lock the caller may not write again.

use std::sync::Arc;

use futures_util::TryStreamExt;
use futures_util::stream;
use tokio_util::io::StreamReader;

use super::belongings::{as_described, as_encrypted, as_written};
use super::engine::Transfers;
use super::error::TransferError;
use super::item::{Address, Done};
use super::parts::PartsInFlight;
use super::reader::{ObjectReader, changed};
use crate::s3::{
    Client, CopyOptions, ETag, ErrorKind, GetOptions, ObjectEncryption, ObjectHead, PutOptions, Tag,
};

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
                Ok(Done { bytes: size, verified, source: None })
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
        let options = wished.over(as_described(&head));
        let tags = self.tags_to_keep(client, from, &head, None, &options).await?;
        let done = self.copy_as(client, (from, to), &head, None, &options, &tags).await?;
        self.see_tags(client, to, &tags).await?;
        Ok(done)
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
        let mut options = wished.over(as_described(&head));
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

    /// Copies an object inside its store with everything that goes with it, and what is wished in its place, for a
    /// move.
    ///
    /// # Errors
    /// As [`Self::rewrite`].
    pub(crate) async fn copy_to_move(
        &self,
        client: &Client,
        from: &Address,
        to: &Address,
        wished: &PutOptions,
    ) -> Result<Done, TransferError> {
        let get = GetOptions::default();
        let head = self.unless_stopped(client.head_object(&from.bucket, &from.key, &get)).await??;
        let client = match as_encrypted(&head).filter(|_| !client.has_encryption()) {
            None => client.clone(),
            written => client.with_encryption(ObjectEncryption { written, read: None })?,
        };
        let options = wished.over(self.guarded(&client, from, &head, as_written(&head)).await?);
        // In one piece they go with the object by themselves.
        let tags = if head.size > self.tuning.copy_threshold {
            self.tags_to_keep(&client, from, &head, None, &options).await?
        } else {
            Vec::new()
        };
        let done = self.copy_as(&client, (from, to), &head, None, &options, &tags).await?;
        self.see_tags(&client, to, &wished.tags).await?;
        self.see_lock(&client, to, &options).await?;
        Ok(done)
    }

    /// Writes an object anew from a version of it: the one that is there, or an older one. `options` is all that goes
    /// with it; its tags are the version's where it names none. What guards the version that is there guards the new one.
    ///
    /// # Errors
    /// [`TransferError::Changed`] where the object is not the one of `head` any more, [`TransferError::Guarded`] where
    /// it would lose its list or its lock.
    pub async fn rewrite(
        &self,
        client: &Client,
        at: &Address,
        head: &ObjectHead,
        version: Option<&str>,
        options: PutOptions,
    ) -> Result<Done, TransferError> {
        let options = match version {
            None => self.guarded(client, at, head, options).await?,
            Some(_) => options,
        };
        let tags = self.tags_to_keep(client, at, head, version, &options).await?;
        let done = self.copy_as(client, (at, at), head, version, &options, &tags).await?;
        self.see_tags(client, at, &tags).await?;
        self.see_lock(client, at, &options).await?;
        Ok(done)
    }

    /// The object of this head, as `options` and `tags` have it.
    async fn copy_as(
        &self,
        client: &Client,
        (from, to): (&Address, &Address),
        head: &ObjectHead,
        version: Option<&str>,
        options: &PutOptions,
        tags: &[Tag],
    ) -> Result<Done, TransferError> {
        let copy = CopyOptions {
            source_if_match: head.etag.clone(),
            source_version_id: version.map(str::to_owned),
            storage_class: options.storage_class.clone(),
            replace: None,
        };
        let in_parts = head.size > self.tuning.copy_threshold;
        let copied = if in_parts {
            let options = PutOptions { tags: tags.to_vec(), ..options.clone() };
            self.copy_parts(client, from, head, to, &copy, &options).await
        } else {
            self.copy_whole(client, (from, to), head, copy, options).await
        };
        let passes_through = |error: &TransferError| match error.kind() {
            // What a store does not copy itself (of all that is encrypted, Ceph RGW 16).
            Some(ErrorKind::NotSupported) => true,
            // Some do not decode the name of a part's source, and find nothing there (Ceph RGW 16, too).
            Some(ErrorKind::NotFound) => in_parts,
            _ => false,
        };
        match copied {
            Err(error) if version.is_none() && passes_through(&error) => {
                let tags = match tags {
                    [] => self.tags_to_keep(client, from, head, None, options).await?,
                    tags => tags.to_vec(),
                };
                let options = PutOptions { tags, ..options.clone() };
                self.pass_through(client, from, head.etag.clone(), client, to, &options).await
            }
            Err(TransferError::Store(error)) if error.kind() == ErrorKind::Denied && is_guarded(options) => {
                Err(TransferError::Guarded(from.to_string(), error))
            }
            other => other,
        }
    }

    async fn copy_whole(
        &self,
        client: &Client,
        (from, to): (&Address, &Address),
        head: &ObjectHead,
        copy: CopyOptions,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        // The source's tags stay by themselves.
        let copy = CopyOptions { replace: Some(options.clone()), ..copy };
        let stored = self.unless_stopped(client.copy_object(from.pair(), to.pair(), &copy)).await?;
        let stored = stored.map_err(changed(from))?;
        self.progress.moved(head.size);
        Ok(Done { bytes: head.size, verified: stored.verified, source: head.etag.clone() })
    }

    async fn copy_parts(
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
        let done = parts.finish(sent, put).await?;
        Ok(Done { source: head.etag.clone(), ..done })
    }

    /// The same for the object of this entity tag, with other things to go with it.
    async fn pass_through(
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
        let source = reader.etag().cloned();
        let chunks = stream::try_unfold(reader, |mut reader| async move {
            let chunk = reader.next().await.map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(chunk.map(|chunk| (chunk, reader)))
        });
        let stream = StreamReader::new(Box::pin(chunks.into_stream()));
        let done = self.upload_stream(to_client, stream, to, options).await?;
        Ok(Done { source, ..done })
    }
}

/// Whether the store has nothing to be told but where the copy is kept.
fn is_at_most_a_class(wished: &PutOptions) -> bool {
    *wished == PutOptions { storage_class: wished.storage_class.clone(), ..PutOptions::default() }
}

fn is_guarded(options: &PutOptions) -> bool {
    options.retention.is_some() || options.legal_hold || !options.grants.is_empty()
}
