//! Operations of S3 that are known and refused by their names: those of directory buckets and of Object Lambda.
//!
//! They have no row in the table of [`super::operation`], so that no backend is ever asked for them. Source: Amazon
//! S3 API Reference, "Actions".

use http::{HeaderMap, Method};

use crate::sigv4::canonical::Query;

/// What the path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `/`
    Service,
    /// `/bucket`
    Bucket,
    /// `/bucket/key`
    Object,
}

/// What tells one of them: name, method, level, a query parameter or a header.
static REFUSED: [(&str, Method, Level, Sign); 4] = [
    ("CreateSession", Method::GET, Level::Bucket, Sign::Parameter("session")),
    ("ListDirectoryBuckets", Method::GET, Level::Service, Sign::Parameter("max-directory-buckets")),
    ("RenameObject", Method::PUT, Level::Object, Sign::Parameter("renameObject")),
    ("WriteGetObjectResponse", Method::POST, Level::Bucket, Sign::Header("x-amz-request-route")),
];

enum Sign {
    Parameter(&'static str),
    Header(&'static str),
}

/// The name of the refused operation that a request is, if it is one.
pub(super) fn refused(
    method: &Method,
    level: Level,
    query: &Query,
    headers: &HeaderMap,
) -> Option<&'static str> {
    let found = REFUSED.iter().find(|(_, of, at, sign)| {
        *at == level
            && of == method
            && match sign {
                Sign::Parameter(name) => query.has(name),
                Sign::Header(name) => headers.contains_key(*name),
            }
    });
    found.map(|(name, ..)| *name)
}
