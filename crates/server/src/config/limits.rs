//! What one client may use: `[limits]`.

use std::time::Duration;

use serde::Deserialize;

use super::error::ConfigError;
use super::place::Place;
use crate::limits::{Allowances, Pace, Rate};

/// The slowest bandwidth that can be set: with less, one piece of a body would take longer than connections wait.
const LEAST_BANDWIDTH: u64 = 64 << 10;

/// `[limits]`; of each rate there is a burst.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsTable {
    connections: Option<usize>,
    connections_per_address: Option<usize>,
    headers: Option<usize>,
    head_bytes: Option<usize>,
    body_silence: Option<u64>,
    body_slowest: Option<u64>,
    requests: Option<usize>,
    address_rate: Option<RateKey>,
    identity_rate: Option<RateKey>,
    sts_address_rate: Option<RateKey>,
    sts_role_rate: Option<RateKey>,
    identity_bandwidth: Option<u64>,
}

/// `100`, or `{ per_second = 100, burst = 500 }`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged, expecting = "a number of requests per second, or a table with `per_second` and `burst`")]
pub enum RateKey {
    /// Per second; twice as many at once.
    PerSecond(u32),
    /// Both.
    Table(RateTable),
}

/// A rate and its burst.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateTable {
    per_second: u32,
    burst: u32,
}

impl RateKey {
    fn read(self) -> Option<Rate> {
        let rate = match self {
            Self::PerSecond(per_second) => Rate { per_second, burst: per_second.saturating_mul(2) },
            Self::Table(RateTable { per_second, burst }) => Rate { per_second, burst },
        };
        (rate.per_second > 0).then_some(rate)
    }
}

impl LimitsTable {
    /// With what is usual where nothing is said; 0 is no limit.
    ///
    /// # Errors
    /// [`ConfigError`]: limits under which nothing could be served.
    pub fn read(self, place: Place<'_>) -> Result<Allowances, ConfigError> {
        let usual = Allowances::default();
        let number = |set: Option<usize>, usual: usize| match set {
            None => usual,
            Some(0) => usize::MAX,
            Some(number) => number,
        };
        let rate = |key: Option<RateKey>| key.and_then(RateKey::read);
        let connections = match self.connections {
            None => usual.connections,
            Some(0) => return Err(place.malformed("limits.connections is a number of at least 1")),
            Some(number) => number,
        };
        let allowances = Allowances {
            connections,
            connections_per_address: number(self.connections_per_address, connections.div_ceil(2)),
            headers: number(self.headers, usual.headers).min(10_000),
            head_bytes: number(self.head_bytes, usual.head_bytes),
            pace: Pace {
                silence: self.body_silence.map_or(usual.pace.silence, Duration::from_secs),
                slowest: self.body_slowest.unwrap_or(usual.pace.slowest),
            },
            requests: number(self.requests, usual.requests),
            address_rate: rate(self.address_rate),
            identity_rate: rate(self.identity_rate),
            sts_address_rate: rate(self.sts_address_rate),
            sts_role_rate: rate(self.sts_role_rate),
            identity_bandwidth: self.identity_bandwidth.filter(|bytes| *bytes > 0),
        };
        if allowances.head_bytes < 4096 || allowances.headers < 20 {
            return Err(place.malformed(
                "limits.head_bytes below 4096 or limits.headers below 20 refuse signed requests",
            ));
        }
        if allowances.pace.silence.is_zero() {
            return Err(place.malformed("limits.body_silence is a number of seconds, at least 1"));
        }
        if allowances.identity_bandwidth.is_some_and(|bytes| bytes < LEAST_BANDWIDTH) {
            let reason =
                format!("limits.identity_bandwidth is in bytes per second: at least {LEAST_BANDWIDTH}");
            return Err(place.malformed(reason));
        }
        Ok(allowances)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Allowances, ConfigError> {
        let place = Place(Path::new("serve.toml"));
        toml::from_str::<LimitsTable>(text).map_err(|error| place.malformed(error.to_string()))?.read(place)
    }

    #[test]
    fn what_is_not_said_is_usual_and_nought_is_no_limit() {
        assert_eq!(read("").unwrap(), Allowances::default());
        let text = "connections = 7\nrequests = 0\naddress_rate = 10\nsts_role_rate = { per_second = 1, burst = 9 }\n\
                    identity_rate = 0\nidentity_bandwidth = 1000000\nbody_slowest = 1000";
        let limits = read(text).unwrap();
        assert_eq!((limits.connections, limits.connections_per_address, limits.requests), (7, 4, usize::MAX));
        assert_eq!(limits.address_rate, Some(Rate { per_second: 10, burst: 20 }));
        assert_eq!(
            (limits.sts_role_rate, limits.identity_rate),
            (Some(Rate { per_second: 1, burst: 9 }), None)
        );
        assert_eq!((limits.pace.slowest, limits.identity_bandwidth), (1000, Some(1_000_000)));
    }

    #[test]
    fn what_would_refuse_everything_is_refused() {
        for text in [
            "connections = 0",
            "head_bytes = 100",
            "headers = 3",
            "body_silence = 0",
            "identity_bandwidth = 10",
            "address_rate = -1",
            "adress_rate = 1",
            "address_rate = { per_second = 1 }",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
