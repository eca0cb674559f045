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
        if head.size <= self.tuning.copy_threshold {
            let copy = CopyOptions { replace: Some(options), ..copy };
            let stored = self.unless_stopped(client.copy_object(at.pair(), at.pair(), &copy)).await?;
            let stored = stored.map_err(changed(at))?;
            self.progress.moved(head.size);
            return Ok(Done { bytes: head.size, verified: stored.verified });
        }
        let mut options = options;
        if options.tags.is_empty() && head.state.tags != Some(0) {
            options.tags = self.tags_of(client, at, version).await?;
        }
        self.copy_parts(client, at, head, at, &copy, &options).await
    }

    /// A store without tags has none.
    async fn tags_of(
        &self,
        client: &Client,
        at: &Address,
        version: Option<&str>,
    ) -> Result<Vec<Tag>, TransferError> {
        match self.unless_stopped(client.object_tags(&at.bucket, &at.key, version)).await? {
            Err(error) if error.kind() == ErrorKind::NotSupported => Ok(Vec::new()),
            other => Ok(other?),
        }
    }
}
