//! The gateway: operations that were permitted here, carried out by S3-compatible stores elsewhere.
//!
//! ```text
//! Permit ─► place (which upstream, bucket, prefix) ─► head ─► body, checked as it streams ─► signed anew ─► upstream
//!                                                                    client ◄─ the answer, as it comes ◄─┘
//! ```
//!
//! A request is not rebuilt: its headers, its query and its payload go on as they came, under the upstream's own
//! credentials. Documents are read only where names differ, where keys or tags stand in a body that policies speak of,
//! or where the answer would say where the upstream is. Nothing is held in memory but pieces on their way; the file of a
//! browser's form is put aside until its length is known. Refused here: what would reach beyond the part of a bucket that
//! a name stands for, and copies between upstreams.

pub mod settings;

mod dial;

mod sent;

mod alarm;

mod link;

mod pool;

mod relay;

mod health;

mod credentials;

mod signing;

mod mapping;

mod head;

mod framing;

mod upload;

mod figures;

mod origin;

mod answer;

mod renaming;

mod listing;

mod deleting;

mod tags;

mod buckets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use wigeon_core::s3::operation::Operation;
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::time::{Clock, Timestamp};

pub use self::figures::OfUpstream;
use self::head::Head;
use self::mapping::Place;
use self::origin::Origin;
pub use self::origin::UpstreamError;
use self::settings::{Says, Settings, Upstream};
use self::upload::Outgoing;
use super::protocol::locks::{permitted_legal_hold, permitted_retention};
use super::protocol::upload::check_document;
use super::protocol::xml::{Answer, LONGEST_BODY};
use crate::authorize::Permit;
use crate::body::RequestBody;
use crate::bucket::BucketAccess;
use crate::classify::Tags;
use crate::cors::CorsRules;
use crate::refusal::Refusal;

/// The largest object that S3 takes in one request.
const LARGEST_PUT: u64 = 5 << 30;

/// The stores behind this one.
#[derive(Debug)]
pub struct Upstreams {
    origins: Vec<Arc<Origin>>,
    /// How each of them is spoken to.
    configured: Vec<Upstream>,
    named: BTreeMap<BucketName, (Arc<Origin>, Place)>,
    default: Option<Arc<Origin>>,
    local: BTreeSet<BucketName>,
    says: BTreeMap<BucketName, Says>,
    since: Timestamp,
}

impl Upstreams {
    /// Of a configuration. Nothing is asked of the upstreams yet.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub fn new(settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Self, UpstreamError> {
        Self::after(None, settings, clock)
    }

    /// Of another configuration. Those that are spoken to as before stay, with their connections and their figures.
    ///
    /// # Errors
    /// [`UpstreamError`]
    pub fn renewed(&self, settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Self, UpstreamError> {
        Self::after(Some(self), settings, clock)
    }

    fn after(
        before: Option<&Self>,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, UpstreamError> {
        let (mut origins, mut named, mut default) = (Vec::new(), BTreeMap::new(), None);
        for upstream in &settings.upstreams {
            let known = before.and_then(|before| before.spoken_to_like(upstream));
            let origin = match known {
                Some(origin) => origin,
                None => Arc::new(Origin::new(upstream, &settings.environment, Arc::clone(clock))?),
            };
            if upstream.default {
                default = Some(Arc::clone(&origin));
            }
            for mapping in &upstream.buckets {
                named.insert(mapping.name.clone(), (Arc::clone(&origin), Place::mapped(mapping)));
            }
            origins.push(origin);
        }
        let says = settings.upstreams.iter().flat_map(|upstream| upstream.says.clone()).collect();
        let local = settings.local_buckets.iter().cloned().collect();
        let since = before.map_or_else(|| clock.now(), |before| before.since);
        Ok(Self { origins, configured: settings.upstreams.clone(), named, default, local, says, since })
    }

    fn spoken_to_like(&self, upstream: &Upstream) -> Option<Arc<Origin>> {
        let known = self.configured.iter().zip(&self.origins);
        known.filter(|(known, _)| known.speaks_like(upstream)).map(|(_, origin)| Arc::clone(origin)).next()
    }

    /// Whether a bucket is at one of them.
    #[must_use]
    pub fn have(&self, bucket: &BucketName) -> bool {
        self.named.contains_key(bucket) || (self.default.is_some() && !self.local.contains(bucket))
    }

    /// What is configured of a bucket's use: nothing, unless somebody wrote it down.
    #[must_use]
    pub fn access(&self, bucket: &BucketName) -> BucketAccess {
        self.says.get(bucket).map(|says| says.access.clone()).unwrap_or_default()
    }

    /// The rules for requests of web pages that are configured for a bucket.
    #[must_use]
    pub fn cors(&self, bucket: &BucketName) -> Option<Arc<CorsRules>> {
        self.says.get(bucket)?.cors.clone()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.origins.is_empty()
    }

    /// What was counted of each, and whether it can be reached.
    #[must_use]
    pub fn standing(&self) -> Vec<OfUpstream> {
        let of = |origin: &Arc<Origin>| origin.figures.of(&origin.name, origin.health.trouble());
        self.origins.iter().map(of).collect()
    }

    /// Asks each of them for what it is there for, with its credentials: for its buckets where it has all that are not
    /// named elsewhere, for the buckets that are mapped otherwise. Says what there is, or why not.
    pub async fn try_out(&self, limit: Duration) -> Vec<(String, Result<String, String>)> {
        let tried = self.origins.iter().map(|origin| async move {
            let found = tokio::time::timeout(limit, self.look_at(origin)).await;
            let late = || Err(format!("no answer within {} seconds", limit.as_secs()));
            (origin.name.clone(), found.unwrap_or_else(|_| late()))
        });
        futures_util::future::join_all(tried).await
    }

    async fn look_at(&self, origin: &Arc<Origin>) -> Result<String, String> {
        let why = |refusal: Refusal| refusal.reason.unwrap_or(refusal.message);
        if self.default.as_ref().is_some_and(|default| Arc::ptr_eq(default, origin)) {
            let buckets = buckets::all(origin).await.map_err(why)?;
            return Ok(format!("it answers, and has {} buckets for its credentials", buckets.len()));
        }
        let places = self.named.iter().filter(|(_, (at, _))| Arc::ptr_eq(at, origin));
        let (mut count, mut missing) = (0, Vec::new());
        for (name, (_, place)) in places {
            match buckets::exists(origin, place).await.map_err(why)? {
                true => count += 1,
                false => missing.push(format!("`{name}` (there `{}`)", place.bucket())),
            }
        }
        match missing.is_empty() {
            true => Ok(format!("it answers, and has the {count} buckets that are mapped")),
            false => Err(format!("it has no bucket for {}", missing.join(", "))),
        }
    }

    /// Those that the server needs and that cannot be reached within the limit, and why.
    pub async fn missing(&self, limit: Duration) -> Vec<(String, String)> {
        let needed = self.origins.iter().filter(|origin| origin.required);
        let reached = needed.map(|origin| async move {
            origin.reach(limit).await.err().map(|reason| (origin.name.clone(), reason))
        });
        futures_util::future::join_all(reached).await.into_iter().flatten().collect()
    }

    /// Those that cannot be reached, and why.
    #[must_use]
    pub fn troubles(&self) -> Vec<(String, String)> {
        let trouble = |origin: &Arc<Origin>| Some((origin.name.clone(), origin.health.trouble()?));
        self.origins.iter().filter_map(trouble).collect()
    }

    /// Their buckets, under the names of here.
    ///
    /// # Errors
    /// 503 where the upstream that has all others does not say which it has.
    pub async fn buckets(&self) -> Result<Vec<(BucketName, Timestamp)>, Refusal> {
        let mut all: BTreeMap<BucketName, Timestamp> = BTreeMap::new();
        if let Some(default) = &self.default {
            let others = buckets::all(default).await?.into_iter();
            all.extend(others.filter(|(name, _)| !self.local.contains(name)));
        }
        all.extend(self.named.keys().map(|name| (name.clone(), self.since)));
        Ok(all.into_iter().collect())
    }

    /// Carries out what the permit permits.
    ///
    /// # Errors
    /// [`Refusal`], with S3's code.
    pub async fn serve(&self, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
        let (origin, place) = self.place(permit.bucket()?)?;
        let operation = permit.operation();
        if place.is_part() && permit.target().key().is_none() && !of_a_part(operation) {
            return Err(buckets::no_such_configuration(operation.name()));
        }
        let mut head = Head::of(permit.request(), &place, permit.target().key(), origin.dot_segments)?;
        listing::there(&mut head, permit, &place);
        if permit.source().is_some() {
            Box::pin(self.map_copy_source(&origin, permit, &mut head)).await?;
        }
        match operation {
            Operation::PostObject => Box::pin(put_aside(&origin, permit, &place, head, body)).await,
            Operation::GetBucketQuota | Operation::PutBucketQuota => {
                Err(Refusal::not_implemented("A quota of a bucket of another store"))
            }
            Operation::GetBucketLocation => Box::pin(buckets::location(&origin, permit, &place)).await,
            Operation::CreateBucket => Box::pin(buckets::create(&origin, permit, &place, head, body)).await,
            Operation::DeleteObjects => Box::pin(deleting::serve(&origin, permit, &place, head, body)).await,
            Operation::PutObjectTagging => {
                let document = body.collect(LONGEST_BODY).await?;
                check_document(permit.request(), body, &document)?;
                tags::ask_of_document(permit, &document)?;
                Box::pin(forward(&origin, permit, &place, head, Given::Document(document))).await
            }
            Operation::PutObjectRetention | Operation::PutObjectLegalHold => {
                let document = body.collect(LONGEST_BODY).await?;
                check_document(permit.request(), body, &document)?;
                match operation {
                    Operation::PutObjectRetention => permitted_retention(permit, &document).map(drop)?,
                    _ => permitted_legal_hold(permit, &document).map(drop)?,
                }
                Box::pin(forward(&origin, permit, &place, head, Given::Document(document))).await
            }
            _ => Box::pin(forward(&origin, permit, &place, head, Given::Body(body))).await,
        }
    }

    /// The tags of an object, where policies ask for them.
    ///
    /// # Errors
    /// [`Refusal`] where they cannot be had.
    pub async fn tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version_id: Option<&str>,
    ) -> Result<Tags, Refusal> {
        let (origin, place) = self.place(bucket)?;
        let key = place.key(key);
        if !origin.dot_segments {
            head::refuse_dot_segments(&key)?;
        }
        tags::of_object(&origin, &place, &key, version_id).await
    }

    fn place(&self, bucket: &BucketName) -> Result<(Arc<Origin>, Place), Refusal> {
        if let Some((origin, place)) = self.named.get(bucket) {
            return Ok((Arc::clone(origin), place.clone()));
        }
        let default = self.default.as_ref().filter(|_| !self.local.contains(bucket));
        let origin = default.ok_or_else(|| Refusal::internal("the bucket is at no upstream"))?;
        Ok((Arc::clone(origin), Place::same(bucket)))
    }

    /// What a copy reads has to be at the same upstream, under the name that it has there.
    async fn map_copy_source(
        &self,
        origin: &Arc<Origin>,
        permit: &Permit,
        head: &mut Head,
    ) -> Result<(), Refusal> {
        let Some(source) = permit.source() else { return Ok(()) };
        let found = self.have(&source.bucket).then(|| self.place(&source.bucket)).transpose()?;
        let (_, place) = found
            .filter(|(at, _)| Arc::ptr_eq(at, origin))
            .ok_or_else(|| Refusal::not_implemented("A copy from a bucket of another store"))?;
        let key = place.key(&source.key);
        if !origin.dot_segments {
            head::refuse_dot_segments(&key)?;
        }
        tags::ask_of_source(origin, permit, (source, &place)).await?;
        let mut value = format!("/{}/{}", place.bucket(), percent_encode(&key, true));
        if let Some(version) = &source.version_id {
            value.push_str("?versionId=");
            value.push_str(&percent_encode(version, false));
        }
        head.set("x-amz-copy-source", &value)
    }
}

/// A body, or what was read of it.
enum Given<'b, 'i> {
    Body(&'b mut RequestBody<'i>),
    Document(Bytes),
}

/// The file of a form, as a PUT: a form does not say how long its file is, which an upstream has to be told.
async fn put_aside(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    head: Head,
    body: &mut RequestBody<'_>,
) -> Answer {
    body.at_most(LARGEST_PUT)?;
    let mut kept = body.kept().await?;
    let head = Head { method: Method::PUT, query: Query::default(), expects: false, ..head };
    forward(origin, permit, place, head, Given::Body(&mut kept)).await
}

/// The request as it is, and the answer as it comes.
async fn forward(
    origin: &Origin,
    permit: &Permit,
    place: &Place,
    mut head: Head,
    given: Given<'_, '_>,
) -> Answer {
    let outgoing = match given {
        Given::Body(body) => Outgoing::of(permit, body, &mut head, origin.trailers).await?,
        Given::Document(document) => Outgoing::document(document),
    };
    match listing::root(permit.operation()).filter(|_| place.differs()) {
        Some(root) => Box::pin(listing::renamed(origin, permit, place, (&head, outgoing), root)).await,
        None => {
            let received = origin.send(Some(place.bucket().as_str()), &head, outgoing).await?;
            answer::relayed(received, permit, place)
        }
    }
}

/// What can be asked of a part of a bucket; everything else about the bucket would be about all of it.
fn of_a_part(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::HeadBucket
            | Operation::GetBucketLocation
            | Operation::GetBucketVersioning
            | Operation::GetObjectLockConfiguration
            | Operation::CreateBucket
            | Operation::ListObjects
            | Operation::ListObjectsV2
            | Operation::ListObjectVersions
            | Operation::ListMultipartUploads
            | Operation::DeleteObjects
            | Operation::PostObject
    )
}
