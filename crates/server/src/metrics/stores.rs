//! The local store, and those behind this one.

use wigeon_core::s3::BucketName;

use super::page::Page;
use crate::backend::local::StoreFigures;
use crate::backend::local::object::{Quota, Usage};
use crate::backend::upstream::OfUpstream;

/// Adds the local store.
pub(super) fn add_local(page: &mut Page, store: &StoreFigures) {
    page.gauge(
        "wigeon_store_writable",
        "1 while the store takes writes; 0 after a failed commit, until a restart.",
    )
    .value(&[], u8::from(store.writable));
    page.counter("wigeon_store_commits_total", "Transactions of the store's index.")
        .value(&[], store.commits);
    page.counter("wigeon_store_changes_total", "Changes that went into them; many may share one.")
        .value(&[], store.changes);
    if let Some(bytes) = store.index_bytes {
        page.gauge("wigeon_store_index_bytes", "Size of the index, its log included.").value(&[], bytes);
    }
    if let Some((free, size)) = store.volume {
        page.gauge("wigeon_store_volume_free_bytes", "Free space where the store lies.").value(&[], free);
        page.gauge("wigeon_store_volume_bytes", "All space there.").value(&[], size);
    }
}

/// Adds how full the buckets of the local store are, and how full they may be.
pub(super) fn add_buckets(page: &mut Page, buckets: &[(BucketName, Usage, Quota)]) {
    let mut bytes =
        page.gauge("wigeon_store_bucket_bytes", "Bytes of a bucket: of all its versions, and of parts.");
    for (bucket, usage, _) in buckets {
        bytes.value(&[("bucket", bucket.as_str())], usage.bytes);
    }
    let mut objects = page.gauge("wigeon_store_bucket_objects", "Objects of a bucket, all versions.");
    for (bucket, usage, _) in buckets {
        objects.value(&[("bucket", bucket.as_str())], usage.objects);
    }
    let mut most =
        page.gauge("wigeon_store_bucket_quota_bytes", "Bytes that a bucket may hold, where limited.");
    for (bucket, _, quota) in buckets {
        quota.bytes.into_iter().for_each(|bytes| most.value(&[("bucket", bucket.as_str())], bytes));
    }
    let mut most =
        page.gauge("wigeon_store_bucket_quota_objects", "Objects that a bucket may hold, where limited.");
    for (bucket, _, quota) in buckets {
        quota.objects.into_iter().for_each(|objects| most.value(&[("bucket", bucket.as_str())], objects));
    }
}

/// Adds the stores behind this one.
pub(super) fn add_upstreams(page: &mut Page, upstreams: &[OfUpstream]) {
    let mut up = page.gauge("wigeon_upstream_up", "1 while connections to an upstream come about.");
    for of in upstreams {
        up.value(&[("upstream", &of.name)], u8::from(of.trouble.is_none()));
    }
    let mut requests =
        page.counter("wigeon_upstream_requests_total", "Requests to an upstream, by what came of them.");
    for of in upstreams {
        for (outcome, count) in of.outcomes {
            requests.value(&[("upstream", &of.name), ("outcome", outcome)], count);
        }
    }
    let mut times = page.histogram("wigeon_upstream_seconds", "Time until an upstream answered.");
    for of in upstreams {
        times.times(&[("upstream", &of.name)], &of.times);
    }
    let mut connections = page.counter("wigeon_upstream_connections_total", "Connections to an upstream.");
    for of in upstreams {
        connections.value(&[("upstream", &of.name), ("outcome", "opened")], of.opened);
        connections.value(&[("upstream", &of.name), ("outcome", "failed")], of.unopened);
    }
}
