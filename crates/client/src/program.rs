//! What another program prints: for tokens and keys that come from one.
//!
//! Enters: a command line, split as a shell would, without its expansions. Leaves: its standard output. Refused: a
//! line with an open quote, another exit code than 0, more than [`LIMIT`] bytes, more than [`PATIENCE`].

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use wigeon_core::secret::Secret;

/// The longest output that is taken, in bytes.
const LIMIT: usize = 1 << 20;

/// How long the program may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why there is no output. The program is named, never its arguments: they may be secret.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// The line makes no command.
    #[error("the command line has an open quote, or is empty")]
    Line,
    /// It cannot be started.
    #[error("cannot run `{program}`")]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It failed.
    #[error("`{program}` failed ({status}): {words}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last line of its standard error.
        words: String,
    },
    /// It did not finish.
    #[error("`{program}` did not finish within {} seconds", PATIENCE.as_secs())]
    Slow {
        /// The program.
        program: String,
    },
    /// What it printed is no text, or too much of it.
    #[error("what `{program}` printed is not a text of at most {LIMIT} bytes")]
    Output {
        /// The program.
        program: String,
    },
}

/// Runs a command line and gives what it printed.
pub(crate) async fn output_of(line: &str) -> Result<Secret, ProgramError> {
    let words = shlex::split(line).unwrap_or_default();
    let Some((program, arguments)) = words.split_first() else { return Err(ProgramError::Line) };
    let program = program.clone();
    let started = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let child = match started {
        Ok(child) => child,
        Err(source) => return Err(ProgramError::Start { program, source }),
    };
    let output = match tokio::time::timeout(PATIENCE, child.wait_with_output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(source)) => return Err(ProgramError::Start { program, source }),
        Err(_) => return Err(ProgramError::Slow { program }),
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let words: String =
            said.trim().lines().last().unwrap_or("it said nothing").chars().take(300).collect();
        return Err(ProgramError::Failed { program, status: output.status, words });
    }
    match String::from_utf8(output.stdout) {
        Ok(text) if text.len() <= LIMIT => Ok(Secret::new(text)),
        _ => Err(ProgramError::Output { program }),
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use super::*;

    #[cfg(unix)]
    #[tokio::test]
    async fn what_a_program_prints() {
        assert_eq!(output_of("printf '%s|' 'a b' c\\ d").await.unwrap().expose(), "a b|c d|");
        for (line, says) in [
            ("", "open quote"),
            ("printf 'a", "open quote"),
            ("/nonexistent/program --secret hunter2", "cannot run `/nonexistent/program`"),
            ("sh -c 'echo first >&2; echo the reason >&2; exit 3' hunter2", "the reason"),
        ] {
            let error = output_of(line).await.unwrap_err().to_string();
            assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
        }
    }
}
