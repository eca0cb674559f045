//! The way to a running agent: a socket that belongs to this user, in a directory that nobody else may write to.
//!
//! Enters: an [`Ask`]. Leaves: the agent's [`Answer`], or [`AgentError`]; a caller then goes without it. It blocks:
//! a warm answer takes a tenth of a millisecond, less than a runtime takes to start.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Answer, Ask, LINE_LIMIT, Places, Request, VERSION};

/// Where an agent would be, and whom it would have to serve.
#[derive(Debug, Clone)]
pub struct AgentAddress {
    /// The socket.
    pub socket: PathBuf,
    /// The caller's places.
    pub places: Places,
}

/// Why an agent gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No agent runs.
    #[error("no agent runs")]
    None,
    /// The socket could be someone else's.
    #[error("`{}` does not belong to this user alone", .0.display())]
    Foreign(PathBuf),
    /// It runs for other places, or is of another version.
    #[error("the agent that runs is another one: {0}")]
    Other(String),
    /// It broke off.
    #[error("the agent does not answer")]
    Broken(#[source] io::Error),
}

impl AgentAddress {
    /// Asks, and waits for the answer up to `patience`.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub fn ask(&self, ask: Ask, patience: Duration) -> Result<Answer, AgentError> {
        owned(&self.socket)?;
        let stream = self.connect()?;
        let request = Request { version: VERSION, places: self.places.clone(), ask };
        let line = serde_json::to_string(&request).map_err(|error| AgentError::Broken(error.into()))?;
        let mut line = zeroize::Zeroizing::new(line);
        line.push('\n');
        stream.set_read_timeout(Some(patience)).map_err(AgentError::Broken)?;
        stream.set_write_timeout(Some(patience)).map_err(AgentError::Broken)?;
        (&stream).write_all(line.as_bytes()).map_err(|error| self.broken(error))?;
        let mut answer = zeroize::Zeroizing::new(String::new());
        let read = BufReader::new(stream.take(LINE_LIMIT)).read_line(&mut answer);
        if read.map_err(|error| self.broken(error))? == 0 {
            return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
        }
        match serde_json::from_str(&answer) {
            Ok(Answer::Other(why)) => Err(AgentError::Other(why)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(AgentError::Broken(error.into())),
        }
    }

    fn connect(&self) -> Result<UnixStream, AgentError> {
        UnixStream::connect(&self.socket).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AgentError::None,
            _ => AgentError::Broken(error),
        })
    }

    /// An agent that breaks off, unless it has ended in the meantime: then there is none.
    fn broken(&self, error: io::Error) -> AgentError {
        match self.connect() {
            Err(AgentError::None) => AgentError::None,
            _ => AgentError::Broken(error),
        }
    }
}

/// The directory and the socket must be ours, and the directory closed to others' writing: else someone else could
/// have put a socket there, and give us credentials of theirs to upload our files with.
pub(super) fn owned(socket: &Path) -> Result<(), AgentError> {
    let us = rustix::process::getuid().as_raw();
    let dir = socket.parent().unwrap_or(Path::new("/"));
    let found = match (std::fs::metadata(dir), std::fs::symlink_metadata(socket)) {
        (Ok(dir), Ok(socket)) => [dir, socket],
        _ => return Err(AgentError::None),
    };
    let closed = found.first().is_some_and(|dir| dir.mode() & 0o022 == 0);
    if closed && found.iter().all(|found| found.uid() == us) {
        Ok(())
    } else {
        Err(AgentError::Foreign(socket.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn address(dir: &Path) -> AgentAddress {
        let places = Places { config: "/config".into(), state: "/state".into(), ca_file: None };
        AgentAddress { socket: dir.join("agent.sock"), places }
    }

    #[test]
    fn an_agent_that_ends_while_it_is_asked_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let address = address(dir.path());
        let listener = UnixListener::bind(&address.socket).unwrap();
        let asking = std::thread::spawn({
            let address = address.clone();
            move || address.ask(Ask::Standing, Duration::from_secs(20))
        });
        let (caller, _) = listener.accept().unwrap();
        drop(listener);
        drop(caller);
        assert!(matches!(asking.join().unwrap(), Err(AgentError::None)));
    }

    #[test]
    fn an_agent_that_hangs_up_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let address = address(dir.path());
        let listener = UnixListener::bind(&address.socket).unwrap();
        let asking = std::thread::spawn({
            let address = address.clone();
            move || address.ask(Ask::Standing, Duration::from_secs(20))
        });
        drop(listener.accept().unwrap());
        assert!(matches!(asking.join().unwrap(), Err(AgentError::Broken(_))));
    }
}
