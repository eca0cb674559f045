//! Why a filter cannot be understood.

/// Why a filter cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// More than two in a row.
    #[error("the pattern `{0}` has more than two stars in a row")]
    Stars(String),
    /// A bracket without its other half.
    #[error("the pattern `{pattern}` has a `{bracket}` without its other half")]
    Unbalanced {
        /// The whole pattern.
        pattern: String,
        /// `[`, `]`, `{`, `}` or `{{`.
        bracket: &'static str,
    },
    /// What is between `{{` and `}}`, or `[` and `]`, is no regular expression.
    #[error("the pattern `{pattern}` is not understood: {reason}")]
    Pattern {
        /// The whole pattern.
        pattern: String,
        /// In the words of the reader of regular expressions.
        reason: String,
    },
    /// Neither `+ PATTERN`, `- PATTERN` nor `!`.
    #[error("`{0}` is no filter rule: write `+ PATTERN`, `- PATTERN` or `!`")]
    Rule(String),
    /// A list of names says everything, so nothing can stand beside it.
    #[error("a list of files takes the place of all other filters: give it alone")]
    ListBesideRules,
    /// No file can be both.
    #[error("the least age is above the largest: no file is both")]
    Ages,
    /// Not a number with a unit.
    #[error("`{0}` is no size: write a number and B, K, M, G, T, P or E (K where there is none)")]
    Size(String),
    /// Neither a duration nor a date.
    #[error("`{0}` is no age: write a number and ms, s, m, h, d, w, M or y, or a date such as 2026-01-31")]
    Age(String),
}
