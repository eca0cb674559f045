//! The file of audit records: appended, put aside when it is large or old, and opened anew when asked.
//!
//! A record is in the kernel's hands when [`AuditFile::write`] returns, so a server that is killed loses none. The
//! file put aside last is `NAME.1`, the one before `NAME.2`, and so on up to the number that is kept. Where a write
//! fails half-way, the next record begins on a line of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use wigeon_core::time::Timestamp;

/// Where records are kept, and for how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    /// The file.
    pub path: PathBuf,
    /// The size in bytes beyond which it is put aside; `None` for any.
    pub max_bytes: Option<u64>,
    /// The age beyond which it is put aside; `None` for any.
    pub max_age: Option<Duration>,
    /// How many files that were put aside are kept.
    pub keep: usize,
}

impl FileOptions {
    /// A file that is put aside at 100 MiB, ten times.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, max_bytes: Some(100 << 20), max_age: None, keep: 10 }
    }
}

/// The file of audit records.
#[derive(Debug)]
pub struct AuditFile {
    options: FileOptions,
    open: Mutex<Open>,
}

/// Lines that the file did not take.
#[derive(Debug, thiserror::Error)]
#[error("{lines} records cannot be written")]
pub struct Unwritten {
    /// How many.
    pub lines: u64,
    /// Why.
    #[source]
    pub error: io::Error,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// When its first record came.
    begun: Option<Timestamp>,
    /// The last write failed, perhaps half-way.
    torn: bool,
}

impl AuditFile {
    /// Opens the file, or makes it, for its owner alone.
    ///
    /// # Errors
    /// Where that cannot be done.
    pub fn open(options: FileOptions) -> io::Result<Self> {
        let open = Mutex::new(Open::at(&options.path)?);
        Ok(Self { options, open })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.options.path
    }

    /// Appends lines, each of which ends with its line feed.
    ///
    /// # Errors
    /// [`Unwritten`]; the next ones are tried again.
    pub fn write(&self, lines: &[u8], now: Timestamp) -> Result<(), Unwritten> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.full(&open, lines.len() as u64, now) {
            // Where it cannot be put aside, records go on into the file that there is.
            if let Err(error) = self.put_aside(&mut open) {
                tracing::error!(%error, path = %self.options.path.display(), "the audit file cannot be put aside");
                open.begun = Some(now);
                open.bytes = 0;
            }
        }
        open.append(lines, now)
    }

    /// Opens the file anew, after something else moved it away.
    ///
    /// # Errors
    /// Where that cannot be done; the file before stays in use.
    pub fn reopen(&self) -> io::Result<()> {
        let fresh = Open::at(&self.options.path)?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn full(&self, open: &Open, more: u64, now: Timestamp) -> bool {
        let large = self.options.max_bytes.is_some_and(|most| open.bytes > 0 && open.bytes + more > most);
        let old = match (self.options.max_age, open.begun) {
            (Some(most), Some(begun)) => {
                u64::try_from(now.as_second() - begun.as_second()).is_ok_and(|age| age >= most.as_secs())
            }
            _ => false,
        };
        large || old
    }

    fn put_aside(&self, open: &mut Open) -> io::Result<()> {
        let aside = |number: usize| {
            let mut name = self.options.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let absent =
            |error: io::Error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) };
        match self.options.keep {
            0 => fs::remove_file(&self.options.path).or_else(absent)?,
            keep => {
                fs::remove_file(aside(keep)).or_else(absent)?;
                for number in (1..keep).rev() {
                    fs::rename(aside(number), aside(number + 1)).or_else(absent)?;
                }
                fs::rename(&self.options.path, aside(1)).or_else(absent)?;
            }
        }
        *open = Open::at(&self.options.path)?;
        Ok(())
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        let bytes = metadata.len();
        let born = metadata.created().or_else(|_| metadata.modified()).ok().filter(|_| bytes > 0);
        let begun = born.and_then(|at| Timestamp::try_from(at).ok());
        Ok(Self { file, bytes, begun, torn: false })
    }

    fn append(&mut self, lines: &[u8], now: Timestamp) -> Result<(), Unwritten> {
        self.begun.get_or_insert(now);
        let mut rest = lines;
        let written = self.mend().and_then(|()| {
            while !rest.is_empty() {
                match self.file.write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(bytes) => rest = rest.get(bytes..).unwrap_or_default(),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        let taken = lines.len() - rest.len();
        self.bytes += taken as u64;
        written.map_err(|error| {
            self.torn |= lines.get(..taken).is_some_and(|taken| !taken.is_empty() && !taken.ends_with(b"\n"));
            Unwritten { lines: rest.iter().filter(|byte| **byte == b'\n').count() as u64, error }
        })
    }

    /// Ends the line that a failure left unfinished.
    fn mend(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wigeon_core::time::SignedDuration;

    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn a_large_file_is_put_aside_and_so_many_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let options = FileOptions { max_bytes: Some(10), keep: 2, ..FileOptions::new(path.clone()) };
        let file = AuditFile::open(options).unwrap();
        for line in ["1234\n", "5678\n", "abcd\n", "a line longer than the limit\n", "e\n", "f\n"] {
            file.write(line.as_bytes(), at(0)).unwrap();
        }
        assert_eq!(lines(&path), ["e", "f"]);
        assert_eq!(lines(&folder.path().join("audit.jsonl.1")), ["a line longer than the limit"]);
        assert_eq!(lines(&folder.path().join("audit.jsonl.2")), ["abcd"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }

    #[test]
    fn an_old_file_is_put_aside_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let options =
            || FileOptions { max_age: Some(Duration::from_secs(3600)), ..FileOptions::new(path.clone()) };
        let file = AuditFile::open(options()).unwrap();
        file.write(b"1\n", at(0)).unwrap();
        file.write(b"2\n", at(3500)).unwrap();
        let file = AuditFile::open(options()).unwrap();
        file.write(b"3\n", at(3700)).unwrap();
        assert_eq!(lines(&path), ["3"]);
        assert_eq!(lines(&folder.path().join("audit.jsonl.1")), ["1", "2"]);
    }

    #[test]
    fn reopened_it_writes_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let file = AuditFile::open(FileOptions::new(path.clone())).unwrap();
        file.write(b"1\n", at(0)).unwrap();
        fs::rename(&path, folder.path().join("moved")).unwrap();
        file.write(b"2\n", at(0)).unwrap();
        file.reopen().unwrap();
        file.write(b"3\n", at(0)).unwrap();
        assert_eq!(lines(&folder.path().join("moved")), ["1", "2"]);
        assert_eq!(lines(&path), ["3"]);
    }

    #[test]
    fn where_it_cannot_be_put_aside_no_record_is_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        // A folder with something in it stands where the file would go.
        fs::create_dir_all(folder.path().join("audit.jsonl.1/x")).unwrap();
        let options = FileOptions { max_bytes: Some(4), keep: 1, ..FileOptions::new(path.clone()) };
        let file = AuditFile::open(options).unwrap();
        for line in ["12\n", "34\n", "56\n"] {
            file.write(line.as_bytes(), at(0)).unwrap();
        }
        assert_eq!(lines(&path), ["12", "34", "56"]);
    }

    /// A full disk takes the first lines and a part of the next: only those that are not whole count as lost.
    #[cfg(target_os = "linux")]
    #[test]
    fn lines_that_are_lost_are_counted_and_the_next_begins_anew() {
        let file = AuditFile::open(FileOptions::new(PathBuf::from("/dev/full"))).unwrap();
        let unwritten = file.write(b"1\n2\n3\n", at(0)).unwrap_err();
        assert_eq!((unwritten.lines, unwritten.error.kind()), (3, io::ErrorKind::StorageFull));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut open = Open::at(&path).unwrap();
        open.append(b"1\n2", at(0)).unwrap();
        open.torn = true;
        open.append(b"3\n4\n", at(0)).unwrap();
        assert_eq!(lines(&path), ["1", "2", "3", "4"]);
        assert!(!open.torn);
    }

    #[cfg(unix)]
    #[test]
    fn it_is_the_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let _file = AuditFile::open(FileOptions::new(path.clone())).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
