//! The options that say which files of a tree are meant: rclone's, under rclone's names.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use wigeon_client::filter::{Age, Filter, FilterBuilder, FilterError, Size};
use wigeon_core::time::Timestamp;

use crate::errors::{Failure, Kind};

/// What the command line says. Rules act in this order: inclusions, exclusions, filter rules.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Filters (as rclone's)")]
pub(crate) struct FilterArgs {
    /// Only files that match: *.jpg, /photos/**, {a,b}/*.txt, {{regular expression}}
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    include: Vec<String>,

    /// A file of patterns to include, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    include_from: Vec<PathBuf>,

    /// No files that match; a folder where the pattern ends in a slash
    #[arg(long, value_name = "PATTERN", allow_hyphen_values = true)]
    exclude: Vec<String>,

    /// A file of patterns to exclude, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,

    /// A rule, '+ PATTERN' or '- PATTERN': the first that matches decides; ! forgets those before
    #[arg(long, value_name = "RULE", allow_hyphen_values = true)]
    filter: Vec<String>,

    /// A file of such rules, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    filter_from: Vec<PathBuf>,

    /// Only the files that are listed in this file, one a line (- for standard input)
    #[arg(long, value_name = "FILE")]
    files_from: Vec<PathBuf>,

    /// The same, with each line as it is: no comments, no spaces cut off
    #[arg(long, value_name = "FILE")]
    files_from_raw: Vec<PathBuf>,

    /// Patterns match upper and lower case
    #[arg(long)]
    ignore_case: bool,

    /// Only files of this size or larger: 10 and 10K are 10 KiB; B, M, G, …
    #[arg(long, value_name = "SIZE")]
    min_size: Option<Size>,

    /// Only files of this size or smaller
    #[arg(long, value_name = "SIZE")]
    max_size: Option<Size>,

    /// Only files older than this: 90s, 1h30m, 2d, 1w, 6M, 1y, or a date
    #[arg(long, value_name = "AGE")]
    min_age: Option<Age>,

    /// Only files younger than this
    #[arg(long, value_name = "AGE")]
    max_age: Option<Age>,
}

impl FilterArgs {
    /// The filter that they make; ages are counted from `now`.
    pub(crate) fn filter(&self, now: Timestamp) -> Result<Filter, Failure> {
        let mut builder = FilterBuilder::default().ignore_case(self.ignore_case);
        for pattern in all(&self.include, &self.include_from)? {
            builder = builder.include(&pattern).map_err(refused)?;
        }
        for pattern in all(&self.exclude, &self.exclude_from)? {
            builder = builder.exclude(&pattern).map_err(refused)?;
        }
        for rule in all(&self.filter, &self.filter_from)? {
            builder = builder.rule(&rule).map_err(refused)?;
        }
        for file in &self.files_from {
            builder = builder.only_listed(lines(&read(file)?));
        }
        for file in &self.files_from_raw {
            builder = builder.only_listed(read(file)?.lines().filter(|line| !line.is_empty()));
        }
        if let Some(size) = self.min_size {
            builder = builder.at_least(size);
        }
        if let Some(size) = self.max_size {
            builder = builder.at_most(size);
        }
        if let Some(age) = self.min_age {
            builder = builder.until(age.before(now));
        }
        if let Some(age) = self.max_age {
            builder = builder.since(age.before(now));
        }
        builder.build().map_err(refused)
    }
}

/// Those of the command line, then those of the files.
fn all(given: &[String], files: &[PathBuf]) -> Result<Vec<String>, Failure> {
    let mut all = given.to_vec();
    for file in files {
        all.extend(lines(&read(file)?).map(str::to_owned));
    }
    Ok(all)
}

/// Lines without the spaces around them, empty lines and comments.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
}

fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::read_to_string(file).map(|whole| text = whole)
    };
    read.map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::error(format!("cannot read `{}`", file.display()))
    })?;
    Ok(text)
}

fn refused(error: FilterError) -> Failure {
    Failure::because(Kind::Usage, &error)
}
