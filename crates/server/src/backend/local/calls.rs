//! What can be asked of an open store, by what it is about.

pub mod buckets;

pub mod objects;

pub mod uploads;

pub mod listings;

pub mod settings;

pub mod locks;

pub mod lifecycle;

pub mod usage;
