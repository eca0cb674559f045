//! What the commands over buckets and objects share: addresses, the way to a store, failures, filters, progress.

pub(crate) mod address;

pub(crate) mod failures;

pub(crate) mod store;

pub(crate) mod filters;

pub(crate) mod human;

pub(crate) mod removal;

pub(crate) mod shown;

pub(crate) mod moving;

pub(crate) mod progress;
