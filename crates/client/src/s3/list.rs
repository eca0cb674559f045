//! Objects listed, page by page (ListObjectsV2).

use std::sync::Arc;

use futures_util::stream::Stream;
use http::Method;
use wigeon_core::s3::BucketName;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::object::ETag;
use super::pages::{Entry, Listed, Page, entries};
use super::xml;

/// What is listed.
#[derive(Debug, Clone, Default)]
pub struct ListQuery {
    /// Only keys that begin so.
    pub prefix: String,
    /// Keys that share what comes before this are listed as one; usually `/`.
    pub delimiter: Option<String>,
    /// Only keys after this one.
    pub start_after: Option<String>,
    /// Keys per page, 1000 at most and by default.
    pub page_size: Option<u16>,
}

/// An object in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectSummary {
    /// Its key.
    pub key: String,
    /// In bytes.
    pub size: u64,
    /// When it was written.
    pub last_modified: Option<Timestamp>,
    /// Changes with the content.
    pub etag: Option<ETag>,
    /// Where the store says.
    pub storage_class: Option<String>,
}

/// A page of a list of objects.
pub type ListPage = Page<ObjectSummary, String>;

impl Listed for ObjectSummary {
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
    /// One page (ListObjectsV2); `token` is the `next` of the page before.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn list_page(
        &self,
        bucket: &BucketName,
        query: &ListQuery,
        token: Option<&String>,
    ) -> Result<ListPage, S3Error> {
        let mut call = Call::bucket("ListObjectsV2", Method::GET, bucket)
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("prefix", query.prefix.as_str())
            .query("max-keys", query.page_size.unwrap_or(1000).to_string());
        let optional = [
            ("delimiter", query.delimiter.as_deref()),
            ("start-after", query.start_after.as_deref()),
            ("continuation-token", token.map(String::as_str)),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                call = call.query(name, value);
            }
        }
        let answer = self.send_whole(&call).await?;
        read_page(&answer.body)
            .and_then(|page| page.after(token))
            .map_err(|what| self.not_understood("ListObjectsV2", what))
    }

    /// All entries, in the order of their names.
    pub fn list(
        &self,
        bucket: &BucketName,
        query: ListQuery,
    ) -> impl Stream<Item = Result<Entry<ObjectSummary>, S3Error>> + Send + Unpin + 'static + use<> {
        let listed = Arc::new((bucket.clone(), query));
        entries(self.clone(), "ListObjectsV2", None, move |client, token| {
            let listed = Arc::clone(&listed);
            async move { client.list_page(&listed.0, &listed.1, token.as_ref()).await }
        })
    }
}

fn read_page(body: &[u8]) -> Result<ListPage, String> {
    let (mut entries, mut object) = (Vec::new(), ObjectSummary::default());
    let (mut encoded, mut is_truncated, mut next) = (false, false, None);
    xml::walk(body, |path, text| {
        match path {
            "Contents/Key" => text.clone_into(&mut object.key),
            "Contents/Size" => object.size = text.parse().map_err(|_| "a size is not a number")?,
            "Contents/LastModified" => object.last_modified = parse_iso8601(text),
            "Contents/ETag" => object.etag = Some(ETag::new(text)),
            "Contents/StorageClass" => object.storage_class = Some(text.to_owned()),
            "Contents" => entries.push(Entry::Item(std::mem::take(&mut object))),
            "CommonPrefixes/Prefix" => entries.push(Entry::Prefix(text.to_owned())),
            "IsTruncated" => is_truncated = text == "true",
            "NextContinuationToken" => next = Some(text.to_owned()),
            "EncodingType" => encoded = text == "url",
            _ => {}
        }
        Ok(())
    })?;
    Page::read(entries, encoded, is_truncated, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let page = read_page(
            br#"<?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
              <IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>
              <EncodingType>url</EncodingType>
              <Contents><Key>z+a%2Bb%25%01</Key><LastModified>2026-11-23T20:00:00.000Z</LastModified>
                <ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag><Size>7</Size></Contents>
              <CommonPrefixes><Prefix>a%C3%BC/</Prefix></CommonPrefixes>
              <CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>
              <KeyCount>3</KeyCount>
            </ListBucketResult>"#,
        )
        .unwrap();
        let names: Vec<_> = page.entries.iter().map(Entry::name).collect();
        assert_eq!(names, ["a\u{fc}/", "b/", "z a+b%\u{1}"]);
        assert_eq!(page.next.as_deref(), Some("t"));
        let Some(Entry::Item(object)) = page.entries.last() else { panic!("no object") };
        assert_eq!((object.size, object.etag.as_ref().unwrap().md5().is_some()), (7, true));
    }

    #[test]
    fn keys_that_are_not_encoded_are_taken_as_they_are() {
        let page = read_page(b"<ListBucketResult><Contents><Key>a+b%20</Key></Contents></ListBucketResult>")
            .unwrap();
        assert_eq!(page.entries.first().unwrap().name(), "a+b%20");
    }

    #[test]
    fn refused() {
        for body in [
            &b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>"[..],
            b"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%ff</Key></Contents></ListBucketResult>",
            b"<html>",
            b"\xff",
        ] {
            assert!(read_page(body).is_err());
        }
    }
}
