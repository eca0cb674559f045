//! What a bucket says of who may use it: its policy, and what public access is blocked.
//!
//! Enters: the documents that are kept for a bucket. Leaves: a [`BucketAccess`], which a decision is made with.
//! Refused: a policy about another bucket, about other services, or too long. Source: Amazon S3 User Guide,
//! "Bucket policies" and "Blocking public access to your Amazon S3 storage".

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wigeon_core::policy::{Document, DocumentError, Kind, Policy};
use wigeon_core::s3::BucketName;

/// The longest bucket policy, in bytes.
pub const LONGEST_POLICY: usize = 20 << 10;

/// What a decision about a bucket or its objects is made with.
#[derive(Debug, Clone, Default)]
pub struct BucketAccess {
    /// The bucket's policy.
    pub policy: Option<Arc<BucketPolicy>>,
    /// What public access is blocked.
    pub block: PublicAccessBlock,
    /// The bucket's own tags.
    pub tags: Option<Arc<BTreeMap<String, String>>>,
}

/// A bucket's policy, compiled.
#[derive(Debug)]
pub struct BucketPolicy {
    policy: Policy,
    public: bool,
}

/// Which public access is blocked. All of it, unless a bucket says otherwise; there are no ACLs, so what is said
/// of them is kept and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PublicAccessBlock {
    /// ACLs that grant public access are refused.
    pub block_public_acls: bool,
    /// Those that there are count for nothing.
    pub ignore_public_acls: bool,
    /// Policies that are public are refused.
    pub block_public_policy: bool,
    /// A public policy lets in nobody but the account's own.
    pub restrict_public_buckets: bool,
}

/// Why a text is no bucket policy.
#[derive(Debug, thiserror::Error)]
pub enum BucketPolicyError {
    /// It is not a policy document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// Over 20 KiB.
    #[error("the policy has {0} bytes; a bucket policy has at most {LONGEST_POLICY}")]
    Length(usize),
    /// A resource that is not the bucket or in it.
    #[error("the policy has an invalid resource: `{0}` is not the bucket `{1}` or something in it")]
    Resource(String, String),
    /// An action of another service.
    #[error("the policy has an invalid action: `{0}` is not an action of S3")]
    Action(String),
}

impl PublicAccessBlock {
    /// Everything is blocked: what holds for a bucket that says nothing.
    pub const ALL: Self = Self {
        block_public_acls: true,
        ignore_public_acls: true,
        block_public_policy: true,
        restrict_public_buckets: true,
    };

    /// Nothing is.
    pub const NONE: Self = Self {
        block_public_acls: false,
        ignore_public_acls: false,
        block_public_policy: false,
        restrict_public_buckets: false,
    };
}

impl Default for PublicAccessBlock {
    fn default() -> Self {
        Self::ALL
    }
}

impl BucketPolicy {
    /// Reads a bucket's policy.
    ///
    /// # Errors
    /// [`BucketPolicyError`]
    pub fn parse(bucket: &BucketName, text: &str) -> Result<Self, BucketPolicyError> {
        if text.len() > LONGEST_POLICY {
            return Err(BucketPolicyError::Length(text.len()));
        }
        let document = Document::parse(text, Kind::Resource)?;
        let own = format!("arn:aws:s3:::{bucket}");
        for statement in document.statements() {
            let within = |resource: &str| {
                resource.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            if let Some(resource) = statement.resources().0.find(|resource| !within(resource)) {
                return Err(BucketPolicyError::Resource(resource.to_owned(), bucket.to_string()));
            }
            let of_s3 = |action: &str| {
                action == "*" || action.get(..3).is_some_and(|service| service.eq_ignore_ascii_case("s3:"))
            };
            if let Some(action) = statement.actions().0.find(|action| !of_s3(action)) {
                return Err(BucketPolicyError::Action(action.to_owned()));
            }
        }
        let public = document.is_public();
        Ok(Self { policy: document.named(bucket.as_str()), public })
    }

    /// The policy, under the name of the bucket.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether it lets in anybody at all.
    #[must_use]
    pub fn is_public(&self) -> bool {
        self.public
    }
}

impl BucketAccess {
    /// The policy, as far as it speaks to the anonymous: one that is public says nothing to them where the bucket
    /// restricts public access.
    #[must_use]
    pub fn policy_for_the_anonymous(&self) -> Option<&Policy> {
        let policy = self.policy.as_deref()?;
        let restricted = policy.public && self.block.restrict_public_buckets;
        (!restricted).then_some(&policy.policy)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn parse(statement: &str) -> Result<BucketPolicy, BucketPolicyError> {
        let text = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*",{statement}}}}}"#
        );
        BucketPolicy::parse(&BucketName::parse("home").unwrap(), &text)
    }

    #[rstest]
    #[case(r#""Action":"s3:*","Resource":["arn:aws:s3:::home","arn:aws:s3:::home/*"]"#)]
    #[case(r#""Action":"*","Resource":"arn:aws:s3:::home/a/${aws:userid}/*""#)]
    #[case(r#""Action":"S3:getobject","NotResource":"arn:aws:s3:::home/secret/*""#)]
    fn about_this_bucket(#[case] statement: &str) {
        assert!(parse(statement).unwrap().is_public());
    }

    #[rstest]
    #[case(r#""Action":"s3:*","Resource":"arn:aws:s3:::homes/*""#, "invalid resource")]
    #[case(r#""Action":"s3:*","Resource":"arn:aws:s3:::hom*""#, "invalid resource")]
    #[case(r#""Action":"s3:*","Resource":"*""#, "invalid resource")]
    #[case(r#""Action":"s3:*","Resource":"arn:aws:s3:::home*""#, "invalid resource")]
    #[case(r#""Action":"s3:*","NotResource":"arn:aws:s3:::other/*""#, "invalid resource")]
    #[case(r#""Action":"iam:*","Resource":"arn:aws:s3:::home/*""#, "invalid action")]
    #[case(r#""Action":"s3:*""#, "`Resource` is missing")]
    fn about_anything_else(#[case] statement: &str, #[case] why: &str) {
        let error = parse(statement).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn what_the_anonymous_get_to_see() {
        let policy = Arc::new(parse(r#""Action":"s3:*","Resource":"arn:aws:s3:::home/*""#).unwrap());
        let mut access = BucketAccess { policy: Some(policy), ..BucketAccess::default() };
        assert!(access.policy_for_the_anonymous().is_none());
        access.block = PublicAccessBlock::NONE;
        assert!(access.policy_for_the_anonymous().is_some());
        assert!(BucketAccess::default().policy_for_the_anonymous().is_none());
    }
}
