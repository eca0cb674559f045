//! Many objects removed: a thousand to a request, several requests at once, while the list is still being read.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::task::JoinSet;
use wigeon_client::filter::Filter;
use wigeon_client::s3::{
    Client, Doomed, ErrorKind, Governance, Listed, NotDeleted, ObjectSummary, S3Error, VersionSummary,
};
use wigeon_client::transfer::Prefix;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::meant::{Found, Many};
use crate::errors::{Failure, Kind};

/// Requests on their way at once: enough to keep a store busy, and to have the list read ahead of them.
const AT_ONCE: usize = 8;

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) removed: u64,
    /// Those that the store kept, in its words; the first thousand.
    pub(crate) kept: Vec<NotDeleted>,
    pub(crate) kept_count: u64,
}

impl Removal {
    /// The exit code for it: all kept is the store's no, some kept is partly done.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let Some(first) = self.kept.first() else { return Ok(()) };
        let kind = match (self.removed, first.code.as_str()) {
            (0, "AccessDenied") => Kind::Denied,
            (0, _) => Kind::Error,
            _ => Kind::Partial,
        };
        Err(Failure::new(
            kind,
            format!("{} of {} were not removed", self.kept_count, self.kept_count + self.removed),
        ))
    }

    fn add(&mut self, asked: u64, kept: Vec<NotDeleted>) {
        self.removed += asked.saturating_sub(kept.len() as u64);
        self.kept_count += kept.len() as u64;
        let room = Client::MOST_DELETED.saturating_sub(self.kept.len());
        self.kept.extend(kept.into_iter().take(room));
    }
}

/// What can be removed: an object, which a version or a mark takes the place of, or a version for good.
pub(crate) trait Removable: Listed {
    /// Its key, and its id where it is a version.
    fn named(self) -> (String, Option<String>);
}

impl Removable for ObjectSummary {
    fn named(self) -> (String, Option<String>) {
        (self.key, None)
    }
}

impl Removable for VersionSummary {
    fn named(self) -> (String, Option<String>) {
        (self.key, Some(self.version_id))
    }
}

/// Removes what it is given, from one bucket.
pub(crate) struct Remover {
    client: Client,
    bucket: BucketName,
    governance: Governance,
    batch: Vec<Doomed>,
    requests: JoinSet<Result<(u64, Vec<NotDeleted>), S3Error>>,
    removal: Removal,
}

impl Remover {
    /// Nothing removed yet.
    pub(crate) fn new(client: Client, bucket: BucketName, governance: Governance) -> Self {
        Self {
            client,
            bucket,
            governance,
            batch: Vec::new(),
            requests: JoinSet::new(),
            removal: Removal::default(),
        }
    }

    /// Removes one more, with the next thousand.
    pub(crate) async fn remove(&mut self, key: String, version: Option<String>) -> Result<(), Failure> {
        let key = ObjectKey::parse(key).map_err(|error| Failure::because(Kind::Error, &error))?;
        self.batch.push(Doomed::new(key, version));
        if self.batch.len() == Client::MOST_DELETED { self.send().await } else { Ok(()) }
    }

    async fn remove_all<T: Removable>(&mut self, mut found: Found<'_, T>) -> Result<(), Failure> {
        while let Some(item) = found.next().await? {
            let (key, version) = item.named();
            self.remove(key, version).await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        while self.requests.len() >= AT_ONCE {
            self.one().await?;
        }
        let batch = std::mem::take(&mut self.batch);
        let (client, bucket, governance) = (self.client.clone(), self.bucket.clone(), self.governance);
        self.requests.spawn(async move {
            let asked = batch.len() as u64;
            Ok((asked, remove(&client, &bucket, batch, governance).await?))
        });
        Ok(())
    }

    async fn one(&mut self) -> Result<(), Failure> {
        if let Some(answer) = self.requests.join_next().await {
            let (asked, kept) = answer.map_err(|error| Failure::because(Kind::Error, &error))??;
            self.removal.add(asked, kept);
        }
        Ok(())
    }

    /// Removes the rest, and says what came of all.
    pub(crate) async fn finish(mut self) -> Result<Removal, Failure> {
        if !self.batch.is_empty() {
            self.send().await?;
        }
        while !self.requests.is_empty() {
            self.one().await?;
        }
        Ok(self.removal)
    }
}

async fn remove(
    client: &Client,
    bucket: &BucketName,
    mut batch: Vec<Doomed>,
    governance: Governance,
) -> Result<Vec<NotDeleted>, S3Error> {
    // One goes by itself: the same number of requests, and a store's plain answer.
    if batch.len() > 1 {
        match client.delete_versions(bucket, &batch, governance).await {
            Err(error) if error.kind() == ErrorKind::NotSupported => {}
            other => return other,
        }
    } else if let Some(only) = batch.pop() {
        client.delete_one(bucket, &only, governance).await?;
        return Ok(Vec::new());
    }
    // A store without DeleteObjects removes them one by one.
    let batch: Arc<[Doomed]> = batch.into();
    let outcomes = stream::iter(0..batch.len()).map(|at| {
        let (client, bucket, batch) = (client.clone(), bucket.clone(), Arc::clone(&batch));
        async move {
            match batch.get(at) {
                Some(doomed) => client.delete_one(&bucket, doomed, governance).await,
                None => Ok(()),
            }
        }
    });
    let mut outcomes = outcomes.buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        outcome?;
    }
    Ok(Vec::new())
}

/// Removes everything in a bucket; `versions` for all that it ever held.
pub(crate) async fn empty_bucket(
    client: &Client,
    bucket: &BucketName,
    versions: bool,
) -> Result<Removal, Failure> {
    let all = Prefix { bucket: bucket.clone(), prefix: String::new() };
    let many = Many::beginning_with(all, Filter::default());
    let mut remover = Remover::new(client.clone(), bucket.clone(), Governance::Kept);
    if versions {
        remover.remove_all(many.versions(client)).await?;
    } else {
        remover.remove_all(many.objects(client)).await?;
    }
    remover.finish().await
}
