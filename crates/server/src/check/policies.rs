//! The directory: whether it can be read, and what its policies say that can hardly be meant.

use super::finding::Finding;
use crate::config::{DirectoryConfig, DirectoryHome};
use crate::directory::{Directory, Inspected, Snapshot};
use crate::suspicions::suspicions;

/// Reads the directory, where there is one; a database is not made and not brought forward.
pub(super) async fn look(config: &DirectoryConfig, findings: &mut Vec<Finding>) -> Option<Snapshot> {
    let subject = "directory";
    let (place, inspected) = match &config.home {
        DirectoryHome::File(path) => {
            let read = Directory::from_file(path).map(|directory| Snapshot::clone(&directory.snapshot()));
            match read {
                Ok(snapshot) => (format!("`{}`", path.display()), Inspected::Found(Box::new(snapshot))),
                Err(error) => {
                    findings.push(Finding::because(subject, &error, ""));
                    return None;
                }
            }
        }
        DirectoryHome::Sqlite(path) => {
            let inspected = Directory::inspect_sqlite(path, &config.account);
            (format!("`{}`", path.display()), taken(inspected, "", findings)?)
        }
        DirectoryHome::Postgres { address, password, ca_file } => {
            let certificates = match ca_file.as_ref().map(std::fs::read).transpose() {
                Ok(certificates) => certificates,
                Err(error) => {
                    findings.push(Finding::failed(
                        subject,
                        format!("directory.ca_file cannot be read: {error}"),
                        "",
                    ));
                    return None;
                }
            };
            let password = password.as_ref().map(wigeon_core::secret::Secret::expose);
            let certificates = certificates.as_deref();
            let inspected =
                Directory::inspect_postgres(address, password, certificates, &config.account).await;
            let fix = "see that the database runs, and that directory.postgres and its password are right";
            ("PostgreSQL".to_owned(), taken(inspected, fix, findings)?)
        }
    };
    match inspected {
        Inspected::Missing => {
            findings.push(Finding::ok(subject, format!("{place} is empty; its tables will be made")));
            None
        }
        Inspected::Older { found } => {
            let text = format!("{place} has the form {found} of its tables, and will be brought forward");
            let fix = "make a backup first; older servers cannot read it afterwards";
            findings.push(Finding::warning(subject, text, fix));
            None
        }
        Inspected::Found(snapshot) => {
            let reached = config.connections.as_ref().map(|connections| snapshot.reached_by(connections));
            let snapshot = match reached {
                None => snapshot,
                Some(Ok(reached)) => Box::new(reached),
                Some(Err(error)) => {
                    findings.push(Finding::because(subject, &error, ""));
                    return None;
                }
            };
            let entries = snapshot.entries();
            let (providers, roles) = (entries.providers.len(), entries.roles.len());
            findings.push(Finding::ok(subject, format!("{place}: {providers} providers, {roles} roles")));
            for suspicion in suspicions(&snapshot) {
                let text = format!("{}: {}", suspicion.place, suspicion.finding);
                findings.push(Finding::warning("policy", text, ""));
            }
            Some(*snapshot)
        }
    }
}

fn taken<E: std::error::Error>(
    inspected: Result<Inspected, E>,
    fix: &str,
    findings: &mut Vec<Finding>,
) -> Option<Inspected> {
    inspected.map_err(|error| findings.push(Finding::because("directory", &error, fix))).ok()
}
