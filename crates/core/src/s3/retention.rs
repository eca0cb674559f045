//! How strictly a version of an object is kept. Source: Amazon S3 User Guide, "Locking objects with Object Lock".

use std::fmt;

use serde::{Deserialize, Serialize};

/// How strict a retention is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RetentionMode {
    /// Yields to those who may bypass it (`s3:BypassGovernanceRetention`).
    Governance,
    /// Yields to nobody before its time.
    Compliance,
}

impl RetentionMode {
    /// `GOVERNANCE` or `COMPLIANCE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Governance => "GOVERNANCE",
            Self::Compliance => "COMPLIANCE",
        }
    }

    /// Reads the name, exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Governance, Self::Compliance].into_iter().find(|mode| mode.name() == name)
    }
}

impl fmt::Display for RetentionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_both_ways() {
        for mode in [RetentionMode::Governance, RetentionMode::Compliance] {
            assert_eq!(RetentionMode::parse(mode.name()), Some(mode));
            // As the index of a store has it.
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
        assert_eq!(RetentionMode::parse("governance"), None);
    }
}
