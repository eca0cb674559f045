//! backend

pub mod local;
