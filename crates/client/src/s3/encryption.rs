//! Server-side encryption: with the store's keys, with keys of a key management service, with the customer's own.
//!
//! Enters: how objects are to be encrypted, and the key that those to be read were encrypted with. Leaves: the headers
//! that each operation needs, added wherever a [`Client`](super::Client) sends it, so that transfers need not know.
//! Refused: a customer's key over http to another machine. Source: Amazon S3 User Guide, "Protecting data with
//! server-side encryption".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use md5::{Digest as _, Md5};
use wigeon_core::secret::Secret;

use super::error::S3Error;

/// How an object is encrypted where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of the store (SSE-S3).
    Store,
    /// With a key of a key management service (SSE-KMS).
    Kms(KmsKey),
    /// With a key that the store is lent for each request, and forgets (SSE-C).
    Customer(CustomerKey),
}

/// A key of a key management service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KmsKey {
    /// Its id, ARN or alias; `None` for the account's default key.
    pub id: Option<String>,
    /// The encryption context: a JSON object of texts.
    pub context: Option<String>,
    /// Whether a key of the bucket's stands between, which costs fewer calls.
    pub bucket_key: bool,
    /// Two layers of encryption (DSSE-KMS).
    pub is_dual: bool,
}

/// A 256-bit key of the customer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerKey {
    /// In base64.
    key: Secret,
    md5: String,
}

/// Why bytes are no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a key of the customer's has 32 bytes, this one has {0}")]
pub struct CustomerKeyError(usize);

/// What a client's requests about objects say of encryption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectEncryption {
    /// For what is written; `None` for what the bucket says.
    pub written: Option<Encryption>,
    /// The customer's key of what is read, and of the sources of copies.
    pub read: Option<CustomerKey>,
}

impl CustomerKey {
    /// A key of 32 bytes.
    ///
    /// # Errors
    /// Where there are more or fewer.
    pub fn new(bytes: &[u8]) -> Result<Self, CustomerKeyError> {
        if bytes.len() != 32 {
            return Err(CustomerKeyError(bytes.len()));
        }
        let md5 = BASE64_STANDARD.encode(Md5::digest(bytes));
        Ok(Self { key: Secret::new(BASE64_STANDARD.encode(bytes)), md5 })
    }

    fn headers(&self, source: bool) -> [(&'static str, &str); 3] {
        let key = self.key.expose();
        if source {
            [
                ("x-amz-copy-source-server-side-encryption-customer-algorithm", "AES256"),
                ("x-amz-copy-source-server-side-encryption-customer-key", key),
                ("x-amz-copy-source-server-side-encryption-customer-key-md5", &self.md5),
            ]
        } else {
            [
                ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
                ("x-amz-server-side-encryption-customer-key", key),
                ("x-amz-server-side-encryption-customer-key-md5", &self.md5),
            ]
        }
    }
}

impl Encryption {
    /// What a request that makes an object says.
    fn headers(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Store => vec![("x-amz-server-side-encryption", "AES256".to_owned())],
            Self::Kms(key) => {
                let kind = if key.is_dual { "aws:kms:dsse" } else { "aws:kms" };
                let mut headers = vec![("x-amz-server-side-encryption", kind.to_owned())];
                if let Some(id) = &key.id {
                    headers.push(("x-amz-server-side-encryption-aws-kms-key-id", id.clone()));
                }
                if let Some(context) = &key.context {
                    let context = BASE64_STANDARD.encode(context);
                    headers.push(("x-amz-server-side-encryption-context", context));
                }
                if key.bucket_key {
                    headers.push(("x-amz-server-side-encryption-bucket-key-enabled", "true".to_owned()));
                }
                headers
            }
            Self::Customer(key) => owned(key.headers(false)),
        }
    }
}

impl ObjectEncryption {
    /// Whether a key of the customer's would travel.
    pub(crate) fn has_customer_key(&self) -> bool {
        self.read.is_some() || matches!(self.written, Some(Encryption::Customer(_)))
    }

    /// Adds what the operation needs.
    pub(crate) fn on(&self, operation: &str, headers: &mut HeaderMap) -> Result<(), S3Error> {
        let written_key = match &self.written {
            Some(Encryption::Customer(key)) => Some(key),
            _ => None,
        };
        let needed = match operation {
            "PutObject" | "CreateMultipartUpload" => self.written_headers(),
            "UploadPart" => written_key.map(|key| owned(key.headers(false))).unwrap_or_default(),
            "CopyObject" => [self.written_headers(), self.source_headers()].concat(),
            "UploadPartCopy" => {
                let part = written_key.map(|key| owned(key.headers(false))).unwrap_or_default();
                [part, self.source_headers()].concat()
            }
            "GetObject" | "HeadObject" => {
                self.read.as_ref().map(|key| owned(key.headers(false))).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        for (name, value) in needed {
            let mut value = HeaderValue::from_str(&value).map_err(|_| S3Error::Header("the key's name"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        Ok(())
    }

    /// Whether the answer to an operation shows that what was written is encrypted. A store that knows nothing of
    /// these headers takes them in silence.
    pub(crate) fn is_seen_in(&self, operation: &str, answer: &HeaderMap) -> bool {
        let makes_an_object = matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
        let shown = match &self.written {
            Some(Encryption::Customer(_)) => "x-amz-server-side-encryption-customer-algorithm",
            Some(Encryption::Store | Encryption::Kms(_)) => "x-amz-server-side-encryption",
            None => return true,
        };
        !makes_an_object || answer.contains_key(shown)
    }

    fn written_headers(&self) -> Vec<(&'static str, String)> {
        self.written.as_ref().map(Encryption::headers).unwrap_or_default()
    }

    fn source_headers(&self) -> Vec<(&'static str, String)> {
        self.read.as_ref().map(|key| owned(key.headers(true))).unwrap_or_default()
    }
}

fn owned(headers: [(&'static str, &str); 3]) -> Vec<(&'static str, String)> {
    headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(byte: u8) -> CustomerKey {
        CustomerKey::new(&[byte; 32]).unwrap()
    }

    fn names(encryption: &ObjectEncryption, operation: &str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        encryption.on(operation, &mut headers).unwrap();
        assert!(headers.values().all(HeaderValue::is_sensitive));
        let mut names: Vec<_> = headers.keys().map(|name| name.as_str().replace("x-amz-", "")).collect();
        names.sort();
        names
    }

    #[rstest]
    #[case("PutObject", 3, 0)]
    #[case("CreateMultipartUpload", 3, 0)]
    #[case("UploadPart", 3, 0)]
    #[case("CopyObject", 3, 3)]
    #[case("UploadPartCopy", 3, 3)]
    #[case("GetObject", 3, 0)]
    #[case("HeadObject", 3, 0)]
    #[case("CompleteMultipartUpload", 0, 0)]
    #[case("DeleteObject", 0, 0)]
    #[case("ListObjectsV2", 0, 0)]
    fn a_customers_key_goes_where_it_is_needed(
        #[case] operation: &str,
        #[case] own: usize,
        #[case] source: usize,
    ) {
        let both = ObjectEncryption { written: Some(Encryption::Customer(key(1))), read: Some(key(2)) };
        let names = names(&both, operation);
        let of_source = names.iter().filter(|name| name.starts_with("copy-source")).count();
        assert_eq!((names.len() - of_source, of_source), (own, source));
    }

    #[test]
    fn other_keys_are_named_once_per_object() {
        let kms = KmsKey { id: Some("alias/x".into()), context: Some("{}".into()), ..KmsKey::default() };
        let kms = ObjectEncryption { written: Some(Encryption::Kms(kms)), read: None };
        assert_eq!(names(&kms, "PutObject").len(), 3);
        for operation in ["UploadPart", "GetObject", "HeadObject", "UploadPartCopy"] {
            assert_eq!(names(&kms, operation), Vec::<String>::new());
        }
        let store = ObjectEncryption { written: Some(Encryption::Store), read: None };
        assert_eq!(names(&store, "CopyObject"), ["server-side-encryption"]);
    }

    #[test]
    fn a_silent_store_is_noticed() {
        let wished = ObjectEncryption { written: Some(Encryption::Customer(key(1))), read: None };
        let mut answer = HeaderMap::new();
        assert!(!wished.is_seen_in("PutObject", &answer) && wished.is_seen_in("UploadPart", &answer));
        assert!(ObjectEncryption::default().is_seen_in("PutObject", &answer));
        answer.insert("x-amz-server-side-encryption-customer-algorithm", HeaderValue::from_static("AES256"));
        assert!(wished.is_seen_in("PutObject", &answer));
    }

    #[test]
    fn keys() {
        assert_eq!(
            CustomerKey::new(&[0; 31]).unwrap_err().to_string(),
            "a key of the customer's has 32 bytes, this one has 31"
        );
        assert_eq!(key(0).md5, "cLyPS3KoaSFGi/joRB3OUQ==");
        assert!(!format!("{:?}", key(65)).contains("QUFB"));
    }
}
