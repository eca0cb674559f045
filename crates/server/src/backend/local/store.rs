//! The store as its callers see it: each operation, and the threads and connections behind them.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};

use aws_lc_rs::rand;
use futures_util::StreamExt;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::Clock;

use super::attributes::{NewObject, Tags};
use super::checksum::{ChecksumAlgorithm, Checksums};
use super::commit::{Committer, Effects, forget};
use super::conditions::{PutCondition, ReadOutcome};
use super::content::Content;
use super::contents::{Slice, segments, slices};
use super::error::StoreError;
use super::index::{self, ObjectRow, all, bucket_info, one};
use super::keeper::{Chore, Keeper};
use super::listing::{self, Cost};
use super::object::{BucketInfo, ObjectInfo, ObjectPart, PartInfo, UploadId, UploadInfo};
use super::objects::{self, Computed};
use super::pins::Pins;
use super::places::{ContentId, Places};
use super::recovery::{Recovered, recover};
use super::request::{
    Completion, CopyRequest, ListQuery, NewUpload, ObjectPage, PartCopyRequest, PartPage, UploadPage,
    UploadQuery,
};
use super::staging::{Digests, Staged, Staging, Writer, digest_stream};
use super::uploads::{self, Shared, UploadAt};
use super::verify::{Depth, Report, verify};
use super::{buckets, schema};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Tells when objects are written.
    pub clock: Arc<dyn Clock>,
    /// Contents of at most so many bytes lie in the index.
    pub inline_limit: usize,
    /// The smallest part that need not be the last, in bytes.
    pub min_part_size: u64,
    /// How many operations read the index at once.
    pub readers: usize,
}

impl Options {
    /// 16 KiB inline, S3's 5 MiB for parts, eight readers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, inline_limit: 16 << 10, min_part_size: 5 << 20, readers: 8 }
    }
}

/// An open store. Cheap to clone; closed when the last clone and the last operation in flight are gone. Its
/// directory can be opened again once its writers and readers are dropped as well.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Open>,
}

struct Open {
    options: Options,
    staging: Arc<Staging>,
    pins: Arc<Pins>,
    idle_readers: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    /// `None` once it is being closed.
    committer: Option<Committer>,
    chores: mpsc::Sender<Chore>,
    threads: Option<(JoinHandle<Connection>, JoinHandle<Vec<ContentId>>)>,
    recovered: Recovered,
}

/// Ends the threads: the writing one once it has done what is queued, then the one that tidies up. The last
/// connection brings the write-ahead log to its end.
impl Drop for Open {
    fn drop(&mut self) {
        self.committer = None;
        self.idle_readers.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        let Some((writing, keeping)) = self.threads.take() else { return };
        let index = writing.join();
        drop(self.chores.send(Chore::Close));
        if let (Ok(index), Ok(unlinked)) = (index, keeping.join())
            && let Err(error) = forget(&index, &unlinked)
        {
            tracing::warn!(%error, "could not forget unlinked contents");
        }
    }
}

impl Store {
    /// Opens the store in a directory, creating it if need be, and brings to an end what a crash
    /// interrupted. Blocks.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerFormat`], [`StoreError::Io`], …
    pub fn open(directory: &Path, options: Options) -> Result<Self, StoreError> {
        let places = Places::prepare(directory)?;
        let index = schema::open_writing(&places.index())?;
        let (recovered, next_id) = recover(&index, &places)?;
        if recovered != Recovered::default() {
            tracing::info!(?recovered, "finished what an earlier run had begun");
        }

        let (chores, inbox) = mpsc::channel();
        let released = Mutex::new(chores.clone());
        let pins = Arc::new(Pins::new(Box::new(move |id| {
            let chores = released.lock().unwrap_or_else(PoisonError::into_inner);
            drop(chores.send(Chore::Released(id)));
        })));
        let (committer, write) = Committer::new(index, places.clone(), chores.clone());
        let later = committer.downgrade();
        let keeper = Keeper::new(places.clone(), Arc::clone(&pins), move |garbage| later.forget(garbage));
        let started = StoreError::io("start a thread");
        let writing = Builder::new().name("store-writer".to_owned()).spawn(write).map_err(started)?;
        let started = StoreError::io("start a thread");
        let keeping = Builder::new()
            .name("store-keeper".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(started)?;

        let shared = Open {
            staging: Arc::new(Staging::new(places, options.inline_limit, next_id)),
            pins,
            idle_readers: Mutex::default(),
            permits: Arc::new(Semaphore::new(options.readers.max(1))),
            committer: Some(committer),
            chores,
            threads: Some((writing, keeping)),
            recovered,
            options,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Begins a content. MD5 is always computed, for the entity tag; `checksums` beside it.
    #[must_use]
    pub fn writer(&self, checksums: &[ChecksumAlgorithm]) -> Writer {
        Writer::new(Arc::clone(&self.shared.staging), checksums)
    }

    /// Creates a bucket.
    ///
    /// # Errors
    /// [`StoreError::BucketAlreadyExists`].
    pub async fn create_bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, _, clock| buckets::create(index, &bucket, clock.now())).await
    }

    /// Deletes an empty bucket, and aborts its multipart uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::BucketNotEmpty`].
    pub async fn delete_bucket(&self, bucket: &BucketName) -> Result<(), StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, _| buckets::delete(index, effects, &bucket)).await
    }

    /// Tells of a bucket.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn bucket(&self, bucket: &BucketName) -> Result<BucketInfo, StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let sql = "SELECT name, created FROM bucket WHERE name = ?1";
            one(index, sql, &[&bucket.as_str()], bucket_info)?
                .ok_or_else(|| StoreError::NoSuchBucket(bucket.to_string()))
        })
        .await
    }

    /// All buckets, by name.
    ///
    /// # Errors
    /// Failures of the store only.
    pub async fn buckets(&self) -> Result<Vec<BucketInfo>, StoreError> {
        self.read(|_, index| all(index, "SELECT name, created FROM bucket ORDER BY name", &[], bucket_info))
            .await
    }

    /// Makes the staged content an object, in place of what the key had.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::PreconditionFailed`], [`StoreError::Full`];
    /// [`StoreError::NoSuchKey`] when the condition needs the object to be there.
    pub async fn put(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        staged: Staged,
        object: NewObject,
        condition: PutCondition,
    ) -> Result<ObjectInfo, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, effects, clock| {
            objects::put(index, effects, (&bucket, &key), staged, object, condition, clock.now())
        })
        .await
    }

    /// Tells of an object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`].
    pub async fn head(&self, bucket: &BucketName, key: &ObjectKey) -> Result<ObjectInfo, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |_, index| Ok(find(index, &bucket, &key)?.info)).await
    }

    /// Tells of an object and gives its bytes.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`]; [`StoreError::Corrupt`] when the bytes are
    /// not there.
    pub async fn get(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<(ObjectInfo, Content), StoreError> {
        let (info, _, content) = self.look_up(bucket, key).await?;
        Ok((info, content))
    }

    async fn look_up(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<(ObjectInfo, ContentId, Content), StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |open, index| {
            let ((row, slices), pinned) = open.pins.look_up(|| {
                let snapshot = index.unchecked_transaction()?;
                let row = find(&snapshot, &bucket, &key)?;
                let slices = slices(&snapshot, row.content)?;
                snapshot.commit()?;
                let files = files_of(&slices);
                Ok::<_, StoreError>(((row, slices), files))
            })?;
            let content = Content::open(open.staging.places.clone(), row.info.size, slices, pinned)?;
            Ok((row.info, row.content, content))
        })
        .await
    }

    /// The parts that a multipart object was completed from; none of another object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`].
    pub async fn object_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<Vec<ObjectPart>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            let row = find(&snapshot, &bucket, &key)?;
            Ok(match row.info.etag.parts() {
                Some(_) => parts_of(segments(&snapshot, row.content)?),
                None => Vec::new(),
            })
        })
        .await
    }

    /// Deletes an object; tells whether there was one.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::PreconditionFailed`]; [`StoreError::NoSuchKey`] when the
    /// condition needs the object to be there.
    pub async fn delete(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        condition: PutCondition,
    ) -> Result<bool, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, effects, _| {
            let bucket = index::bucket(index, &bucket)?;
            objects::delete(index, effects, bucket, &key, condition)
        })
        .await
    }

    /// Deletes objects in one commit; an answer for each, in order.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]; the answers' errors are those of [`Store::delete`].
    pub async fn delete_many(
        &self,
        bucket: &BucketName,
        keys: Vec<(ObjectKey, PutCondition)>,
    ) -> Result<Vec<Result<bool, StoreError>>, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, _| {
            let bucket = index::bucket(index, &bucket)?;
            let mut answers = Vec::with_capacity(keys.len());
            for (key, condition) in &keys {
                match objects::delete(index, effects, bucket, key, *condition) {
                    // A failure of the store undoes all of them; a refusal stands for its key alone.
                    Err(failure) if !failure.is_refusal() => return Err(failure),
                    answer => answers.push(answer),
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Copies an object without touching its bytes; they are read only when a checksum is asked for that the
    /// source does not have.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::PreconditionFailed`].
    pub async fn copy(&self, request: CopyRequest) -> Result<ObjectInfo, StoreError> {
        loop {
            let computed = match request.checksum {
                Some(algorithm) => self.checksum_of(&request.source, algorithm).await?,
                None => None,
            };
            let request = request.clone();
            let copied = self
                .write(move |index, effects, clock| {
                    objects::copy(index, effects, request, computed, clock.now())
                })
                .await?;
            if let Some(info) = copied {
                return Ok(info);
            }
        }
    }

    async fn checksum_of(
        &self,
        (bucket, key): &(BucketName, ObjectKey),
        algorithm: ChecksumAlgorithm,
    ) -> Result<Option<Computed>, StoreError> {
        let (info, of, content) = self.look_up(bucket, key).await?;
        if info.checksums.of(algorithm).is_some() {
            return Ok(None);
        }
        let digests = digest_stream(content.read(0..info.size)?, &[algorithm]).await?;
        Ok(Some(Computed { of, checksums: digests.checksums }))
    }

    /// Replaces an object's tags.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`].
    pub async fn set_tags(&self, bucket: &BucketName, key: &ObjectKey, tags: Tags) -> Result<(), StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, _, _| objects::set_tags(index, (&bucket, &key), &tags)).await
    }

    /// One page of a bucket's objects.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn list(&self, bucket: &BucketName, query: ListQuery) -> Result<ObjectPage, StoreError> {
        Ok(self.list_with_cost(bucket, query).await?.0)
    }

    pub(super) async fn list_with_cost(
        &self,
        bucket: &BucketName,
        query: ListQuery,
    ) -> Result<(ObjectPage, Cost), StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::objects(&snapshot, &bucket, &query)
        })
        .await
    }

    /// Begins a multipart upload.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn create_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: NewUpload,
    ) -> Result<UploadInfo, StoreError> {
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| StoreError::Stopped)?;
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, _, clock| {
            let now = clock.now();
            let at = UploadAt { bucket, key, id: uploads::upload_id(now, random) };
            uploads::create(index, &at, &upload, now)
        })
        .await
    }

    /// Tells of a multipart upload.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub async fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
    ) -> Result<UploadInfo, StoreError> {
        let at = upload_at(bucket, key, upload);
        self.read(move |_, index| Ok(uploads::find(index, &at)?.info)).await
    }

    /// Makes the staged content a part, in place of an earlier one of this number.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::PartNumberOutOfRange`].
    pub async fn put_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
        staged: Staged,
        checksums: Checksums,
    ) -> Result<PartInfo, StoreError> {
        uploads::check_number(number)?;
        let at = upload_at(bucket, key, upload);
        self.write(move |index, effects, clock| {
            uploads::put_part(index, effects, &at, number, staged, checksums, clock.now())
        })
        .await
    }

    /// Makes bytes of an object of the store a part. They are shared, not written again, unless the part
    /// would hold less than half of a content and keep the rest of it alive.
    ///
    /// # Errors
    /// Those of [`Store::put_part`] and [`Store::get`]; [`StoreError::PreconditionFailed`],
    /// [`StoreError::RangeNotSatisfiable`].
    pub async fn copy_part(&self, request: PartCopyRequest) -> Result<PartInfo, StoreError> {
        uploads::check_number(request.number)?;
        let at = upload_at(&request.target.0, &request.target.1, &request.upload);
        let upload = self.upload(&at.bucket, &at.key, &at.id).await?;
        let algorithms: Vec<_> = upload.checksum.into_iter().map(|(algorithm, _)| algorithm).collect();
        loop {
            let (info, content) = self.get(&request.source.0, &request.source.1).await?;
            if request.source_conditions.evaluate(&info) != ReadOutcome::Proceed {
                return Err(StoreError::PreconditionFailed);
            }
            let range = request.range.clone().unwrap_or(0..info.size);
            let slices = content.slices(&range)?;
            let stream = content.read(range)?;
            if slices.is_empty() || slices.iter().any(|slice| slice.size < slice.source_size / 2) {
                let mut stream = stream;
                let mut writer = self.writer(&algorithms);
                while let Some(chunk) = stream.next().await {
                    writer.write(chunk?).await?;
                }
                let staged = writer.finish().await?;
                let checksums = staged.digests().checksums.clone();
                return self.put_part(&at.bucket, &at.key, &at.id, request.number, staged, checksums).await;
            }
            let Digests { size, etag, checksums } = digest_stream(stream, &algorithms).await?;
            let shared = Shared { id: self.shared.staging.next_id(), slices, size, etag, checksums };
            let (at, number) = (at.clone(), request.number);
            let part = self
                .write(move |index, effects, clock| {
                    uploads::share_part(index, effects, &at, number, &shared, clock.now())
                })
                .await?;
            // Otherwise the source was replaced meanwhile: copy what it is now.
            if let Some(part) = part {
                return Ok(part);
            }
        }
    }

    /// Completes an upload: its parts become an object, without being rewritten.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`], [`StoreError::NoParts`],
    /// [`StoreError::InvalidPart`], [`StoreError::InvalidPartOrder`], [`StoreError::PartTooSmall`],
    /// [`StoreError::DigestMismatch`], and those of [`Store::put`]. The upload stays after an error.
    pub async fn complete_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        completion: Completion,
    ) -> Result<ObjectInfo, StoreError> {
        let at = upload_at(bucket, key, upload);
        let content = (self.shared.staging.next_id(), self.shared.options.min_part_size);
        self.write(move |index, effects, clock| {
            uploads::complete(index, effects, &at, &completion, content, clock.now())
        })
        .await
    }

    /// Aborts an upload and deletes its parts.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub async fn abort_upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
    ) -> Result<(), StoreError> {
        let at = upload_at(bucket, key, upload);
        self.write(move |index, effects, _| uploads::abort(index, effects, &at)).await
    }

    /// One page of an upload's parts: those with a number above `after`.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchUpload`].
    pub async fn list_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        after: u32,
        max_parts: usize,
    ) -> Result<PartPage, StoreError> {
        let at = upload_at(bucket, key, upload);
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::parts(&snapshot, &at, after, max_parts)
        })
        .await
    }

    /// One page of a bucket's uploads.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`].
    pub async fn list_uploads(
        &self,
        bucket: &BucketName,
        query: UploadQuery,
    ) -> Result<UploadPage, StoreError> {
        let bucket = bucket.clone();
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            listing::uploads(&snapshot, &bucket, &query)
        })
        .await
    }

    /// Checks the whole store, beside other work.
    ///
    /// # Errors
    /// Failures to look; what is found wrong is in the report.
    pub async fn verify(&self, depth: Depth) -> Result<Report, StoreError> {
        self.read(move |open, index| verify(index, &open.staging.places, &open.pins, depth)).await
    }

    /// Applies a change in the writing thread.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Effects, &dyn Clock) -> Result<T, StoreError> + Send + 'static,
    {
        let clock = Arc::clone(&self.shared.options.clock);
        match &self.shared.committer {
            Some(committer) => committer.apply(move |index, effects| work(index, effects, &*clock)).await,
            None => Err(StoreError::Stopped),
        }
    }

    /// Reads the index on a blocking thread, with one of the reading connections.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Open, &Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let permit =
            Arc::clone(&self.shared.permits).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let open = Arc::clone(&self.shared);
        let work = move || {
            let idle = open.idle_readers().pop();
            let index = match idle {
                Some(index) => index,
                None => schema::open_reading(&open.staging.places.index())?,
            };
            let result = work(&open, &index);
            open.idle_readers().push(index);
            drop(permit);
            result
        };
        spawn_blocking(work).await.unwrap_or(Err(StoreError::Stopped))
    }
}

impl Open {
    fn idle_readers(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle_readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("recovered", &self.shared.recovered).finish_non_exhaustive()
    }
}

fn find(index: &Connection, bucket: &BucketName, key: &ObjectKey) -> Result<ObjectRow, StoreError> {
    let bucket = index::bucket(index, bucket)?;
    index::object(index, bucket, key)?.ok_or_else(|| StoreError::NoSuchKey(key.to_string()))
}

fn upload_at(bucket: &BucketName, key: &ObjectKey, id: &UploadId) -> UploadAt {
    UploadAt { bucket: bucket.clone(), key: key.clone(), id: id.clone() }
}

/// The files that slices are read from, each once.
fn files_of(slices: &[Slice]) -> Vec<ContentId> {
    let mut files: Vec<ContentId> =
        slices.iter().filter(|slice| slice.inline.is_none()).map(|slice| slice.source).collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Gathers the slices of a multipart object into its parts.
fn parts_of(slices: Vec<Slice>) -> Vec<ObjectPart> {
    let mut parts: Vec<ObjectPart> = Vec::new();
    let mut start = 0;
    for slice in slices {
        match parts.last_mut() {
            Some(part) if part.number == slice.part => part.size += slice.size,
            _ => {
                let Slice { part: number, size, checksums, .. } = slice;
                parts.push(ObjectPart { number, start, size, checksums });
            }
        }
        start += slice.size;
    }
    parts
}
