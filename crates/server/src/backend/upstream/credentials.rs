//! An upstream's own credentials: found, and renewed ahead of their end.
//!
//! Enters: a [`Source`](super::settings::Source). Leaves: [`Renewing`], which always has credentials that work, or
//! says why not. Sources in AWS's order: environment, shared files (keys, `credential_process`, web identity, roles),
//! container, instance. Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers".

mod answer;

mod key_file;

mod shared_files;

mod process;

mod sts;

mod container;

mod instance;

mod chain;

mod renewing;

pub(super) use chain::CredentialsError;
pub(super) use renewing::Renewing;
