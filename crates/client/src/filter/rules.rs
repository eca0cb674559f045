//! Rules in their order, for files and for folders: the first that matches decides.

use regex::Regex;

use super::error::FilterError;
use super::{folders, glob};

/// What a rule does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Include,
    Exclude,
}

#[derive(Debug, Clone)]
struct Rule {
    verdict: Verdict,
    pattern: Regex,
}

/// Rules over files, and what follows from them for folders.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    files: Vec<Rule>,
    folders: Vec<Rule>,
}

impl Rules {
    /// Adds a rule at the end.
    pub(super) fn add(
        &mut self,
        verdict: Verdict,
        pattern: &str,
        ignore_case: bool,
    ) -> Result<(), FilterError> {
        let names_folder = pattern.ends_with('/');
        // A folder that is excluded is so with all that is in it.
        let all_in_it = format!("{pattern}**");
        let pattern = if names_folder && verdict == Verdict::Exclude { &all_in_it } else { pattern };
        let spans_folders = pattern.contains("**");
        let compiled = glob::compile(pattern, ignore_case)?;
        if !names_folder || spans_folders {
            self.files.push(Rule { verdict, pattern: compiled.clone() });
            // What excludes some files of a folder does not keep anybody out of it; `*` excludes all.
            if verdict == Verdict::Include || pattern == "*" {
                for folder in folders::of(pattern).iter().filter(|folder| *folder != "/") {
                    self.folders.push(Rule { verdict, pattern: glob::compile(folder, ignore_case)? });
                }
            }
        }
        if names_folder || spans_folders {
            self.folders.push(Rule { verdict, pattern: compiled });
        }
        Ok(())
    }

    /// Forgets all rules so far.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folders.is_empty()
    }

    /// Whether the rules include a file, whatever they say of its folders.
    pub(super) fn include_file(&self, path: &str) -> bool {
        decide(&self.files, path)
    }

    /// Whether a folder is entered, whatever the rules say of those above it; `folder` ends in `/`.
    pub(super) fn include_folder(&self, folder: &str) -> bool {
        decide(&self.folders, folder)
    }
}

fn decide(rules: &[Rule], text: &str) -> bool {
    let first = rules.iter().find(|rule| rule.pattern.is_match(text));
    first.is_none_or(|rule| rule.verdict == Verdict::Include)
}
