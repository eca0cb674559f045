//! Where traces go, and of which requests: `[traces]`.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::outbox::Destination;
use crate::trace::framing;

/// Where traces go, and of which requests.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// The collector.
    pub destination: Destination,
    /// The share of requests that come without a decision.
    pub sample: f64,
    /// Whether the decision of the one who sends a `traceparent` counts.
    pub follow: bool,
}

/// `[traces]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesTable {
    url: String,
    sample: Option<f64>,
    follow: Option<bool>,
    service: Option<String>,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    queue: Option<usize>,
}

impl TracesTable {
    /// Reads it.
    ///
    /// # Errors
    /// [`ConfigError`]: no address, a share that is none, a token that is missing or not the owner's alone.
    pub fn read(self, place: Place<'_>) -> Result<TracesConfig, ConfigError> {
        if let Some(token) = &self.token_file {
            place.secret(token, 1)?;
        }
        let url = place.collector("traces.url", &self.url)?;
        let sample = self.sample.unwrap_or(0.01);
        if !(0.0..=1.0).contains(&sample) {
            return Err(place.malformed("traces.sample is a share: between 0 and 1"));
        }
        let destination = Destination {
            what: "spans",
            url,
            framing: framing(self.service.as_deref().unwrap_or("wigeon")),
            token_file: self.token_file.map(|path| place.beside(&path)),
            ca_file: self.ca_file.map(|path| place.beside(&path)),
            queue: self.queue.unwrap_or(2_000),
            batch: 100,
            linger: Duration::from_secs(1),
        };
        Ok(TracesConfig { destination, sample, follow: self.follow.unwrap_or(true) })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<TracesConfig, ConfigError> {
        let place = Place(Path::new("/etc/wigeon/serve.toml"));
        toml::from_str::<TracesTable>(text).map_err(|error| place.malformed(error.to_string()))?.read(place)
    }

    #[test]
    fn one_in_a_hundred_unless_it_says_otherwise() {
        let usual = read("url = 'http://127.0.0.1:4318/v1/traces'").unwrap();
        assert_eq!((usual.sample, usual.follow), (0.01, true));
        let other =
            read("url = 'https://t.example/v1/traces'\nsample = 1\nfollow = false\nca_file = 'ca.pem'")
                .unwrap();
        assert_eq!((other.sample, other.follow), (1.0, false));
        assert_eq!(other.destination.ca_file.as_deref(), Some(Path::new("/etc/wigeon/ca.pem")));
        for text in [
            "",
            "url = 'x'",
            "url = 'http://a/'\nsample = 2",
            "url = 'http://a/'\nsampel = 1",
            "url = 'grpc://a:4317/'",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
