//! What the store does with objects: put, look up, read, copy, tag, delete.

use rusqlite::Connection;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::super::attributes::{NewObject, Tags};
use super::super::checksum::ChecksumAlgorithm;
use super::super::conditions::PutCondition;
use super::super::content::Content;
use super::super::contents::{Slice, segments, slices};
use super::super::error::StoreError;
use super::super::index::{self, ObjectRow};
use super::super::object::{ObjectInfo, ObjectPart};
use super::super::objects::{self, Computed};
use super::super::places::ContentId;
use super::super::request::CopyRequest;
use super::super::staging::{Staged, digest_stream};
use super::super::store::Store;

impl Store {
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
}

fn find(index: &Connection, bucket: &BucketName, key: &ObjectKey) -> Result<ObjectRow, StoreError> {
    let bucket = index::bucket(index, bucket)?;
    index::object(index, bucket, key)?.ok_or_else(|| StoreError::NoSuchKey(key.to_string()))
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
