//! The files below a folder, in the order of their keys.
//!
//! A folder sorts as its name with a slash: `a-b`, `a.txt`, `a/x`, `a0`. So each folder is read whole and sorted, and
//! is left once all that is in it has been told; memory holds the names of the folders on the way, packed. A name that
//! a download escaped sorts, and is told, as the key that it stands for.

use std::collections::HashMap;
use std::fs::FileType;
use std::path::{Path, PathBuf};

use wigeon_core::time::Timestamp;

use super::found::{Batch, Found, Trouble};
use super::scope::Scope;
use crate::filter::Cursor;
use crate::transfer::{NameRefused, TransferError, relative_key};

/// Files that are told together.
const BATCH: usize = 1000;
/// Folders in folders; no key has more of them, and so followed links go round in a circle.
pub(crate) const DEEPEST: usize = 513;
/// Marks what was escaped.
const ESCAPE: char = '‛';
/// From this length on a folder whose name ends in the mark holds the rest of a long name.
const LONG: usize = 240;

/// Is handed each batch; `false` ends the walk.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(Batch) -> bool;

pub(crate) struct Walk<'a> {
    root: &'a Path,
    filter: Cursor<'a>,
    scope: &'a Scope,
    follow_links: bool,
    batch: Batch,
    tell: Tell<'a>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    Link,
    Other,
}

/// The entries of a folder: their keys in one text, each with its place in it. A folder's key ends in a slash.
#[derive(Default)]
struct Entries {
    text: String,
    entries: Vec<Entry>,
    /// Names that are not their keys, by the place of the key.
    escaped: HashMap<u32, String>,
    not_text: Vec<String>,
}

#[derive(Clone, Copy)]
struct Entry {
    start: u32,
    length: u16,
    kind: Kind,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        root: &'a Path,
        (filter, scope): (Cursor<'a>, &'a Scope),
        follow_links: bool,
        tell: Tell<'a>,
    ) -> Self {
        Self { root, filter, scope, follow_links, batch: Batch::default(), tell }
    }

    /// Walks through it all.
    pub(crate) fn run(mut self) -> std::io::Result<()> {
        let mut path = self.root.to_owned();
        let entries = self.read(&path, "")?;
        if self.folder(&mut path, "", "", entries, 1) {
            (self.tell)(self.batch);
        }
        Ok(())
    }

    /// Tells what is in a folder; `name` is its key with a slash, `place` its path below the root with one.
    fn folder(
        &mut self,
        path: &mut PathBuf,
        name: &str,
        place: &str,
        entries: Entries,
        depth: usize,
    ) -> bool {
        for lost in entries.not_text.iter().filter(|lost| self.scope.admits(&format!("{name}{lost}"))) {
            self.failed(&format!("{name}{lost}"), NameRefused::NotUtf8(lost.clone()).into());
        }
        for entry in &entries.entries {
            let Some((key, file)) = entries.names(*entry) else { continue };
            path.push(file);
            let full = format!("{name}{key}");
            let own_place = format!("{place}{file}");
            let goes_on = self.entry(path, full, own_place, entry.kind, depth);
            path.pop();
            if !goes_on {
                return false;
            }
        }
        true
    }

    fn entry(&mut self, path: &mut PathBuf, name: String, place: String, kind: Kind, depth: usize) -> bool {
        match kind {
            Kind::Folder if depth >= DEEPEST => {
                let why = "it lies too deep: links may go round in a circle";
                self.skipped(&name, why);
            }
            Kind::Folder => {
                let folder = name.strip_suffix('/').unwrap_or(&name);
                if !self.scope.enters(folder) || !self.filter.enters(name.trim_end_matches('/')) {
                    return true;
                }
                return match self.read(path, &name) {
                    Ok(entries) => self.folder(path, &name, &format!("{place}/"), entries, depth + 1),
                    // It went away since the folder above was read.
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
                    Err(source) => {
                        self.failed(&name, read_failed(path, source));
                        true
                    }
                };
            }
            _ if !self.scope.admits(&name) || !self.filter.admits_name(&name) => {}
            Kind::File => match std::fs::symlink_metadata(&*path) {
                Ok(metadata) => self.file(name, place, &metadata),
                // It went away since the folder was read.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => self.failed(&name, read_failed(path, source)),
            },
            Kind::Link if self.follow_links => match std::fs::metadata(&*path) {
                Ok(metadata) if metadata.is_file() => self.file(name, place, &metadata),
                Ok(_) => self.skipped(&name, "it is a link to what is no file"),
                Err(source) => self.failed(&name, read_failed(path, source)),
            },
            Kind::Link => self.skipped(&name, "it is a symbolic link"),
            Kind::Other => self.skipped(&name, "it is a device, a socket or a pipe"),
        }
        self.batch.found.len() + self.batch.troubles.len() < BATCH
            || (self.tell)(std::mem::take(&mut self.batch))
    }

    fn file(&mut self, name: String, place: String, metadata: &std::fs::Metadata) {
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        let path = (place != name).then_some(place);
        self.batch.found.push(Found { name, size: metadata.len(), modified, etag: None, path });
    }

    fn skipped(&mut self, name: &str, why: &str) {
        self.batch.troubles.push(Trouble::Skipped { name: name.to_owned(), why: why.to_owned() });
    }

    fn failed(&mut self, name: &str, error: TransferError) {
        self.batch.troubles.push(Trouble::Failed { name: name.to_owned(), error });
    }

    fn read(&self, folder: &Path, name: &str) -> std::io::Result<Entries> {
        let mut entries = Entries::default();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let kind = match entry.file_type() {
                Ok(kind) => self.kind(&entry.path(), kind),
                Err(_) => continue,
            };
            match entry.file_name().into_string() {
                Ok(file) if is_ours(&file) => {}
                Ok(file) => entries.push(self.root, folder, name, file, kind),
                Err(file) => entries.not_text.push(file.to_string_lossy().into_owned()),
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn kind(&self, path: &Path, kind: FileType) -> Kind {
        if kind.is_dir() {
            Kind::Folder
        } else if kind.is_file() {
            Kind::File
        } else if !kind.is_symlink() {
            Kind::Other
        } else if self.follow_links && path.is_dir() {
            Kind::Folder
        } else {
            Kind::Link
        }
    }
}

impl Entries {
    fn push(&mut self, root: &Path, folder: &Path, parent: &str, file: String, kind: Kind) {
        let Ok(start) = u32::try_from(self.text.len()) else { return };
        if file.contains(ESCAPE) {
            self.text.push_str(&key_of(root, &folder.join(&file), parent, kind));
            self.escaped.insert(start, file);
        } else {
            self.text.push_str(&file);
            if kind == Kind::Folder {
                self.text.push('/');
            }
        }
        let length = u16::try_from(self.text.len() - start as usize).unwrap_or(u16::MAX);
        // A key may be empty, and each has a place of its own all the same.
        self.text.push('\0');
        self.entries.push(Entry { start, length, kind });
    }

    fn key(&self, entry: Entry) -> &str {
        let start = entry.start as usize;
        self.text.get(start..start + usize::from(entry.length)).unwrap_or_default()
    }

    /// The key below the folder, and the name of the file.
    fn names(&self, entry: Entry) -> Option<(&str, &str)> {
        let key = self.key(entry);
        let escaped = self.escaped.get(&entry.start).map(String::as_str);
        let file = escaped.unwrap_or_else(|| key.strip_suffix('/').unwrap_or(key));
        (!file.is_empty()).then_some((key, file))
    }

    fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|one, other| self.key(*one).cmp(self.key(*other)));
        self.entries = entries;
    }
}

/// What an escaped name stands for, below its folder's key.
fn key_of(root: &Path, path: &Path, parent: &str, kind: Kind) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if kind != Kind::Folder {
        let whole = relative_key(root, path).unwrap_or_default();
        return whole.strip_prefix(parent).map_or(name, str::to_owned);
    }
    if name.len() >= LONG && name.ends_with(ESCAPE) {
        return name.trim_end_matches(ESCAPE).to_owned();
    }
    // A folder's key is what the keys of its files begin with.
    let whole = relative_key(root, &path.join("x")).unwrap_or_default();
    let below = whole.strip_suffix('x').and_then(|whole| whole.strip_prefix(parent));
    below.map_or_else(|| format!("{name}/"), str::to_owned)
}

/// Downloads that are on their way.
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(".wigeon-") && name.ends_with(".part")
}

fn read_failed(path: &Path, source: std::io::Error) -> TransferError {
    TransferError::File { action: "read", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::filter::Filter;
    use crate::transfer::Placer;

    fn walked(root: &Path) -> Vec<Found> {
        let (filter, scope, mut found) = (Filter::default(), Scope::default(), Vec::new());
        let mut tell = |batch: Batch| {
            found.extend(batch.found);
            true
        };
        Walk::new(root, (filter.cursor(), &scope), false, &mut tell).run().unwrap();
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        /// Whatever keys a download places, a walk tells them in their order, with the files where they lie.
        #[test]
        fn keys_come_back_in_order(keys in prop::collection::btree_set("[ab./‛ -]{1,5}", 1..24)) {
            let folder = tempfile::tempdir().unwrap();
            let mut placer = Placer::new(folder.path());
            for key in &keys {
                let path = placer.place(key).unwrap();
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, key).unwrap();
            }
            let found = walked(folder.path());
            let names: Vec<_> = found.iter().map(|found| found.name.clone()).collect();
            prop_assert_eq!(&names, &keys.into_iter().collect::<Vec<_>>());
            for file in &found {
                let content = std::fs::read_to_string(folder.path().join(file.path())).unwrap();
                prop_assert_eq!(&content, &file.name);
            }
        }
    }
}
