//! One side made like the other: a folder like a prefix of a store, a prefix like a folder or like another prefix.
//!
//! ```text
//! Side ─ scan ─► Scan ─┐
//!                      ├─ diff ─► Diff ─ plan ─► Plan: changes, then removals ─┬─ apply ─► Report
//! Side ─ scan ─► Scan ─┘                                                       └─ SavedPlan ─ apply
//! ```
//!
//! [`Watch`] says when that is to be done again, and of which names.
//!
//! Both sides are read in the order of their keys and merged as they come, so the first file moves before either has
//! been read to its end, and memory holds a few pages of each, however many there are. Each arrow's value is made only
//! by its producer.
//!
//! What this promises: nothing is removed until both sides were read to their ends without an error and all copies
//! have succeeded; a listing out of order is an error, never a reason to remove; an empty source removes nothing unless
//! that is asked for; more removals than allowed are none at all.

mod error;

mod side;

mod found;

mod scope;

mod walk;

mod scan;

mod diff;

mod digest;

mod compare;

mod findings;

mod plan;

mod saved;

mod apply;

mod settling;

#[cfg(target_os = "linux")]
mod notices;

mod watch;

pub use apply::{Applied, Apply, Late};
pub use compare::{Comparison, Why};
pub use diff::{Diff, Merged, Pair, diff};
pub use error::SyncError;
pub use findings::{Finding, Findings, Measure, State, findings};
pub use found::{Found, Trouble};
pub use plan::{Change, Guard, Permitted, Plan, Policy, Removals, Told, Totals, plan};
pub use saved::{Header, PlanWriter, SavedPlan};
pub use scan::{Reading, Role, Scan, scan};
pub use scope::Scope;
pub use side::Side;
pub use watch::{Watch, Watching};

#[cfg(test)]
mod tests;
