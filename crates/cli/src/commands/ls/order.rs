//! A list kept until it is whole, to be shown in another order than the store's.

use std::cmp::Ordering;

use clap::ValueEnum;
use wigeon_client::s3::{Entry, Listed};

use super::super::objects::lines::Lines;
use super::super::objects::told::{Tell, Told};
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

pub(super) struct Kept<T> {
    by: SortBy,
    reverse: bool,
    all: Vec<Entry<T>>,
}

impl<T: Tell> Kept<T> {
    pub(super) fn new(by: SortBy, reverse: bool) -> Self {
        Self { by, reverse, all: Vec::new() }
    }

    pub(super) fn take(&mut self, entry: Entry<T>) {
        self.all.push(entry);
    }

    /// Shows all; those that are alike stay in the order of their keys. Folders have no size and no time, and come first.
    pub(super) fn show(mut self, lines: &mut Lines<'_>, in_bytes: bool) -> Result<(), Failure> {
        let (by, reverse) = (self.by, self.reverse);
        self.all.sort_by(|a, b| {
            let order = match by {
                SortBy::Name => a.name().cmp(b.name()),
                SortBy::Size => item(a).map(Listed::size).cmp(&item(b).map(Listed::size)),
                SortBy::Time => item(a).map(Listed::last_modified).cmp(&item(b).map(Listed::last_modified)),
            };
            let order = if reverse { order.reverse() } else { order };
            if order == Ordering::Equal { a.name().cmp(b.name()) } else { order }
        });
        for entry in &self.all {
            lines.item(&Told::entry(entry), |told| told.line(in_bytes))?;
        }
        Ok(())
    }
}

fn item<T>(entry: &Entry<T>) -> Option<&T> {
    match entry {
        Entry::Item(item) => Some(item),
        Entry::Prefix(_) => None,
    }
}
