//! Where the server listens, for which services, and with which certificate: `listen` and `[tls]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::service::{Service, Services};

/// `127.0.0.1:9000`
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9000);

/// Where the listener's certificate and key are, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The certificate and those between it and its authority, in this order.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Certificate {
    /// With both files beside the configuration.
    #[must_use]
    pub fn at(self, place: Place<'_>) -> Self {
        Self { certificate: place.beside(&self.certificate), key: place.beside(&self.key) }
    }
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAt {
    /// An address and a port; port 0 is any that is free.
    Tcp(SocketAddr),
    /// A socket file of this machine.
    Unix(PathBuf),
    /// A socket that systemd holds, by its number.
    Systemd(usize),
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Systemd(number) => write!(f, "systemd:{number}"),
        }
    }
}

/// A listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where.
    pub at: ListenAt,
    /// What is served there.
    pub serves: Services,
    /// With which certificate; without one it speaks plain HTTP.
    pub tls: Option<Certificate>,
}

impl Listen {
    /// Everything at this address, over plain HTTP.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        Self { at: ListenAt::Tcp(address), serves: Services::ALL, tls: None }
    }
}

/// `listen = "ADDRESS"`, or tables `[[listen]]`.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "an address as `127.0.0.1:9000`, `unix:PATH` or `systemd`, or tables with `address`, `serves` and `tls`"
)]
pub enum ListenKey {
    /// Everything at one address.
    Address(String),
    /// Several.
    Tables(Vec<ListenTable>),
}

/// `[[listen]]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenTable {
    address: String,
    serves: Option<Vec<Service>>,
    tls: Option<TlsKey>,
}

/// `false`, or a certificate of its own.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "`false` for plain HTTP, or a table with `certificate` and `key`")]
pub enum TlsKey {
    /// Whether the certificate of `[tls]` is used.
    Same(bool),
    /// Another one.
    Own(Certificate),
}

/// Reads where to listen; `tls` is the certificate of all that say nothing else.
///
/// # Errors
/// [`ConfigError`]: no address, two of the same, a service that is served nowhere.
pub fn read(
    key: Option<ListenKey>,
    tls: Option<Certificate>,
    place: Place<'_>,
) -> Result<Vec<Listen>, ConfigError> {
    let tls = tls.map(|tls| tls.at(place));
    let everything = |at| Listen { at, serves: Services::ALL, tls: tls.clone() };
    let listeners = match key {
        None => vec![everything(ListenAt::Tcp(DEFAULT_LISTEN))],
        Some(ListenKey::Address(text)) => vec![everything(address(&text, place)?)],
        Some(ListenKey::Tables(tables)) => {
            let read = tables.into_iter().map(|table| table.read(tls.as_ref(), place));
            read.collect::<Result<Vec<_>, _>>()?
        }
    };
    for (number, listener) in listeners.iter().enumerate() {
        let any = matches!(listener.at, ListenAt::Tcp(address) if address.port() == 0);
        if !any && listeners.iter().skip(number + 1).any(|other| other.at == listener.at) {
            return Err(place.malformed(format!("two listeners have the address {}", listener.at)));
        }
    }
    if !listeners
        .iter()
        .any(|listener| listener.serves.contains(Service::S3) || listener.serves.contains(Service::Sts))
    {
        return Err(place.malformed("no listener serves s3 or sts"));
    }
    Ok(listeners)
}

/// Whether one of them has this very address.
#[must_use]
pub fn is_at(listeners: &[Listen], address: SocketAddr) -> bool {
    address.port() != 0 && listeners.iter().any(|listener| listener.at == ListenAt::Tcp(address))
}

impl ListenTable {
    fn read(self, tls: Option<&Certificate>, place: Place<'_>) -> Result<Listen, ConfigError> {
        let at = address(&self.address, place)?;
        let tls = match self.tls {
            // Over a socket of this machine nobody listens in.
            None if matches!(at, ListenAt::Unix(_)) => None,
            None => tls.cloned(),
            Some(TlsKey::Same(false)) => None,
            Some(TlsKey::Same(true)) => {
                let missing = || place.malformed("`tls = true` needs the table [tls]");
                Some(tls.cloned().ok_or_else(missing)?)
            }
            Some(TlsKey::Own(certificate)) => Some(certificate.at(place)),
        };
        let serves = match self.serves {
            None => Services::ALL,
            Some(services) if services.is_empty() => {
                return Err(place.malformed(format!("the listener {at} serves nothing")));
            }
            Some(services) => services.into_iter().collect(),
        };
        Ok(Listen { at, serves, tls })
    }
}

fn address(text: &str, place: Place<'_>) -> Result<ListenAt, ConfigError> {
    let wrong = || {
        place.malformed(format!(
            "listen: `{text}` is no address, as `127.0.0.1:9000`, `unix:PATH` or `systemd:0`"
        ))
    };
    if text == "systemd" {
        return Ok(ListenAt::Systemd(0));
    }
    match text.split_once(':') {
        Some(("unix", path)) if !path.is_empty() => Ok(ListenAt::Unix(place.beside(path.as_ref()))),
        Some(("systemd", number)) => number.parse().map(ListenAt::Systemd).map_err(|_| wrong()),
        _ => text.parse().map(ListenAt::Tcp).map_err(|_| wrong()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn listeners(text: &str) -> Result<Vec<Listen>, ConfigError> {
        #[derive(Deserialize)]
        struct File {
            listen: Option<ListenKey>,
            tls: Option<Certificate>,
        }
        let place = Place(Path::new("/etc/wigeon/serve.toml"));
        let file: File = toml::from_str(text).map_err(|error| place.malformed(error.to_string()))?;
        read(file.listen, file.tls, place)
    }

    #[test]
    fn one_address_serves_everything() {
        assert_eq!(listeners("").unwrap(), [Listen::at(DEFAULT_LISTEN)]);
        assert_eq!(listeners("listen = '[::1]:7'").unwrap(), [Listen::at("[::1]:7".parse().unwrap())]);
        assert_eq!(listeners("listen = 'systemd'").unwrap()[0].at, ListenAt::Systemd(0));
        let unix = &listeners("listen = 'unix:s3.sock'").unwrap()[0];
        assert_eq!(unix.at, ListenAt::Unix("/etc/wigeon/s3.sock".into()));
    }

    #[test]
    fn several_have_services_and_certificates_of_their_own() {
        let text = "[[listen]]\naddress = '0.0.0.0:443'\nserves = ['s3']\n\
                    [[listen]]\naddress = '0.0.0.0:8443'\nserves = ['sts', 'iam']\ntls = { certificate = 'c', key = 'k' }\n\
                    [[listen]]\naddress = '127.0.0.1:80'\ntls = false\n\
                    [[listen]]\naddress = 'unix:s'\n\
                    [tls]\ncertificate = 'a'\nkey = 'b'";
        let all = listeners(text).unwrap();
        let certificates: Vec<_> =
            all.iter().map(|listen| listen.tls.as_ref().map(|tls| tls.certificate.clone())).collect();
        let file = |name: &str| Some(PathBuf::from(format!("/etc/wigeon/{name}")));
        assert_eq!(certificates, [file("a"), file("c"), None, None]);
        assert!(all[0].serves.contains(Service::S3) && !all[0].serves.contains(Service::Sts));
        assert!(!all[1].serves.contains(Service::S3) && all[1].serves.contains(Service::Iam));
        assert_eq!(all[2].serves, Services::ALL);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for text in [
            "listen = 'localhost'",
            "listen = 'systemd:x'",
            "listen = []",
            "[[listen]]\naddress = '127.0.0.1:1'\nserves = []",
            "[[listen]]\naddress = '127.0.0.1:1'\nserves = ['ftp']",
            "[[listen]]\naddress = '127.0.0.1:1'\nserves = ['iam']",
            "[[listen]]\naddress = '127.0.0.1:1'\ntls = true",
            "[[listen]]\naddress = '127.0.0.1:1'\n[[listen]]\naddress = '127.0.0.1:1'",
        ] {
            assert!(listeners(text).is_err(), "{text}");
        }
    }
}
