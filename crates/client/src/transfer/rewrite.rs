//! An object changed where it lies: copied onto itself with other metadata, another class or another encryption.
//!
//! Enters: the object's head as it is now, and everything that is to go with it from now on. What S3 drops with such a
//! copy unless it is said again is said again: content headers, storage class, encryption, tags, redirect. The access
//! control list is the one thing that a copy does not keep. Refused: an object that changed since its head was read.

use super::engine::Transfers;
use super::error::TransferError;
use super::item::{Address, Done};
use super::reader::changed;
use crate::s3::{Client, CopyOptions, Encryption, ErrorKind, KmsKey, ObjectHead, PutOptions, Tag};

/// What goes with an object now, as one would write it anew.
#[must_use]
pub fn as_written(head: &ObjectHead) -> PutOptions {
    PutOptions {
        content_type: head.content_type.clone(),
        metadata: head.metadata.clone(),
        content_headers: head.content_headers.clone(),
        storage_class: head.storage_class.clone(),
        redirect: head.state.redirect.clone(),
        ..PutOptions::default()
    }
}

/// How an object is encrypted now, as one would ask for it; a customer's key is not known here.
#[must_use]
pub fn as_encrypted(head: &ObjectHead) -> Option<Encryption> {
    let kind = head.encryption.as_deref()?;
    if kind == "AES256" {
        return Some(Encryption::Store);
    }
    kind.starts_with("aws:kms").then(|| {
        Encryption::Kms(KmsKey {
            id: head.state.kms_key_id.clone(),
            context: None,
            bucket_key: head.state.has_bucket_key,
            is_dual: kind.ends_with(":dsse"),
        })
    })
}

impl Transfers {
    /// Writes an object anew from a version of it: the one that is there, or an older one. `options` is all that goes
    /// with it; its tags are the version's where it names none.
    ///
    /// # Errors
    /// [`TransferError::Changed`] where the object is not the one of `head` any more.
    pub async fn rewrite(
        &self,
        client: &Client,
        at: &Address,
        head: &ObjectHead,
        version: Option<&str>,
        options: PutOptions,
    ) -> Result<Done, TransferError> {
        let copy = CopyOptions {
            source_if_match: head.etag.clone(),
            source_version_id: version.map(str::to_owned),
            storage_class: options.storage_class.clone(),
            replace: None,
        };
        let tags = self.tags_to_keep(client, at, head, version, &options).await?;
        let done = match self.copy_onto_itself(client, at, head, copy, &options, &tags).await {
            // What a store does not encrypt while it copies, it encrypts when it is sent (Ceph RGW 16).
            Err(error)
                if error.kind() == Some(ErrorKind::NotSupported)
                    && client.has_encryption()
                    && version.is_none() =>
            {
                let options = PutOptions { tags: tags.clone(), ..options };
                self.pass_through(client, at, head.etag.clone(), client, at, &options).await?
            }
            other => other?,
        };
        self.see_tags(client, at, &tags).await?;
        Ok(done)
    }

    async fn copy_onto_itself(
        &self,
        client: &Client,
        at: &Address,
        head: &ObjectHead,
        copy: CopyOptions,
        options: &PutOptions,
        tags: &[Tag],
    ) -> Result<Done, TransferError> {
        if head.size > self.tuning.copy_threshold {
            let options = PutOptions { tags: tags.to_vec(), ..options.clone() };
            return self.copy_parts(client, at, head, at, &copy, &options).await;
        }
        // The source's tags stay by themselves.
        let copy = CopyOptions { replace: Some(options.clone()), ..copy };
        let stored = self.unless_stopped(client.copy_object(at.pair(), at.pair(), &copy)).await?;
        let stored = stored.map_err(changed(at))?;
        self.progress.moved(head.size);
        Ok(Done { bytes: head.size, verified: stored.verified })
    }

    /// The tags that the object is to have. A store without tags, or one that does not show them, has none that
    /// could be kept here.
    async fn tags_to_keep(
        &self,
        client: &Client,
        at: &Address,
        head: &ObjectHead,
        version: Option<&str>,
        options: &PutOptions,
    ) -> Result<Vec<Tag>, TransferError> {
        if !options.tags.is_empty() || head.state.tags == Some(0) {
            return Ok(options.tags.clone());
        }
        match self.unless_stopped(client.object_tags(&at.bucket, &at.key, version)).await? {
            Err(error) if matches!(error.kind(), ErrorKind::NotSupported | ErrorKind::Denied) => {
                Ok(Vec::new())
            }
            other => Ok(other?),
        }
    }

    /// Some stores lose tags, or garble them, while they copy (Ceph RGW 16): then they are written again.
    async fn see_tags(&self, client: &Client, at: &Address, tags: &[Tag]) -> Result<(), TransferError> {
        if tags.is_empty() {
            return Ok(());
        }
        let there = self.unless_stopped(client.object_tags(&at.bucket, &at.key, None)).await?;
        let is_same =
            there.is_ok_and(|there| there.len() == tags.len() && there.iter().all(|tag| tags.contains(tag)));
        if !is_same {
            self.unless_stopped(client.set_object_tags(&at.bucket, &at.key, None, tags)).await??;
        }
        Ok(())
    }
}
