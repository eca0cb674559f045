//! Keys that a program prints (`credential_process`).

use wigeon_core::credentials::Credentials;

use super::answer;
use super::error::KeysError;
use crate::program::output_of;

/// Runs the program.
pub(super) async fn keys(line: &str) -> Result<Credentials, KeysError> {
    let printed = output_of(line).await?;
    answer::credentials(printed.expose(), "the credential process", true)
}
