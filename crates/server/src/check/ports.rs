//! Listeners: whether their addresses are free, and their certificates good for a while.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use wigeon_core::time::{SignedDuration, Timestamp};

use super::finding::Finding;
use crate::config::{Certificate, Config, Listen, ListenAt};
use crate::tls::Tls;

/// A certificate that ends sooner should have been renewed.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Looks at each listener.
pub(super) async fn look(config: &Config, now: Timestamp, findings: &mut Vec<Finding>) {
    for listen in &config.listen {
        findings.push(listener(listen).await);
    }
    let mut seen = BTreeSet::new();
    for files in config.listen.iter().filter_map(|listen| listen.tls.as_ref()) {
        if seen.insert(&files.certificate) {
            findings.push(certificate(files, now));
        }
    }
    if let Some(address) = config.metrics {
        let subject = format!("metrics {address}");
        findings.push(match free(address).await {
            Err(finding) => Finding { subject, ..finding },
            Ok(()) if !address.ip().is_loopback() => {
                let text = "free; whoever reaches it reads which upstreams and providers there are";
                Finding::warning(subject, text, "let a firewall keep others away")
            }
            Ok(()) => Finding::ok(subject, "free"),
        });
    }
}

async fn listener(listen: &Listen) -> Finding {
    let subject = format!("listener {}", listen.at);
    match &listen.at {
        ListenAt::Tcp(address) => match free(*address).await {
            Err(finding) => Finding { subject, ..finding },
            Ok(()) if listen.tls.is_none() && !address.ip().is_loopback() => {
                let text = "free; it speaks plain HTTP, so whoever is on the way reads tokens and objects";
                Finding::warning(
                    subject,
                    text,
                    "set [tls], or listen on loopback behind a proxy with a certificate",
                )
            }
            Ok(()) => Finding::ok(subject, "free"),
        },
        ListenAt::Unix(path) => {
            let folder = path.parent().filter(|folder| folder.is_dir());
            match folder {
                Some(_) => Finding::ok(subject, "its folder is there"),
                None => Finding::failed(
                    subject,
                    "its folder is not there",
                    "make the folder, or name another one",
                ),
            }
        }
        ListenAt::Systemd(_) => Finding::ok(subject, "systemd gives it when it starts the service"),
    }
}

async fn free(address: SocketAddr) -> Result<(), Finding> {
    match TcpListener::bind(address).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let text = "in use; that is right if this server runs already";
            Err(Finding::warning("", text, "if it does not, see who listens there: ss -ltnp"))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let fix = "ports below 1024 need CAP_NET_BIND_SERVICE (the unit has it), or systemd's socket";
            Err(Finding::failed("", "this user may not listen there", fix))
        }
        Err(error) => Err(Finding::failed(
            "",
            format!("cannot be listened on: {error}"),
            "name an address of this machine",
        )),
    }
}

fn certificate(files: &Certificate, now: Timestamp) -> Finding {
    let subject = "certificate";
    let tls = match Tls::open(files) {
        Ok(tls) => tls,
        Err(error) => return Finding::because(subject, &error, ""),
    };
    let shown = files.certificate.display();
    match tls.expires_at() {
        None => Finding::warning(subject, format!("when `{shown}` ends cannot be read"), ""),
        Some(at) if at <= now => Finding::failed(subject, format!("`{shown}` ended at {at}"), "renew it"),
        Some(at) if at.duration_since(now) < SOON => {
            let days = at.duration_since(now).as_hours() / 24;
            Finding::warning(
                subject,
                format!("`{shown}` ends in {days} days, at {at}"),
                "see why it was not renewed",
            )
        }
        Some(at) => Finding::ok(subject, format!("`{shown}` and its key belong together, until {at}")),
    }
}
