//! The compatible server: STS, the directory of providers and roles, and the S3 gateway.
//!
//! ```text
//! STS:  token ─► verify ─► trust ─► issue ─► sealed session
//! IAM:  request ─► authenticate ─► authorize ─► directory
//! S3:   request ─► authenticate ─► classify ─► authorize ─► Permit ─► backend
//! ```
//!
//! The modules stand in flow order, and each imports only from those above it.

pub mod chain;

pub mod meter;

pub mod service;

pub mod limits;

pub mod proxies;

pub mod directory;

pub mod session;

pub mod decided;

pub mod denial;

pub mod bucket;

pub mod suspicions;

pub mod rights;

pub mod verify;

pub mod trust;

pub mod issue;

pub mod explain;

pub mod refusal;

pub mod request_id;

pub mod request;

pub mod authenticate;

pub mod sts;

pub mod iam;

pub mod classify;

pub mod authorize;

pub mod outbox;

pub mod trace;

pub mod gathered;

pub mod audit;

pub mod arriving;

pub mod form;

pub mod body;

pub mod cors;

pub mod figures;

pub mod recording;

pub mod workers;

pub mod backend;

pub mod readiness;

pub mod answers;

pub mod gateway;

pub mod config;

pub mod following;

mod certificate;

pub mod listener;

pub mod tls;

pub mod metrics;

pub mod monitor;

pub mod connection;

pub mod accept;

pub mod check;

pub mod serve;
