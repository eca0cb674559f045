//! Policy documents and names on their way into the directory; ids on their way out.

use wigeon_core::policy::{Document, Kind};

use super::super::change::ChangeError;
use super::super::identifier::fresh_id;
use super::super::rules::{is_name, is_path};

/// Parses a document, as AWS's `MalformedPolicyDocument` where it is none.
pub(super) fn parse(text: &str, kind: Kind) -> Result<Document, ChangeError> {
    let malformed = |error: wigeon_core::policy::DocumentError| {
        ChangeError::MalformedPolicyDocument(format!("The policy is not in order: {error}"))
    };
    Document::parse(text, kind).map_err(malformed)
}

/// A limit on a document's characters, white space aside.
pub(super) fn within(document: &Document, quota: &str, limit: usize) -> Result<(), ChangeError> {
    match document.size() <= limit {
        true => Ok(()),
        false => Err(ChangeError::LimitExceeded(format!("Cannot exceed quota for {quota}: {limit}"))),
    }
}

/// A new id.
pub(super) fn new_id(prefix: &str) -> Result<String, ChangeError> {
    fresh_id(prefix).ok_or_else(|| ChangeError::Unavailable("there is no randomness to be had".into()))
}

/// The name and the path of something new.
pub(super) fn named(kind: &str, name: &str, max: usize, path: &str) -> Result<(), ChangeError> {
    if !is_name(name, max) {
        let text = format!("The name of a {kind} has 1 to {max} characters of [\\w+=,.@-].");
        return Err(ChangeError::InvalidInput(text));
    }
    if !is_path(path) {
        let text = format!("The path of a {kind} has to begin and end with a slash.");
        return Err(ChangeError::InvalidInput(text));
    }
    Ok(())
}
