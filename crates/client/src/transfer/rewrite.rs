//! An object changed where it lies: copied onto itself with other metadata, another class or another encryption; or
//! moved inside its store.
//!
//! Enters: the object's head as it is now, and everything that is to go with it from now on. What S3 drops with such a
//! copy unless it is said again is said again: content headers, storage class, encryption, tags, redirect, retention,
//! legal hold, and an access control list that is not the one that every object has. A list that the caller may not read
//! is lost, as S3 has it. Refused: an object that changed since its head was read, and one whose list or lock the caller
//! may not write again.

use super::engine::Transfers;
use super::error::TransferError;
use super::item::{Address, Done};
use super::reader::changed;
use crate::s3::{
    Client, CopyOptions, Encryption, ErrorKind, GetOptions, KmsKey, ObjectEncryption, ObjectHead, PutOptions,
    Retention, S3Error, Tag,
};

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

    /// The object of this head, as `options` and `tags` have it.
    pub(crate) async fn copy_as(
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
        Ok(Done { bytes: head.size, verified: stored.verified })
    }

    /// What keeps an object from being removed, and others from it or at it, as far as the caller may know.
    async fn guarded(
        &self,
        client: &Client,
        at: &Address,
        head: &ObjectHead,
        mut options: PutOptions,
    ) -> Result<PutOptions, TransferError> {
        let (mode, until) = (head.state.retention_mode, head.state.retained_until);
        let retention = mode.zip(until).map(|(mode, until)| Retention { mode, until });
        options.retention = retention.filter(|retention| retention.until > client.now());
        options.legal_hold = head.state.legal_hold == Some(true);
        if !self.lists.may_be_there(client, &at.bucket).await {
            return Ok(options);
        }
        options.grants = match self.unless_stopped(client.object_acl(&at.bucket, &at.key, None)).await? {
            Ok(acl) => acl.beyond_default(),
            Err(error) if is_without(&error) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        Ok(options)
    }

    /// The tags that the object is to have. A store without tags, or one that does not show them, has none that
    /// could be kept here.
    pub(crate) async fn tags_to_keep(
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
            Err(error) if is_without(&error) => Ok(Vec::new()),
            other => Ok(other?),
        }
    }

    /// Some stores lose locks while they copy, or while they put parts together (Ceph RGW 16): then they are written again.
    async fn see_lock(
        &self,
        client: &Client,
        at: &Address,
        options: &PutOptions,
    ) -> Result<(), TransferError> {
        if options.retention.is_none() && !options.legal_hold {
            return Ok(());
        }
        let (bucket, key) = at.pair();
        let get = GetOptions::default();
        let there = self.unless_stopped(client.head_object(bucket, key, &get)).await??.state;
        let guarded = |error: S3Error| TransferError::Guarded(at.to_string(), error);
        if options.retention.is_some() && there.retention_mode.is_none() {
            let set = client.set_retention(bucket, key, None, options.retention, false);
            self.unless_stopped(set).await?.map_err(guarded)?;
        }
        if options.legal_hold && there.legal_hold != Some(true) {
            self.unless_stopped(client.set_legal_hold(bucket, key, None, true)).await?.map_err(guarded)?;
        }
        Ok(())
    }

    /// Some stores lose tags, or garble them, while they copy (Ceph RGW 16): then they are written again.
    pub(crate) async fn see_tags(
        &self,
        client: &Client,
        at: &Address,
        tags: &[Tag],
    ) -> Result<(), TransferError> {
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

fn is_guarded(options: &PutOptions) -> bool {
    options.retention.is_some() || options.legal_hold || !options.grants.is_empty()
}

/// A store that has no such thing, or does not show it.
fn is_without(error: &S3Error) -> bool {
    matches!(error.kind(), ErrorKind::NotSupported | ErrorKind::Denied | ErrorKind::Invalid)
}
