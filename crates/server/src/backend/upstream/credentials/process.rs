//! `credential_process`: a program that prints credentials.
//!
//! Refused: a program that fails, that takes longer than a minute, or that prints anything else. What it writes to its
//! standard error goes to the server's.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use wigeon_core::credentials::Credentials;

use super::answer;

const LONGEST: Duration = Duration::from_secs(60);

/// Runs it, by the shell as AWS's tools do.
pub(super) async fn run(command: &str) -> Result<Credentials, String> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = tokio::time::timeout(LONGEST, shell.output())
        .await
        .map_err(|_| format!("the credential process took longer than {} seconds", LONGEST.as_secs()))?
        .map_err(|error| format!("the credential process cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the credential process ended with {}", output.status));
    }
    answer::read(&output.stdout, true)
        .ok_or_else(|| "the credential process printed no credentials".to_owned())
}
