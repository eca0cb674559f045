//! S3's protocol over the local store: a permitted request in, an answer out.
//!
//! Each operation of S3 that the store can do has a function in one of the modules below; every other operation
//! is refused with 501 `NotImplemented`, and so is every header that would change what is stored and is not
//! understood (encryption). Source: Amazon S3 API Reference, the page of each operation.

pub mod xml;

pub mod headers;

pub mod refusals;

pub mod upload;

pub mod buckets;

pub mod access;

pub mod unset;

pub mod cors;

pub mod lifecycle;

pub mod quota;

pub mod listing;

pub mod versions;

pub mod reading;

pub mod writing;

pub mod deleting;

pub mod locks;

pub mod multipart;

use std::sync::Arc;

use wigeon_core::s3::operation::Operation;

use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Timestamp;

use self::xml::Answer;
use super::local::Store;
use super::local::attributes::Tags;
use crate::authorize::{Facts, Permit};
use crate::body::RequestBody;
use crate::bucket::BucketAccess;
use crate::cors::CorsRules;
use crate::refusal::Refusal;

impl Facts for LocalBackend {
    fn access(&self, bucket: &BucketName) -> Result<BucketAccess, Refusal> {
        access::of(&self.store, bucket)
    }

    async fn tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Tags, Refusal> {
        let Ok(version) = version_id.map(str::parse).transpose() else { return Ok(Tags::new()) };
        match self.store.head(bucket, key, version).await {
            Ok(object) => Ok(object.tags),
            Err(error) if error.is_refusal() => Ok(Tags::new()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The local store, spoken to in S3's protocol.
#[derive(Clone)]
pub struct LocalBackend {
    store: Store,
}

impl LocalBackend {
    /// Over an open store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// A bucket's rules for requests of web pages, from memory.
    #[must_use]
    pub fn cors(&self, bucket: &BucketName) -> Option<Arc<CorsRules>> {
        cors::of(&self.store, bucket)
    }

    /// Lists the store's buckets together with those of others.
    ///
    /// # Errors
    /// [`Refusal`], with S3's code.
    pub async fn list_buckets(&self, permit: &Permit, others: Vec<(BucketName, Timestamp)>) -> Answer {
        headers::refuse_unsupported(permit.request())?;
        buckets::list(&self.store, permit, others).await
    }

    /// Carries out what the permit permits.
    ///
    /// # Errors
    /// [`Refusal`], with S3's code.
    pub async fn serve(&self, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
        use Operation as Op;
        headers::refuse_unsupported(permit.request())?;
        let store = &self.store;
        match permit.operation() {
            Op::ListBuckets => buckets::list(store, permit, Vec::new()).await,
            Op::CreateBucket => buckets::create(store, permit, body).await,
            Op::DeleteBucket => buckets::delete(store, permit).await,
            Op::HeadBucket => buckets::head(store, permit).await,
            Op::GetBucketLocation => buckets::location(store, permit).await,
            Op::GetBucketPolicy => access::policy(store, permit).await,
            Op::PutBucketPolicy => access::put_policy(store, permit, body).await,
            Op::DeleteBucketPolicy => access::delete_policy(store, permit).await,
            Op::GetBucketPolicyStatus => access::policy_status(store, permit).await,
            Op::GetPublicAccessBlock => access::block(store, permit).await,
            Op::PutPublicAccessBlock => access::put_block(store, permit, body).await,
            Op::DeletePublicAccessBlock => access::delete_block(store, permit).await,
            Op::GetBucketOwnershipControls => access::ownership(store, permit).await,
            Op::PutBucketOwnershipControls => access::put_ownership(store, permit, body).await,
            Op::DeleteBucketOwnershipControls => access::delete_ownership(store, permit).await,
            Op::GetBucketAcl => access::bucket_acl(store, permit).await,
            Op::PutBucketAcl => access::put_bucket_acl(store, permit, body).await,
            Op::GetObjectAcl => access::object_acl(store, permit).await,
            Op::PutObjectAcl => access::put_object_acl(store, permit, body).await,
            Op::GetBucketTagging => unset::tagging(store, permit).await,
            Op::PutBucketTagging => unset::put_tagging(store, permit, body).await,
            Op::DeleteBucketTagging => unset::delete_tagging(store, permit).await,
            Op::GetBucketCors => cors::get(store, permit).await,
            Op::PutBucketCors => cors::put(store, permit, body).await,
            Op::DeleteBucketCors => cors::delete(store, permit).await,
            other if unset::has(other) => unset::answer(store, permit).await,
            Op::GetBucketVersioning => versions::state(store, permit).await,
            Op::PutBucketVersioning => versions::put_state(store, permit, body).await,
            Op::ListObjectVersions => versions::list(store, permit).await,
            Op::GetBucketLifecycleConfiguration => lifecycle::get(store, permit).await,
            Op::PutBucketLifecycleConfiguration => lifecycle::put(store, permit, body).await,
            Op::DeleteBucketLifecycle => lifecycle::delete(store, permit).await,
            Op::GetBucketQuota => quota::get(store, permit).await,
            Op::PutBucketQuota => quota::put(store, permit, body).await,
            Op::GetObjectLockConfiguration => locks::bucket(store, permit).await,
            Op::PutObjectLockConfiguration => locks::put_bucket(store, permit, body).await,
            Op::GetObjectRetention => locks::retention(store, permit).await,
            Op::PutObjectRetention => locks::put_retention(store, permit, body).await,
            Op::GetObjectLegalHold => locks::legal_hold(store, permit).await,
            Op::PutObjectLegalHold => locks::put_legal_hold(store, permit, body).await,
            Op::ListObjects => listing::objects(store, permit).await,
            Op::ListObjectsV2 => listing::objects_v2(store, permit).await,
            Op::ListMultipartUploads => listing::uploads(store, permit).await,
            Op::ListParts => listing::parts(store, permit).await,
            Op::GetObject => reading::get(store, permit).await,
            Op::HeadObject => reading::head(store, permit).await,
            Op::GetObjectAttributes => reading::attributes(store, permit).await,
            Op::GetObjectTagging => reading::tagging(store, permit).await,
            Op::PutObject | Op::PostObject => writing::put(store, permit, body).await,
            Op::CopyObject => writing::copy(store, permit).await,
            Op::DeleteObject => deleting::one(store, permit).await,
            Op::DeleteObjects => deleting::many(store, permit, body).await,
            Op::PutObjectTagging => writing::put_tagging(store, permit, body).await,
            Op::DeleteObjectTagging => writing::delete_tagging(store, permit).await,
            Op::CreateMultipartUpload => multipart::create(store, permit).await,
            Op::UploadPart => multipart::put_part(store, permit, body).await,
            Op::UploadPartCopy => multipart::copy_part(store, permit).await,
            Op::CompleteMultipartUpload => multipart::complete(store, permit, body).await,
            Op::AbortMultipartUpload => multipart::abort(store, permit).await,
            other => Err(Refusal::not_implemented(other.name())),
        }
    }
}
