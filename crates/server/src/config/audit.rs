//! Where audit records go: `audit`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::audit::FileOptions;
use crate::outbox::{Destination, Framing};

/// Where audit records go, beside the log.
#[derive(Debug, Clone, Default)]
pub struct AuditConfig {
    /// To a file.
    pub file: Option<FileOptions>,
    /// To a collector over HTTP.
    pub collector: Option<Destination>,
}

impl AuditConfig {
    /// To a file with the usual limits.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { file: Some(FileOptions::new(path)), collector: None }
    }
}

/// `audit = "FILE"`, or a table.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a file name, or a table with `file`, `max_megabytes`, `max_hours`, `keep` and a table `collector`"
)]
pub enum AuditKey {
    /// A file with the usual limits.
    File(PathBuf),
    /// A file, a collector, or both.
    Table(AuditTable),
}

/// `[audit]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditTable {
    file: Option<PathBuf>,
    max_megabytes: Option<u64>,
    max_hours: Option<u64>,
    keep: Option<usize>,
    collector: Option<CollectorTable>,
}

/// `[audit.collector]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectorTable {
    url: String,
    #[serde(default)]
    format: Format,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    queue: Option<usize>,
    batch: Option<usize>,
}

/// How records stand in a request to the collector.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    #[default]
    Lines,
    Array,
}

impl AuditKey {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`]: limits without a file, a token that is missing or not the owner's alone.
    pub fn read(self, place: Place<'_>) -> Result<AuditConfig, ConfigError> {
        let table = match self {
            Self::File(path) => return Ok(AuditConfig::file(place.beside(&path))),
            Self::Table(table) => table,
        };
        let limited = table.max_megabytes.is_some() || table.max_hours.is_some() || table.keep.is_some();
        let file = match table.file {
            None if limited => {
                return Err(place.malformed("audit.max_megabytes, max_hours and keep belong to audit.file"));
            }
            None => None,
            Some(path) => {
                let usual = FileOptions::new(place.beside(&path));
                let none_if_zero = |number: u64| (number > 0).then_some(number);
                Some(FileOptions {
                    max_bytes: match table.max_megabytes {
                        Some(megabytes) => none_if_zero(megabytes.saturating_mul(1 << 20)),
                        None => usual.max_bytes,
                    },
                    max_age: table
                        .max_hours
                        .and_then(none_if_zero)
                        .map(|hours| Duration::from_secs(hours.saturating_mul(3600))),
                    keep: table.keep.unwrap_or(usual.keep),
                    path: usual.path,
                })
            }
        };
        let collector = table.collector.map(|collector| collector.read(place)).transpose()?;
        Ok(AuditConfig { file, collector })
    }
}

impl CollectorTable {
    fn read(self, place: Place<'_>) -> Result<Destination, ConfigError> {
        if let Some(token) = &self.token_file {
            place.secret(token, 1)?;
        }
        let url = place.collector("audit.collector.url", &self.url)?;
        Ok(Destination {
            what: "audit records",
            url,
            framing: match self.format {
                Format::Lines => Framing::lines(),
                Format::Array => Framing::array(),
            },
            token_file: self.token_file.map(|path| place.beside(&path)),
            ca_file: self.ca_file.map(|path| place.beside(&path)),
            queue: self.queue.unwrap_or(10_000),
            batch: self.batch.unwrap_or(500).max(1),
            linger: Duration::from_secs(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<AuditConfig, ConfigError> {
        #[derive(Deserialize)]
        struct File {
            audit: AuditKey,
        }
        let path = Path::new("/etc/wigeon/serve.toml");
        let file: File = toml::from_str(text).map_err(|error| Place(path).malformed(error.to_string()))?;
        file.audit.read(Place(path))
    }

    #[test]
    fn a_name_is_a_file_and_a_table_says_more() {
        let file = read("audit = 'a.jsonl'").unwrap().file.unwrap();
        assert_eq!(file, FileOptions::new("/etc/wigeon/a.jsonl".into()));
        let text = "[audit]\nfile = 'a'\nmax_megabytes = 0\nmax_hours = 24\nkeep = 3\n\
                    [audit.collector]\nurl = 'https://logs.example/in'\nformat = 'array'";
        let both = read(text).unwrap();
        let file = both.file.unwrap();
        assert_eq!((file.max_bytes, file.max_age, file.keep), (None, Some(Duration::from_secs(86_400)), 3));
        assert_eq!(both.collector.unwrap().framing, Framing::array());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "[audit]\nkeep = 3",
            "[audit]\nfile = 'a'\ncolector = 'x'",
            "[audit.collector]\nurl = 'not an address'",
            "[audit.collector]\nurl = 'ftp://logs.example/in'",
            "[audit.collector]\nurl = 'https://x/'\nformat = 'xml'",
            "[audit.collector]\nurl = 'https://x/'\ntoken_file = 'there-is-none'",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
