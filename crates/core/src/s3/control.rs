//! S3 Control, which shares the host with S3: access points, access grants, batch jobs, Storage Lens.
//!
//! Nothing of it exists here. Its operations are told apart by method and path, so that a request for one of them
//! is refused by its name and is never taken for one about a bucket `v20180820`. Source: Amazon S3 API Reference,
//! "Actions: Amazon S3 Control".

use http::HeaderName;

/// Where its paths begin.
const ROOT: &str = "/v20180820/";

/// The header that each of its requests has, and none to S3.
pub const ACCOUNT_HEADER: HeaderName = HeaderName::from_static("x-amz-account-id");

/// Its operations: name, method, path below `/v20180820/`. `*` is one segment, `**` one or more.
#[rustfmt::skip]
static OPERATIONS: &[(&str, &str, &str)] = &[
    ("AssociateAccessGrantsIdentityCenter", "POST", "accessgrantsinstance/identitycenter"),
    ("CreateAccessGrant", "POST", "accessgrantsinstance/grant"),
    ("CreateAccessGrantsInstance", "POST", "accessgrantsinstance"),
    ("CreateAccessGrantsLocation", "POST", "accessgrantsinstance/location"),
    ("CreateAccessPoint", "PUT", "accesspoint/*"),
    ("CreateAccessPointForObjectLambda", "PUT", "accesspointforobjectlambda/*"),
    ("CreateBucket", "PUT", "bucket/*"),
    ("CreateJob", "POST", "jobs"),
    ("CreateMultiRegionAccessPoint", "POST", "async-requests/mrap/create"),
    ("CreateStorageLensGroup", "POST", "storagelensgroup"),
    ("DeleteAccessGrant", "DELETE", "accessgrantsinstance/grant/*"),
    ("DeleteAccessGrantsInstance", "DELETE", "accessgrantsinstance"),
    ("DeleteAccessGrantsInstanceResourcePolicy", "DELETE", "accessgrantsinstance/resourcepolicy"),
    ("DeleteAccessGrantsLocation", "DELETE", "accessgrantsinstance/location/*"),
    ("DeleteAccessPoint", "DELETE", "accesspoint/*"),
    ("DeleteAccessPointForObjectLambda", "DELETE", "accesspointforobjectlambda/*"),
    ("DeleteAccessPointPolicy", "DELETE", "accesspoint/*/policy"),
    ("DeleteAccessPointPolicyForObjectLambda", "DELETE", "accesspointforobjectlambda/*/policy"),
    ("DeleteAccessPointScope", "DELETE", "accesspoint/*/scope"),
    ("DeleteBucket", "DELETE", "bucket/*"),
    ("DeleteBucketLifecycleConfiguration", "DELETE", "bucket/*/lifecycleconfiguration"),
    ("DeleteBucketPolicy", "DELETE", "bucket/*/policy"),
    ("DeleteBucketReplication", "DELETE", "bucket/*/replication"),
    ("DeleteBucketTagging", "DELETE", "bucket/*/tagging"),
    ("DeleteJobTagging", "DELETE", "jobs/*/tagging"),
    ("DeleteMultiRegionAccessPoint", "POST", "async-requests/mrap/delete"),
    ("DeletePublicAccessBlock", "DELETE", "configuration/publicAccessBlock"),
    ("DeleteStorageLensConfiguration", "DELETE", "storagelens/*"),
    ("DeleteStorageLensConfigurationTagging", "DELETE", "storagelens/*/tagging"),
    ("DeleteStorageLensGroup", "DELETE", "storagelensgroup/*"),
    ("DescribeJob", "GET", "jobs/*"),
    ("DescribeMultiRegionAccessPointOperation", "GET", "async-requests/mrap/**"),
    ("DissociateAccessGrantsIdentityCenter", "DELETE", "accessgrantsinstance/identitycenter"),
    ("GetAccessGrant", "GET", "accessgrantsinstance/grant/*"),
    ("GetAccessGrantsInstance", "GET", "accessgrantsinstance"),
    ("GetAccessGrantsInstanceForPrefix", "GET", "accessgrantsinstance/prefix"),
    ("GetAccessGrantsInstanceResourcePolicy", "GET", "accessgrantsinstance/resourcepolicy"),
    ("GetAccessGrantsLocation", "GET", "accessgrantsinstance/location/*"),
    ("GetAccessPoint", "GET", "accesspoint/*"),
    ("GetAccessPointConfigurationForObjectLambda", "GET", "accesspointforobjectlambda/*/configuration"),
    ("GetAccessPointForObjectLambda", "GET", "accesspointforobjectlambda/*"),
    ("GetAccessPointPolicy", "GET", "accesspoint/*/policy"),
    ("GetAccessPointPolicyForObjectLambda", "GET", "accesspointforobjectlambda/*/policy"),
    ("GetAccessPointPolicyStatus", "GET", "accesspoint/*/policyStatus"),
    ("GetAccessPointPolicyStatusForObjectLambda", "GET", "accesspointforobjectlambda/*/policyStatus"),
    ("GetAccessPointScope", "GET", "accesspoint/*/scope"),
    ("GetBucket", "GET", "bucket/*"),
    ("GetBucketLifecycleConfiguration", "GET", "bucket/*/lifecycleconfiguration"),
    ("GetBucketPolicy", "GET", "bucket/*/policy"),
    ("GetBucketReplication", "GET", "bucket/*/replication"),
    ("GetBucketTagging", "GET", "bucket/*/tagging"),
    ("GetBucketVersioning", "GET", "bucket/*/versioning"),
    ("GetDataAccess", "GET", "accessgrantsinstance/dataaccess"),
    ("GetJobTagging", "GET", "jobs/*/tagging"),
    ("GetMultiRegionAccessPoint", "GET", "mrap/instances/**"),
    ("GetMultiRegionAccessPointPolicy", "GET", "mrap/instances/**/policy"),
    ("GetMultiRegionAccessPointPolicyStatus", "GET", "mrap/instances/**/policystatus"),
    ("GetMultiRegionAccessPointRoutes", "GET", "mrap/instances/**/routes"),
    ("GetPublicAccessBlock", "GET", "configuration/publicAccessBlock"),
    ("GetStorageLensConfiguration", "GET", "storagelens/*"),
    ("GetStorageLensConfigurationTagging", "GET", "storagelens/*/tagging"),
    ("GetStorageLensGroup", "GET", "storagelensgroup/*"),
    ("ListAccessGrants", "GET", "accessgrantsinstance/grants"),
    ("ListAccessGrantsInstances", "GET", "accessgrantsinstances"),
    ("ListAccessGrantsLocations", "GET", "accessgrantsinstance/locations"),
    ("ListAccessPoints", "GET", "accesspoint"),
    ("ListAccessPointsForDirectoryBuckets", "GET", "accesspointfordirectory"),
    ("ListAccessPointsForObjectLambda", "GET", "accesspointforobjectlambda"),
    ("ListCallerAccessGrants", "GET", "accessgrantsinstance/caller/grants"),
    ("ListJobs", "GET", "jobs"),
    ("ListMultiRegionAccessPoints", "GET", "mrap/instances"),
    ("ListRegionalBuckets", "GET", "bucket"),
    ("ListStorageLensConfigurations", "GET", "storagelens"),
    ("ListStorageLensGroups", "GET", "storagelensgroup"),
    ("ListTagsForResource", "GET", "tags/**"),
    ("PutAccessGrantsInstanceResourcePolicy", "PUT", "accessgrantsinstance/resourcepolicy"),
    ("PutAccessPointConfigurationForObjectLambda", "PUT", "accesspointforobjectlambda/*/configuration"),
    ("PutAccessPointPolicy", "PUT", "accesspoint/*/policy"),
    ("PutAccessPointPolicyForObjectLambda", "PUT", "accesspointforobjectlambda/*/policy"),
    ("PutAccessPointScope", "PUT", "accesspoint/*/scope"),
    ("PutBucketLifecycleConfiguration", "PUT", "bucket/*/lifecycleconfiguration"),
    ("PutBucketPolicy", "PUT", "bucket/*/policy"),
    ("PutBucketReplication", "PUT", "bucket/*/replication"),
    ("PutBucketTagging", "PUT", "bucket/*/tagging"),
    ("PutBucketVersioning", "PUT", "bucket/*/versioning"),
    ("PutJobTagging", "PUT", "jobs/*/tagging"),
    ("PutMultiRegionAccessPointPolicy", "POST", "async-requests/mrap/put-policy"),
    ("PutPublicAccessBlock", "PUT", "configuration/publicAccessBlock"),
    ("PutStorageLensConfiguration", "PUT", "storagelens/*"),
    ("PutStorageLensConfigurationTagging", "PUT", "storagelens/*/tagging"),
    ("SubmitMultiRegionAccessPointRoutes", "PATCH", "mrap/instances/**/routes"),
    ("TagResource", "POST", "tags/**"),
    ("UntagResource", "DELETE", "tags/**"),
    ("UpdateAccessGrantsLocation", "PUT", "accessgrantsinstance/location/*"),
    ("UpdateJobPriority", "POST", "jobs/*/priority"),
    ("UpdateJobStatus", "POST", "jobs/*/status"),
    ("UpdateStorageLensGroup", "PUT", "storagelensgroup/*"),
];

/// The operation that a request with the header [`ACCOUNT_HEADER`] is; `S3 Control` for one that the list does
/// not have, and nothing for a path that is not S3 Control's.
#[must_use]
pub fn operation(method: &str, path: &str) -> Option<&'static str> {
    let below = path.strip_prefix(ROOT)?;
    let segments: Vec<&str> = below.split('/').collect();
    let found = OPERATIONS.iter().filter(|(_, of, pattern)| {
        *of == method && matches(&pattern.split('/').collect::<Vec<_>>(), &segments)
    });
    // The pattern with more segments says more: `mrap/instances/**/policy` before `mrap/instances/**`.
    let closest = found.max_by_key(|(_, _, pattern)| (pattern.matches('/').count(), !pattern.contains('*')));
    Some(closest.map_or("S3 Control", |(name, ..)| name))
}

/// The names of all its operations.
pub fn names() -> impl Iterator<Item = &'static str> {
    OPERATIONS.iter().map(|(name, ..)| *name)
}

fn matches(pattern: &[&str], segments: &[&str]) -> bool {
    match (pattern, segments) {
        ([], []) => true,
        (["**", rest @ ..], [_, more @ ..]) => {
            matches(rest, more) || (!more.is_empty() && matches(pattern, more))
        }
        (["*", rest @ ..], [segment, more @ ..]) => !segment.is_empty() && matches(rest, more),
        ([literal, rest @ ..], [segment, more @ ..]) => literal == segment && matches(rest, more),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pattern, filled in, is its own operation.
    #[test]
    fn each_operation_is_told_apart() {
        for (name, method, pattern) in OPERATIONS {
            let path = format!("{ROOT}{}", pattern.replace("**", "a/b").replace('*', "a"));
            assert_eq!(operation(method, &path), Some(*name), "{method} {path}");
        }
        assert_eq!(operation("GET", "/v20180820/unheard-of"), Some("S3 Control"));
        for path in ["/v20180820", "/bucket/v20180820/jobs", "/"] {
            assert_eq!(operation("GET", path), None, "{path}");
        }
    }
}
