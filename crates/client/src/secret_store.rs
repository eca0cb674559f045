//! secret_store
