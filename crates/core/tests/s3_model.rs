//! The table of operations is whole: each operation of the S3 service model is a row of it, or is refused by its
//! name, and each S3 action is asked for by some row or stands in a list that says why not.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "this is a test throughout")]

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use wigeon_core::s3::control;
use wigeon_core::s3::operation::{Level, Need, Row, TABLE, Unclassified};
use wigeon_core::sigv4::canonical::Query;

/// Earlier forms of an operation, on the same address as the present one.
const EARLIER: [(&str, &str); 4] = [
    ("GetBucketLifecycle", "GetBucketLifecycleConfiguration"),
    ("PutBucketLifecycle", "PutBucketLifecycleConfiguration"),
    ("GetBucketNotification", "GetBucketNotificationConfiguration"),
    ("PutBucketNotification", "PutBucketNotificationConfiguration"),
];

/// Operations that no backend has.
const REFUSED: [&str; 4] =
    ["CreateSession", "ListDirectoryBuckets", "RenameObject", "WriteGetObjectResponse"];

/// Actions that no request to S3 needs: replication asks for them between buckets, `PutReplicationConfiguration`
/// covers pausing, batch jobs initiate replication.
const OF_REPLICATION: [&str; 7] = [
    "GetObjectVersionForReplication",
    "InitiateReplication",
    "ObjectOwnerOverrideToBucketOwner",
    "PauseReplication",
    "ReplicateDelete",
    "ReplicateObject",
    "ReplicateTags",
];

/// Actions that S3 Control asks for under other names than its operations'.
const OF_CONTROL: [&str; 4] = [
    "GetAccountPublicAccessBlock",
    "PutAccountPublicAccessBlock",
    "PutAccessPointPublicAccessBlock",
    "GetStorageLensDashboard",
];

/// Asked for with each deletion whose header asks for it.
const BY_HEADER: [&str; 1] = ["BypassGovernanceRetention"];

struct Known {
    name: &'static str,
    method: &'static str,
    level: Level,
    query: &'static str,
    optional: Vec<&'static str>,
    header: Option<&'static str>,
}

fn model() -> Vec<Known> {
    let lines = include_str!("s3_model/operations.tsv").lines().filter(|line| !line.starts_with('#'));
    let given = |text: &'static str| Some(text).filter(|text| *text != "-");
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            Known {
                name: fields[0],
                method: fields[1],
                level: match fields[2] {
                    "Service" => Level::Service,
                    "Bucket" => Level::Bucket,
                    _ => Level::Object,
                },
                query: given(fields[3]).unwrap_or_default(),
                optional: given(fields[4]).map(|names| names.split(',').collect()).unwrap_or_default(),
                header: given(fields[5]),
            }
        })
        .collect()
}

fn identify(known: &Known, query: &str) -> Result<&'static str, Unclassified> {
    let headers: HeaderMap = known
        .header
        .iter()
        .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("/bucket/key")))
        .collect();
    let query = Query::parse(query).unwrap();
    Row::of(&known.method.parse().unwrap(), known.level, &query, &headers).map(|row| row.operation.name())
}

#[test]
fn each_operation_of_the_model_is_classified_or_refused_by_name() {
    let model = model();
    assert!(model.len() > 110, "{}", model.len());
    for known in &model {
        let earlier = EARLIER.iter().find(|(name, _)| *name == known.name);
        let expected = match REFUSED.iter().find(|name| **name == known.name) {
            Some(name) => Err(Unclassified::Refused(name)),
            None => Ok(earlier.map_or(known.name, |(_, present)| *present)),
        };
        assert_eq!(identify(known, known.query), expected, "{}", known.name);
        // With all that it may carry, and with what the SDKs add.
        let optional: String = known.optional.iter().map(|name| format!("&{name}=1")).collect();
        let whole = format!("{}{optional}&x-id={}", known.query, known.name);
        assert_eq!(identify(known, &whole), expected, "{whole}");
    }
}

/// Operations that S3 does not have; their actions are not of its vocabulary either.
const OWN: [&str; 2] = ["GetBucketQuota", "PutBucketQuota"];

#[test]
fn each_row_is_an_operation_of_the_model() {
    let names: BTreeSet<&str> = model().iter().map(|known| known.name).collect();
    for row in TABLE {
        let own = OWN.contains(&row.operation.name());
        assert!(names.contains(row.operation.name()) != own, "{:?}", row.operation);
        assert!(!row.needs.is_empty(), "{:?} needs no permission", row.operation);
    }
}

#[test]
fn each_action_is_asked_for_or_is_left_out_on_purpose() {
    let mut asked: BTreeSet<&str> = BTreeSet::new();
    for need in TABLE.iter().flat_map(|row| row.needs) {
        match need {
            Need::OnService(action) => asked.extend([*action]),
            Need::OnTarget(plain, versioned) | Need::BodyTags(plain, versioned) => {
                asked.extend([*plain, *versioned]);
            }
            Need::BodyLock(action) => asked.extend([*action]),
            Need::CopySource
            | Need::WrittenAttributes
            | Need::EachKey
            | Need::FormKey
            | Need::BypassedGovernance
            | Need::BucketLock => {}
        }
    }
    let vocabulary: BTreeSet<&str> = include_str!("s3_model/actions.txt").lines().collect();
    asked.retain(|action| !action.starts_with("wigeon:"));
    for action in &asked {
        assert!(vocabulary.contains(action.strip_prefix("s3:").unwrap()), "{action} is no action of S3");
    }
    let of_control: BTreeSet<&str> = control::names().collect();
    for action in vocabulary {
        let known = asked.contains(format!("s3:{action}").as_str())
            || OF_REPLICATION.contains(&action)
            || OF_CONTROL.contains(&action)
            || BY_HEADER.contains(&action)
            || of_control.contains(action);
        assert!(known, "nobody asks for {action}");
    }
}
