//! Whether a bucket keeps versions, and the listing of them.

use http::Response;
use wigeon_core::time::iso8601_millis;

use super::headers::{quoted, version_id};
use super::listing::{Encoding, limit};
use super::upload::checked_body;
use super::xml::{self, Answer, LONGEST_BODY, Xml, child_text};
use crate::authorize::Permit;
use crate::backend::local::Store;
use crate::backend::local::object::VersionSummary;
use crate::backend::local::request::VersionQuery;
use crate::backend::local::version::Versioning;
use crate::body::{RequestBody, empty};
use crate::refusal::Refusal;

/// `GetBucketVersioning`
pub(super) async fn state(store: &Store, permit: &Permit) -> Answer {
    let bucket = store.bucket(permit.bucket()?).await?;
    let document = Xml::document("VersioningConfiguration", |xml| match bucket.versioning {
        Versioning::Never => {}
        Versioning::Enabled => xml.text("Status", "Enabled"),
        Versioning::Suspended => xml.text("Status", "Suspended"),
    });
    Ok(document.answer())
}

/// `PutBucketVersioning`. There are no devices for multi-factor deletion here.
pub(super) async fn put_state(store: &Store, permit: &Permit, body: &mut RequestBody<'_>) -> Answer {
    let document = checked_body(permit, body, LONGEST_BODY).await?;
    let enabled = xml::read(&document, "VersioningConfiguration", |node| {
        match child_text(node, "MfaDelete").map(str::trim) {
            None | Some("Disabled") => {}
            Some("Enabled") => return Err(Refusal::not_implemented("MfaDelete")),
            Some(_) => return Err(Refusal::malformed_xml("MfaDelete is Enabled or Disabled.")),
        }
        match child_text(node, "Status").map(str::trim) {
            Some("Enabled") => Ok(true),
            Some("Suspended") => Ok(false),
            _ => Err(Refusal::new(
                "IllegalVersioningConfigurationException",
                http::StatusCode::BAD_REQUEST,
                "The Versioning element must be specified",
            )),
        }
    })?;
    store.set_versioning(permit.bucket()?, enabled).await?;
    Ok(Response::new(empty()))
}

/// `ListObjectVersions`
pub(super) async fn list(store: &Store, permit: &Permit) -> Answer {
    let query = &permit.request().query;
    let encoding = Encoding::of(query)?;
    let text = |name: &str| query.value(name).unwrap_or_default().to_owned();
    let marker = query.value("version-id-marker").filter(|marker| !marker.is_empty());
    if marker.is_some() && text("key-marker").is_empty() {
        let message = "A version-id marker cannot be specified without a key marker.";
        return Err(Refusal::invalid_argument(message));
    }
    let list = VersionQuery {
        prefix: text("prefix"),
        delimiter: text("delimiter"),
        after_key: text("key-marker"),
        after_version: marker.map(version_id).transpose()?,
        max_keys: limit(query, "max-keys")?,
    };
    let page = match list.max_keys {
        0 => store.bucket(permit.bucket()?).await.map(|_| Default::default())?,
        _ => store.list_versions(permit.bucket()?, list.clone()).await?,
    };
    let document = Xml::document("ListVersionsResult", |xml| {
        xml.optional("Name", permit.target().bucket().map(|bucket| bucket.as_str()));
        encoding.text(xml, "Prefix", &list.prefix);
        encoding.text(xml, "KeyMarker", &list.after_key);
        xml.text("VersionIdMarker", marker.unwrap_or_default());
        if let Some((key, version)) = &page.next {
            encoding.text(xml, "NextKeyMarker", key);
            xml.optional("NextVersionIdMarker", version.map(|version| version.to_string()).as_deref());
        }
        xml.text("MaxKeys", &list.max_keys.to_string());
        if !list.delimiter.is_empty() {
            encoding.text(xml, "Delimiter", &list.delimiter);
        }
        if encoding.is_url() {
            xml.text("EncodingType", "url");
        }
        xml.text("IsTruncated", if page.next.is_some() { "true" } else { "false" });
        for version in &page.versions {
            let element = if version.object.is_some() { "Version" } else { "DeleteMarker" };
            xml.element(element, |xml| written(xml, version, encoding, permit.owner_id()));
        }
        for prefix in &page.common_prefixes {
            xml.element("CommonPrefixes", |xml| encoding.text(xml, "Prefix", prefix));
        }
    });
    Ok(document.answer())
}

fn written(xml: &mut Xml, version: &VersionSummary, encoding: Encoding, owner: &str) {
    encoding.text(xml, "Key", version.key.as_str());
    xml.text("VersionId", &version.version.to_string());
    xml.text("IsLatest", if version.is_latest { "true" } else { "false" });
    xml.text("LastModified", &iso8601_millis(version.modified));
    if let Some(object) = &version.object {
        xml.text("ETag", &quoted(&object.etag));
        for checksum in object.checksums.iter() {
            xml.text("ChecksumAlgorithm", checksum.algorithm().name());
            xml.text("ChecksumType", checksum.kind().name());
        }
        xml.text("Size", &object.size.to_string());
        xml.text("StorageClass", object.storage_class.name());
    }
    xml.element("Owner", |xml| xml.text("ID", owner));
}
