//! AWS Signature Version 4 for S3, STS and IAM: signing by the client, verification by the server.
//!
//! Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". Both sides build the
//! same canonical request from the same code. Presigned addresses of version 2, which several tools still make
//! at custom endpoints, are verified too.

pub mod headers;

pub mod canonical;

pub mod sign;

pub mod signed_request;

pub mod presigned_v2;

pub mod verify;

pub mod form;

pub mod chunked;

#[cfg(test)]
mod tests;
