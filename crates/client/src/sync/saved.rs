//! A plan in a file, to be read before it is carried out: JSON, one line each.
//!
//! ```text
//! {"plan": 1, "source": …, "target": …, "comparison": …, …}     what it was made from
//! {"copy": …}  {"move": …}                                      changes
//! {"remove": …}                                                 removals, after all changes
//! {"end": {"copies": …, "removals": …, …}}                      that it is whole
//! ```
//!
//! Each line names the source and the target as they were. Whoever carries it out holds that against what is there.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::compare::Comparison;
use super::error::SyncError;
use super::plan::{Change, Removals, Totals};

/// The form of these files.
const FORM: u32 = 1;

/// What a plan was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The form of the file.
    plan: u32,
    /// The source's address.
    pub source: String,
    /// The target's address.
    pub target: String,
    /// What made two the same.
    pub comparison: Comparison,
    /// Where what is replaced or removed goes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backup: Option<String>,
}

impl Header {
    /// A plan between two addresses.
    #[must_use]
    pub fn new(source: &str, target: &str, comparison: Comparison) -> Self {
        let (source, target) = (source.to_owned(), target.to_owned());
        Self { plan: FORM, source, target, comparison, backup: None }
    }
}

#[derive(Serialize, Deserialize)]
struct End {
    end: Totals,
}

/// Writes a plan. The file appears under its name when it is whole.
#[derive(Debug)]
pub struct PlanWriter {
    path: PathBuf,
    writer: BufWriter<tempfile::NamedTempFile>,
}

impl PlanWriter {
    /// Begins.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`].
    pub fn begin(path: &Path, header: &Header) -> Result<Self, SyncError> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")));
        let file = file.map_err(|source| write_failed(path, source))?;
        let mut this = Self { path: path.to_owned(), writer: BufWriter::new(file) };
        this.line(header)?;
        Ok(this)
    }

    /// One more change.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`].
    pub fn change(&mut self, change: &Change) -> Result<(), SyncError> {
        self.line(change)
    }

    /// The end.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`].
    pub fn finish(mut self, totals: Totals) -> Result<(), SyncError> {
        self.line(&End { end: totals })?;
        let path = self.path;
        let file = self.writer.into_inner().map_err(|error| write_failed(&path, error.into_error()))?;
        file.persist(&path).map_err(|error| write_failed(&path, error.error))?;
        Ok(())
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), SyncError> {
        let written = serde_json::to_writer(&mut self.writer, line).map_err(std::io::Error::from);
        written.and_then(|()| self.writer.write_all(b"\n")).map_err(|source| write_failed(&self.path, source))
    }
}

/// A plan that was read, and found whole.
#[derive(Debug)]
pub struct SavedPlan {
    path: PathBuf,
    header: Header,
    totals: Totals,
}

impl SavedPlan {
    /// Reads a plan to its end.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`], [`SyncError::NotAPlan`].
    pub fn read(path: &Path) -> Result<Self, SyncError> {
        let mut lines = Lines::open(path)?;
        let wrong = |what: &str| SyncError::NotAPlan { path: path.to_owned(), what: what.to_owned() };
        let first = lines.next().transpose()?.ok_or_else(|| wrong("it is empty"))?;
        let header: Header =
            serde_json::from_str(&first).map_err(|error| wrong(&format!("line 1: {error}")))?;
        if header.plan != FORM {
            return Err(wrong(&format!("its form is {}, and this program knows {FORM}", header.plan)));
        }
        let mut seen = Totals::default();
        while let Some(line) = lines.next().transpose()? {
            let number = lines.number;
            let wrong_line = |error: serde_json::Error| wrong(&format!("line {number}: {error}"));
            let value: Value = serde_json::from_str(&line).map_err(wrong_line)?;
            if value.get("end").is_some() {
                let End { end: totals } = serde_json::from_value(value).map_err(wrong_line)?;
                let same = (totals.copies, totals.moves, totals.removals)
                    == (seen.copies, seen.moves, seen.removals);
                if !same || lines.next().is_some() {
                    return Err(wrong("its end does not fit what comes before it"));
                }
                return Ok(Self { path: path.to_owned(), header, totals });
            }
            match serde_json::from_value(value).map_err(wrong_line)? {
                Change::Remove { .. } => seen.removals += 1,
                _ if seen.removals > 0 => return Err(wrong(&format!("line {number}: removals come last"))),
                Change::Copy { .. } => seen.copies += 1,
                Change::Move { .. } => seen.moves += 1,
            }
        }
        Err(wrong("it has no end"))
    }

    /// What it was made from.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How much of everything.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The copies and moves.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`].
    pub fn changes(
        &self,
    ) -> Result<impl Iterator<Item = Result<Change, SyncError>> + Send + use<>, SyncError> {
        let changes = self.lines()?;
        Ok(changes.filter(|change| !matches!(change, Ok(Change::Remove { .. }))))
    }

    /// The removals. Whoever saved them has seen them: an empty source is no surprise.
    ///
    /// # Errors
    /// [`SyncError::PlanFile`].
    pub fn removals(&self) -> Result<Removals, SyncError> {
        let changes = self.lines()?;
        let changes =
            changes.filter(|change| !matches!(change, Ok(Change::Copy { .. } | Change::Move { .. })));
        Ok(Removals { count: self.totals.removals, source_is_empty: false, changes: Box::new(changes) })
    }

    fn lines(&self) -> Result<impl Iterator<Item = Result<Change, SyncError>> + Send + use<>, SyncError> {
        let path = self.path.clone();
        let wrong = move |error: serde_json::Error| {
            let what = format!("it changed while it was read: {error}");
            SyncError::NotAPlan { path: path.clone(), what }
        };
        let most = self.totals.copies + self.totals.moves + self.totals.removals;
        let lines = Lines::open(&self.path)?.skip(1).take(usize::try_from(most).unwrap_or(usize::MAX));
        Ok(lines.map(move |line| serde_json::from_str(&line?).map_err(&wrong)))
    }
}

struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self, SyncError> {
        let file = File::open(path).map_err(|source| read_failed(path, source))?;
        Ok(Self { path: path.to_owned(), reader: BufReader::new(file), number: 0 })
    }
}

impl Iterator for Lines {
    type Item = Result<String, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        self.number += 1;
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(Ok(line)),
            Err(source) => Some(Err(read_failed(&self.path, source))),
        }
    }
}

fn read_failed(path: &Path, source: std::io::Error) -> SyncError {
    SyncError::PlanFile { action: "read", path: path.to_owned(), source }
}

fn write_failed(path: &Path, source: std::io::Error) -> SyncError {
    SyncError::PlanFile { action: "write", path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Found, Guard, Why};

    fn found(name: &str) -> Found {
        Found { name: name.to_owned(), size: 1, modified: None, etag: Some("t".to_owned()), path: None }
    }

    #[test]
    fn a_plan_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan");
        let header = Header::new("a\nb", "s3://b/p", Comparison::Checksum);
        let copy = Change::Copy { source: found("ü\n"), replaces: None, why: Why::Missing, path: None };
        let remove = Change::Remove { target: found("-") };
        let totals = Totals { copies: 1, removals: 1, same: 7, ..Totals::default() };
        let mut writer = PlanWriter::begin(&path, &header).unwrap();
        writer.change(&copy).unwrap();
        writer.change(&remove).unwrap();
        assert!(!path.exists());
        writer.finish(totals).unwrap();
        let plan = SavedPlan::read(&path).unwrap();
        assert_eq!((plan.header(), plan.totals()), (&header, totals));
        let changes: Vec<_> = plan.changes().unwrap().map(Result::unwrap).collect();
        let removals = plan.removals().unwrap().permit(Guard::default(), 0).unwrap();
        assert_eq!((changes, removals.map(Result::unwrap).collect()), (vec![copy], vec![remove]));
        let too_many = Guard { most: Some(0), ..Guard::default() };
        let refused = plan.removals().unwrap().permit(too_many, 0);
        assert!(matches!(refused, Err(SyncError::TooMany { removals: 1, most: 0 })));
        assert!(matches!(
            plan.removals().unwrap().permit(Guard::default(), 1),
            Err(SyncError::NotRemoved { .. })
        ));

        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let [header, copy, remove, end] = lines[..] else { panic!("{lines:?}") };
        for broken in [
            vec![],
            vec![header],
            vec![header, copy, remove],
            vec![header, copy, end],
            vec![header, remove, copy, end],
            vec![header, copy, remove, end, end],
            vec![copy, remove, end],
            vec![header, "{}", end],
        ] {
            std::fs::write(&path, broken.join("\n")).unwrap();
            assert!(matches!(SavedPlan::read(&path), Err(SyncError::NotAPlan { .. })), "{broken:?}");
        }
    }
}
