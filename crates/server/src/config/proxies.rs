//! Which proxies are believed: `[proxies]`.

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::proxies::{Proxies, ProxyHeader};

/// `[proxies]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxiesTable {
    trusted: Vec<String>,
    #[serde(default)]
    header: ProxyHeader,
}

impl ProxiesTable {
    /// Reads the addresses.
    ///
    /// # Errors
    /// [`ConfigError`]: one that is none, or none at all.
    pub fn read(self, place: Place<'_>) -> Result<Proxies, ConfigError> {
        let network = |text: &String| {
            text.parse().map_err(|error| place.malformed(format!("proxies.trusted: `{text}`: {error}")))
        };
        let trusted = self.trusted.iter().map(network).collect::<Result<Vec<_>, _>>()?;
        if trusted.is_empty() {
            return Err(
                place.malformed("proxies.trusted names no proxy; leave [proxies] out where there is none")
            );
        }
        Ok(Proxies { trusted, header: self.header })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Proxies, ConfigError> {
        let place = Place(Path::new("serve.toml"));
        toml::from_str::<ProxiesTable>(text).map_err(|error| place.malformed(error.to_string()))?.read(place)
    }

    #[test]
    fn addresses_and_networks() {
        let read_in = read("trusted = ['10.0.0.0/8', 'fd00::1']\nheader = 'forwarded'").unwrap();
        assert!(read_in.trust("10.9.9.9".parse().unwrap()) && !read_in.trust("127.0.0.1".parse().unwrap()));
        assert_eq!(read_in.header, ProxyHeader::Forwarded);
        assert_eq!(read("trusted = ['::1']").unwrap().header, ProxyHeader::XForwardedFor);
        for text in
            ["", "trusted = []", "trusted = ['proxy.example']", "trusted = ['::1']\nheader = 'x-real-ip'"]
        {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
