//! What the store does with multipart uploads.

use aws_lc_rs::rand;
use futures_util::StreamExt;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::super::checksum::Checksums;
use super::super::completed;
use super::super::completing;
use super::super::conditions::ReadOutcome;
use super::super::error::StoreError;
use super::super::etag::ETag;
use super::super::object::{PartInfo, UploadId, UploadInfo};
use super::super::request::{Completed, Completion, NewUpload, PartCopyRequest, Source};
use super::super::staging::{Digests, Staged, digest_stream};
use super::super::store::Store;
use super::super::uploads::{self, Shared, UploadAt};

impl Store {
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
        self.shared.staging.check_room(0)?;
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
        let at = UploadAt::new(bucket, key, upload);
        self.read(move |_, index| Ok(uploads::find(index, &at)?.info)).await
    }

    /// Before the bytes of a part are asked for: its upload, and the most that may come, where that is limited.
    ///
    /// # Errors
    /// Those of [`Store::put_part`], so far as they are certain by now.
    pub async fn before_part(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        upload: &UploadId,
        number: u32,
    ) -> Result<(UploadInfo, Option<u64>), StoreError> {
        uploads::check_number(number)?;
        let at = UploadAt::new(bucket, key, upload);
        self.read(move |_, index| uploads::before_part(index, &at, number)).await
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
        self.shared.staging.check_room(0)?;
        let at = UploadAt::new(bucket, key, upload);
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
        let at = UploadAt::new(&request.target.0, &request.target.1, &request.upload);
        let upload = self.upload(&at.bucket, &at.key, &at.id).await?;
        let algorithms: Vec<_> = upload.checksum.into_iter().map(|(algorithm, _)| algorithm).collect();
        loop {
            let Source { bucket, key, version } = &request.source;
            let (info, content) = self.get(bucket, key, *version).await?;
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

    /// Completes an upload: its parts become an object, without being rewritten. Asked again, it answers again.
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
    ) -> Result<Completed, StoreError> {
        let at = UploadAt::new(bucket, key, upload);
        let content = (self.shared.staging.next_id(), self.shared.options.min_part_size);
        self.write(move |index, effects, clock| {
            let now = clock.now();
            match completing::complete(index, effects, &at, &completion, content, now) {
                Ok((bucket, made)) => {
                    completed::remember(index, bucket, &at, &made, now)?;
                    Ok(made)
                }
                Err(StoreError::NoSuchUpload(_)) => {
                    let tag = ETag::of_parts(completion.parts.iter().map(|part| &part.etag));
                    completed::recall(index, &at, &tag)
                }
                Err(refused) => Err(refused),
            }
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
        let at = UploadAt::new(bucket, key, upload);
        self.write(move |index, effects, _| uploads::abort(index, effects, &at)).await
    }
}
