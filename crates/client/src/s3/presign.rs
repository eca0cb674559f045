//! Addresses that work without credentials, for a time.
//!
//! An address signed with temporary credentials ends with them, whatever it says: the true end is the earlier
//! of the two.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use wigeon_core::s3::{BucketName, ObjectKey};
use wigeon_core::sigv4::sign::{LONGEST_PRESIGNED, Signer};
use wigeon_core::time::{SignedDuration, Timestamp};

use super::call::Call;
use super::client::Client;
use super::error::S3Error;

/// What the address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PresignMethod {
    /// To download an object.
    Get,
    /// To upload one.
    Put,
    /// To ask what is known of one.
    Head,
    /// To remove one.
    Delete,
}

/// What else the address says.
#[derive(Debug, Clone, Default)]
pub struct PresignOptions {
    /// A version that is not the current one.
    pub version: Option<String>,
    /// Headers that the request must have, with these values: names in lower case.
    pub headers: Vec<(String, String)>,
    /// Headers that the answer is to have (`response-content-type`, `response-content-disposition`, …), by the name of
    /// the query's parameter.
    pub answer: Vec<(&'static str, String)>,
}

/// An address, and until when it works.
#[derive(Debug, Clone)]
pub struct Presigned {
    /// It holds a signature, and the session's token where there is one: whoever has it may use it.
    /// Text and not a type for web addresses, which would resolve `.` and `..` in a key.
    pub url: String,
    /// When it stops working: the earlier of its own end and the session's.
    pub ends_at: Timestamp,
    /// Whether the session ends first.
    pub cut_by_session: bool,
}

impl Client {
    /// Signs an address that works for `seconds` (at most seven days), or until the session ends.
    ///
    /// # Errors
    /// Where there are no credentials.
    pub async fn presign(
        &self,
        method: PresignMethod,
        bucket: &BucketName,
        key: &ObjectKey,
        seconds: u32,
        options: &PresignOptions,
    ) -> Result<Presigned, S3Error> {
        let seconds = seconds.clamp(1, LONGEST_PRESIGNED);
        let method = match method {
            PresignMethod::Get => Method::GET,
            PresignMethod::Put => Method::PUT,
            PresignMethod::Head => Method::HEAD,
            PresignMethod::Delete => Method::DELETE,
        };
        let mut call = Call::object("Presign", method, bucket, key).version(options.version.as_deref());
        for (name, value) in &options.answer {
            call = call.query(name, value.as_str());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| S3Error::Header("a name"))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| S3Error::Header("a value"))?;
            headers.insert(name, value);
        }
        let credentials = self.credentials().await?;
        let region = self.region_of(&call);
        let place = self.endpoint().locate(&call.target, region.as_deref());
        let at = self.now();
        let signer = Signer {
            credentials: &credentials,
            region: region.as_deref().unwrap_or_else(|| self.endpoint().region()),
            service: "s3",
            at,
        };
        let query = signer.presign(&call.method, &place.host, &place.path, &call.query, &headers, seconds);
        let own_end = at + SignedDuration::from_secs(i64::from(seconds));
        let ends_at = credentials.expires_at.map_or(own_end, |session| session.min(own_end));
        Ok(Presigned { url: place.address(&query), ends_at, cut_by_session: ends_at < own_end })
    }
}
