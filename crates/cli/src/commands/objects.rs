//! What the commands over buckets and objects share: addresses, the way to a store, failures, filters, progress.

pub(crate) mod address;

pub(crate) mod failures;

pub(crate) mod store;

pub(crate) mod filters;

pub(crate) mod meant;

pub(crate) mod human;

pub(crate) mod lines;

pub(crate) mod told;

pub(crate) mod confirm;

pub(crate) mod encryption;

pub(crate) mod metadata;

pub(crate) mod written;

pub(crate) mod rewriting;

pub(crate) mod removal;

pub(crate) mod shown;

pub(crate) mod moving;

pub(crate) mod sides;

pub(crate) mod synced;

pub(crate) mod syncing;

pub(crate) mod compared;

pub(crate) mod progress;

pub(crate) mod crew;
