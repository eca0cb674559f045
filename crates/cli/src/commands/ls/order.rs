//! A list kept until it is whole, to be shown in another order than the store's.

use std::cmp::Ordering;

use clap::ValueEnum;
use wigeon_client::s3::{Entry, VersionSummary};
use wigeon_core::time::Timestamp;

use super::super::objects::lines::Lines;
use super::super::objects::told::Told;
use crate::errors::Failure;

/// What a list is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SortBy {
    /// By the whole key
    Name,
    /// The smallest first
    Size,
    /// The oldest first
    Time,
}

pub(super) struct Kept {
    by: SortBy,
    reverse: bool,
    all: Vec<Item>,
}

enum Item {
    Entry(Entry),
    Version(VersionSummary),
}

impl Kept {
    pub(super) fn new(by: SortBy, reverse: bool) -> Self {
        Self { by, reverse, all: Vec::new() }
    }

    pub(super) fn entry(&mut self, entry: Entry) {
        self.all.push(Item::Entry(entry));
    }

    pub(super) fn version(&mut self, version: VersionSummary) {
        self.all.push(Item::Version(version));
    }

    /// Shows all; those that are alike stay in the order of their keys.
    pub(super) fn show(mut self, lines: &mut Lines<'_>, in_bytes: bool) -> Result<(), Failure> {
        let (by, reverse) = (self.by, self.reverse);
        self.all.sort_by(|a, b| {
            let order = match by {
                SortBy::Name => a.name().cmp(b.name()),
                SortBy::Size => a.size().cmp(&b.size()),
                SortBy::Time => a.time().cmp(&b.time()),
            };
            let order = if reverse { order.reverse() } else { order };
            if order == Ordering::Equal { a.name().cmp(b.name()) } else { order }
        });
        for item in &self.all {
            let told = match item {
                Item::Entry(Entry::Prefix(key)) => Told::Prefix { key },
                Item::Entry(Entry::Object(object)) => Told::object(object),
                Item::Version(version) => Told::version(version),
            };
            lines.item(&told, |told| told.line(in_bytes))?;
        }
        Ok(())
    }
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Self::Entry(entry) => entry.name(),
            Self::Version(version) => &version.key,
        }
    }

    /// Folders have none, and come first.
    fn size(&self) -> Option<u64> {
        match self {
            Self::Entry(Entry::Prefix(_)) => None,
            Self::Entry(Entry::Object(object)) => Some(object.size),
            Self::Version(version) => Some(version.size),
        }
    }

    fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Entry(Entry::Prefix(_)) => None,
            Self::Entry(Entry::Object(object)) => object.last_modified,
            Self::Version(version) => version.last_modified,
        }
    }
}
