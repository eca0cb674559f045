//! A whole filter, and how it is put together.

use std::collections::HashSet;

use wigeon_core::time::Timestamp;

use super::bounds::Size;
use super::error::FilterError;
use super::rules::{Rules, Verdict};

/// Says which files are meant. The default means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    names: Names,
    least: Option<u64>,
    most: Option<u64>,
    /// Files written before are not meant.
    since: Option<Timestamp>,
    /// Files written after are not meant.
    until: Option<Timestamp>,
}

#[derive(Debug, Clone)]
enum Names {
    Rules(Rules),
    Listed { files: HashSet<String>, folders: HashSet<String> },
}

impl Default for Names {
    fn default() -> Self {
        Self::Rules(Rules::default())
    }
}

impl Filter {
    /// Whether it means all there is.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.names_everything()
            && self.least.is_none()
            && self.most.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    pub(super) fn names_everything(&self) -> bool {
        matches!(&self.names, Names::Rules(rules) if rules.is_empty())
    }

    /// Whether size and time are within the bounds; a time that is not known is.
    #[must_use]
    pub fn admits_measures(&self, size: u64, modified: Option<Timestamp>) -> bool {
        let early = modified.zip(self.since).is_some_and(|(modified, since)| modified < since);
        let late = modified.zip(self.until).is_some_and(|(modified, until)| modified > until);
        let small = self.least.is_some_and(|least| size < least);
        let large = self.most.is_some_and(|most| size > most);
        !(early || late || small || large)
    }

    /// Whether the rules or the list mean this file, in a folder that was entered.
    pub(super) fn names_file(&self, path: &str) -> bool {
        match &self.names {
            Names::Rules(rules) => rules.include_file(path),
            Names::Listed { files, .. } => files.contains(path),
        }
    }

    /// Whether a folder is entered, in one that was; `folder` ends in `/`.
    pub(super) fn names_folder(&self, folder: &str) -> bool {
        match &self.names {
            Names::Rules(rules) => rules.include_folder(folder),
            Names::Listed { folders, .. } => folders.contains(folder.trim_end_matches('/')),
        }
    }
}

/// Puts a filter together. Rules act in the order in which they come; rclone's command line has inclusions first,
/// then exclusions, then filter rules.
#[derive(Debug, Default)]
pub struct FilterBuilder {
    filter: Filter,
    rules: Rules,
    listed: Option<HashSet<String>>,
    ignore_case: bool,
    only_included: bool,
}

impl FilterBuilder {
    /// Patterns that come after this match letters of either case.
    #[must_use]
    pub fn ignore_case(mut self, ignore: bool) -> Self {
        self.ignore_case = ignore;
        self
    }

    /// Only files that match this are meant, or another that is included.
    ///
    /// # Errors
    /// [`FilterError`] for a pattern that is not understood.
    pub fn include(mut self, pattern: &str) -> Result<Self, FilterError> {
        self.only_included = true;
        self.rules.add(Verdict::Include, pattern, self.ignore_case)?;
        Ok(self)
    }

    /// Files that match this are not meant.
    ///
    /// # Errors
    /// [`FilterError`] for a pattern that is not understood.
    pub fn exclude(mut self, pattern: &str) -> Result<Self, FilterError> {
        self.rules.add(Verdict::Exclude, pattern, self.ignore_case)?;
        Ok(self)
    }

    /// `+ PATTERN` includes, `- PATTERN` excludes, `!` forgets the rules so far.
    ///
    /// # Errors
    /// [`FilterError`] for what is no rule.
    pub fn rule(mut self, rule: &str) -> Result<Self, FilterError> {
        match (rule.strip_prefix("+ "), rule.strip_prefix("- ")) {
            (Some(pattern), _) => self.rules.add(Verdict::Include, pattern, self.ignore_case)?,
            (_, Some(pattern)) => self.rules.add(Verdict::Exclude, pattern, self.ignore_case)?,
            _ if rule == "!" => self.rules.clear(),
            _ => return Err(FilterError::Rule(rule.to_owned())),
        }
        Ok(self)
    }

    /// Only these files are meant, whatever else could be said: a path each, from the root.
    #[must_use]
    pub fn only_listed<'a>(mut self, paths: impl IntoIterator<Item = &'a str>) -> Self {
        let listed = self.listed.get_or_insert_default();
        listed.extend(paths.into_iter().map(|path| path.trim_matches('/').to_owned()));
        self
    }

    /// Only files of this size or larger.
    #[must_use]
    pub fn at_least(mut self, size: Size) -> Self {
        self.filter.least = Some(size.0);
        self
    }

    /// Only files of this size or smaller.
    #[must_use]
    pub fn at_most(mut self, size: Size) -> Self {
        self.filter.most = Some(size.0);
        self
    }

    /// Only files written then or later.
    #[must_use]
    pub fn since(mut self, at: Timestamp) -> Self {
        self.filter.since = Some(at);
        self
    }

    /// Only files written then or earlier.
    #[must_use]
    pub fn until(mut self, at: Timestamp) -> Self {
        self.filter.until = Some(at);
        self
    }

    /// The filter.
    ///
    /// # Errors
    /// [`FilterError::ListBesideRules`], [`FilterError::Ages`].
    pub fn build(mut self) -> Result<Filter, FilterError> {
        if self.only_included {
            self.rules.add(Verdict::Exclude, "/**", false)?;
        }
        let ages = self.filter.since.zip(self.filter.until);
        if ages.is_some_and(|(since, until)| until < since) {
            return Err(FilterError::Ages);
        }
        match self.listed {
            Some(_) if !self.rules.is_empty() || !self.filter.is_everything() => {
                Err(FilterError::ListBesideRules)
            }
            Some(files) => {
                let folders = files.iter().flat_map(|file| above(file)).map(str::to_owned).collect();
                Ok(Filter { names: Names::Listed { files, folders }, ..self.filter })
            }
            None => Ok(Filter { names: Names::Rules(self.rules), ..self.filter }),
        }
    }
}

/// The folders above a file, without slashes at their ends.
fn above(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').filter_map(|(at, _)| file.get(..at))
}
