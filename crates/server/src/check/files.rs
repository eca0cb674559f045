//! Files of this machine: the data, the keys, the audit, and how many may be open.

use std::path::Path;

use rustix::fs::Access;
use wigeon_core::time::Timestamp;

use super::finding::Finding;
use crate::config::Config;
use crate::issue::KeyRing;

/// Less free space than this is worth a word.
const LITTLE: u64 = 1 << 30;

/// Beside connections: the store's readers, connections to upstreams, files on their way.
const OTHER_FILES: u64 = 1_024;

/// Where buckets and objects lie.
pub(super) fn data(config: &Config, findings: &mut Vec<Finding>) {
    let (subject, shown) = ("data", config.data.display());
    let Some(nearest) = config.data.ancestors().find(|path| path.exists()) else {
        return findings.push(Finding::failed(
            subject,
            format!("`{shown}` is nowhere"),
            "name a folder that can be made",
        ));
    };
    if !nearest.is_dir() {
        let text = format!("`{}` is no folder", nearest.display());
        return findings.push(Finding::failed(subject, text, "name a folder"));
    }
    if !may_write(nearest) {
        let text = format!("`{}` cannot be written by this user", nearest.display());
        return findings.push(Finding::failed(
            subject,
            text,
            "run this as the user of the server, or give it the folder",
        ));
    }
    let volume = rustix::fs::statvfs(nearest).map(|volume| volume.f_bavail * volume.f_frsize);
    match volume {
        Ok(free) if free < LITTLE => {
            let text = format!("`{shown}` has {} MiB of free space", free >> 20);
            findings.push(Finding::warning(subject, text, "make room: uploads are refused when it is full"));
        }
        Ok(free) => {
            let made = if nearest == config.data { "" } else { ", and will be made" };
            findings
                .push(Finding::ok(subject, format!("`{shown}` has {} GiB of free space{made}", free >> 30)));
        }
        Err(error) => {
            let text = format!("the free space of `{shown}` cannot be told: {error}");
            findings.push(Finding::warning(subject, text, ""));
        }
    }
}

/// The keys that seal sessions.
pub(super) fn session_keys(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    let (subject, path) = ("session keys", &config.session_keys);
    if !path.exists() {
        return findings
            .push(Finding::ok(subject, format!("`{}` will be made with one key", path.display())));
    }
    match KeyRing::open(path, now) {
        Ok(ring) => {
            let (count, issuing) = (ring.entries().count(), ring.entries().find(|entry| entry.issues));
            let issuing = issuing.map(|entry| entry.id).unwrap_or_default();
            findings.push(Finding::ok(subject, format!("{count} in `{}`; {issuing} issues", path.display())));
        }
        Err(error) => findings.push(Finding::because(subject, &error, "")),
    }
}

/// Where audit records go.
pub(super) fn audit(config: &Config, findings: &mut Vec<Finding>) {
    let subject = "audit";
    let Some(options) = &config.audit.file else {
        if config.audit.collector.is_none() {
            let text = "records go to the log alone";
            findings.push(Finding::warning(subject, text, "set audit.file, or audit.collector"));
        }
        return;
    };
    let place = if options.path.exists() {
        options.path.as_path()
    } else {
        options.path.parent().unwrap_or(Path::new("."))
    };
    let finding = match place.exists() && may_write(place) {
        true => Finding::ok(subject, format!("`{}` can be written", options.path.display())),
        false => {
            let text = format!("`{}` cannot be written by this user", options.path.display());
            Finding::failed(subject, text, "make its folder, and give it to the user of the server")
        }
    };
    findings.push(finding);
}

/// Every connection is an open file.
pub(super) fn open_files(config: &Config, findings: &mut Vec<Finding>) {
    let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current else { return };
    let connections = config.limits.connections as u64;
    let needed = connections.saturating_add(OTHER_FILES);
    if limit < needed {
        let text = format!("this user may have {limit} files open, and limits.connections is {connections}");
        findings.push(Finding::warning(
            "open files",
            text,
            format!("LimitNOFILE={needed} in the unit, or ulimit -n {needed}"),
        ));
    } else {
        findings.push(Finding::ok(
            "open files",
            format!("{limit} may be open, enough for {connections} connections"),
        ));
    }
}

fn may_write(path: &Path) -> bool {
    let needed = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    rustix::fs::access(path, needed).is_ok()
}
