//! Sign-in, exchange, session and S3 transfers.
//!
//! ```text
//! profile ─► sign_in ─► exchange ─► session ─► s3 ─► transfer ─► sync
//!            TokenSet   Credentials  always valid, renewed ahead of expiry
//!                                    └─► broker: other programs
//! ```
//!
//! No terminal and no environment of its own: the clock, the browser and the places of files are passed in.
//! The modules stand in flow order, and each imports only from those above it.

pub mod durable;

mod causes;

pub mod connect;

pub mod profile;

pub mod surroundings;

mod program;

pub mod sign_in;

pub mod secret_store;

pub mod workload;

pub mod access_keys;

pub mod aws_config;

pub mod identity_center;

pub mod signed_query;

pub mod exchange;

pub mod caller;

pub mod console;

pub mod administration;

pub mod session;

pub mod broker;

pub mod s3;

pub mod filter;

pub mod transfer;

pub mod sync;

#[cfg(test)]
mod testing;
