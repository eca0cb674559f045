//! Objects listed, page by page (ListObjectsV2).
//!
//! Keys are asked for percent-encoded, so that those that XML cannot hold arrive too. A store that would have
//! us ask for the same page for ever is refused.

use std::collections::VecDeque;

use futures_util::stream::{self, Stream};
use http::Method;
use tokio::task::JoinHandle;
use wigeon_core::s3::BucketName;
use wigeon_core::s3::uri::percent_decode;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;
use super::object::ETag;
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

/// An object, or the common prefix of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An object.
    Object(ObjectSummary),
    /// Keys up to and including the delimiter.
    Prefix(String),
}

impl Entry {
    /// The key or the prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Object(object) => &object.key,
            Self::Prefix(prefix) => prefix,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, Default)]
pub struct ListPage {
    /// In the order of their names.
    pub entries: Vec<Entry>,
    /// To ask for the next page with; `None` at the end.
    pub next: Option<String>,
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
        token: Option<&str>,
    ) -> Result<ListPage, S3Error> {
        let mut call = Call::bucket("ListObjectsV2", Method::GET, bucket)
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("prefix", query.prefix.as_str())
            .query("max-keys", query.page_size.unwrap_or(1000).to_string());
        let optional = [
            ("delimiter", query.delimiter.as_deref()),
            ("start-after", query.start_after.as_deref()),
            ("continuation-token", token),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                call = call.query(name, value);
            }
        }
        let answer = self.send_whole(&call).await?;
        let page = read_page(&answer.body).map_err(|what| self.not_understood("ListObjectsV2", what))?;
        if page.next.is_some() && page.next.as_deref() == token {
            return Err(self.not_understood("ListObjectsV2", "the next page would be the same page"));
        }
        Ok(page)
    }

    /// All entries, in the order of their names. The next page is on its way while one is used, so whoever works on
    /// what is listed hardly waits for the list, and never more than two pages are in memory.
    pub fn list(
        &self,
        bucket: &BucketName,
        query: ListQuery,
    ) -> impl Stream<Item = Result<Entry, S3Error>> + Send + Unpin + 'static + use<> {
        let start = Listing {
            client: self.clone(),
            bucket: bucket.clone(),
            query,
            entries: VecDeque::new(),
            ahead: None,
            is_begun: false,
        };
        Box::pin(stream::try_unfold(start, Listing::step))
    }
}

struct Listing {
    client: Client,
    bucket: BucketName,
    query: ListQuery,
    entries: VecDeque<Entry>,
    ahead: Option<PageAhead>,
    is_begun: bool,
}

/// A page that is being fetched, until nobody wants it any more.
struct PageAhead(JoinHandle<Result<ListPage, S3Error>>);

impl Drop for PageAhead {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listing {
    fn fetch(&self, token: String) -> PageAhead {
        let (client, bucket, query) = (self.client.clone(), self.bucket.clone(), self.query.clone());
        PageAhead(tokio::spawn(async move { client.list_page(&bucket, &query, Some(&token)).await }))
    }

    async fn step(mut self) -> Result<Option<(Entry, Self)>, S3Error> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Ok(Some((entry, self)));
            }
            let page = match self.ahead.take() {
                Some(mut ahead) => match (&mut ahead.0).await {
                    Ok(page) => page?,
                    Err(error) => return Err(self.client.not_understood("ListObjectsV2", error)),
                },
                None if self.is_begun => return Ok(None),
                None => self.client.list_page(&self.bucket, &self.query, None).await?,
            };
            self.is_begun = true;
            self.entries = page.entries.into();
            self.ahead = page.next.map(|token| self.fetch(token));
        }
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
            "Contents" => entries.push(Entry::Object(std::mem::take(&mut object))),
            "CommonPrefixes/Prefix" => entries.push(Entry::Prefix(text.to_owned())),
            "IsTruncated" => is_truncated = text == "true",
            "NextContinuationToken" => next = Some(text.to_owned()),
            "EncodingType" => encoded = text == "url",
            _ => {}
        }
        Ok(())
    })?;
    if encoded {
        for entry in &mut entries {
            decode(match entry {
                Entry::Object(object) => &mut object.key,
                Entry::Prefix(prefix) => prefix,
            })?;
        }
    }
    // Prefixes come after the objects; keys are in order already, and a sort of what is sorted is a walk.
    entries.sort_by(|a, b| a.name().cmp(b.name()));
    match (is_truncated, next) {
        (true, None) => Err("there is more, and no token to ask for it with".to_owned()),
        (true, next) => Ok(ListPage { entries, next }),
        (false, _) => Ok(ListPage { entries, next: None }),
    }
}

/// Undoes `encoding-type=url`. Space is written as `+` by some stores, and a plus as `%2B` by all.
pub(crate) fn decode(text: &mut String) -> Result<(), String> {
    if text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        *text = percent_decode(&text.replace('+', " ")).ok_or("a key is not UTF-8")?;
    }
    Ok(())
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
        let Some(Entry::Object(object)) = page.entries.last() else { panic!("no object") };
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
