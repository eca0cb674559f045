//! The policy language of AWS IAM: documents in, decisions out.
//!
//! A [`Document`] is parsed strictly and compiled once; [`evaluate`] decides a [`Request`] against the
//! [`Policies`] that bear on it, without allocating; [`explain`] walks the same ground again, slowly, and
//! says why. Whatever no statement allows is denied, and so is whatever cannot be evaluated.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".

pub mod context;

pub mod document;

pub mod evaluate;

pub mod explain;

pub use context::{Context, Principal, Request, Value};
pub use document::{Document, DocumentError, Effect, Kind, Policy};
pub use evaluate::{Decision, Layer, Policies, StatementRef, evaluate};
pub use explain::{Explanation, explain};
