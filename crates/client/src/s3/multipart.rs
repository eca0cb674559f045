//! Objects written in parts.
//!
//! Where the store keeps checksums, each part goes with its CRC64NVME, and the whole object's is checked by
//! the store when the parts are put together.

use bytes::Bytes;
use http::Method;
use serde::Deserialize;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::checksum::{Checksum, ChecksumAlgorithm};
use super::client::Client;
use super::copy::{CopyOptions, copy_source};
use super::error::S3Error;
use super::object::{ByteRange, ETag};
use super::put::{PutOptions, Stored, Verified, etag, version_id};
use super::xml;

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MultipartUpload {
    /// Where to.
    pub bucket: BucketName,
    /// As what.
    pub key: ObjectKey,
    /// The store's name for it.
    pub id: String,
    /// Whether the store said that it will keep a checksum of the whole.
    keeps_checksum: bool,
}

impl MultipartUpload {
    /// One that was begun before.
    pub(crate) fn known(bucket: &BucketName, key: &ObjectKey, id: &str, keeps_checksum: bool) -> Self {
        Self { bucket: bucket.clone(), key: key.clone(), id: id.to_owned(), keeps_checksum }
    }

    pub(crate) fn keeps_checksum(&self) -> bool {
        self.keeps_checksum
    }
}

/// A part that has arrived.
#[derive(Debug, Clone)]
pub struct Part {
    /// 1 to 10,000.
    pub number: u32,
    /// Its own.
    pub etag: ETag,
    /// In bytes.
    pub size: u64,
    /// Of its bytes, where they passed through here.
    pub checksum: Option<Checksum>,
    /// What shows that it arrived as it was sent.
    pub verified: Verified,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InitiateMultipartUploadResult {
    upload_id: String,
}

#[derive(Deserialize)]
struct CopyPartResult {
    #[serde(rename = "ETag")]
    etag: String,
}

#[derive(Deserialize)]
struct CompleteMultipartUploadResult {
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

impl Client {
    /// The most parts of an upload.
    pub const MOST_PARTS: u32 = 10_000;

    /// Begins an upload (CreateMultipartUpload).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn create_multipart(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        options: &PutOptions,
    ) -> Result<MultipartUpload, S3Error> {
        let plain = options
            .on(Call::object("CreateMultipartUpload", Method::POST, bucket, key).query("uploads", ""))?;
        let call = if self.uploads_plainly() {
            plain
        } else {
            plain
                .header("x-amz-checksum-algorithm", ChecksumAlgorithm::Crc64Nvme.name())?
                .header("x-amz-checksum-type", "FULL_OBJECT")?
        };
        let answer = self.send_whole(&call).await?;
        let result: InitiateMultipartUploadResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("CreateMultipartUpload", what))?;
        Ok(MultipartUpload {
            bucket: bucket.clone(),
            key: key.clone(),
            id: result.upload_id,
            keeps_checksum: answer
                .headers
                .get("x-amz-checksum-type")
                .is_some_and(|kind| kind == "FULL_OBJECT"),
        })
    }

    /// Sends a part (UploadPart): 5 MiB to 5 GiB, the last one of any size.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn upload_part(
        &self,
        upload: &MultipartUpload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, S3Error> {
        let size = body.len() as u64;
        let call = part_call("UploadPart", upload, number).body(body.clone());
        let (answer, verified, computed) = self.upload(call).await?;
        let own = || Checksum::of(ChecksumAlgorithm::Crc64Nvme, &body);
        let checksum = upload.keeps_checksum.then(|| computed.unwrap_or_else(own));
        let etag = etag(&answer.headers)
            .ok_or_else(|| self.not_understood("UploadPart", "it has no entity tag (ETag)"))?;
        Ok(Part { number, etag, size, checksum, verified })
    }

    /// Makes a part of bytes that the store has already (UploadPartCopy).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn copy_part(
        &self,
        upload: &MultipartUpload,
        number: u32,
        from: (&BucketName, &ObjectKey),
        first: u64,
        last: u64,
        options: &CopyOptions,
    ) -> Result<Part, S3Error> {
        let range = ByteRange { first, last: Some(last) };
        let call = copy_source(part_call("UploadPartCopy", upload, number), from, options)?
            .header("x-amz-copy-source-range", &range.header())?;
        let answer = self.send_whole(&call).await?;
        let result: CopyPartResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("UploadPartCopy", what))?;
        let size = (last + 1).saturating_sub(first);
        let etag = ETag::new(&result.etag);
        Ok(Part { number, etag, size, checksum: None, verified: Verified::Store })
    }

    /// Puts the parts together (CompleteMultipartUpload). They may come in any order.
    ///
    /// # Errors
    /// See [`S3Error`]. After a lost answer the store may say that there is no such upload: it is done then.
    pub async fn complete_multipart(
        &self,
        upload: &MultipartUpload,
        mut parts: Vec<Part>,
        options: &PutOptions,
    ) -> Result<Stored, S3Error> {
        parts.sort_by_key(|part| part.number);
        let whole = upload.keeps_checksum.then(|| whole_checksum(&parts)).flatten();
        let mut body =
            String::from("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for part in &parts {
            body.push_str("<Part>");
            if let Some(checksum) = part.checksum.filter(|_| whole.is_some()) {
                xml::element(&mut body, "ChecksumCRC64NVME", &checksum.base64());
            }
            xml::element(&mut body, "ETag", part.etag.as_str());
            xml::element(&mut body, "PartNumber", &part.number.to_string());
            body.push_str("</Part>");
        }
        body.push_str("</CompleteMultipartUpload>");
        let mut call = upload_call("CompleteMultipartUpload", Method::POST, upload)
            .header("content-type", "application/xml")?
            .body(body);
        if let Some(whole) = whole {
            call = call
                .header("x-amz-checksum-crc64nvme", &whole.base64())?
                .header("x-amz-checksum-type", "FULL_OBJECT")?;
        }
        let answer = self.send_whole(&options.conditions.on(call)?).await?;
        let result: CompleteMultipartUploadResult =
            xml::read(&answer.body).map_err(|what| self.not_understood("CompleteMultipartUpload", what))?;
        let parts_verified = parts.iter().map(|part| part.verified).min().unwrap_or(Verified::Length);
        Ok(Stored {
            etag: result.etag.as_deref().map(ETag::new),
            version_id: version_id(&answer.headers),
            verified: if whole.is_some() { Verified::Checksum } else { parts_verified },
        })
    }

    /// Gives an upload up, and its parts back (AbortMultipartUpload).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn abort_multipart(&self, upload: &MultipartUpload) -> Result<(), S3Error> {
        self.send_whole(&upload_call("AbortMultipartUpload", Method::DELETE, upload)).await.map(drop)
    }
}

fn upload_call(operation: &'static str, method: Method, upload: &MultipartUpload) -> Call {
    Call::object(operation, method, &upload.bucket, &upload.key).query("uploadId", upload.id.as_str())
}

fn part_call(operation: &'static str, upload: &MultipartUpload, number: u32) -> Call {
    upload_call(operation, Method::PUT, upload).query("partNumber", number.to_string())
}

/// The checksum of all parts in their order, where each has one.
fn whole_checksum(parts: &[Part]) -> Option<Checksum> {
    let mut whole: Option<Checksum> = None;
    for part in parts {
        let next = part.checksum?;
        whole = Some(whole.map_or(next, |whole| whole.followed_by(next, part.size)));
    }
    whole
}
