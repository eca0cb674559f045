//! Tags of objects and buckets.

use http::Method;
use wigeon_core::s3::uri::percent_encode;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::Client;
use super::error::{ErrorKind, S3Error};
use super::xml;

/// A tag: its name and its value, which may be empty.
pub type Tag = (String, String);

impl Client {
    /// The tags of an object (GetObjectTagging).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn object_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Vec<Tag>, S3Error> {
        let call = Call::object("GetObjectTagging", Method::GET, bucket, key).version(version);
        self.tags(call).await
    }

    /// Gives an object these tags and no others (PutObjectTagging); none at all with DeleteObjectTagging.
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_object_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
        tags: &[Tag],
    ) -> Result<(), S3Error> {
        let call = if tags.is_empty() {
            Call::object("DeleteObjectTagging", Method::DELETE, bucket, key).query("tagging", "")
        } else {
            Call::object("PutObjectTagging", Method::PUT, bucket, key)
                .query("tagging", "")
                .document(tagging(tags))?
        };
        self.send_whole(&call.version(version)).await.map(drop)
    }

    /// The tags of a bucket (GetBucketTagging).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn bucket_tags(&self, bucket: &BucketName) -> Result<Vec<Tag>, S3Error> {
        match self.tags(Call::bucket("GetBucketTagging", Method::GET, bucket)).await {
            Err(error) if matches!(error.code(), Some("NoSuchTagSet" | "NoSuchTagSetError")) => {
                Ok(Vec::new())
            }
            other => other,
        }
    }

    /// Gives a bucket these tags and no others (PutBucketTagging, DeleteBucketTagging).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn set_bucket_tags(&self, bucket: &BucketName, tags: &[Tag]) -> Result<(), S3Error> {
        let call = if tags.is_empty() {
            Call::bucket("DeleteBucketTagging", Method::DELETE, bucket).query("tagging", "")
        } else {
            Call::bucket("PutBucketTagging", Method::PUT, bucket)
                .query("tagging", "")
                .document(tagging(tags))?
        };
        match self.send_whole(&call).await {
            Err(error)
                if tags.is_empty()
                    && error.kind() == ErrorKind::NotFound
                    && error.code() != Some("NoSuchBucket") =>
            {
                Ok(())
            }
            other => other.map(drop),
        }
    }

    async fn tags(&self, call: Call) -> Result<Vec<Tag>, S3Error> {
        let operation = call.operation;
        let answer = self.send_whole(&call.query("tagging", "")).await?;
        read(&answer.body).map_err(|what| self.not_understood(operation, what))
    }
}

/// As `x-amz-tagging` has them: encoded as in a query.
pub(crate) fn as_header(tags: &[Tag]) -> String {
    let pairs: Vec<_> = tags
        .iter()
        .map(|(name, value)| format!("{}={}", percent_encode(name, false), percent_encode(value, false)))
        .collect();
    pairs.join("&")
}

fn tagging(tags: &[Tag]) -> String {
    let mut body = String::from("<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>");
    for (name, value) in tags {
        body.push_str("<Tag>");
        xml::element(&mut body, "Key", name);
        xml::element(&mut body, "Value", value);
        body.push_str("</Tag>");
    }
    body.push_str("</TagSet></Tagging>");
    body
}

fn read(body: &[u8]) -> Result<Vec<Tag>, String> {
    let (mut tags, mut tag) = (Vec::new(), Tag::default());
    xml::walk(body, |path, text| {
        match path {
            "TagSet/Tag/Key" => text.clone_into(&mut tag.0),
            "TagSet/Tag/Value" => text.clone_into(&mut tag.1),
            "TagSet/Tag" => tags.push(std::mem::take(&mut tag)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_as_they_are_written() {
        let tags = [("a b".to_owned(), "<&\r\n>".to_owned()), ("ü".to_owned(), String::new())];
        assert_eq!(read(tagging(&tags).as_bytes()).unwrap(), tags);
        assert!(read(b"<Tagging>").is_err());
        assert_eq!(as_header(&tags), "a%20b=%3C%26%0D%0A%3E&%C3%BC=");
    }
}
