//! Amazon Resource Names: `arn:partition:service:region:account:resource`.
//!
//! Source: AWS IAM User Guide, "Identify AWS resources with Amazon Resource Names (ARNs)". An [`Arn`] is
//! only split, never completed: what stands in it is what was written.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};

/// A text that has the six components of an ARN.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Arn {
    text: String,
    /// Where each of the first five colons stands.
    colons: [usize; 5],
}

/// Why a text is not an ARN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an ARN: it needs six parts separated by colons, the first of them `arn`")]
pub struct ArnError {
    /// What was given.
    pub text: String,
}

impl Serialize for Arn {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

impl Arn {
    /// `arn:aws:iam::ACCOUNT:role/PATH/NAME`, where `path_and_name` has no leading slash.
    #[must_use]
    pub fn role(account: &str, path_and_name: &str) -> Self {
        Self::build("iam", account, &["role/", path_and_name])
    }

    /// `arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH`: the issuer without its scheme.
    #[must_use]
    pub fn oidc_provider(account: &str, issuer: &str) -> Self {
        Self::build("iam", account, &["oidc-provider/", without_scheme(issuer)])
    }

    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`: the role's name without its path.
    #[must_use]
    pub fn assumed_role(account: &str, role_name: &str, session_name: &str) -> Self {
        Self::build("sts", account, &["assumed-role/", role_name, "/", session_name])
    }

    /// Without a region, which IAM and STS do not write.
    fn build(service: &str, account: &str, resource: &[&str]) -> Self {
        let (mut text, mut colons) = (String::with_capacity(128), [0; 5]);
        for (part, colon) in ["arn", "aws", service, "", account].into_iter().zip(&mut colons) {
            text.push_str(part);
            *colon = text.len();
            text.push(':');
        }
        text.extend(resource.iter().copied());
        Self { text, colons }
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `aws`, `aws-cn`, …
    #[must_use]
    pub fn partition(&self) -> &str {
        self.between(0)
    }

    /// `iam`, `s3`, …
    #[must_use]
    pub fn service(&self) -> &str {
        self.between(1)
    }

    /// Empty for IAM and S3.
    #[must_use]
    pub fn region(&self) -> &str {
        self.between(2)
    }

    /// Twelve digits; empty for S3, and for IAM at Ceph RGW.
    #[must_use]
    pub fn account(&self) -> &str {
        self.between(3)
    }

    /// Everything after the fifth colon.
    #[must_use]
    pub fn resource(&self) -> &str {
        let [.., last] = self.colons;
        self.text.get(last + 1..).unwrap_or_default()
    }

    /// The resource without its type: `PATH/NAME` of `role/PATH/NAME`; `None` for another type.
    #[must_use]
    pub fn resource_of_type(&self, kind: &str) -> Option<&str> {
        self.resource().strip_prefix(kind)?.strip_prefix('/')
    }

    fn between(&self, index: usize) -> &str {
        match (self.colons.get(index), self.colons.get(index + 1)) {
            (Some(from), Some(to)) => self.text.get(from + 1..*to).unwrap_or_default(),
            _ => "",
        }
    }
}

/// An issuer as IAM names it: without `https://` (or, for development, `http://`).
#[must_use]
pub fn without_scheme(issuer: &str) -> &str {
    issuer.strip_prefix("https://").or_else(|| issuer.strip_prefix("http://")).unwrap_or(issuer)
}

fn colons(text: &str) -> Option<[usize; 5]> {
    let mut found = text.match_indices(':').map(|(at, _)| at);
    let mut colons = [0; 5];
    for colon in &mut colons {
        *colon = found.next()?;
    }
    Some(colons)
}

impl FromStr for Arn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        match colons(text) {
            Some(colons) if text.starts_with("arn:") && !text.ends_with(':') => {
                Ok(Self { text: text.to_owned(), colons })
            }
            _ => Err(ArnError { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for Arn {
    type Error = ArnError;

    fn try_from(text: String) -> Result<Self, ArnError> {
        text.parse()
    }
}

impl From<Arn> for String {
    fn from(arn: Arn) -> Self {
        arn.text
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components() {
        let arn: Arn = "arn:aws:iam::123456789012:role/team/reader:x".parse().unwrap();
        assert_eq!((arn.partition(), arn.service(), arn.region()), ("aws", "iam", ""));
        assert_eq!((arn.account(), arn.resource()), ("123456789012", "role/team/reader:x"));
        assert_eq!(arn.resource_of_type("role"), Some("team/reader:x"));
        assert_eq!(arn.resource_of_type("user"), None);
    }

    #[test]
    fn account_less_arns_of_ceph() {
        let arn: Arn = "arn:aws:iam:::role/S3Access".parse().unwrap();
        assert_eq!((arn.account(), arn.resource()), ("", "role/S3Access"));
    }

    #[test]
    fn built() {
        assert_eq!(
            Arn::oidc_provider("000000000000", "https://idp.example/realms/x").as_str(),
            "arn:aws:iam::000000000000:oidc-provider/idp.example/realms/x"
        );
        assert_eq!(Arn::role("1", "a").resource(), "role/a");
        assert_eq!(Arn::assumed_role("1", "a", "s").service(), "sts");
    }

    #[test]
    fn not_arns() {
        for text in ["", "arn", "arn:aws:iam::1", "urn:aws:iam::1:role/x", "arn:aws:s3:::"] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }
}
