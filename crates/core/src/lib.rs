//! The pure rules of web identity federation for S3.
//!
//! Nothing here reads a clock, a file, the environment or the network: time and randomness are arguments,
//! so every rule can be tested as a function. The modules stand in flow order, and each imports only from
//! those above it.

pub mod time;

pub mod secret;

pub mod encoding;

pub mod arn;

pub mod credentials;

pub mod claims;

pub mod jwt;

pub mod sts;

pub mod policy;

pub mod sigv4;

pub mod s3;
