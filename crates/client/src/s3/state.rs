//! What a store says of an object besides its content: keys, tags, locks, archives.

use http::HeaderMap;
use wigeon_core::time::{Timestamp, parse_iso8601};

use super::lock::RetentionMode;

/// A checksum that the store keeps, as it writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredChecksum {
    /// `CRC64NVME`, `SHA256`, …
    pub algorithm: String,
    /// In base64; of one that is made of those of parts, with their number.
    pub value: String,
    /// Whether it is made of those of parts.
    pub is_of_parts: bool,
}

/// The rest of an object's head. Everything is as the store has it, and `None` where it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectState {
    /// All of them.
    pub checksums: Vec<StoredChecksum>,
    /// The key management service's key.
    pub kms_key_id: Option<String>,
    /// Whether a key of the bucket's stands between.
    pub has_bucket_key: bool,
    /// The MD5 of the customer's key.
    pub customer_key_md5: Option<String>,
    /// How many tags it has.
    pub tags: Option<u32>,
    /// How strictly it is kept.
    pub retention_mode: Option<RetentionMode>,
    /// Until when it is kept.
    pub retained_until: Option<Timestamp>,
    /// Whether somebody holds it.
    pub legal_hold: Option<bool>,
    /// How far it is brought back from an archive, and until when.
    pub restore: Option<String>,
    /// In which archive it is.
    pub archive: Option<String>,
    /// When, and by which rule, it will be removed.
    pub expiration: Option<String>,
    /// Whether it has reached where it is to be copied to.
    pub replication: Option<String>,
    /// Where a website sends who asks for it.
    pub redirect: Option<String>,
    /// In how many parts it was written.
    pub parts: Option<u32>,
}

impl ObjectState {
    /// Reads the headers of GetObject and HeadObject.
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.as_bytes();
            Some(String::from_utf8_lossy(value).into_owned())
        };
        Self {
            checksums: checksums(headers),
            kms_key_id: text("x-amz-server-side-encryption-aws-kms-key-id"),
            has_bucket_key: text("x-amz-server-side-encryption-bucket-key-enabled").as_deref()
                == Some("true"),
            customer_key_md5: text("x-amz-server-side-encryption-customer-key-md5"),
            tags: text("x-amz-tagging-count").and_then(|count| count.parse().ok()),
            retention_mode: text("x-amz-object-lock-mode").and_then(|mode| RetentionMode::parse(&mode)),
            retained_until: text("x-amz-object-lock-retain-until-date").and_then(|at| parse_iso8601(&at)),
            legal_hold: text("x-amz-object-lock-legal-hold").map(|hold| hold == "ON"),
            restore: text("x-amz-restore"),
            archive: text("x-amz-archive-status"),
            expiration: text("x-amz-expiration"),
            replication: text("x-amz-replication-status"),
            redirect: text("x-amz-website-redirect-location"),
            parts: text("x-amz-mp-parts-count").and_then(|count| count.parse().ok()),
        }
    }
}

fn checksums(headers: &HeaderMap) -> Vec<StoredChecksum> {
    let composite = headers
        .get("x-amz-checksum-type")
        .is_some_and(|kind| kind.as_bytes().eq_ignore_ascii_case(b"COMPOSITE"));
    headers
        .iter()
        .filter_map(|(name, value)| {
            let algorithm = name.as_str().strip_prefix("x-amz-checksum-").filter(|rest| *rest != "type")?;
            let value = value.to_str().ok()?.to_owned();
            let is_of_parts = composite || value.contains('-');
            Some(StoredChecksum { algorithm: algorithm.to_ascii_uppercase(), value, is_of_parts })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-amz-checksum-sha256", "abc-3"),
            ("x-amz-checksum-crc32", "y/Q5Jg=="),
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-retain-until-date", "2027-01-01T00:00:00Z"),
            ("x-amz-object-lock-legal-hold", "OFF"),
            ("x-amz-tagging-count", "3"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let state = ObjectState::read(&headers);
        let sums: Vec<_> =
            state.checksums.iter().map(|sum| (sum.algorithm.as_str(), sum.is_of_parts)).collect();
        assert!(sums.contains(&("SHA256", true)) && sums.contains(&("CRC32", false)), "{sums:?}");
        assert_eq!((state.tags, state.legal_hold), (Some(3), Some(false)));
        assert_eq!(state.retention_mode, Some(RetentionMode::Governance));
        assert_eq!(state.retained_until.unwrap().to_string(), "2027-01-01T00:00:00Z");
    }
}
