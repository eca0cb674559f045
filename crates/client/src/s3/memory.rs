//! What was learnt of a store, for the commands to come: that it takes no checksum headers. After a week it is asked
//! again, for stores learn, too.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wigeon_core::time::{SignedDuration, Timestamp};

use crate::durable;

/// How long it is believed.
const BELIEVED: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A file in which it is written, by the stores' origins.
#[derive(Debug)]
pub(crate) struct Memory {
    path: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Learnt {
    /// Since when a store is known to take no checksums.
    #[serde(default)]
    without_checksums: BTreeMap<String, Timestamp>,
}

impl Memory {
    pub(crate) fn in_file(path: PathBuf) -> Self {
        Self { path }
    }

    /// Whether the store is known to take none.
    pub(crate) fn takes_no_checksums(&self, origin: &str, now: Timestamp) -> bool {
        let since = read(&self.path).without_checksums.get(origin).copied();
        since.is_some_and(|since| since <= now && now.duration_since(since) < BELIEVED)
    }

    /// It is known now. Where that cannot be written the next command learns it anew.
    pub(crate) fn note_no_checksums(&self, origin: &str, now: Timestamp) {
        let mut learnt = read(&self.path);
        learnt.without_checksums.retain(|_, since| now.duration_since(*since) < BELIEVED);
        learnt.without_checksums.insert(origin.to_owned(), now);
        let written = serde_json::to_vec_pretty(&learnt).map(|text| durable::replace(&self.path, &text));
        if !matches!(written, Ok(Ok(()))) {
            tracing::debug!(path = %self.path.display(), "what was learnt of the store could not be written");
        }
    }
}

fn read(path: &Path) -> Learnt {
    let text = std::fs::read(path).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_believed_for_a_week() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::in_file(folder.path().join("stores.json"));
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        assert!(!memory.takes_no_checksums("http://a", now));
        memory.note_no_checksums("http://a", now);
        assert!(memory.takes_no_checksums("http://a", now) && !memory.takes_no_checksums("http://b", now));
        assert!(!memory.takes_no_checksums("http://a", now + BELIEVED));
        std::fs::write(folder.path().join("stores.json"), "torn").unwrap();
        assert!(!memory.takes_no_checksums("http://a", now));
    }
}
