//! Which S3 operation a request is, and which permissions it needs: one table, read as data.
//!
//! Enters: method, level (service, bucket, object), query, headers. Leaves: an [`Operation`]. A request that no
//! row describes, or that has a query parameter its row does not know, is refused: an unknown operation must
//! never pass as a known one; those that `refused` lists are refused by their names. Source: Amazon S3
//! API Reference, "Actions"; Service Authorization Reference, "Actions, resources, and condition keys for Amazon
//! S3".

use std::sync::LazyLock;

use http::{HeaderMap, Method};

pub use super::refused::Level;
use super::refused::refused;
use crate::sigv4::canonical::Query;

/// A permission that an operation needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// An action that has no resource.
    OnService(&'static str),
    /// An action on the bucket or object of the path: without and with a `versionId`.
    OnTarget(&'static str, &'static str),
    /// Reading what `x-amz-copy-source` names.
    CopySource,
    /// Tags, ACLs, retention and legal hold that are written along with an object.
    WrittenAttributes,
    /// Deleting each key of the body, asked for key by key.
    EachKey,
    /// Writing the tags of the body, asked for once they are known: without and with a `versionId`.
    BodyTags(&'static str, &'static str),
    /// Protecting the object as the body says, asked for once that is known.
    BodyLock(&'static str),
    /// Bypassing a retention of mode `GOVERNANCE`, where a header says so.
    BypassedGovernance,
    /// Making a bucket that locks its versions, where a header says so.
    BucketLock,
    /// Writing the key that the form of a browser upload names.
    FormKey,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// Which operation.
    pub operation: Operation,
    method: Method,
    level: Level,
    /// Query parameters that make it this operation.
    required: &'static [&'static str],
    /// Further ones that it understands.
    allowed: &'static [&'static str],
    /// A header that makes it this operation.
    header: Option<&'static str>,
    /// What a caller must be allowed to do.
    pub needs: &'static [Need],
}

macro_rules! operations {
    ($($name:ident: $method:ident $level:ident, $required:expr, $allowed:expr, $header:expr, $needs:expr;)*) => {
        /// An operation of the S3 API, by its name there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "the names are the documentation: they are S3's own")]
        pub enum Operation {
            $($name,)*
        }

        impl Operation {
            /// All of them; each stands at the place that its number says.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the S3 API.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }
        }

        /// Every operation that is known.
        pub static TABLE: &[Row] = &[
            $(Row {
                operation: Operation::$name,
                method: Method::$method,
                level: Level::$level,
                required: $required,
                allowed: $allowed,
                header: $header,
                needs: $needs,
            },)*
        ];
    };
}

#[rustfmt::skip]
operations! {
    ListBuckets: GET Service, &[], &["max-buckets", "continuation-token", "prefix", "bucket-region"], None, &[Need::OnService("s3:ListAllMyBuckets")];
    CreateBucket: PUT Bucket, &[], &[], None, &[Need::OnTarget("s3:CreateBucket", "s3:CreateBucket"), Need::BucketLock];
    DeleteBucket: DELETE Bucket, &[], &[], None, &[Need::OnTarget("s3:DeleteBucket", "s3:DeleteBucket")];
    HeadBucket: HEAD Bucket, &[], &[], None, &[Need::OnTarget("s3:ListBucket", "s3:ListBucket")];
    ListObjects: GET Bucket, &[], &["prefix", "delimiter", "marker", "max-keys", "encoding-type"], None, &[Need::OnTarget("s3:ListBucket", "s3:ListBucket")];
    ListObjectsV2: GET Bucket, &["list-type"], &["prefix", "delimiter", "start-after", "continuation-token", "max-keys", "encoding-type", "fetch-owner"], None, &[Need::OnTarget("s3:ListBucket", "s3:ListBucket")];
    ListObjectVersions: GET Bucket, &["versions"], &["prefix", "delimiter", "key-marker", "version-id-marker", "max-keys", "encoding-type"], None, &[Need::OnTarget("s3:ListBucketVersions", "s3:ListBucketVersions")];
    ListMultipartUploads: GET Bucket, &["uploads"], &["prefix", "delimiter", "key-marker", "upload-id-marker", "max-uploads", "encoding-type"], None, &[Need::OnTarget("s3:ListBucketMultipartUploads", "s3:ListBucketMultipartUploads")];
    DeleteObjects: POST Bucket, &["delete"], &[], None, &[Need::EachKey];
    PostObject: POST Bucket, &[], &[], None, &[Need::FormKey];
    GetBucketLocation: GET Bucket, &["location"], &[], None, &[Need::OnTarget("s3:GetBucketLocation", "s3:GetBucketLocation")];
    GetBucketPolicy: GET Bucket, &["policy"], &[], None, &[Need::OnTarget("s3:GetBucketPolicy", "s3:GetBucketPolicy")];
    PutBucketPolicy: PUT Bucket, &["policy"], &[], None, &[Need::OnTarget("s3:PutBucketPolicy", "s3:PutBucketPolicy")];
    DeleteBucketPolicy: DELETE Bucket, &["policy"], &[], None, &[Need::OnTarget("s3:DeleteBucketPolicy", "s3:DeleteBucketPolicy")];
    GetBucketPolicyStatus: GET Bucket, &["policyStatus"], &[], None, &[Need::OnTarget("s3:GetBucketPolicyStatus", "s3:GetBucketPolicyStatus")];
    GetBucketAcl: GET Bucket, &["acl"], &[], None, &[Need::OnTarget("s3:GetBucketAcl", "s3:GetBucketAcl")];
    PutBucketAcl: PUT Bucket, &["acl"], &[], None, &[Need::OnTarget("s3:PutBucketAcl", "s3:PutBucketAcl")];
    GetBucketCors: GET Bucket, &["cors"], &[], None, &[Need::OnTarget("s3:GetBucketCORS", "s3:GetBucketCORS")];
    PutBucketCors: PUT Bucket, &["cors"], &[], None, &[Need::OnTarget("s3:PutBucketCORS", "s3:PutBucketCORS")];
    DeleteBucketCors: DELETE Bucket, &["cors"], &[], None, &[Need::OnTarget("s3:PutBucketCORS", "s3:PutBucketCORS")];
    GetBucketVersioning: GET Bucket, &["versioning"], &[], None, &[Need::OnTarget("s3:GetBucketVersioning", "s3:GetBucketVersioning")];
    PutBucketVersioning: PUT Bucket, &["versioning"], &[], None, &[Need::OnTarget("s3:PutBucketVersioning", "s3:PutBucketVersioning")];
    GetBucketLifecycleConfiguration: GET Bucket, &["lifecycle"], &[], None, &[Need::OnTarget("s3:GetLifecycleConfiguration", "s3:GetLifecycleConfiguration")];
    PutBucketLifecycleConfiguration: PUT Bucket, &["lifecycle"], &[], None, &[Need::OnTarget("s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration")];
    DeleteBucketLifecycle: DELETE Bucket, &["lifecycle"], &[], None, &[Need::OnTarget("s3:PutLifecycleConfiguration", "s3:PutLifecycleConfiguration")];
    GetBucketTagging: GET Bucket, &["tagging"], &[], None, &[Need::OnTarget("s3:GetBucketTagging", "s3:GetBucketTagging")];
    PutBucketTagging: PUT Bucket, &["tagging"], &[], None, &[Need::OnTarget("s3:PutBucketTagging", "s3:PutBucketTagging")];
    DeleteBucketTagging: DELETE Bucket, &["tagging"], &[], None, &[Need::OnTarget("s3:PutBucketTagging", "s3:PutBucketTagging")];
    GetBucketEncryption: GET Bucket, &["encryption"], &[], None, &[Need::OnTarget("s3:GetEncryptionConfiguration", "s3:GetEncryptionConfiguration")];
    PutBucketEncryption: PUT Bucket, &["encryption"], &[], None, &[Need::OnTarget("s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration")];
    DeleteBucketEncryption: DELETE Bucket, &["encryption"], &[], None, &[Need::OnTarget("s3:PutEncryptionConfiguration", "s3:PutEncryptionConfiguration")];
    GetBucketLogging: GET Bucket, &["logging"], &[], None, &[Need::OnTarget("s3:GetBucketLogging", "s3:GetBucketLogging")];
    PutBucketLogging: PUT Bucket, &["logging"], &[], None, &[Need::OnTarget("s3:PutBucketLogging", "s3:PutBucketLogging")];
    GetBucketNotificationConfiguration: GET Bucket, &["notification"], &[], None, &[Need::OnTarget("s3:GetBucketNotification", "s3:GetBucketNotification")];
    PutBucketNotificationConfiguration: PUT Bucket, &["notification"], &[], None, &[Need::OnTarget("s3:PutBucketNotification", "s3:PutBucketNotification")];
    GetBucketReplication: GET Bucket, &["replication"], &[], None, &[Need::OnTarget("s3:GetReplicationConfiguration", "s3:GetReplicationConfiguration")];
    PutBucketReplication: PUT Bucket, &["replication"], &[], None, &[Need::OnTarget("s3:PutReplicationConfiguration", "s3:PutReplicationConfiguration")];
    DeleteBucketReplication: DELETE Bucket, &["replication"], &[], None, &[Need::OnTarget("s3:PutReplicationConfiguration", "s3:PutReplicationConfiguration")];
    GetBucketRequestPayment: GET Bucket, &["requestPayment"], &[], None, &[Need::OnTarget("s3:GetBucketRequestPayment", "s3:GetBucketRequestPayment")];
    PutBucketRequestPayment: PUT Bucket, &["requestPayment"], &[], None, &[Need::OnTarget("s3:PutBucketRequestPayment", "s3:PutBucketRequestPayment")];
    GetBucketWebsite: GET Bucket, &["website"], &[], None, &[Need::OnTarget("s3:GetBucketWebsite", "s3:GetBucketWebsite")];
    PutBucketWebsite: PUT Bucket, &["website"], &[], None, &[Need::OnTarget("s3:PutBucketWebsite", "s3:PutBucketWebsite")];
    DeleteBucketWebsite: DELETE Bucket, &["website"], &[], None, &[Need::OnTarget("s3:DeleteBucketWebsite", "s3:DeleteBucketWebsite")];
    GetBucketAccelerateConfiguration: GET Bucket, &["accelerate"], &[], None, &[Need::OnTarget("s3:GetAccelerateConfiguration", "s3:GetAccelerateConfiguration")];
    PutBucketAccelerateConfiguration: PUT Bucket, &["accelerate"], &[], None, &[Need::OnTarget("s3:PutAccelerateConfiguration", "s3:PutAccelerateConfiguration")];
    ListBucketAnalyticsConfigurations: GET Bucket, &["analytics"], &["continuation-token"], None, &[Need::OnTarget("s3:GetAnalyticsConfiguration", "s3:GetAnalyticsConfiguration")];
    GetBucketAnalyticsConfiguration: GET Bucket, &["analytics", "id"], &[], None, &[Need::OnTarget("s3:GetAnalyticsConfiguration", "s3:GetAnalyticsConfiguration")];
    PutBucketAnalyticsConfiguration: PUT Bucket, &["analytics", "id"], &[], None, &[Need::OnTarget("s3:PutAnalyticsConfiguration", "s3:PutAnalyticsConfiguration")];
    DeleteBucketAnalyticsConfiguration: DELETE Bucket, &["analytics", "id"], &[], None, &[Need::OnTarget("s3:PutAnalyticsConfiguration", "s3:PutAnalyticsConfiguration")];
    ListBucketInventoryConfigurations: GET Bucket, &["inventory"], &["continuation-token"], None, &[Need::OnTarget("s3:GetInventoryConfiguration", "s3:GetInventoryConfiguration")];
    GetBucketInventoryConfiguration: GET Bucket, &["inventory", "id"], &[], None, &[Need::OnTarget("s3:GetInventoryConfiguration", "s3:GetInventoryConfiguration")];
    PutBucketInventoryConfiguration: PUT Bucket, &["inventory", "id"], &[], None, &[Need::OnTarget("s3:PutInventoryConfiguration", "s3:PutInventoryConfiguration")];
    DeleteBucketInventoryConfiguration: DELETE Bucket, &["inventory", "id"], &[], None, &[Need::OnTarget("s3:PutInventoryConfiguration", "s3:PutInventoryConfiguration")];
    ListBucketMetricsConfigurations: GET Bucket, &["metrics"], &["continuation-token"], None, &[Need::OnTarget("s3:GetMetricsConfiguration", "s3:GetMetricsConfiguration")];
    GetBucketMetricsConfiguration: GET Bucket, &["metrics", "id"], &[], None, &[Need::OnTarget("s3:GetMetricsConfiguration", "s3:GetMetricsConfiguration")];
    PutBucketMetricsConfiguration: PUT Bucket, &["metrics", "id"], &[], None, &[Need::OnTarget("s3:PutMetricsConfiguration", "s3:PutMetricsConfiguration")];
    DeleteBucketMetricsConfiguration: DELETE Bucket, &["metrics", "id"], &[], None, &[Need::OnTarget("s3:PutMetricsConfiguration", "s3:PutMetricsConfiguration")];
    ListBucketIntelligentTieringConfigurations: GET Bucket, &["intelligent-tiering"], &["continuation-token"], None, &[Need::OnTarget("s3:GetIntelligentTieringConfiguration", "s3:GetIntelligentTieringConfiguration")];
    GetBucketIntelligentTieringConfiguration: GET Bucket, &["intelligent-tiering", "id"], &[], None, &[Need::OnTarget("s3:GetIntelligentTieringConfiguration", "s3:GetIntelligentTieringConfiguration")];
    PutBucketIntelligentTieringConfiguration: PUT Bucket, &["intelligent-tiering", "id"], &[], None, &[Need::OnTarget("s3:PutIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration")];
    DeleteBucketIntelligentTieringConfiguration: DELETE Bucket, &["intelligent-tiering", "id"], &[], None, &[Need::OnTarget("s3:PutIntelligentTieringConfiguration", "s3:PutIntelligentTieringConfiguration")];
    GetBucketOwnershipControls: GET Bucket, &["ownershipControls"], &[], None, &[Need::OnTarget("s3:GetBucketOwnershipControls", "s3:GetBucketOwnershipControls")];
    PutBucketOwnershipControls: PUT Bucket, &["ownershipControls"], &[], None, &[Need::OnTarget("s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls")];
    DeleteBucketOwnershipControls: DELETE Bucket, &["ownershipControls"], &[], None, &[Need::OnTarget("s3:PutBucketOwnershipControls", "s3:PutBucketOwnershipControls")];
    GetPublicAccessBlock: GET Bucket, &["publicAccessBlock"], &[], None, &[Need::OnTarget("s3:GetBucketPublicAccessBlock", "s3:GetBucketPublicAccessBlock")];
    PutPublicAccessBlock: PUT Bucket, &["publicAccessBlock"], &[], None, &[Need::OnTarget("s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock")];
    DeletePublicAccessBlock: DELETE Bucket, &["publicAccessBlock"], &[], None, &[Need::OnTarget("s3:PutBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock")];
    GetObjectLockConfiguration: GET Bucket, &["object-lock"], &[], None, &[Need::OnTarget("s3:GetBucketObjectLockConfiguration", "s3:GetBucketObjectLockConfiguration")];
    PutObjectLockConfiguration: PUT Bucket, &["object-lock"], &[], None, &[Need::OnTarget("s3:PutBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration")];
    CreateBucketMetadataConfiguration: POST Bucket, &["metadataConfiguration"], &[], None, &[Need::OnTarget("s3:CreateBucketMetadataTableConfiguration", "s3:CreateBucketMetadataTableConfiguration")];
    GetBucketMetadataConfiguration: GET Bucket, &["metadataConfiguration"], &[], None, &[Need::OnTarget("s3:GetBucketMetadataTableConfiguration", "s3:GetBucketMetadataTableConfiguration")];
    DeleteBucketMetadataConfiguration: DELETE Bucket, &["metadataConfiguration"], &[], None, &[Need::OnTarget("s3:DeleteBucketMetadataTableConfiguration", "s3:DeleteBucketMetadataTableConfiguration")];
    CreateBucketMetadataTableConfiguration: POST Bucket, &["metadataTable"], &[], None, &[Need::OnTarget("s3:CreateBucketMetadataTableConfiguration", "s3:CreateBucketMetadataTableConfiguration")];
    GetBucketMetadataTableConfiguration: GET Bucket, &["metadataTable"], &[], None, &[Need::OnTarget("s3:GetBucketMetadataTableConfiguration", "s3:GetBucketMetadataTableConfiguration")];
    DeleteBucketMetadataTableConfiguration: DELETE Bucket, &["metadataTable"], &[], None, &[Need::OnTarget("s3:DeleteBucketMetadataTableConfiguration", "s3:DeleteBucketMetadataTableConfiguration")];
    UpdateBucketMetadataInventoryTableConfiguration: PUT Bucket, &["metadataInventoryTable"], &[], None, &[Need::OnTarget("s3:UpdateBucketMetadataInventoryTableConfiguration", "s3:UpdateBucketMetadataInventoryTableConfiguration")];
    UpdateBucketMetadataJournalTableConfiguration: PUT Bucket, &["metadataJournalTable"], &[], None, &[Need::OnTarget("s3:UpdateBucketMetadataJournalTableConfiguration", "s3:UpdateBucketMetadataJournalTableConfiguration")];
    GetBucketAbac: GET Bucket, &["abac"], &[], None, &[Need::OnTarget("s3:GetBucketAbac", "s3:GetBucketAbac")];
    PutBucketAbac: PUT Bucket, &["abac"], &[], None, &[Need::OnTarget("s3:PutBucketAbac", "s3:PutBucketAbac")];
    // Wigeon's own, beside S3's: what a bucket holds, and the most that it may.
    GetBucketQuota: GET Bucket, &["quota"], &[], None, &[Need::OnTarget("wigeon:GetBucketQuota", "wigeon:GetBucketQuota")];
    PutBucketQuota: PUT Bucket, &["quota"], &[], None, &[Need::OnTarget("wigeon:PutBucketQuota", "wigeon:PutBucketQuota")];
    GetObject: GET Object, &[], &["versionId", "partNumber", "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires"], None, &[Need::OnTarget("s3:GetObject", "s3:GetObjectVersion")];
    HeadObject: HEAD Object, &[], &["versionId", "partNumber", "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type", "response-expires"], None, &[Need::OnTarget("s3:GetObject", "s3:GetObjectVersion")];
    PutObject: PUT Object, &[], &[], None, &[Need::OnTarget("s3:PutObject", "s3:PutObject"), Need::WrittenAttributes];
    CopyObject: PUT Object, &[], &[], Some("x-amz-copy-source"), &[Need::OnTarget("s3:PutObject", "s3:PutObject"), Need::CopySource, Need::WrittenAttributes];
    DeleteObject: DELETE Object, &[], &["versionId"], None, &[Need::OnTarget("s3:DeleteObject", "s3:DeleteObjectVersion"), Need::BypassedGovernance];
    CreateMultipartUpload: POST Object, &["uploads"], &[], None, &[Need::OnTarget("s3:PutObject", "s3:PutObject"), Need::WrittenAttributes];
    UploadPart: PUT Object, &["partNumber", "uploadId"], &[], None, &[Need::OnTarget("s3:PutObject", "s3:PutObject")];
    UploadPartCopy: PUT Object, &["partNumber", "uploadId"], &[], Some("x-amz-copy-source"), &[Need::OnTarget("s3:PutObject", "s3:PutObject"), Need::CopySource];
    CompleteMultipartUpload: POST Object, &["uploadId"], &[], None, &[Need::OnTarget("s3:PutObject", "s3:PutObject")];
    AbortMultipartUpload: DELETE Object, &["uploadId"], &[], None, &[Need::OnTarget("s3:AbortMultipartUpload", "s3:AbortMultipartUpload")];
    ListParts: GET Object, &["uploadId"], &["max-parts", "part-number-marker", "encoding-type"], None, &[Need::OnTarget("s3:ListMultipartUploadParts", "s3:ListMultipartUploadParts")];
    GetObjectAcl: GET Object, &["acl"], &["versionId"], None, &[Need::OnTarget("s3:GetObjectAcl", "s3:GetObjectVersionAcl")];
    PutObjectAcl: PUT Object, &["acl"], &["versionId"], None, &[Need::OnTarget("s3:PutObjectAcl", "s3:PutObjectVersionAcl")];
    GetObjectTagging: GET Object, &["tagging"], &["versionId"], None, &[Need::OnTarget("s3:GetObjectTagging", "s3:GetObjectVersionTagging")];
    PutObjectTagging: PUT Object, &["tagging"], &["versionId"], None, &[Need::BodyTags("s3:PutObjectTagging", "s3:PutObjectVersionTagging")];
    DeleteObjectTagging: DELETE Object, &["tagging"], &["versionId"], None, &[Need::OnTarget("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging")];
    GetObjectRetention: GET Object, &["retention"], &["versionId"], None, &[Need::OnTarget("s3:GetObjectRetention", "s3:GetObjectRetention")];
    PutObjectRetention: PUT Object, &["retention"], &["versionId"], None, &[Need::BodyLock("s3:PutObjectRetention"), Need::BypassedGovernance];
    GetObjectLegalHold: GET Object, &["legal-hold"], &["versionId"], None, &[Need::OnTarget("s3:GetObjectLegalHold", "s3:GetObjectLegalHold")];
    PutObjectLegalHold: PUT Object, &["legal-hold"], &["versionId"], None, &[Need::BodyLock("s3:PutObjectLegalHold")];
    GetObjectAttributes: GET Object, &["attributes"], &["versionId", "max-parts", "part-number-marker"], None, &[Need::OnTarget("s3:GetObject", "s3:GetObjectVersion"), Need::OnTarget("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes")];
    GetObjectTorrent: GET Object, &["torrent"], &["versionId"], None, &[Need::OnTarget("s3:GetObjectTorrent", "s3:GetObjectVersionTorrent")];
    RestoreObject: POST Object, &["restore"], &["versionId"], None, &[Need::OnTarget("s3:RestoreObject", "s3:RestoreObject")];
    UpdateObjectEncryption: PUT Object, &["encryption"], &["versionId"], None, &[Need::OnTarget("s3:UpdateObjectEncryption", "s3:UpdateObjectEncryption")];
    SelectObjectContent: POST Object, &["select", "select-type"], &[], None, &[Need::OnTarget("s3:GetObject", "s3:GetObject")];
}

/// Why a request is none of the operations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclassified {
    /// No row has this method at this level.
    #[error("the method `{0}` is not allowed against this resource")]
    Method(String),
    /// A query parameter that the operation does not know.
    #[error("the query parameter `{0}` is not implemented for this request")]
    Parameter(String),
    /// An operation that is known and that no backend here has.
    #[error("{0} is not implemented by this server")]
    Refused(&'static str),
}

/// Whether the tags of the object bear on an action: `s3:ExistingObjectTag/…`.
#[must_use]
pub fn sees_object_tags(action: &str) -> bool {
    const ACTIONS: [&str; 14] = [
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersionTagging",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionTagging",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionTagging",
    ];
    ACTIONS.contains(&action)
}

impl Row {
    /// Finds the row of a request: of those that fit, the one that requires most. `headers` are all that the
    /// request carries, those of a presigned address that stand in its query included.
    ///
    /// # Errors
    /// [`Unclassified`].
    pub fn of(
        method: &Method,
        level: Level,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<&'static Self, Unclassified> {
        if let Some(name) = refused(method, level, query, headers) {
            return Err(Unclassified::Refused(name));
        }
        let row = rows(level, method)
            .iter()
            .filter(|row| row.fits(query, headers))
            .max_by_key(|row| row.required.len() * 2 + usize::from(row.header.is_some()))
            .ok_or_else(|| Unclassified::Method(method.to_string()))?;
        match query.iter().find(|(name, _)| !row.understands(name)) {
            Some((name, _)) => Err(Unclassified::Parameter(name.to_owned())),
            None => Ok(row),
        }
    }

    fn fits(&self, query: &Query, headers: &HeaderMap) -> bool {
        self.required.iter().all(|name| query.has(name))
            && self.header.is_none_or(|name| headers.contains_key(name))
    }

    fn understands(&self, name: &str) -> bool {
        self.required.contains(&name) || self.allowed.contains(&name) || of_the_signature(name)
    }
}

/// The rows of one level and method: a handful of all.
fn rows(level: Level, method: &Method) -> &'static [&'static Row] {
    type Group = (Level, &'static Method, Vec<&'static Row>);
    static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
        let mut groups: Vec<Group> = Vec::new();
        for row in TABLE {
            match groups.iter_mut().find(|group| group.0 == row.level && *group.1 == row.method) {
                Some((_, _, rows)) => rows.push(row),
                None => groups.push((row.level, &row.method, vec![row])),
            }
        }
        groups
    });
    let mut groups = GROUPS.iter();
    groups.find(|group| group.0 == level && group.1 == method).map_or(&[], |(_, _, rows)| rows)
}

/// Parameters of a presigned address, headers that a tool moved into it, and the SDKs' `x-id`.
fn of_the_signature(name: &str) -> bool {
    matches!(name, "AWSAccessKeyId" | "Expires" | "Signature" | "content-type" | "content-md5" | "x-id")
        || name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-amz-"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn identify(
        method: &str,
        level: Level,
        query: &str,
        headers: &[&'static str],
    ) -> Result<&'static str, Unclassified> {
        let headers =
            headers.iter().map(|name| (http::HeaderName::from_static(name), "/b/k".parse().unwrap()));
        let query = Query::parse(query).unwrap();
        Row::of(&method.parse().unwrap(), level, &query, &headers.collect()).map(|row| row.operation.name())
    }

    #[rstest]
    #[case("GET", Level::Service, "", "ListBuckets")]
    #[case("GET", Level::Bucket, "prefix=a", "ListObjects")]
    #[case("GET", Level::Bucket, "list-type=2&prefix=a&x-id=ListObjectsV2", "ListObjectsV2")]
    #[case("GET", Level::Bucket, "uploads", "ListMultipartUploads")]
    #[case("GET", Level::Bucket, "analytics", "ListBucketAnalyticsConfigurations")]
    #[case("GET", Level::Bucket, "analytics&id=1", "GetBucketAnalyticsConfiguration")]
    #[case("POST", Level::Bucket, "delete", "DeleteObjects")]
    #[case("PUT", Level::Object, "", "PutObject")]
    #[case("PUT", Level::Object, "partNumber=1&uploadId=x", "UploadPart")]
    #[case("GET", Level::Object, "X-Amz-Signature=1&X-Amz-Expires=1", "GetObject")]
    #[case("DELETE", Level::Object, "uploadId=x", "AbortMultipartUpload")]
    #[case("HEAD", Level::Object, "versionId=x&partNumber=1", "HeadObject")]
    fn known(#[case] method: &str, #[case] level: Level, #[case] query: &str, #[case] name: &str) {
        assert_eq!(identify(method, level, query, &[]), Ok(name));
    }

    #[test]
    fn a_copy_is_never_taken_for_a_put() {
        let copy = ["x-amz-copy-source"];
        assert_eq!(identify("PUT", Level::Object, "", &copy), Ok("CopyObject"));
        assert_eq!(identify("PUT", Level::Object, "partNumber=1&uploadId=x", &copy), Ok("UploadPartCopy"));
    }

    #[rstest]
    #[case("PUT", Level::Object, "rename", "rename")]
    #[case("GET", Level::Object, "prefix=x", "prefix")]
    #[case("DELETE", Level::Bucket, "acl", "acl")]
    #[case("PUT", Level::Object, "uploadId=x", "uploadId")]
    #[case("GET", Level::Bucket, "uploads&versions", "uploads")]
    fn unknown_parameters(
        #[case] method: &str,
        #[case] level: Level,
        #[case] query: &str,
        #[case] name: &str,
    ) {
        let refused = identify(method, level, query, &[]);
        assert!(
            matches!(&refused, Err(Unclassified::Parameter(found)) if found == name || query.contains(found)),
            "{refused:?}"
        );
    }

    #[test]
    fn unknown_methods() {
        for (method, level) in [
            ("PATCH", Level::Object),
            ("POST", Level::Service),
            ("POST", Level::Object),
            ("HEAD", Level::Service),
        ] {
            assert_eq!(identify(method, level, "", &[]), Err(Unclassified::Method(method.into())));
        }
    }
}
