//! Which operation a request is, and everything it needs permission for.
//!
//! Enters: a [`Request`]. Leaves: a [`Classified`] with the operation, the target that the backend will get, and
//! the [`Ask`]s that the authoriser decides. An operation that the table of `core::s3::operation` does not have
//! never leaves. What the requester wrote enters the condition context only under the `s3:` keys that AWS
//! documents for it (Service Authorization Reference, "Condition keys for Amazon S3").

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::HeaderName;
use wigeon_core::policy::{Context, Value};
use wigeon_core::s3::operation::{Level, Need, Operation, Row};
use wigeon_core::s3::uri::{Target, UriError, percent_decode};
use wigeon_core::s3::{BucketName, ObjectKey, control};
use wigeon_core::time::Timestamp;

use crate::refusal::Refusal;
use crate::request::Request;

/// Tags of an object, by name.
pub type Tags = BTreeMap<String, String>;

/// What takes to bypass a retention of mode `GOVERNANCE`.
pub const BYPASS_GOVERNANCE: &str = "s3:BypassGovernanceRetention";

/// What a request writes, where its body says it and not its headers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written<'a> {
    /// Tags.
    pub tags: Option<&'a Tags>,
    /// What protects the object.
    pub lock: Option<WrittenLock>,
}

/// What protects an object, as policies see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct WrittenLock {
    /// `GOVERNANCE` or `COMPLIANCE`.
    pub mode: Option<&'static str>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// `ON` or `OFF`.
    pub legal_hold: Option<&'static str>,
}

/// What a request is.
#[derive(Debug, Clone)]
pub struct Classified {
    /// The operation.
    pub operation: Operation,
    /// The bucket and key that the backend gets.
    pub target: Target,
    /// The object that a copy reads.
    pub copy_source: Option<CopySource>,
    /// All of these must be allowed.
    pub asks: Vec<Ask>,
}

/// An action on a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// `s3:GetObject`
    pub action: &'static str,
    /// The ARN, or `*`.
    pub resource: String,
    /// What that is to the request.
    pub on: On,
}

/// What an [`Ask`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// What the path names.
    Target,
    /// What a copy reads.
    CopySource,
}

/// What `x-amz-copy-source` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySource {
    /// The bucket.
    pub bucket: BucketName,
    /// The key.
    pub key: ObjectKey,
    /// `?versionId=` after it.
    pub version_id: Option<String>,
}

/// Classifies a request; `named` is what its address names.
///
/// # Errors
/// 400, 405 or 501 for what is no operation that is known.
pub fn classify(request: &Request, named: Result<Target, UriError>) -> Result<Classified, Refusal> {
    if request.headers().contains_key(control::ACCOUNT_HEADER)
        && let Some(operation) = control::operation(request.method().as_str(), request.path())
    {
        return Err(Refusal::not_implemented(operation));
    }
    let target = named?;
    let level = match target {
        Target::Service => Level::Service,
        Target::Bucket(_) => Level::Bucket,
        Target::Object(..) => Level::Object,
    };
    let row = Row::of(request.method(), level, &request.query, request.headers())?;
    if row.operation == Operation::PostObject {
        let message = "Bucket POST must be of the enclosure-type multipart/form-data";
        return Err(Refusal::new("PreconditionFailed", StatusCode::PRECONDITION_FAILED, message));
    }
    let copy_source = match row.needs.contains(&Need::CopySource) {
        true => Some(CopySource::parse(request.header("x-amz-copy-source").unwrap_or_default())?),
        false => None,
    };
    let mut asks = Vec::with_capacity(2);
    for need in row.needs {
        match *need {
            Need::OnService(action) => {
                asks.push(Ask { action, resource: "*".to_owned(), on: On::Target });
            }
            Need::OnTarget(plain, versioned) => {
                let action = if request.query.has("versionId") { versioned } else { plain };
                asks.push(Ask { action, resource: target.arn(), on: On::Target });
            }
            Need::CopySource => asks.extend(copy_source.iter().map(CopySource::ask)),
            Need::WrittenAttributes => asks.extend(written_attributes(request, &target)),
            Need::BypassedGovernance if bypasses_governance(request) => {
                asks.push(Ask { action: BYPASS_GOVERNANCE, resource: target.arn(), on: On::Target });
            }
            Need::BypassedGovernance => {}
            Need::BucketLock if locks_versions(request) => {
                for action in ["s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration"] {
                    asks.push(Ask { action, resource: target.arn(), on: On::Target });
                }
            }
            Need::BucketLock => {}
            // The body names the keys, tags or lock: the backend asks for them with `Permit::allows` and its like.
            Need::EachKey | Need::FormKey | Need::BodyTags(..) | Need::BodyLock(_) => {}
        }
    }
    Ok(Classified { operation: row.operation, target, copy_source, asks })
}

/// Classifies the form of a browser's upload: [`Operation::PostObject`] of the key that its fields name.
#[must_use]
pub fn classify_form(request: &Request, bucket: BucketName, key: ObjectKey) -> Classified {
    let target = Target::Object(bucket, key);
    let mut asks = vec![Ask { action: "s3:PutObject", resource: target.arn(), on: On::Target }];
    asks.extend(written_attributes(request, &target));
    Classified { operation: Operation::PostObject, target, copy_source: None, asks }
}

impl CopySource {
    /// Reads `/bucket/key?versionId=…`, percent-encoded, with or without the first slash.
    ///
    /// # Errors
    /// 400 `InvalidArgument`.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let malformed = || {
            let message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey.";
            Refusal::invalid_argument(message)
        };
        let (path, version_id) = match text.split_once("?versionId=") {
            Some((path, version)) => {
                (path, Some(percent_decode(version).ok_or_else(malformed)?.into_owned()))
            }
            None => (text, None),
        };
        let path = percent_decode(path.strip_prefix('/').unwrap_or(path)).ok_or_else(malformed)?;
        let (bucket, key) = path.split_once('/').ok_or_else(malformed)?;
        let bucket = BucketName::parse_existing(bucket).map_err(|_| malformed())?;
        Ok(Self { bucket, key: ObjectKey::parse(key).map_err(|_| malformed())?, version_id })
    }

    fn ask(&self) -> Ask {
        let action = if self.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        Ask { action, resource: format!("arn:aws:s3:::{}/{}", self.bucket, self.key), on: On::CopySource }
    }
}

/// Tags, ACLs and locks that are written along with an object need their own actions.
fn written_attributes(request: &Request, target: &Target) -> Vec<Ask> {
    const ATTRIBUTES: [(&str, &str); 5] = [
        ("x-amz-tagging", "s3:PutObjectTagging"),
        ("x-amz-acl", "s3:PutObjectAcl"),
        ("x-amz-grant-", "s3:PutObjectAcl"),
        ("x-amz-object-lock-mode", "s3:PutObjectRetention"),
        ("x-amz-object-lock-legal-hold", "s3:PutObjectLegalHold"),
    ];
    let named = |name: &str| match name.strip_suffix('-') {
        Some(_) => request.headers().keys().any(|header| header.as_str().starts_with(name)),
        // `x-amz-acl: private` asks for what holds anyway.
        None if name == "x-amz-acl" => request.header(name).is_some_and(|acl| acl != "private"),
        None => request.header(name).is_some_and(|value| !value.is_empty()),
    };
    ATTRIBUTES
        .iter()
        .filter(|(header, _)| named(header))
        .map(|(_, action)| Ask { action, resource: target.arn(), on: On::Target })
        .collect()
}

/// Whether a request says that it bypasses retentions of mode `GOVERNANCE`.
#[must_use]
pub fn bypasses_governance(request: &Request) -> bool {
    request
        .header("x-amz-bypass-governance-retention")
        .is_some_and(|bypass| bypass.eq_ignore_ascii_case("true"))
}

/// Whether a request makes a bucket that locks its versions.
#[must_use]
pub fn locks_versions(request: &Request) -> bool {
    request.header("x-amz-bucket-object-lock-enabled").is_some_and(|locks| locks.eq_ignore_ascii_case("true"))
}

/// Enters what the request says of itself, under the keys that AWS documents for it. Of what `written` says, headers say
/// nothing.
pub fn request_context<'a>(
    request: &'a Request,
    classified: &Classified,
    written: Written<'_>,
    context: &mut Context<'a>,
) {
    const FROM_QUERY: [(&str, &str); 4] = [
        ("prefix", "s3:prefix"),
        ("delimiter", "s3:delimiter"),
        ("max-keys", "s3:max-keys"),
        ("versionId", "s3:VersionId"),
    ];
    const OF_LOCKS: [(&str, &str); 3] = [
        ("x-amz-object-lock-mode", "s3:object-lock-mode"),
        ("x-amz-object-lock-legal-hold", "s3:object-lock-legal-hold"),
        ("x-amz-object-lock-retain-until-date", "s3:object-lock-retain-until-date"),
    ];
    const FROM_HEADERS: [(&str, &str); 17] = [
        ("x-amz-acl", "s3:x-amz-acl"),
        ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
        ("x-amz-grant-full-control", "s3:x-amz-grant-full-control"),
        ("x-amz-grant-read", "s3:x-amz-grant-read"),
        ("x-amz-grant-read-acp", "s3:x-amz-grant-read-acp"),
        ("x-amz-grant-write", "s3:x-amz-grant-write"),
        ("x-amz-grant-write-acp", "s3:x-amz-grant-write-acp"),
        ("x-amz-metadata-directive", "s3:x-amz-metadata-directive"),
        ("x-amz-server-side-encryption", "s3:x-amz-server-side-encryption"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "s3:x-amz-server-side-encryption-aws-kms-key-id"),
        (
            "x-amz-server-side-encryption-customer-algorithm",
            "s3:x-amz-server-side-encryption-customer-algorithm",
        ),
        ("x-amz-storage-class", "s3:x-amz-storage-class"),
        ("x-amz-website-redirect-location", "s3:x-amz-website-redirect-location"),
        ("x-amz-object-ownership", "s3:x-amz-object-ownership"),
        ("x-amz-bucket-namespace", "s3:x-amz-bucket-namespace"),
        ("if-match", "s3:if-match"),
        ("if-none-match", "s3:if-none-match"),
    ];
    for (parameter, key) in FROM_QUERY {
        if let Some(value) = request.query.value(parameter) {
            context.set(key, value);
        }
    }
    // A request has few of them, and most are about something else.
    let may_count =
        |name: &&HeaderName| name.as_str().starts_with("x-amz-") || name.as_str().starts_with("if-");
    for name in request.headers().keys().filter(may_count) {
        let of_locks = OF_LOCKS.iter().filter(|_| written.lock.is_none());
        if let Some((header, key)) = FROM_HEADERS.iter().chain(of_locks).find(|(header, _)| header == name)
            && let Some(value) = request.header(header)
        {
            context.set(*key, value);
        }
    }
    if let Some(CopySource { bucket, key, .. }) = &classified.copy_source {
        // Policies write it with and without the slash: either way it is the object that is read.
        let forms = vec![format!("{bucket}/{key}").into(), format!("/{bucket}/{key}").into()];
        context.set("s3:x-amz-copy-source", Value::Any(forms));
    }
    if let Some(creates) = creates_an_object(classified.operation) {
        context.set("s3:ObjectCreationOperation", creates);
    }
    let until = match written.lock {
        Some(WrittenLock { mode, until, legal_hold }) => {
            for (key, value) in [("s3:object-lock-mode", mode), ("s3:object-lock-legal-hold", legal_hold)] {
                if let Some(value) = value {
                    context.set(key, value);
                }
            }
            if let Some(until) = until {
                context.set("s3:object-lock-retain-until-date", until);
            }
            until
        }
        None => request.header("x-amz-object-lock-retain-until-date").and_then(|until| until.parse().ok()),
    };
    if let Some(until) = until {
        context.set("s3:object-lock-remaining-retention-days", days_until(until, request.at));
    }
    let header = request.header("x-amz-tagging").filter(|_| written.tags.is_none());
    let pairs = match (written.tags, header) {
        (Some(tags), _) => tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        (None, Some(header)) => header_tags(header),
        (None, None) => return,
    };
    context.set("s3:RequestObjectTagKeys", pairs.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>());
    for (name, value) in pairs {
        context.set(format!("s3:RequestObjectTag/{name}"), value);
    }
}

/// Of the operations that need `s3:PutObject`, which ones make an object: parts are none yet.
fn creates_an_object(operation: Operation) -> Option<bool> {
    use Operation as Op;
    match operation {
        Op::PutObject | Op::PostObject | Op::CopyObject | Op::CompleteMultipartUpload => Some(true),
        Op::CreateMultipartUpload | Op::UploadPart | Op::UploadPartCopy => Some(false),
        _ => None,
    }
}

/// Whole days until a date; a day that has begun counts.
fn days_until(until: Timestamp, now: Timestamp) -> i64 {
    (until.as_second() - now.as_second() + 86_399).div_euclid(86_400)
}

/// `a=1&b=2` of `x-amz-tagging`.
fn header_tags(tags: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " ")).unwrap_or_default().into_owned();
    tags.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;

    use super::*;
    use crate::request::Arrival;
    use crate::request_id::RequestId;

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request {
        let mut builder = http::Request::builder().method(method).uri(uri).header("host", "localhost:9000");
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let (id, at) = (RequestId::of(1), Timestamp::UNIX_EPOCH);
        Request::read(&Arc::new(parts), Arrival { id, at, source_ip: [127, 0, 0, 1].into(), tls: None })
            .unwrap()
    }

    fn classified(request: &Request) -> Result<Classified, Refusal> {
        classify(request, Target::parse(&request.host, request.path(), &[]))
    }

    fn asks(method: &str, uri: &str, headers: &[(&str, &str)]) -> Vec<(&'static str, String)> {
        let classified = classified(&request(method, uri, headers)).unwrap();
        classified.asks.into_iter().map(|ask| (ask.action, ask.resource)).collect()
    }

    #[rstest]
    #[case("GET", "/", "s3:ListAllMyBuckets", "*")]
    #[case("GET", "/bucket?list-type=2&prefix=a", "s3:ListBucket", "arn:aws:s3:::bucket")]
    #[case("HEAD", "/bucket", "s3:ListBucket", "arn:aws:s3:::bucket")]
    #[case("GET", "/bucket/a%20b/../c", "s3:GetObject", "arn:aws:s3:::bucket/a b/../c")]
    #[case("GET", "/bucket/k?versionId=1", "s3:GetObjectVersion", "arn:aws:s3:::bucket/k")]
    #[case("DELETE", "/bucket/k?versionId=1", "s3:DeleteObjectVersion", "arn:aws:s3:::bucket/k")]
    #[case("GET", "/bucket/k?tagging&versionId=1", "s3:GetObjectVersionTagging", "arn:aws:s3:::bucket/k")]
    #[case("PUT", "/bucket/k?partNumber=1&uploadId=x", "s3:PutObject", "arn:aws:s3:::bucket/k")]
    fn one_ask(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] action: &'static str,
        #[case] resource: &str,
    ) {
        assert_eq!(asks(method, uri, &[]), [(action, resource.to_owned())]);
    }

    #[test]
    fn a_copy_needs_both_ends() {
        let copy = asks("PUT", "/bucket/k", &[("x-amz-copy-source", "/other/a%2Fb%20c?versionId=7")]);
        assert_eq!(
            copy,
            [
                ("s3:PutObject", "arn:aws:s3:::bucket/k".to_owned()),
                ("s3:GetObjectVersion", "arn:aws:s3:::other/a/b c".to_owned())
            ]
        );
        for source in ["", "/", "bucket", "/bucket/", "/a/%zz", "/../k"] {
            assert!(CopySource::parse(source).is_err(), "{source}");
        }
    }

    #[test]
    fn attributes_that_are_written_along_need_their_own_actions() {
        let headers = [("x-amz-tagging", "a=1"), ("x-amz-acl", "public-read"), ("x-amz-grant-read", "x")];
        let actions: Vec<_> =
            asks("PUT", "/bucket/k", &headers).into_iter().map(|(action, _)| action).collect();
        assert_eq!(actions, ["s3:PutObject", "s3:PutObjectTagging", "s3:PutObjectAcl", "s3:PutObjectAcl"]);
        assert_eq!(asks("PUT", "/bucket/k", &[("x-amz-acl", "private")]).len(), 1);
    }

    #[test]
    fn what_a_body_says_of_a_lock_headers_do_not() {
        let headers = [("x-amz-object-lock-mode", "COMPLIANCE"), ("x-amz-object-lock-legal-hold", "ON")];
        let request = request("PUT", "/bucket/k?retention", &headers);
        let classified = classified(&request).unwrap();
        assert_eq!(classified.asks, []);
        let until = Timestamp::from_second(86_401).unwrap();
        let lock = WrittenLock { mode: Some("GOVERNANCE"), until: Some(until), legal_hold: None };
        let mut context = Context::new();
        let written = Written { lock: Some(lock), ..Written::default() };
        request_context(&request, &classified, written, &mut context);
        let value = |key| context.value(key).map(Value::texts).unwrap_or_default();
        assert_eq!(value("s3:object-lock-mode"), ["GOVERNANCE"]);
        assert_eq!(value("s3:object-lock-remaining-retention-days"), ["2"]);
        assert!(value("s3:object-lock-legal-hold").is_empty());
    }

    #[test]
    fn what_is_bypassed_and_what_locks_takes_permission() {
        let bypass = [("x-amz-bypass-governance-retention", "true")];
        let actions = |method, uri, headers| -> Vec<&'static str> {
            asks(method, uri, headers).into_iter().map(|(action, _)| action).collect()
        };
        let deletion = ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"];
        assert_eq!(actions("DELETE", "/bucket/k?versionId=1", &bypass[..]), deletion);
        assert_eq!(actions("PUT", "/bucket/k?retention", &bypass[..]), ["s3:BypassGovernanceRetention"]);
        let locking = [("x-amz-bucket-object-lock-enabled", "true")];
        let creation = ["s3:CreateBucket", "s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration"];
        assert_eq!(actions("PUT", "/bucket", &locking[..]), creation);
    }

    #[test]
    fn only_documented_keys_come_from_the_requester() {
        let headers = [
            ("userid", "admin"),
            ("aws:userid", "x"),
            ("x-amz-tagging", "t%201=v&u"),
            ("x-amz-acl", "private"),
        ]
        .map(|(name, value)| (name, value));
        let headers: Vec<_> = headers.into_iter().filter(|(name, _)| !name.contains(':')).collect();
        let request = request("PUT", "/bucket/k", &headers);
        let mut context = Context::new();
        let classified = classified(&request).unwrap();
        request_context(&request, &classified, Written::default(), &mut context);
        let mut keys: Vec<&str> = context.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "s3:ObjectCreationOperation",
                "s3:RequestObjectTag/t 1",
                "s3:RequestObjectTag/u",
                "s3:RequestObjectTagKeys",
                "s3:x-amz-acl"
            ]
        );
    }

    #[rstest]
    #[case("PUT", "/b--/k", ("x-amz-copy-source", "/other/a%2Fb"), "s3:x-amz-copy-source", &["other/a/b", "/other/a/b"])]
    #[case("PUT", "/b--/k", ("x-amz-copy-source", "other/a/b?versionId=1"), "s3:x-amz-copy-source", &["other/a/b", "/other/a/b"])]
    #[case("PUT", "/b--/k", ("if-none-match", "*"), "s3:if-none-match", &["*"])]
    #[case("PUT", "/b--/k", ("if-match", "\"a\""), "s3:if-match", &["\"a\""])]
    #[case("PUT", "/b--/k?partNumber=1&uploadId=x", ("x-a", ""), "s3:ObjectCreationOperation", &["false"])]
    #[case("POST", "/b--/k?uploadId=x", ("x-a", ""), "s3:ObjectCreationOperation", &["true"])]
    #[case("GET", "/b--/k", ("x-a", ""), "s3:ObjectCreationOperation", &[])]
    #[case("GET", "/b--?prefix=p&delimiter=/&max-keys=7", ("x-a", ""), "s3:max-keys", &["7"])]
    #[case("GET", "/b--/k?versionId=v", ("x-a", ""), "s3:versionid", &["v"])]
    #[case("PUT", "/b--", ("x-amz-object-ownership", "ObjectWriter"), "s3:x-amz-object-ownership", &["ObjectWriter"])]
    #[case("PUT", "/b--/k", ("x-amz-object-lock-mode", "GOVERNANCE"), "s3:object-lock-mode", &["GOVERNANCE"])]
    #[case("PUT", "/b--/k", ("x-amz-object-lock-retain-until-date", "1970-01-03T00:00:01Z"), "s3:object-lock-remaining-retention-days", &["3"])]
    fn condition_keys(
        #[case] method: &str,
        #[case] uri: &str,
        #[case] header: (&str, &str),
        #[case] key: &str,
        #[case] expected: &[&str],
    ) {
        let request = request(method, uri, &[header]);
        let classified = classified(&request).unwrap();
        let mut context = Context::new();
        request_context(&request, &classified, Written::default(), &mut context);
        assert_eq!(context.value(key).map(Value::texts).unwrap_or_default(), expected);
    }

    #[test]
    fn the_control_service_is_refused_by_the_name_of_its_operation() {
        let account = [("x-amz-account-id", "000000000000")];
        let refused = classified(&request("GET", "/v20180820/jobs", &account)).unwrap_err();
        assert_eq!(refused.code, "NotImplemented");
        assert!(refused.message.starts_with("ListJobs "), "{refused}");
        // Without the header it is a bucket.
        let bucket = classified(&request("GET", "/v20180820/jobs", &[])).unwrap();
        assert_eq!(bucket.target.arn(), "arn:aws:s3:::v20180820/jobs");
        let refused = classified(&request("PUT", "/bucket/k?renameObject", &[])).unwrap_err();
        assert!(refused.message.starts_with("RenameObject "), "{refused}");
    }

    #[test]
    fn unknown_operations_never_leave() {
        for (method, uri, status) in [
            ("PUT", "/bucket/k?renameObject", 501),
            ("GET", "/bucket?unheard-of", 501),
            ("PATCH", "/bucket/k", 405),
            ("GET", "/bu%00cket", 400),
        ] {
            assert_eq!(classified(&request(method, uri, &[])).unwrap_err().status, status, "{uri}");
        }
    }
}
