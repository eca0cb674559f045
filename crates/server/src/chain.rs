//! An error and what lies beneath it, as one line for the log and the audit record.

/// The error's text and that of each of its sources, from the nearest to the farthest.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text.push_str(": ");
        text.push_str(&next.to_string());
        source = next.source();
    }
    text
}
