//! What the store does with objects: put, look up, read, copy, tag, delete.

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::super::attributes::{NewObject, Tags};
use super::super::conditions::PutCondition;
use super::super::content::Content;
use super::super::contents::{Slice, segments, slices};
use super::super::error::StoreError;
use super::super::index::{self, ObjectRow};
use super::super::object::{ObjectInfo, ObjectPart};
use super::super::objects::{self, Computed};
use super::super::places::ContentId;
use super::super::request::{Copied, CopyRequest, Deleted, Deletion, Source};
use super::super::staging::{Staged, digest_stream};
use super::super::store::Store;
use super::super::version::VersionId;
use super::super::versions;

impl Store {
    /// Before the bytes of an object are asked for: the most that may come, where that is limited. Nobody should send 5 GiB
    /// that are bound to be refused.
    ///
    /// # Errors
    /// Those of [`Store::put`], so far as they are certain by now.
    pub async fn before_put(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        condition: PutCondition,
    ) -> Result<Option<u64>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |_, index| objects::before_put(index, (&bucket, &key), condition)).await
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
        self.shared.staging.check_room(0)?;
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, effects, clock| {
            objects::put(index, effects, (&bucket, &key), staged, object, condition, clock.now())
        })
        .await
    }

    /// Tells of a version of an object; of the current one where none is named.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::NoSuchKey`], [`StoreError::Deleted`],
    /// [`StoreError::NoSuchVersion`], [`StoreError::IsDeleteMarker`].
    pub async fn head(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<ObjectInfo, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |_, index| Ok(find(index, &bucket, &key, version)?.info)).await
    }

    /// Tells of a version of an object and gives its bytes.
    ///
    /// # Errors
    /// Those of [`Store::head`]; [`StoreError::Corrupt`] when the bytes are not there.
    pub async fn get(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<(ObjectInfo, Content), StoreError> {
        let (info, _, content) = self.look_up(bucket, key, version).await?;
        Ok((info, content))
    }

    async fn look_up(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<(ObjectInfo, ContentId, Content), StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |open, index| {
            let ((row, slices), pinned) = open.pins.look_up(|| {
                let snapshot = index.unchecked_transaction()?;
                let row = find(&snapshot, &bucket, &key, version)?;
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
    /// Those of [`Store::head`].
    pub async fn object_parts(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
    ) -> Result<Vec<ObjectPart>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.read(move |_, index| {
            let snapshot = index.unchecked_transaction()?;
            let row = find(&snapshot, &bucket, &key, version)?;
            Ok(match row.info.etag.parts() {
                Some(_) => parts_of(segments(&snapshot, row.content)?),
                None => Vec::new(),
            })
        })
        .await
    }

    /// Deletes an object, or a version of it. An object of a bucket that keeps versions gets a delete marker, also where
    /// there is no such object.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`], [`StoreError::PreconditionFailed`]; [`StoreError::NoSuchKey`] when the
    /// condition needs the object to be there.
    pub async fn delete(&self, bucket: &BucketName, deletion: Deletion) -> Result<Deleted, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, clock| {
            let bucket = index::bucket(index, &bucket)?;
            objects::delete(index, effects, bucket, &deletion, clock.now())
        })
        .await
    }

    /// Deletes in one commit; an answer for each, in order.
    ///
    /// # Errors
    /// [`StoreError::NoSuchBucket`]; the answers' errors are those of [`Store::delete`].
    pub async fn delete_many(
        &self,
        bucket: &BucketName,
        deletions: Vec<Deletion>,
    ) -> Result<Vec<Result<Deleted, StoreError>>, StoreError> {
        let bucket = bucket.clone();
        self.write(move |index, effects, clock| {
            let bucket = index::bucket(index, &bucket)?;
            let mut answers = Vec::with_capacity(deletions.len());
            for deletion in &deletions {
                match objects::delete(index, effects, bucket, deletion, clock.now()) {
                    // A failure of the store undoes all of them; a refusal stands for its key alone.
                    Err(failure) if !failure.is_refusal() => return Err(failure),
                    answer => answers.push(answer),
                }
            }
            Ok(answers)
        })
        .await
    }

    /// Copies an object without touching its bytes. They are read only for what the copy needs and the source does not
    /// have: the tag of a source that was uploaded in parts, and a checksum.
    ///
    /// # Errors
    /// Those of [`Store::head`] for the source, and of [`Store::put`].
    pub async fn copy(&self, request: CopyRequest) -> Result<Copied, StoreError> {
        self.shared.staging.check_room(0)?;
        loop {
            let computed = self.compute(&request).await?;
            let request = request.clone();
            let copied = self
                .write(move |index, effects, clock| {
                    objects::copy(index, effects, request, computed, clock.now())
                })
                .await?;
            if let Some(copied) = copied {
                return Ok(copied);
            }
        }
    }

    async fn compute(&self, request: &CopyRequest) -> Result<Option<Computed>, StoreError> {
        let Source { bucket, key, version } = &request.source;
        let info = self.head(bucket, key, *version).await?;
        if objects::to_compute(&info, request.checksum).is_none() {
            return Ok(None);
        }
        let (info, of, content) = self.look_up(bucket, key, *version).await?;
        let algorithms = objects::to_compute(&info, request.checksum).unwrap_or_default();
        let digests = digest_stream(content.read(0..info.size)?, &algorithms).await?;
        Ok(Some(Computed { of, digests }))
    }

    /// Replaces the tags of a version of an object; tells which one it was.
    ///
    /// # Errors
    /// Those of [`Store::head`].
    pub async fn set_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<VersionId>,
        tags: Tags,
    ) -> Result<Option<VersionId>, StoreError> {
        let (bucket, key) = (bucket.clone(), key.clone());
        self.write(move |index, _, _| objects::set_tags(index, (&bucket, &key), version, &tags)).await
    }
}

fn find(
    index: &Connection,
    bucket: &BucketName,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<ObjectRow, StoreError> {
    versions::find(index, index::bucket(index, bucket)?, key, version)
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
