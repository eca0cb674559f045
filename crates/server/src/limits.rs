//! What one client may use of a server that many share: requests per second, requests at once, bytes per second.
//!
//! Enters: who asks, and when. Leaves: a [`Place`] that is given back when the request has ended, or a [`Throttled`] with
//! the time after which to try again. Memory is bounded whoever asks: clients are kept as numbers in tables of a fixed
//! size. Two that fall on the same number share an allowance; with 65,536 numbers and a secret in the hash that is rare,
//! and nobody can bring it about. Connections are limited where they are accepted, and slow bodies where they are read.

mod rates;

mod pace;

mod visitors;

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use wigeon_core::sts::{FaultCode, StsError};

pub use self::pace::{Pace, Purse};
pub use self::rates::Rate;
use self::rates::Rates;
pub use self::visitors::{Visitor, Visitors};
use crate::meter::Table;

/// What a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Connections of one address.
    Connections,
    /// The size of a request's head.
    Head,
    /// Requests under way, of all clients together.
    UnderWay,
    /// Requests per second of one address.
    AddressRate,
    /// Requests per second of one identity.
    IdentityRate,
    /// Exchanges per second of one address.
    ExchangeAddressRate,
    /// Sessions per second of one role.
    ExchangeRoleRate,
    /// Bytes per second of one identity.
    Bandwidth,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Connections,
        Self::Head,
        Self::UnderWay,
        Self::AddressRate,
        Self::IdentityRate,
        Self::ExchangeAddressRate,
        Self::ExchangeRoleRate,
        Self::Bandwidth,
    ];

    /// As the configuration and metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections_per_address",
            Self::Head => "head_bytes",
            Self::UnderWay => "requests",
            Self::AddressRate => "address_rate",
            Self::IdentityRate => "identity_rate",
            Self::ExchangeAddressRate => "sts_address_rate",
            Self::ExchangeRoleRate => "sts_role_rate",
            Self::Bandwidth => "identity_bandwidth",
        }
    }
}

/// What may be used. What is not set has no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowances {
    /// Connections, of all clients together; further ones wait to be accepted.
    pub connections: usize,
    /// Connections of one address.
    pub connections_per_address: usize,
    /// Headers of a request.
    pub headers: usize,
    /// Bytes of a request's address and headers.
    pub head_bytes: usize,
    /// How slowly a body may come.
    pub pace: Pace,
    /// Requests under way.
    pub requests: usize,
    /// Requests of one address.
    pub address_rate: Option<Rate>,
    /// Requests of one identity.
    pub identity_rate: Option<Rate>,
    /// Exchanges of one address.
    pub sts_address_rate: Option<Rate>,
    /// Sessions of one role.
    pub sts_role_rate: Option<Rate>,
    /// Bytes per second of one identity, each way.
    pub identity_bandwidth: Option<u64>,
}

impl Default for Allowances {
    /// 10,000 connections, half of them of one address; 100 headers; 64 KiB of head; 10,000 requests under way. No rates:
    /// behind a proxy all clients have one address.
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_per_address: 5_000,
            headers: 100,
            head_bytes: 64 << 10,
            pace: Pace::default(),
            requests: 10_000,
            address_rate: None,
            identity_rate: None,
            sts_address_rate: None,
            sts_role_rate: None,
            identity_bandwidth: None,
        }
    }
}

/// A request that has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("over the limit `{}`", limit.name())]
pub struct Throttled {
    /// Which limit.
    pub limit: Limit,
    /// After how many seconds to try again.
    pub retry_after: NonZeroU16,
}

impl From<Throttled> for StsError {
    fn from(_: Throttled) -> Self {
        Self::new(FaultCode::Throttling, "Rate exceeded")
    }
}

/// The limits of a server, which may change while it runs.
#[derive(Debug)]
pub struct Limits {
    secret: RandomState,
    under_way: Arc<AtomicUsize>,
    now: ArcSwap<InForce>,
    hits: Table,
}

/// What is allowed, and what of it is used up.
#[derive(Debug, Default)]
struct InForce {
    allowances: Allowances,
    addresses: Option<Arc<Rates>>,
    identities: Option<Arc<Rates>>,
    exchanges: Option<Arc<Rates>>,
    roles: Option<Arc<Rates>>,
    up: Option<Arc<Rates>>,
    down: Option<Arc<Rates>>,
}

impl InForce {
    /// In place of what was in force. Where a rate stays what it was, so does what is used up of it.
    fn after(before: &Self, allowances: Allowances) -> Self {
        let old = &before.allowances;
        let kept = |rates: &Option<Arc<Rates>>, was: Option<Rate>, rate: Option<Rate>| match was == rate {
            true => rates.clone(),
            false => rate.map(|rate| Arc::new(Rates::new(rate))),
        };
        let bytes = |rates: &Option<Arc<Rates>>| match old.identity_bandwidth == allowances.identity_bandwidth
        {
            true => rates.clone(),
            false => allowances.identity_bandwidth.map(|bytes| Arc::new(Rates::of_bytes(bytes))),
        };
        Self {
            addresses: kept(&before.addresses, old.address_rate, allowances.address_rate),
            identities: kept(&before.identities, old.identity_rate, allowances.identity_rate),
            exchanges: kept(&before.exchanges, old.sts_address_rate, allowances.sts_address_rate),
            roles: kept(&before.roles, old.sts_role_rate, allowances.sts_role_rate),
            up: bytes(&before.up),
            down: bytes(&before.down),
            allowances,
        }
    }
}

/// A request's place among those under way, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// With these allowances.
    #[must_use]
    pub fn new(allowances: Allowances) -> Self {
        Self {
            secret: RandomState::new(),
            under_way: Arc::default(),
            now: ArcSwap::from_pointee(InForce::after(&InForce::default(), allowances)),
            hits: Table::new(Limit::ALL.len()),
        }
    }

    /// With other allowances from now on.
    pub fn change(&self, allowances: Allowances) {
        let next = InForce::after(&self.now.load(), allowances);
        self.now.store(Arc::new(next));
    }

    /// What may be used.
    #[must_use]
    pub fn allowances(&self) -> Allowances {
        self.now.load().allowances.clone()
    }

    /// How slowly a body may come.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.now.load().allowances.pace
    }

    /// A request arrives.
    ///
    /// # Errors
    /// [`Throttled`]
    pub fn arrive(&self, peer: IpAddr) -> Result<Place, Throttled> {
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(&self.under_way));
        let now = self.now.load();
        if before >= now.allowances.requests {
            return Err(self.hit(Limit::UnderWay, Duration::from_secs(1)));
        }
        self.charge(now.addresses.as_deref(), Limit::AddressRate, || network(peer))?;
        Ok(place)
    }

    /// It is for STS.
    ///
    /// # Errors
    /// [`Throttled`]
    pub fn exchange(&self, peer: IpAddr) -> Result<(), Throttled> {
        self.charge(self.now.load().exchanges.as_deref(), Limit::ExchangeAddressRate, || network(peer))
    }

    /// A session of this role would be issued: by now its bearer is known, so nobody uses up what is others'.
    ///
    /// # Errors
    /// [`Throttled`]
    pub fn session(&self, role: &str) -> Result<(), Throttled> {
        self.charge(self.now.load().roles.as_deref(), Limit::ExchangeRoleRate, || role)
    }

    /// Whether it makes a difference who somebody is.
    #[must_use]
    pub fn tell_identities_apart(&self) -> bool {
        let now = self.now.load();
        now.identities.is_some() || now.up.is_some()
    }

    /// It turns out to be this identity's.
    ///
    /// # Errors
    /// [`Throttled`]
    pub fn identify(&self, identity: &str) -> Result<(), Throttled> {
        self.charge(self.now.load().identities.as_deref(), Limit::IdentityRate, || identity)
    }

    /// What this identity may send and be sent, where that is limited.
    #[must_use]
    pub fn purses(&self, identity: &str) -> Option<(Purse, Purse)> {
        let now = self.now.load();
        let (up, down) = (now.up.as_ref()?, now.down.as_ref()?);
        let number = self.secret.hash_one(identity);
        Some((Purse::new(Arc::clone(up), number), Purse::new(Arc::clone(down), number)))
    }

    /// Whether a head is too long.
    #[must_use]
    pub fn is_too_long(&self, bytes: usize) -> bool {
        let long = bytes > self.now.load().allowances.head_bytes;
        if long {
            self.count(Limit::Head);
        }
        long
    }

    /// Counts that a limit was met.
    pub fn count(&self, limit: Limit) {
        self.hits.add(limit as usize, 1);
    }

    /// How often each limit was met.
    pub fn hits(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.into_iter().map(|limit| (limit, self.hits.sum(limit as usize)))
    }

    fn charge<K: Hash>(
        &self,
        rates: Option<&Rates>,
        limit: Limit,
        key: impl FnOnce() -> K,
    ) -> Result<(), Throttled> {
        let Some(rates) = rates else { return Ok(()) };
        rates.take(self.secret.hash_one(key()), 1).map_err(|wait| self.hit(limit, wait))
    }

    fn hit(&self, limit: Limit, wait: Duration) -> Throttled {
        self.count(limit);
        let seconds = u16::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u16::MAX);
        Throttled { limit, retry_after: NonZeroU16::new(seconds).unwrap_or(NonZeroU16::MIN) }
    }
}

/// The address, or of version 6 the network of one subscriber.
#[must_use]
pub fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn a_burst_then_a_rate_each_for_itself() {
        let rate = Some(Rate { per_second: 1, burst: 3 });
        let limits =
            Limits::new(Allowances { address_rate: rate, identity_rate: rate, ..Allowances::default() });
        for _ in 0..3 {
            assert!(limits.arrive(ONE).is_ok() && limits.identify("alice").is_ok());
        }
        let throttled = limits.arrive(ONE).unwrap_err();
        assert_eq!((throttled.limit, throttled.retry_after.get()), (Limit::AddressRate, 1));
        assert_eq!(limits.identify("alice").unwrap_err().limit, Limit::IdentityRate);
        assert!(limits.arrive(OTHER).is_ok() && limits.identify("bob").is_ok());
        let hits: Vec<_> = limits.hits().filter(|(_, hits)| *hits > 0).collect();
        assert_eq!(hits, [(Limit::AddressRate, 1), (Limit::IdentityRate, 1)]);
    }

    #[test]
    fn places_are_given_back() {
        let limits = Limits::new(Allowances { requests: 1, ..Allowances::default() });
        let place = limits.arrive(ONE).unwrap();
        assert_eq!(limits.arrive(OTHER).unwrap_err().limit, Limit::UnderWay);
        drop(place);
        assert!(limits.arrive(OTHER).is_ok());
    }

    #[test]
    fn without_limits_nothing_is_limited() {
        let limits = Limits::new(Allowances::default());
        assert!((0..100_000).all(|_| {
            limits.arrive(ONE).is_ok() && limits.identify("a").is_ok() && limits.session("r").is_ok()
        }));
        assert!(limits.purses("a").is_none());
    }

    #[test]
    fn a_change_acts_at_once_and_refills_nothing_that_stays() {
        let rate = |burst| Some(Rate { per_second: 1, burst });
        let allowed = |address, identity| Allowances {
            address_rate: address,
            identity_rate: identity,
            ..Allowances::default()
        };
        let limits = Limits::new(allowed(rate(1), rate(1)));
        assert!(limits.arrive(ONE).is_ok() && limits.identify("alice").is_ok());
        limits.change(allowed(rate(1), rate(3)));
        assert!(limits.arrive(ONE).is_err(), "it is used up as before");
        assert!((0..3).all(|_| limits.identify("alice").is_ok()) && limits.identify("alice").is_err());
        limits.change(Allowances { requests: 0, ..Allowances::default() });
        assert_eq!(limits.arrive(ONE).unwrap_err().limit, Limit::UnderWay);
        limits.change(Allowances::default());
        assert!((0..100).all(|_| limits.arrive(ONE).is_ok()));
    }

    #[test]
    fn a_subscriber_of_version_6_is_one_however_many_addresses_it_has() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), ONE);
    }
}
