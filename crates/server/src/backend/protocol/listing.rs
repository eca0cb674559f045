//! Listings: objects (both versions), multipart uploads, parts.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::sigv4::canonical::Query;
use wigeon_core::time::iso8601_millis;

use super::headers::quoted;
use super::xml::{Answer, Xml};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::object::{ObjectSummary, UploadId};
use crate::backend::local::request::{ListQuery, ObjectPage, PAGE_LIMIT, UploadQuery};
use crate::refusal::Refusal;

/// How names are written: as they are, or percent-encoded where the requester asks for it.
#[derive(Clone, Copy)]
pub(super) struct Encoding {
    url: bool,
}

impl Encoding {
    pub(super) fn of(query: &Query) -> Result<Self, Refusal> {
        match query.value("encoding-type") {
            None | Some("") => Ok(Self { url: false }),
            Some("url") => Ok(Self { url: true }),
            Some(_) => Err(Refusal::invalid_argument("Invalid Encoding Method specified in Request")),
        }
    }

    fn name(self, name: &str) -> String {
        if self.url { percent_encode(name, true) } else { name.to_owned() }
    }

    pub(super) fn is_url(self) -> bool {
        self.url
    }

    pub(super) fn text(self, xml: &mut Xml, element: &str, name: &str) {
        xml.text(element, &self.name(name));
    }
}

/// `max-keys` and its like: a whole number, of which at most 1,000 counts.
pub(super) fn limit(query: &Query, parameter: &str) -> Result<usize, Refusal> {
    match query.value(parameter) {
        None | Some("") => Ok(PAGE_LIMIT),
        Some(text) => match text.parse::<u32>() {
            Ok(number) if number <= i32::MAX.unsigned_abs() => Ok((number as usize).min(PAGE_LIMIT)),
            _ => Err(Refusal::invalid_argument(format!(
                "Provided {parameter} not an integer or within integer range"
            ))),
        },
    }
}

fn list_query(query: &Query, after: &str) -> Result<ListQuery, Refusal> {
    Ok(ListQuery {
        prefix: query.value("prefix").unwrap_or_default().to_owned(),
        delimiter: query.value("delimiter").unwrap_or_default().to_owned(),
        after: after.to_owned(),
        max_keys: limit(query, "max-keys")?,
    })
}

/// An empty page where nothing was asked for; the store is asked all the same, for the bucket to exist.
async fn page(store: &Store, permit: &Permit, list: &ListQuery) -> Result<ObjectPage, Refusal> {
    if list.max_keys == 0 {
        store.bucket(permit.bucket()?).await?;
        return Ok(ObjectPage::default());
    }
    Ok(store.list(permit.bucket()?, list.clone()).await?)
}

/// `ListObjects` (version 1)
pub(super) async fn objects(store: &Store, permit: &Permit) -> Answer {
    let query = &permit.request().query;
    let encoding = Encoding::of(query)?;
    let marker = query.value("marker").unwrap_or_default();
    let list = list_query(query, marker)?;
    let page = page(store, permit, &list).await?;
    let document = Xml::document("ListBucketResult", |xml| {
        head(xml, permit, &list, encoding, page.next.is_some());
        encoding.text(xml, "Marker", marker);
        if let Some(next) = page.next.as_deref().filter(|_| !list.delimiter.is_empty()) {
            encoding.text(xml, "NextMarker", next);
        }
        body(xml, &page, encoding, Some(permit.owner_id()));
    });
    Ok(document.answer())
}

/// `ListObjectsV2`
pub(super) async fn objects_v2(store: &Store, permit: &Permit) -> Answer {
    let query = &permit.request().query;
    if query.value("list-type") != Some("2") {
        return Err(Refusal::invalid_argument("Invalid List Type specified in Request"));
    }
    let encoding = Encoding::of(query)?;
    let token = query.value("continuation-token");
    let start_after = query.value("start-after").unwrap_or_default();
    let resumed = token.map(after_token).transpose()?;
    let list = list_query(query, resumed.as_deref().unwrap_or(start_after))?;
    let page = page(store, permit, &list).await?;
    let document = Xml::document("ListBucketResult", |xml| {
        head(xml, permit, &list, encoding, page.next.is_some());
        xml.text("KeyCount", &(page.objects.len() + page.common_prefixes.len()).to_string());
        xml.optional("ContinuationToken", token);
        if query.has("start-after") {
            encoding.text(xml, "StartAfter", start_after);
        }
        let next = page.next.as_ref().map(|next| URL_SAFE_NO_PAD.encode(next));
        xml.optional("NextContinuationToken", next.as_deref());
        let owner = (query.value("fetch-owner") == Some("true")).then(|| permit.owner_id());
        body(xml, &page, encoding, owner);
    });
    Ok(document.answer())
}

fn after_token(token: &str) -> Result<String, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| Refusal::invalid_argument("The continuation token provided is incorrect"))
}

fn head(xml: &mut Xml, permit: &Permit, list: &ListQuery, encoding: Encoding, truncated: bool) {
    xml.optional("Name", permit.target().bucket().map(|bucket| bucket.as_str()));
    encoding.text(xml, "Prefix", &list.prefix);
    xml.text("MaxKeys", &list.max_keys.to_string());
    if !list.delimiter.is_empty() {
        encoding.text(xml, "Delimiter", &list.delimiter);
    }
    if encoding.url {
        xml.text("EncodingType", "url");
    }
    xml.text("IsTruncated", if truncated { "true" } else { "false" });
}

fn body(xml: &mut Xml, page: &ObjectPage, encoding: Encoding, owner: Option<&str>) {
    for object in &page.objects {
        xml.element("Contents", |xml| contents(xml, object, encoding, owner));
    }
    for prefix in &page.common_prefixes {
        xml.element("CommonPrefixes", |xml| encoding.text(xml, "Prefix", prefix));
    }
}

fn contents(xml: &mut Xml, object: &ObjectSummary, encoding: Encoding, owner: Option<&str>) {
    encoding.text(xml, "Key", object.key.as_str());
    xml.text("LastModified", &iso8601_millis(object.modified));
    xml.text("ETag", &quoted(&object.etag));
    for checksum in object.checksums.iter() {
        xml.text("ChecksumAlgorithm", checksum.algorithm().name());
        xml.text("ChecksumType", checksum.kind().name());
    }
    xml.text("Size", &object.size.to_string());
    if let Some(owner) = owner {
        xml.element("Owner", |xml| xml.text("ID", owner));
    }
    xml.text("StorageClass", object.storage_class.name());
}

/// `ListMultipartUploads`
pub(super) async fn uploads(store: &Store, permit: &Permit) -> Answer {
    let query = &permit.request().query;
    let encoding = Encoding::of(query)?;
    let text = |name: &str| query.value(name).unwrap_or_default().to_owned();
    let list = UploadQuery {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        after_key: text("key-marker"),
        after_upload: query.value("upload-id-marker").filter(|id| !id.is_empty()).map(UploadId::new),
        max_uploads: limit(query, "max-uploads")?,
    };
    let page = match list.max_uploads {
        0 => store.bucket(permit.bucket()?).await.map(|_| Default::default())?,
        _ => store.list_uploads(permit.bucket()?, list.clone()).await?,
    };
    let document = Xml::document("ListMultipartUploadsResult", |xml| {
        xml.optional("Bucket", permit.target().bucket().map(|bucket| bucket.as_str()));
        encoding.text(xml, "KeyMarker", &list.after_key);
        xml.text("UploadIdMarker", list.after_upload.as_ref().map(UploadId::as_str).unwrap_or_default());
        if let Some((key, upload)) = &page.next {
            encoding.text(xml, "NextKeyMarker", key);
            xml.optional("NextUploadIdMarker", upload.as_ref().map(UploadId::as_str));
        }
        encoding.text(xml, "Prefix", &list.prefix);
        if !list.delimiter.is_empty() {
            encoding.text(xml, "Delimiter", &list.delimiter);
        }
        if encoding.url {
            xml.text("EncodingType", "url");
        }
        xml.text("MaxUploads", &list.max_uploads.to_string());
        xml.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        for upload in &page.uploads {
            xml.element("Upload", |xml| {
                encoding.text(xml, "Key", upload.key.as_str());
                xml.text("UploadId", upload.id.as_str());
                xml.element("Initiator", |xml| xml.text("ID", permit.owner_id()));
                xml.element("Owner", |xml| xml.text("ID", permit.owner_id()));
                xml.text("StorageClass", upload.storage_class.name());
                xml.text("Initiated", &iso8601_millis(upload.initiated));
                if let Some((algorithm, kind)) = upload.checksum {
                    xml.text("ChecksumAlgorithm", algorithm.name());
                    xml.text("ChecksumType", kind.name());
                }
            });
        }
        for prefix in &page.common_prefixes {
            xml.element("CommonPrefixes", |xml| encoding.text(xml, "Prefix", prefix));
        }
    });
    Ok(document.answer())
}

/// `ListParts`
pub(super) async fn parts(store: &Store, permit: &Permit) -> Answer {
    let query = &permit.request().query;
    let encoding = Encoding::of(query)?;
    let (bucket, key) = permit.object()?;
    let id = UploadId::new(query.value("uploadId").unwrap_or_default());
    let after = match query.value("part-number-marker") {
        None | Some("") => 0,
        Some(text) => text.parse().map_err(|_| {
            Refusal::invalid_argument("Provided part-number-marker not an integer or within integer range")
        })?,
    };
    let most = limit(query, "max-parts")?;
    let upload = store.upload(bucket, key, &id).await?;
    let page = match most {
        0 => Default::default(),
        _ => store.list_parts(bucket, key, &id, after, most).await?,
    };
    let document = Xml::document("ListPartsResult", |xml| {
        xml.text("Bucket", bucket.as_str());
        encoding.text(xml, "Key", key.as_str());
        xml.text("UploadId", id.as_str());
        xml.text("PartNumberMarker", &after.to_string());
        if let Some(next) = page.next {
            xml.text("NextPartNumberMarker", &next.to_string());
        }
        xml.text("MaxParts", &most.to_string());
        xml.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        for part in &page.parts {
            xml.element("Part", |xml| {
                xml.text("PartNumber", &part.number.to_string());
                xml.text("LastModified", &iso8601_millis(part.modified));
                xml.text("ETag", &quoted(&part.etag));
                xml.text("Size", &part.size.to_string());
                for checksum in part.checksums.iter() {
                    xml.text(&format!("Checksum{}", checksum.algorithm().name()), &checksum.to_string());
                }
            });
        }
        xml.element("Initiator", |xml| xml.text("ID", permit.owner_id()));
        xml.element("Owner", |xml| xml.text("ID", permit.owner_id()));
        xml.text("StorageClass", upload.storage_class.name());
        if let Some((algorithm, kind)) = upload.checksum {
            xml.text("ChecksumAlgorithm", algorithm.name());
            xml.text("ChecksumType", kind.name());
        }
    });
    Ok(document.answer())
}
