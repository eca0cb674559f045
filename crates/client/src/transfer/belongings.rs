//! What goes with an object besides its bytes, and what of it a store leaves behind when it copies.
//!
//! Enters: the object's head as it is now. Leaves: what a copy of it is written with: content headers and metadata always;
//! where the object stays the same one, its class, redirect, encryption, tags, retention, legal hold, and an access control
//! list that is not the one that every object has, too. A list that the caller may not read is lost, as S3 has it.

use super::engine::Transfers;
use super::error::TransferError;
use super::item::Address;
use crate::s3::{
    Client, Encryption, ErrorKind, GetOptions, KmsKey, ObjectHead, PutOptions, Retention, S3Error, Tag,
};

/// What describes an object, and goes with a copy of it wherever that is.
pub(crate) fn as_described(head: &ObjectHead) -> PutOptions {
    PutOptions {
        content_type: head.content_type.clone(),
        metadata: head.metadata.clone(),
        content_headers: head.content_headers.clone(),
        ..PutOptions::default()
    }
}

/// What goes with an object now, as one would write it anew.
#[must_use]
pub fn as_written(head: &ObjectHead) -> PutOptions {
    PutOptions {
        storage_class: head.storage_class.clone(),
        redirect: head.state.redirect.clone(),
        ..as_described(head)
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
    /// What keeps an object from being removed, and others from it or at it, as far as the caller may know.
    pub(crate) async fn guarded(
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
    pub(crate) async fn see_lock(
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

/// A store that has no such thing, or does not show it.
fn is_without(error: &S3Error) -> bool {
    matches!(error.kind(), ErrorKind::NotSupported | ErrorKind::Denied | ErrorKind::Invalid)
}
