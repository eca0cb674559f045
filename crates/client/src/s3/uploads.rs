//! Uploads in parts that have begun and are not finished: the parts of one (ListParts), those of a bucket
//! (ListMultipartUploads).

use futures_util::stream::{self, Stream};
use http::Method;
use serde::Deserialize;
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::call::Call;
use super::checksum::{Checksum, ChecksumAlgorithm};
use super::client::Client;
use super::error::S3Error;
use super::multipart::MultipartUpload;
use super::object::ETag;
use super::pages::decode;
use super::xml;

/// A part that the store has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// 1 to 10,000.
    pub number: u32,
    /// In bytes.
    pub size: u64,
    /// Its own.
    pub etag: ETag,
    /// Of its bytes, where the store keeps one.
    pub checksum: Option<Checksum>,
}

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// Of the object that it would become.
    pub key: String,
    /// The store's name for it.
    pub id: String,
    /// When it began.
    pub begun_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListPartsResult {
    #[serde(default)]
    is_truncated: bool,
    next_part_number_marker: Option<String>,
    #[serde(rename = "Part", default)]
    parts: Vec<ListedPart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedPart {
    part_number: u32,
    #[serde(default)]
    size: u64,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumCRC64NVME")]
    crc64: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploadsResult {
    #[serde(default)]
    is_truncated: bool,
    encoding_type: Option<String>,
    next_key_marker: Option<String>,
    next_upload_id_marker: Option<String>,
    #[serde(rename = "Upload", default)]
    uploads: Vec<ListedUpload>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedUpload {
    key: String,
    upload_id: String,
    initiated: Option<String>,
}

impl Client {
    /// All parts that have arrived of an upload (ListParts), by their numbers.
    ///
    /// # Errors
    /// See [`S3Error`]; an upload that is finished or given up is not found.
    pub async fn list_parts(&self, upload: &MultipartUpload) -> Result<Vec<StoredPart>, S3Error> {
        let mut parts = Vec::new();
        let mut marker = String::new();
        loop {
            let mut call = Call::object("ListParts", Method::GET, &upload.bucket, &upload.key)
                .query("uploadId", upload.id.as_str());
            if !marker.is_empty() {
                call = call.query("part-number-marker", marker.as_str());
            }
            let answer = self.send_whole(&call).await?;
            let page: ListPartsResult =
                xml::read(&answer.body).map_err(|what| self.not_understood("ListParts", what))?;
            parts.extend(page.parts.into_iter().map(|part| StoredPart {
                number: part.part_number,
                size: part.size,
                etag: ETag::new(&part.etag),
                checksum: part.crc64.and_then(|text| Checksum::parse(ChecksumAlgorithm::Crc64Nvme, &text)),
            }));
            match page.next_part_number_marker.filter(|next| page.is_truncated && *next != marker) {
                Some(next) => marker = next,
                None => return Ok(parts),
            }
        }
    }

    /// Uploads that have begun and are not finished, of keys with a prefix (ListMultipartUploads).
    pub fn list_uploads(
        &self,
        bucket: &BucketName,
        prefix: &str,
    ) -> impl Stream<Item = Result<Vec<UnfinishedUpload>, S3Error>> + Send + Unpin + use<> {
        let start = (self.clone(), bucket.clone(), prefix.to_owned(), Some((String::new(), String::new())));
        Box::pin(stream::try_unfold(start, |(client, bucket, prefix, markers)| async move {
            let Some(markers) = markers else { return Ok(None) };
            let (uploads, next) = client.uploads_page(&bucket, &prefix, &markers).await?;
            let next = next.filter(|next| *next != markers);
            Ok(Some((uploads, (client, bucket, prefix, next))))
        }))
    }

    async fn uploads_page(
        &self,
        bucket: &BucketName,
        prefix: &str,
        markers: &(String, String),
    ) -> Result<(Vec<UnfinishedUpload>, Option<(String, String)>), S3Error> {
        let mut page = self.listed_uploads(bucket, prefix, markers, Some("url")).await?;
        let encoded = page.encoding_type.as_deref() == Some("url");
        // Some stores encode without saying so (Ceph RGW 16), others do not encode: what is asked for plainly is clear.
        if !encoded && page.uploads.iter().any(|upload| upload.key.contains('%')) {
            page = self.listed_uploads(bucket, prefix, markers, None).await?;
        }
        let failed = |what| self.not_understood("ListMultipartUploads", what);
        let text = |mut text: String| -> Result<String, S3Error> {
            if encoded {
                decode(&mut text).map_err(failed)?;
            }
            Ok(text)
        };
        let mut uploads = Vec::with_capacity(page.uploads.len());
        for upload in page.uploads {
            uploads.push(UnfinishedUpload {
                key: text(upload.key)?,
                id: upload.upload_id,
                begun_at: upload.initiated.as_deref().and_then(parse_iso8601),
            });
        }
        let next = match page.next_key_marker.filter(|_| page.is_truncated) {
            Some(key) => Some((text(key)?, page.next_upload_id_marker.unwrap_or_default())),
            None => None,
        };
        Ok((uploads, next))
    }

    async fn listed_uploads(
        &self,
        bucket: &BucketName,
        prefix: &str,
        (key, id): &(String, String),
        encoding: Option<&str>,
    ) -> Result<ListMultipartUploadsResult, S3Error> {
        let mut call = Call::bucket("ListMultipartUploads", Method::GET, bucket)
            .query("uploads", "")
            .query("prefix", prefix);
        if let Some(encoding) = encoding {
            call = call.query("encoding-type", encoding);
        }
        if !key.is_empty() {
            call = call.query("key-marker", key.as_str()).query("upload-id-marker", id.as_str());
        }
        let answer = self.send_whole(&call).await?;
        xml::read(&answer.body).map_err(|what| self.not_understood("ListMultipartUploads", what))
    }

    /// Gives an unfinished upload up, and its parts back.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn abort_upload(&self, bucket: &BucketName, key: &ObjectKey, id: &str) -> Result<(), S3Error> {
        self.abort_multipart(&MultipartUpload::known(bucket, key, id, false)).await
    }
}
