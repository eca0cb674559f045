//! What goes wrong, as the person at the command line meets it.
//!
//! Every error of the layers below becomes a [`Failure`]: one sentence, the causes under it, what to do, and a
//! [`Kind`] that decides the exit code. `output` renders it, and nothing else does.

mod failure;

mod from_client;

pub(crate) use failure::{Failure, Kind, sign_in_needed};
