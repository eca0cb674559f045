//! Which store a bucket is at: the local one, or an upstream.

use std::sync::Arc;

use arc_swap::ArcSwap;
use wigeon_core::s3::operation::Operation;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::local::attributes::Tags;
use super::missing::told;
use super::protocol::LocalBackend;
use super::protocol::xml::Answer;
use super::upstream::Upstreams;
use crate::authorize::{Facts, Permit};
use crate::body::RequestBody;
use crate::bucket::BucketAccess;
use crate::cors::CorsRules;
use crate::refusal::Refusal;

/// All stores.
pub struct Stores {
    local: LocalBackend,
    upstreams: ArcSwap<Upstreams>,
}

impl Stores {
    /// The local store, and those behind it.
    #[must_use]
    pub fn new(local: LocalBackend, upstreams: Upstreams) -> Self {
        Self { local, upstreams: ArcSwap::from_pointee(upstreams) }
    }

    /// The stores elsewhere, as they are configured by now.
    #[must_use]
    pub fn upstreams(&self) -> Arc<Upstreams> {
        self.upstreams.load_full()
    }

    /// Other stores elsewhere from now on; requests under way end where they began.
    pub fn change(&self, upstreams: Upstreams) {
        self.upstreams.store(Arc::new(upstreams));
    }

    /// The local store.
    #[must_use]
    pub fn local(&self) -> &LocalBackend {
        &self.local
    }

    /// A bucket's rules for requests of web pages; of an upstream's bucket, those that are configured.
    #[must_use]
    pub fn cors(&self, bucket: &BucketName) -> Option<Arc<CorsRules>> {
        let upstreams = self.upstreams.load();
        match upstreams.have(bucket) {
            true => upstreams.cors(bucket),
            false => self.local.cors(bucket),
        }
    }

    /// Carries out what the permit permits, where the bucket is.
    ///
    /// # Errors
    /// [`Refusal`], with S3's code.
    pub async fn serve(&self, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
        told(self.carry_out(permit, body).await, permit)
    }

    async fn carry_out(&self, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
        // On the heap, as are all ways that differ much in size: a request would else be as large as the largest.
        if self.upstreams.load().is_empty() {
            return Box::pin(self.local.serve(permit, body)).await;
        }
        let upstreams = self.upstreams();
        if permit.operation() == Operation::ListBuckets {
            let others = Box::pin(upstreams.buckets()).await?;
            return Box::pin(self.local.list_buckets(permit, others)).await;
        }
        match permit.target().bucket() {
            Some(bucket) if upstreams.have(bucket) => upstreams.serve(permit, body).await,
            _ if permit.source().is_some_and(|source| upstreams.have(&source.bucket)) => {
                Err(Refusal::not_implemented("A copy from a bucket of another store"))
            }
            _ => Box::pin(self.local.serve(permit, body)).await,
        }
    }
}

impl Facts for Stores {
    /// What the policy of an upstream's bucket says to others is the upstream's own affair; here counts what is
    /// configured.
    fn access(&self, bucket: &BucketName) -> Result<BucketAccess, Refusal> {
        let upstreams = self.upstreams.load();
        match upstreams.have(bucket) {
            true => Ok(upstreams.access(bucket)),
            false => self.local.access(bucket),
        }
    }

    async fn tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Tags, Refusal> {
        if self.upstreams.load().is_empty() {
            return self.local.tags(bucket, key, version_id).await;
        }
        let upstreams = self.upstreams();
        match upstreams.have(bucket) {
            true => upstreams.tags(bucket, key, version_id).await,
            false => self.local.tags(bucket, key, version_id).await,
        }
    }
}
