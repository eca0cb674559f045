//! Access control lists, which are sent only when somebody asks for one: most buckets have none since 2023.

use std::fmt;
use std::str::FromStr;

use http::Method;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::call::Call;
use super::client::{Answer, Client};
use super::error::S3Error;
use super::xml;

/// A list that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CannedAcl {
    /// For the owner only.
    Private,
    /// For everybody to read.
    PublicRead,
    /// For everybody to read and write.
    PublicReadWrite,
    /// For everybody with an account to read.
    AuthenticatedRead,
    /// For the bucket's owner to read.
    BucketOwnerRead,
    /// For the bucket's owner, too.
    BucketOwnerFullControl,
    /// For Amazon EC2 to read.
    AwsExecRead,
    /// Of a bucket: for log delivery to write.
    LogDeliveryWrite,
}

impl CannedAcl {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Private,
        Self::PublicRead,
        Self::PublicReadWrite,
        Self::AuthenticatedRead,
        Self::BucketOwnerRead,
        Self::BucketOwnerFullControl,
        Self::AwsExecRead,
        Self::LogDeliveryWrite,
    ];

    /// As the header has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
            Self::PublicReadWrite => "public-read-write",
            Self::AuthenticatedRead => "authenticated-read",
            Self::BucketOwnerRead => "bucket-owner-read",
            Self::BucketOwnerFullControl => "bucket-owner-full-control",
            Self::AwsExecRead => "aws-exec-read",
            Self::LogDeliveryWrite => "log-delivery-write",
        }
    }
}

impl fmt::Display for CannedAcl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// There is no list of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a canned ACL: {names}", names = CannedAcl::ALL.map(CannedAcl::name).join(", "))]
pub struct UnknownAcl(String);

impl FromStr for CannedAcl {
    type Err = UnknownAcl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|acl| acl.name() == text).ok_or_else(|| UnknownAcl(text.to_owned()))
    }
}

/// Who may do what with an object or a bucket, besides what policies say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acl {
    /// The owner's id.
    pub owner: String,
    /// The owner's name, where the store tells it.
    pub owner_name: Option<String>,
    /// In the store's order.
    pub grants: Vec<Grant>,
}

/// One line of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// An id, the address of a group, or an e-mail address.
    pub grantee: String,
    /// The grantee's name, where the store tells it.
    pub grantee_name: Option<String>,
    /// `READ`, `WRITE`, `READ_ACP`, `WRITE_ACP`, `FULL_CONTROL`.
    pub permission: String,
}

impl Acl {
    /// What others than the owner are granted, and what of the owner's is not everything: nothing in the list that
    /// every object has by itself.
    #[must_use]
    pub fn beyond_default(self) -> Vec<Grant> {
        let own = |grant: &Grant| grant.grantee == self.owner && grant.permission == "FULL_CONTROL";
        if self.grants.iter().all(own) { Vec::new() } else { self.grants }
    }
}

/// Grants as a new object takes them.
pub(crate) fn with_grants(mut call: Call, grants: &[Grant]) -> Result<Call, S3Error> {
    for (permission, header) in [
        ("FULL_CONTROL", "x-amz-grant-full-control"),
        ("READ", "x-amz-grant-read"),
        ("READ_ACP", "x-amz-grant-read-acp"),
        ("WRITE_ACP", "x-amz-grant-write-acp"),
    ] {
        let of_it = grants.iter().filter(|grant| grant.permission == permission);
        let named: Vec<String> = of_it.map(|grant| named(&grant.grantee)).collect();
        if !named.is_empty() {
            call = call.header(header, &named.join(", "))?;
        }
    }
    Ok(call)
}

fn named(grantee: &str) -> String {
    let kind = if grantee.contains("://") {
        "uri"
    } else if grantee.contains('@') {
        "emailAddress"
    } else {
        "id"
    };
    format!("{kind}=\"{grantee}\"")
}

impl Client {
    /// The list of an object (GetObjectAcl).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn object_acl(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
    ) -> Result<Acl, S3Error> {
        let call = Call::object("GetObjectAcl", Method::GET, bucket, key).version(version).query("acl", "");
        self.read_acl("GetObjectAcl", &self.send_whole(&call).await?)
    }

    /// Gives an object a canned list (PutObjectAcl).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](super::ErrorKind) where the bucket takes no lists.
    pub async fn set_object_acl(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        version: Option<&str>,
        acl: CannedAcl,
    ) -> Result<(), S3Error> {
        let call = Call::object("PutObjectAcl", Method::PUT, bucket, key).version(version).query("acl", "");
        self.send_whole(&call.header("x-amz-acl", acl.name())?).await.map(drop)
    }

    /// The list of a bucket (GetBucketAcl).
    ///
    /// # Errors
    /// See [`S3Error`].
    pub async fn bucket_acl(&self, bucket: &BucketName) -> Result<Acl, S3Error> {
        let call = Call::bucket("GetBucketAcl", Method::GET, bucket).query("acl", "");
        self.read_acl("GetBucketAcl", &self.send_whole(&call).await?)
    }

    /// Gives a bucket a canned list (PutBucketAcl).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](super::ErrorKind) where the bucket takes no lists.
    pub async fn set_bucket_acl(&self, bucket: &BucketName, acl: CannedAcl) -> Result<(), S3Error> {
        let call = Call::bucket("PutBucketAcl", Method::PUT, bucket).query("acl", "");
        self.send_whole(&call.header("x-amz-acl", acl.name())?).await.map(drop)
    }

    fn read_acl(&self, operation: &'static str, answer: &Answer) -> Result<Acl, S3Error> {
        read(&answer.body).map_err(|what| self.not_understood(operation, what))
    }
}

fn read(body: &[u8]) -> Result<Acl, String> {
    let (mut acl, mut grant) = (Acl::default(), Grant::default());
    xml::walk(body, |path, text| {
        match path {
            "Owner/ID" => text.clone_into(&mut acl.owner),
            "Owner/DisplayName" => acl.owner_name = Some(text.to_owned()).filter(|name| !name.is_empty()),
            "AccessControlList/Grant/Grantee/ID"
            | "AccessControlList/Grant/Grantee/URI"
            | "AccessControlList/Grant/Grantee/EmailAddress" => text.clone_into(&mut grant.grantee),
            "AccessControlList/Grant/Grantee/DisplayName" => {
                grant.grantee_name = Some(text.to_owned()).filter(|name| !name.is_empty());
            }
            "AccessControlList/Grant/Permission" => text.clone_into(&mut grant.permission),
            "AccessControlList/Grant" => acl.grants.push(std::mem::take(&mut grant)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(acl)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let acl = read(
            br#"<AccessControlPolicy><Owner><ID>ada</ID><DisplayName>Ada</DisplayName></Owner><AccessControlList>
              <Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">
                <ID>ada</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>
              <Grant><Grantee xsi:type="Group" xmlns:xsi="x">
                <URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>
            </AccessControlList></AccessControlPolicy>"#,
        )
        .unwrap();
        assert_eq!(
            (acl.owner.as_str(), acl.owner_name.as_deref(), acl.grants.len()),
            ("ada", Some("Ada"), 2)
        );
        assert_eq!(
            acl.grants.iter().map(|grant| named(&grant.grantee)).collect::<Vec<_>>(),
            ["id=\"ada\"", "uri=\"http://acs.amazonaws.com/groups/global/AllUsers\""]
        );
        let mut own = acl.clone();
        own.grants.truncate(1);
        assert_eq!((own.beyond_default().len(), acl.clone().beyond_default().len()), (0, 2));
        let last = acl.grants.last().unwrap();
        assert_eq!((last.grantee.rsplit('/').next(), last.permission.as_str()), (Some("AllUsers"), "READ"));
    }

    #[test]
    fn names() {
        for acl in CannedAcl::ALL {
            assert_eq!(acl.name().parse(), Ok(acl));
        }
        assert!("public".parse::<CannedAcl>().unwrap_err().to_string().contains("public-read,"));
    }
}
