//! The configuration's files, while a server runs: a change of one of them has all read again.
//!
//! Enters: the configuration that is in force. Leaves: the next one, once its files have been the same for two looks, so that
//! none is read while it is being written; or why it cannot be read, once for each reason. What cannot be read is tried again
//! at every look: what is wrong with it may be a file that is not followed yet.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::chain::chain;
use crate::config::{Config, ConfigError};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(1);

type Look = Vec<Option<(SystemTime, u64)>>;

/// The files of one configuration.
#[derive(Debug)]
pub struct Following {
    path: PathBuf,
    files: Vec<PathBuf>,
    /// As they were when the configuration was read.
    read: Look,
    /// As they were at the latest look.
    latest: Look,
    /// Why what they say now is not in force.
    fault: Option<String>,
}

impl Following {
    /// Those of a configuration that was read from this file just now.
    #[must_use]
    pub fn of(path: &Path, config: &Config) -> Self {
        let read = look(&config.files);
        let files = config.files.clone();
        Self { path: path.to_owned(), files, latest: read.clone(), read, fault: None }
    }

    /// Reads the configuration, whether it changed or not.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn again(&mut self) -> Result<Config, ConfigError> {
        // What changes while it is read is seen at the next look.
        let before = look(&self.files);
        match Config::read(&self.path) {
            Ok(config) => {
                let files = config.files.clone();
                self.read = if files == self.files { before } else { look(&files) };
                (self.latest, self.files, self.fault) = (self.read.clone(), files, None);
                Ok(config)
            }
            Err(error) => {
                self.fault = Some(chain(&error));
                (self.latest, self.read) = (before.clone(), before);
                Err(error)
            }
        }
    }

    /// Waits for a change.
    ///
    /// # Errors
    /// [`ConfigError`], where what is there now cannot be read, and that was not said yet.
    pub async fn next(&mut self) -> Result<Config, ConfigError> {
        loop {
            tokio::time::sleep(LOOK).await;
            let now = look(&self.files);
            let settled = now == self.latest;
            let due = self.fault.is_some() || now != self.read;
            self.latest = now;
            if !settled || !due {
                continue;
            }
            let said = self.fault.clone();
            match self.again() {
                Err(error) if said.as_ref() == Some(&chain(&error)) => {}
                read => return read,
            }
        }
    }
}

fn look(files: &[PathBuf]) -> Look {
    let of = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const POLICY: &str = r#"{"Statement": {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::reports"}}"#;

    async fn next(following: &mut Following) -> Option<Result<Config, ConfigError>> {
        tokio::time::timeout(LOOK * 4, following.next()).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_any_file_has_all_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, policy) = (folder.path().join("serve.toml"), folder.path().join("reports.json"));
        let write = |more: &str| fs::write(&path, format!("data = 'd'\ndirectory = 'x'\n{more}")).unwrap();
        write("");
        let config = Config::read(&path).unwrap();
        let mut following = Following::of(&path, &config);
        assert!(next(&mut following).await.is_none(), "nothing changed");
        write("[limits]\nrequests = 7");
        assert_eq!(next(&mut following).await.unwrap().unwrap().limits.requests, 7);

        // A fault is said once, and what is missing is found when it is there.
        let upstream = "[[upstream]]\nname = 'u'\nendpoint = 'http://127.0.0.1:1'\n[[upstream.bucket]]\nname = 'reports'\npolicy_file = 'reports.json'";
        write(upstream);
        assert!(next(&mut following).await.unwrap().unwrap_err().to_string().contains("reports.json"));
        assert!(next(&mut following).await.is_none());
        fs::write(&policy, POLICY).unwrap();
        let config = next(&mut following).await.unwrap().unwrap();
        assert_eq!(config.files, [path.clone(), policy.clone()]);
        fs::write(&policy, POLICY.replace("Deny", "Allow")).unwrap();
        assert_eq!(next(&mut following).await.unwrap().unwrap().upstreams.upstreams.len(), 1);
        fs::remove_file(&policy).unwrap();
        assert!(next(&mut following).await.unwrap().is_err());
        assert!(following.again().is_err(), "asked for, it is said again");
    }

    #[test]
    fn what_takes_a_restart_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("serve.toml");
        let read = |more: &str| {
            fs::write(&path, format!("data = 'd'\ndirectory = 'x'\n{more}")).unwrap();
            Config::read(&path).unwrap()
        };
        let before = read("region = 'eu-west-1'\n[stop]\ngrace = 3\n[limits]\nrequests = 1");
        let upstream =
            "local_buckets = []\n[[upstream]]\nname = 'u'\nendpoint = 'http://127.0.0.1:1'\ndefault = true\n";
        let after = read(&format!(
            "domains = ['s3.example']\n{upstream}[limits]\nconnections = 9\n[stop]\ngrace = 4\n[proxies]\ntrusted = ['::1']"
        ));
        assert_eq!(before.restart_for(&after), ["region", "stop", "limits.connections"]);
        assert!(before.restart_for(&before).is_empty());
    }
}
