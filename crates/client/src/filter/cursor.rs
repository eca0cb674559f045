//! A filter held against names that come in order: what it says of a folder is asked once per folder.

use std::ops::Deref;
use std::sync::Arc;

use wigeon_core::time::Timestamp;

use super::selection::Filter;

/// Holds a filter against names, most of which share their folder with the one before.
#[derive(Debug)]
pub struct Cursor<'a> {
    filter: Held<'a>,
    /// The folder of the last name, with its slash.
    folder: String,
    /// How much of it is kept out: up to the first folder that is not entered.
    kept_out: Option<usize>,
}

#[derive(Debug)]
enum Held<'a> {
    Borrowed(&'a Filter),
    Shared(Arc<Filter>),
}

impl Deref for Held<'_> {
    type Target = Filter;

    fn deref(&self) -> &Filter {
        match self {
            Self::Borrowed(filter) => filter,
            Self::Shared(filter) => filter,
        }
    }
}

impl Filter {
    /// Begins to hold the filter against names.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { filter: Held::Borrowed(self), folder: String::new(), kept_out: None }
    }

    /// The same for names that come one by one, from a stream.
    #[must_use]
    pub fn shared_cursor(self: &Arc<Self>) -> Cursor<'static> {
        Cursor { filter: Held::Shared(Arc::clone(self)), folder: String::new(), kept_out: None }
    }
}

impl Cursor<'_> {
    /// Whether a file is meant: its name, its size, and when it was written.
    pub fn admits(&mut self, path: &str, size: u64, modified: Option<Timestamp>) -> bool {
        self.filter.admits_measures(size, modified) && self.admits_name(path)
    }

    /// Whether a name is meant, of whatever size.
    pub fn admits_name(&mut self, path: &str) -> bool {
        self.filter.names_everything() || (self.kept_out(path).is_none() && self.filter.names_file(path))
    }

    /// Whether anything in a folder can be meant; without a slash at its end.
    pub fn enters(&mut self, folder: &str) -> bool {
        self.filter.names_everything() || self.kept_out(&format!("{folder}/")).is_none()
    }

    /// The folder nearest to the root that keeps this name out, with its slash: nothing in it need be listed.
    pub fn kept_out<'p>(&mut self, path: &'p str) -> Option<&'p str> {
        if self.filter.names_everything() {
            return None;
        }
        let folder = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or_default();
        if folder != self.folder {
            self.move_to(folder);
        }
        path.get(..self.kept_out?)
    }

    fn move_to(&mut self, folder: &str) {
        let outside = |kept_out: &usize| folder.get(..*kept_out) == self.folder.get(..*kept_out);
        // What keeps the one before out keeps this one out, if it lies in it.
        if !self.kept_out.as_ref().is_some_and(outside) {
            let mut ends = folder.match_indices('/').map(|(at, _)| at + 1);
            self.kept_out =
                ends.find(|end| folder.get(..*end).is_some_and(|above| !self.filter.names_folder(above)));
        }
        self.folder.clear();
        self.folder.push_str(folder);
    }
}
