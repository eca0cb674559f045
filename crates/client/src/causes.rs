//! An error in one line, with what it came from: for pages, records and answers that have no room for a list.

use std::error::Error;

/// `what happened: why: why that`.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}
