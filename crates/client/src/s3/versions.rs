//! Versions of objects listed, page by page (ListObjectVersions).

use std::sync::Arc;

use futures_util::stream::Stream;
use http::Method;
use wigeon_core::s3::BucketName;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::list::ListQuery;
use super::object::ETag;
use super::pages::{Entry, Listed, Page, decode, entries};
use super::xml;

/// A version of an object, or the mark of its removal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its key.
    pub key: String,
    /// `null` for one that was written while the bucket kept no versions.
    pub version_id: String,
    /// Whether it is what a request without a version gets.
    pub is_latest: bool,
    /// Whether it says that the object was removed.
    pub is_delete_marker: bool,
    /// In bytes; 0 of a delete marker.
    pub size: u64,
    /// When it was written.
    pub last_modified: Option<Timestamp>,
    /// Changes with the content; none of a delete marker.
    pub etag: Option<ETag>,
    /// Where the store says.
    pub storage_class: Option<String>,
}

/// The key and the version to go on after.
type Mark = (String, String);

impl Listed for VersionSummary {
    fn key(&self) -> &str {
        &self.key
    }

    fn key_mut(&mut self) -> &mut String {
        &mut self.key
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn last_modified(&self) -> Option<Timestamp> {
        self.last_modified
    }
}

impl Client {
    /// All versions, in the order of their keys and the newest first. [`ListQuery::start_after`] names a key.
    pub fn list_versions(
        &self,
        bucket: &BucketName,
        query: ListQuery,
    ) -> impl Stream<Item = Result<Entry<VersionSummary>, S3Error>> + Send + Unpin + 'static + use<> {
        let first = query.start_after.clone().map(|key| (key, String::new()));
        let listed = Arc::new((bucket.clone(), query));
        entries(self.clone(), "ListObjectVersions", first, move |client, mark| {
            let listed = Arc::clone(&listed);
            async move { client.version_page(&listed.0, &listed.1, mark.as_ref()).await }
        })
    }

    async fn version_page(
        &self,
        bucket: &BucketName,
        query: &ListQuery,
        after: Option<&Mark>,
    ) -> Result<Page<VersionSummary, Mark>, S3Error> {
        let mut call = Call::bucket("ListObjectVersions", Method::GET, bucket)
            .query("versions", "")
            .query("encoding-type", "url")
            .query("prefix", query.prefix.as_str())
            .query("max-keys", query.page_size.unwrap_or(1000).to_string());
        if let Some(delimiter) = &query.delimiter {
            call = call.query("delimiter", delimiter.as_str());
        }
        if let Some((key, version)) = after {
            call = call.query("key-marker", key.as_str());
            if !version.is_empty() {
                call = call.query("version-id-marker", version.as_str());
            }
        }
        let answer = self.send_whole(&call).await?;
        read_page(&answer.body)
            .and_then(|page| page.after(after))
            .map_err(|what| self.not_understood("ListObjectVersions", what))
    }
}

fn read_page(body: &[u8]) -> Result<Page<VersionSummary, Mark>, String> {
    let mut entries = Vec::new();
    let mut version = VersionSummary::default();
    let (mut encoded, mut is_truncated) = (false, false);
    let (mut next_key, mut next_version) = (None, String::new());
    xml::walk(body, |path, text| {
        if let Some(field) = path.strip_prefix("Version/").or_else(|| path.strip_prefix("DeleteMarker/")) {
            match field {
                "Key" => text.clone_into(&mut version.key),
                "VersionId" => text.clone_into(&mut version.version_id),
                "IsLatest" => version.is_latest = text == "true",
                "LastModified" => version.last_modified = parse_iso8601(text),
                "Size" => version.size = text.parse().map_err(|_| "a size is not a number")?,
                "ETag" => version.etag = Some(ETag::new(text)),
                "StorageClass" => version.storage_class = Some(text.to_owned()),
                _ => {}
            }
            return Ok(());
        }
        match path {
            "Version" | "DeleteMarker" => {
                version.is_delete_marker = path == "DeleteMarker";
                entries.push(Entry::Item(std::mem::take(&mut version)));
            }
            "CommonPrefixes/Prefix" => entries.push(Entry::Prefix(text.to_owned())),
            "IsTruncated" => is_truncated = text == "true",
            "NextKeyMarker" => next_key = Some(text.to_owned()),
            "NextVersionIdMarker" => text.clone_into(&mut next_version),
            "EncodingType" => encoded = text == "url",
            _ => {}
        }
        Ok(())
    })?;
    if let Some(key) = next_key.as_mut().filter(|_| encoded) {
        decode(key)?;
    }
    Page::read(entries, encoded, is_truncated, next_key.map(|key| (key, next_version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let page = read_page(
            br#"<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><EncodingType>url</EncodingType>
              <IsTruncated>true</IsTruncated><NextKeyMarker>b+c</NextKeyMarker>
              <NextVersionIdMarker>v1</NextVersionIdMarker>
              <DeleteMarker><Key>b+c</Key><VersionId>v2</VersionId><IsLatest>true</IsLatest>
                <LastModified>2026-11-23T20:00:00.000Z</LastModified></DeleteMarker>
              <Version><Key>b+c</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest><Size>7</Size>
                <ETag>"x"</ETag><StorageClass>COLD</StorageClass><Owner><ID>o</ID></Owner></Version>
              <CommonPrefixes><Prefix>a%2F</Prefix></CommonPrefixes></ListVersionsResult>"#,
        )
        .unwrap();
        assert_eq!(page.next, Some(("b c".to_owned(), "v1".to_owned())));
        let [Entry::Prefix(prefix), Entry::Item(marker), Entry::Item(version)] = page.entries.as_slice()
        else {
            panic!("{:?}", page.entries)
        };
        assert_eq!((prefix.as_str(), marker.key.as_str()), ("a/", "b c"));
        assert!(
            marker.is_delete_marker && marker.is_latest && !version.is_delete_marker && !version.is_latest
        );
        assert_eq!((version.size, version.storage_class.as_deref()), (7, Some("COLD")));
        assert_eq!((marker.size, marker.etag.as_ref()), (0, None));
        assert!(read_page(b"<L><IsTruncated>true</IsTruncated></L>").is_err());
        assert!(read_page(b"<L><Version><Size>x</Size></Version></L>").is_err());
    }
}
