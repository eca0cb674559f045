//! Where a store is, and where a bucket or an object is in it.
//!
//! Enters: the store's address, region, addressing style and path prefix. Leaves: the host, the path and the
//! address of a request, as text: a key is sent as it is signed, `.` and `..` segments included, which types
//! for web addresses resolve. Refused: an address that is not http or https.

use url::{Host, Url};
use wigeon_core::s3::uri::{Target, percent_encode};
use wigeon_core::sigv4::canonical::Query;

use crate::connect::is_loopback_authority;
use crate::profile::{Settings, SettingsError};

/// Where the name of a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// `https://host/bucket/key`.
    Path,
    /// `https://bucket.host/key`; a bucket whose name cannot be a host's is still addressed by path.
    VirtualHost,
}

/// A store's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    https: bool,
    /// With the port, where it is not the scheme's own.
    authority: String,
    /// An IP address, or `localhost`: no names under it lead anywhere.
    is_leaf: bool,
    region: String,
    addressing: Addressing,
    /// Encoded, with a slash at its start and none at its end; or empty.
    prefix: String,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither http nor https, or no host.
    #[error("`{0}` is not an http or https address of a store")]
    NotHttp(String),
    /// Credentials, a query or a fragment have no meaning here.
    #[error("the store's address `{0}` has a user name, a query or a fragment")]
    NotBare(String),
}

/// Why a profile names no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ProfileEndpointError {
    /// The profile has a value that cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The values together make no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

/// One request's place.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// What is sent as Host, and signed.
    pub(crate) host: String,
    /// Percent-encoded.
    pub(crate) path: String,
    https: bool,
}

impl Endpoint {
    /// An endpoint from its parts; the path of `url` and `context` together prefix every request's path.
    ///
    /// # Errors
    /// [`EndpointError`] where the address is not a bare http or https address.
    pub fn new(
        url: &Url,
        region: impl Into<String>,
        addressing: Addressing,
        context: &str,
    ) -> Result<Self, EndpointError> {
        let host = url.host().ok_or_else(|| EndpointError::NotHttp(url.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(EndpointError::NotHttp(url.to_string()));
        }
        if !url.username().is_empty() || url.query().is_some() || url.fragment().is_some() {
            return Err(EndpointError::NotBare(url.to_string()));
        }
        let is_leaf = !matches!(host, Host::Domain(name) if name != "localhost");
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_string(),
        };
        let context = context.trim_matches('/');
        let context =
            if context.is_empty() { String::new() } else { format!("/{}", percent_encode(context, true)) };
        Ok(Self {
            https: url.scheme() == "https",
            authority,
            is_leaf,
            region: region.into(),
            addressing,
            prefix: format!("{}{context}", url.path().trim_end_matches('/')),
        })
    }

    /// The endpoint that a profile names; its address has the profile's path prefix already.
    ///
    /// # Errors
    /// A profile whose address, scheme or port is none.
    pub fn of_profile(settings: &Settings) -> Result<Self, ProfileEndpointError> {
        let style = if settings.path_style()?.value { Addressing::Path } else { Addressing::VirtualHost };
        Ok(Self::new(&settings.endpoint()?.value, settings.region().value, style, "")?)
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Whether it is this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback_authority(&self.authority)
    }

    /// Whether requests are encrypted on their way.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// `https://host:port`, for people.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", scheme(self.https), self.authority)
    }

    /// Where a request for this target goes. `region` is the bucket's, where it is known to be another.
    pub(crate) fn locate(&self, target: &Target, region: Option<&str>) -> Place {
        let authority = region.and_then(|region| self.aws_authority(region));
        let authority = authority.as_deref().unwrap_or(&self.authority);
        let bucket = target.bucket().map(|bucket| bucket.as_str());
        let key = target.key().map(|key| percent_encode(key.as_str(), true)).unwrap_or_default();
        let (host, path) = match bucket {
            None => (authority.to_owned(), format!("{}/", self.prefix)),
            Some(bucket) if self.is_virtual_host(bucket) => {
                (format!("{bucket}.{authority}"), format!("{}/{key}", self.prefix))
            }
            Some(bucket) if key.is_empty() => (authority.to_owned(), format!("{}/{bucket}", self.prefix)),
            Some(bucket) => (authority.to_owned(), format!("{}/{bucket}/{key}", self.prefix)),
        };
        Place { host, path, https: self.https }
    }

    /// A dot in a bucket's name does not fit a wildcard certificate.
    fn is_virtual_host(&self, bucket: &str) -> bool {
        let host_like =
            bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.');
        self.addressing == Addressing::VirtualHost
            && !self.is_leaf
            && host_like
            && bucket.len() <= 63
            && !(self.https && bucket.contains('.'))
    }

    /// AWS's own endpoints differ by region; any other store has one address for all.
    fn aws_authority(&self, region: &str) -> Option<String> {
        let rest = self.authority.strip_prefix("s3.")?;
        (rest == "amazonaws.com" || rest.ends_with(".amazonaws.com"))
            .then(|| format!("s3.{region}.amazonaws.com"))
    }
}

impl Place {
    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        scheme(self.https)
    }

    /// The path with this query, exactly as both are signed.
    pub(crate) fn path_and_query(&self, query: &Query) -> String {
        let query = query.canonical(None);
        let separator = if query.is_empty() { "" } else { "?" };
        format!("{}{separator}{query}", self.path)
    }

    /// The whole address with this query.
    pub(crate) fn address(&self, query: &Query) -> String {
        format!("{}://{}{}", self.scheme(), self.host, self.path_and_query(query))
    }
}

fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

#[cfg(test)]
mod tests {
    use wigeon_core::s3::{BucketName, ObjectKey};

    use super::*;

    fn endpoint(url: &str, addressing: Addressing, context: &str) -> Endpoint {
        Endpoint::new(&url.parse().unwrap(), "eu-west-1", addressing, context).unwrap()
    }

    fn object(bucket: &str, key: &str) -> Target {
        Target::Object(BucketName::parse_existing(bucket).unwrap(), ObjectKey::parse(key).unwrap())
    }

    fn url(endpoint: &Endpoint, target: &Target) -> String {
        endpoint.locate(target, None).address(&Query::default())
    }

    #[test]
    fn both_styles() {
        let path = endpoint("http://127.0.0.1:9000", Addressing::Path, "");
        assert_eq!(url(&path, &Target::Service), "http://127.0.0.1:9000/");
        assert_eq!(
            url(&path, &object("bucket", "a b/ü+%")),
            "http://127.0.0.1:9000/bucket/a%20b/%C3%BC%2B%25"
        );
        assert_eq!(url(&path, &object("bucket", "/a//b/")), "http://127.0.0.1:9000/bucket//a//b/");
        let hosted = endpoint("https://s3.example:443/", Addressing::VirtualHost, "");
        assert_eq!(url(&hosted, &object("bucket", "k")), "https://bucket.s3.example/k");
        assert_eq!(url(&hosted, &object("a.bucket", "k")), "https://s3.example/a.bucket/k");
        assert_eq!(url(&hosted, &object("Old_Bucket", "k")), "https://s3.example/Old_Bucket/k");
        let ip = endpoint("http://[::1]:9000", Addressing::VirtualHost, "");
        assert_eq!(url(&ip, &object("bucket", "k")), "http://[::1]:9000/bucket/k");
    }

    #[test]
    fn prefixes() {
        let prefixed = endpoint("https://h/base/", Addressing::Path, "/ctx v1/");
        assert_eq!(url(&prefixed, &object("bucket", "k")), "https://h/base/ctx%20v1/bucket/k");
        assert_eq!(url(&prefixed, &Target::Service), "https://h/base/ctx%20v1/");
    }

    #[test]
    fn keys_go_as_they_are() {
        let path = endpoint("http://h", Addressing::Path, "");
        for key in ["..", "a/../b", "./a", "a/.", "a/..//b", "...", "a..b"] {
            assert_eq!(url(&path, &object("bucket", key)), format!("http://h/bucket/{key}"));
        }
        assert_eq!(url(&path, &object("bucket", "%2e%2e")), "http://h/bucket/%252e%252e");
        assert_eq!(url(&path, &object("bucket", "a\\..\\b?c#d")), "http://h/bucket/a%5C..%5Cb%3Fc%23d");
    }

    #[test]
    fn aws_regions_have_their_own_hosts() {
        let aws = endpoint("https://s3.amazonaws.com", Addressing::VirtualHost, "");
        assert_eq!(
            aws.locate(&object("bucket", "k"), Some("eu-north-1")).host,
            "bucket.s3.eu-north-1.amazonaws.com"
        );
        let other = endpoint("https://s3.example", Addressing::VirtualHost, "");
        assert_eq!(other.locate(&object("bucket", "k"), Some("eu-north-1")).host, "bucket.s3.example");
    }

    #[test]
    fn addresses_refused() {
        for bad in ["ftp://h", "http://u@h", "http://h/?q", "http://h/#f", "file:///x"] {
            assert!(Endpoint::new(&bad.parse().unwrap(), "r", Addressing::Path, "").is_err(), "{bad}");
        }
    }
}
