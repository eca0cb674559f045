//! A side read in the order of its keys, some pages ahead of whoever compares.
//!
//! Names that the filter's rules leave out are not told, and a folder that they keep out is not read: below a prefix
//! the listing goes on behind it. Bounds of size and age are left to the comparison, which must not take a file that
//! they leave out for one that is missing.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use wigeon_core::time::Timestamp;

use super::error::SyncError;
use super::found::{Batch, Found};
use super::scope::{Onward, Scope, just_before};
use super::side::Side;
use super::walk::Walk;
use crate::filter::Filter;
use crate::s3::{Client, Entry, ListPage, ListQuery};
use crate::transfer::Prefix;

/// Pages that are read ahead.
const AHEAD: usize = 4;
/// Keys in a page.
const MOST_LISTED: u16 = 1000;

/// How sides are read.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Which names are meant.
    pub filter: Arc<Filter>,
    /// What symbolic links point at is taken, as if it stood there; else they are left out.
    pub follow_links: bool,
    /// Empty objects whose keys end in `/` are files like others: where both sides are stores. In a folder they
    /// have no place, and on the other side they stand for folders.
    pub folder_marks: bool,
    /// What only the target has is passed over.
    pub source_only: bool,
    /// Which of them a run is about.
    pub scope: Scope,
    /// Files of the source that were changed in this time may still be written: they are left as they are at the
    /// target, and told of ([`Plan::left`](super::Plan::left)).
    pub unsettled: Option<RangeInclusive<Timestamp>>,
}

/// Which side it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// What the other is made like: it has to be there.
    Source,
    /// What is made like the other: a folder that is missing is empty.
    Target,
}

/// A side on its way, in the order of names. Only [`scan`] makes one.
#[derive(Debug)]
pub struct Scan {
    batches: mpsc::Receiver<Result<Batch, SyncError>>,
}

/// Begins to read a side.
#[must_use]
pub fn scan(side: &Side, role: Role, reading: &Reading) -> Scan {
    let (sender, batches) = mpsc::channel(AHEAD);
    let reading = reading.clone();
    match side {
        Side::Folder(folder) => {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || walk(folder, role, &reading, &sender));
        }
        Side::Store { client, prefix } => {
            let (client, prefix) = (client.clone(), prefix.clone());
            tokio::spawn(async move {
                if let Err(error) = list(&client, &prefix, &reading, &sender).await {
                    let _ = sender.send(Err(error)).await;
                }
            });
        }
    }
    Scan { batches }
}

impl Scan {
    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Batch>, SyncError> {
        self.batches.recv().await.transpose()
    }
}

type Sender = mpsc::Sender<Result<Batch, SyncError>>;

fn walk(folder: PathBuf, role: Role, reading: &Reading, sender: &Sender) {
    if role == Role::Target && !folder.exists() {
        return;
    }
    let mut tell = |batch| sender.blocking_send(Ok(batch)).is_ok();
    let meant = (reading.filter.cursor(), &reading.scope);
    let walked = Walk::new(&folder, meant, reading.follow_links, &mut tell).run();
    if let Err(source) = walked {
        let _ = sender.blocking_send(Err(SyncError::Folder { path: folder, source }));
    }
}

async fn list(client: &Client, from: &Prefix, reading: &Reading, sender: &Sender) -> Result<(), SyncError> {
    let mut query = ListQuery { prefix: from.prefix.clone(), ..ListQuery::default() };
    let (mut token, mut last): (Option<String>, Option<String>) = (None, None);
    let mut onward = reading.scope.onward(None);
    loop {
        query.page_size = Some(match onward {
            Onward::Nowhere => return Ok(()),
            Onward::Here => MOST_LISTED,
            Onward::At(name) => {
                query.start_after = just_before(&format!("{}{name}", from.prefix)).max(last.take());
                token = None;
                // A name, and one behind it, which shows that nothing lies below it.
                let names = reading.scope.len().unwrap_or_default().saturating_mul(2);
                u16::try_from(names).map_or(MOST_LISTED, |names| names.min(MOST_LISTED))
            }
        });
        let page = client.list_page(&from.bucket, &query, token.as_ref()).await?;
        token = page.next.clone();
        last = page.entries.last().map(|entry| entry.name().to_owned());
        let name = last.as_deref().map(|key| key.strip_prefix(&from.prefix).unwrap_or_default());
        onward = name.map_or(Onward::Here, |name| reading.scope.onward(Some(name)));
        let (batch, behind) = read_page(page, &from.prefix, reading);
        if let (Some(_), Some(behind)) = (&token, behind) {
            query.start_after = Some(behind);
            token = None;
            if sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
            continue;
        }
        if sender.send(Ok(batch)).await.is_err() || token.is_none() {
            return Ok(());
        }
    }
}

/// What of a page is meant, and the key behind which to go on where the page ends in a folder that is kept out.
fn read_page(page: ListPage, prefix: &str, reading: &Reading) -> (Batch, Option<String>) {
    let mut cursor = reading.filter.cursor();
    let mut batch = Batch { found: Vec::with_capacity(page.entries.len()), troubles: Vec::new() };
    let mut last = None;
    for entry in page.entries {
        let Entry::Item(object) = entry else { continue };
        let Some(name) = object.key.strip_prefix(prefix) else { continue };
        let is_mark = object.size == 0 && name.ends_with('/') && !reading.folder_marks;
        if name.is_empty() || is_mark || !reading.scope.admits(name) {
            continue;
        }
        if !cursor.admits_name(name) {
            last = Some(name.to_owned());
            continue;
        }
        last = None;
        let etag = object.etag.as_ref().map(ToString::to_string);
        let name = name.to_owned();
        batch.found.push(Found { name, size: object.size, modified: object.last_modified, etag, path: None });
    }
    let kept_out = last.as_deref().and_then(|name| cursor.kept_out(name));
    let behind = kept_out.map(|folder| format!("{prefix}{folder}\u{10ffff}"));
    (batch, behind.filter(|key| key.len() <= 1024))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::FilterBuilder;
    use crate::s3::ObjectSummary;

    #[test]
    fn a_folder_that_is_kept_out_is_jumped_over() {
        let filter = FilterBuilder::default().exclude("skip/").unwrap().build().unwrap();
        let reading = Reading { filter: Arc::new(filter), ..Reading::default() };
        let page = |keys: &[&str]| {
            let object = |key: &&str| {
                Entry::Item(ObjectSummary {
                    key: format!("p/{key}"),
                    size: 0,
                    last_modified: None,
                    etag: None,
                    storage_class: None,
                })
            };
            let (batch, behind) = read_page(
                ListPage { entries: keys.iter().map(object).collect(), next: None },
                "p/",
                &reading,
            );
            (batch.found.into_iter().map(|found| found.name).collect::<Vec<_>>(), behind)
        };
        assert_eq!(
            page(&["a", "a/skip/b/c"]),
            (vec!["a".to_owned()], Some("p/a/skip/\u{10ffff}".to_owned()))
        );
        assert_eq!(page(&["a/skip/b", "b", "c/"]), (vec!["b".to_owned()], None));
    }
}
