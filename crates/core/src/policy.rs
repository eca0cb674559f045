//! The policy language of AWS IAM: documents in, decisions out.
//!
//! A [`Document`] is parsed strictly and compiled once; [`evaluate()`] decides a [`Request`] against the
//! [`Policies`] that bear on it, without allocating; [`explain()`] walks the same ground again, slowly, and
//! says why. Whatever no statement allows is denied, and so is whatever cannot be evaluated.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".

pub mod context;

mod kind;

mod pattern;

mod arn_pattern;

mod operand;

pub mod condition;

mod principal;

pub mod statement;

mod index;

mod json;

pub mod document;

pub mod evaluate;

mod public;

pub mod explain;

mod vocabulary;

pub mod lint;

pub use condition::Condition;
pub use context::{Context, Keys, Principal, Request, Value};
pub use document::{Document, DocumentError, Policy};
pub use evaluate::{Decision, Layer, Policies, StatementRef, evaluate};
pub use explain::{Explanation, Nearest, Obstacle, Source, explain};
pub use kind::{Effect, Kind};
pub use lint::{Finding, Rule, lint};
pub use statement::Statement;
