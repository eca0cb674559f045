//! What a request's address names: a bucket and a key, in path style or virtual-host style, and the
//! `s3://bucket/key` form that people write.
//!
//! A path is percent-decoded exactly once, here, and never normalised: `..`, `.`, `//` and `%2F` are part of
//! the key. What is authorised is what the backend gets. (URL types that follow the WHATWG rules collapse
//! `..` and `%2e%2e` segments; a client must not pass keys through one.)

use super::name::{BucketName, NameError, ObjectKey};
pub use crate::encoding::{percent_decode, percent_encode};

/// What a request's host and path name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The service: `/`.
    Service,
    /// A bucket.
    Bucket(BucketName),
    /// An object.
    Object(BucketName, ObjectKey),
}

/// Why an address names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// `%` without two hexadecimal digits, or no UTF-8.
    #[error("the path of the request is not percent-encoded UTF-8")]
    Encoding,
    /// The bucket's or object's name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl Target {
    /// Reads a request's address.
    ///
    /// `host` is the Host header or `:authority`; `path` the raw path; `domains` the names under which buckets
    /// are hosts (`s3.example.org` for `bucket.s3.example.org`), without ports.
    ///
    /// # Errors
    /// [`UriError`] where the path is not decodable or a name is not allowed.
    pub fn parse(host: &str, path: &str, domains: &[String]) -> Result<Self, UriError> {
        let path = path.strip_prefix('/').ok_or(UriError::Encoding)?;
        let path = percent_decode(path).ok_or(UriError::Encoding)?;
        let (bucket, key) = match virtual_host(host, domains) {
            Some(bucket) => (bucket, &*path),
            None if path.is_empty() => return Ok(Self::Service),
            None => path.split_once('/').unwrap_or((&path, "")),
        };
        let bucket = BucketName::parse_existing(bucket)?;
        Ok(if key.is_empty() { Self::Bucket(bucket) } else { Self::Object(bucket, ObjectKey::parse(key)?) })
    }

    /// The bucket, if one is named.
    #[must_use]
    pub fn bucket(&self) -> Option<&BucketName> {
        match self {
            Self::Service => None,
            Self::Bucket(bucket) | Self::Object(bucket, _) => Some(bucket),
        }
    }

    /// The key, if one is named.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Service | Self::Bucket(_) => None,
            Self::Object(_, key) => Some(key),
        }
    }

    /// `arn:aws:s3:::bucket/key`, `arn:aws:s3:::bucket`, or `*` for the service.
    #[must_use]
    pub fn arn(&self) -> String {
        match self {
            Self::Service => "*".to_owned(),
            Self::Bucket(bucket) => ["arn:aws:s3:::", bucket.as_str()].concat(),
            Self::Object(bucket, key) => ["arn:aws:s3:::", bucket.as_str(), "/", key.as_str()].concat(),
        }
    }
}

fn virtual_host<'a>(host: &'a str, domains: &[String]) -> Option<&'a str> {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    domains.iter().find_map(|domain| {
        let head = name.len().checked_sub(domain.len())?;
        let (bucket, tail) = name.split_at_checked(head)?;
        tail.eq_ignore_ascii_case(domain).then_some(())?;
        bucket.strip_suffix('.').filter(|bucket| !bucket.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(bucket: &str, key: &str) -> Target {
        Target::Object(BucketName::parse(bucket).unwrap(), ObjectKey::parse(key).unwrap())
    }

    #[test]
    fn path_style() {
        let parse = |path| Target::parse("localhost:9000", path, &["s3.test".into()]);
        assert_eq!(parse("/"), Ok(Target::Service));
        assert_eq!(parse("/bucket"), Ok(Target::Bucket(BucketName::parse("bucket").unwrap())));
        assert_eq!(parse("/bucket/"), parse("/bucket"));
        assert_eq!(parse("/bucket/a%20b+c/%2e%2e/../d"), Ok(object("bucket", "a b+c/../../d")));
        assert_eq!(parse("/bucket//a%2Fb"), Ok(object("bucket", "/a/b")));
        assert_eq!(parse("/bucket/%C3%BC"), Ok(object("bucket", "ü")));
    }

    #[test]
    fn refused() {
        let parse = |path| Target::parse("h", path, &[]);
        for path in ["", "bucket", "/b%zz/k", "/bucket/%", "/bucket/%f", "/bucket/%ff", "/bucket/%C3%28"] {
            assert_eq!(parse(path), Err(UriError::Encoding), "{path}");
        }
        for path in ["//key", "/../x", "/%2e%2e/x", "/..%2fetc/x", "/bucket/a%00b", "/a%2Fb%00"] {
            assert!(matches!(parse(path), Err(UriError::Name(_))), "{path}");
        }
    }

    #[test]
    fn virtual_host_style() {
        let parse = |host, path| Target::parse(host, path, &["s3.test".into(), "localhost".into()]);
        assert_eq!(parse("my.bucket.s3.test:9000", "/a/b"), Ok(object("my.bucket", "a/b")));
        assert_eq!(parse("bucket.LOCALHOST", "//a"), Ok(object("bucket", "/a")));
        assert_eq!(parse("s3.test", "/bucket/a"), Ok(object("bucket", "a")));
        assert_eq!(parse("evil-s3.test", "/bucket/a"), Ok(object("bucket", "a")));
        assert_eq!(parse("[::1]:9000", "/bucket/a"), Ok(object("bucket", "a")));
    }
}
