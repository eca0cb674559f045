//! Whose request it is, where a proxy brings it.
//!
//! Enters: a connection's peer, and the header in which proxies say whom they speak for. Leaves: the client's address, for
//! `aws:SourceIp`, limits and records. Only what trusted proxies wrote counts. Each proxy adds the address of its own peer
//! at the end, so the header is read from there: past the addresses of trusted proxies, up to the first other one. What
//! stands before that, somebody wrote whom nobody trusts. From any other peer the header is nothing but text.
//! Refused: a trusted proxy's header that does not say an address where one is needed.
//!
//! Source: RFC 7239, sections 4 to 7, and the older `X-Forwarded-For`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::HeaderMap;
use serde::Deserialize;

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                (network.to_bits() ^ address.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no address or network, as `10.0.0.5` or `10.0.0.0/8`")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| NoNetwork)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        if bits > most {
            return Err(NoNetwork);
        }
        Ok(Self { address, bits })
    }
}

/// Which header the proxies write. Never both: a proxy that writes one passes the other on as its client wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `X-Forwarded-For`
    #[default]
    XForwardedFor,
    /// `Forwarded`
    Forwarded,
}

impl ProxyHeader {
    /// In lower case, as the configuration has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

/// The proxies that are believed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    /// Where they are; nowhere is nobody.
    pub trusted: Vec<Network>,
    /// What they write.
    pub header: ProxyHeader,
}

/// A trusted proxy does not say whom it speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(ProxyHeader);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The header {} of the proxy does not say an address.", self.0.name())
    }
}

impl Proxies {
    /// Whether this is one of them.
    #[must_use]
    pub fn trust(&self, peer: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(peer))
    }

    /// The client's address; the peer's own, unless it is a trusted proxy that speaks for somebody.
    ///
    /// # Errors
    /// [`Unreadable`]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Result<IpAddr, Unreadable> {
        if self.trusted.is_empty() || !self.trust(peer) {
            return Ok(peer);
        }
        let unreadable = Unreadable(self.header);
        let mut hops = Vec::new();
        for line in headers.get_all(self.header.name()) {
            let line = line.to_str().map_err(|_| unreadable)?;
            match self.header {
                ProxyHeader::XForwardedFor => {
                    hops.extend(line.split(',').map(|hop| Some(hop.trim().to_owned())))
                }
                ProxyHeader::Forwarded => hops.extend(elements(line).ok_or(unreadable)?),
            }
        }
        let mut client = peer;
        for hop in hops.into_iter().rev() {
            client = hop.as_deref().and_then(node).ok_or(unreadable)?;
            if !self.trust(client) {
                break;
            }
        }
        Ok(client)
    }
}

/// What each element of a `Forwarded` header has for its `for`. Nothing, if quotes do not close: what a client leaves open
/// must not swallow what the proxy adds.
fn elements(line: &str) -> Option<Vec<Option<String>>> {
    let (mut elements, mut node) = (Vec::new(), None);
    let (mut name, mut value) = (String::new(), None::<String>);
    let mut characters = line.chars();
    loop {
        let character = characters.next();
        match (character, &mut value) {
            (Some('"'), Some(text)) if text.is_empty() => loop {
                match characters.next()? {
                    '"' => break,
                    '\\' => text.push(characters.next()?),
                    other => text.push(other),
                }
            },
            (Some('"'), _) => return None,
            (Some('='), None) => value = Some(String::new()),
            (Some(',' | ';') | None, _) => {
                if name.trim().eq_ignore_ascii_case("for") {
                    // Of two nobody knows which is meant.
                    let first = node.replace(value.take().unwrap_or_default()).is_none();
                    first.then_some(())?;
                }
                (name, value) = (String::new(), None);
                if character != Some(';') {
                    elements.push(node.take());
                }
                if character.is_none() {
                    return Some(elements);
                }
            }
            (Some(other), Some(text)) => text.push(other),
            (Some(other), None) => name.push(other),
        }
    }
}

/// An address, with a port or without; of version 6 in brackets where there is one.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let address: IpAddr = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            is_port(port).then(|| address.parse::<std::net::Ipv6Addr>().ok())??.into()
        }
        None => {
            let (address, port) = text.split_at(text.find(':')?);
            is_port(port).then(|| address.parse::<std::net::Ipv4Addr>().ok())??.into()
        }
    };
    Some(address.to_canonical())
}

/// `:4711`, or nothing.
fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn proxies(header: ProxyHeader) -> Proxies {
        let trusted = ["10.0.0.0/8", "192.0.2.1", "fd00::/8"].map(|text| text.parse().unwrap());
        Proxies { trusted: trusted.to_vec(), header }
    }

    /// Who sends, the header's lines, and whose request it is; nobody's where the header cannot be read.
    fn client(header: ProxyHeader, peer: &str, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header.name(), HeaderValue::from_str(line).unwrap());
        }
        let client = proxies(header).client(peer.parse().unwrap(), &headers).ok()?;
        Some(client.to_string())
    }

    #[test]
    fn what_a_trusted_proxy_adds_counts_and_nothing_before_it() {
        for (peer, lines, whose) in [
            ("10.1.2.3", &["203.0.113.9"] as &[&str], Some("203.0.113.9")),
            // A client writes its own, the proxy adds what it sees.
            ("10.1.2.3", &["127.0.0.1, 203.0.113.9"], Some("203.0.113.9")),
            ("10.1.2.3", &["127.0.0.1", "203.0.113.9"], Some("203.0.113.9")),
            ("10.1.2.3", &["nonsense, 203.0.113.9"], Some("203.0.113.9")),
            // Two proxies in a row.
            ("10.1.2.3", &["198.51.100.7, 203.0.113.9, 192.0.2.1"], Some("203.0.113.9")),
            ("::ffff:10.1.2.3", &["203.0.113.9:4711, 10.9.9.9"], Some("203.0.113.9")),
            ("fd00::1", &["[2001:db8::7]:443"], Some("2001:db8::7")),
            ("fd00::1", &["2001:db8::7"], Some("2001:db8::7")),
            // Its own request, and one from inside.
            ("10.1.2.3", &[], Some("10.1.2.3")),
            ("10.1.2.3", &["10.7.7.7, 10.8.8.8"], Some("10.7.7.7")),
            // Others are not believed.
            ("192.0.2.2", &["127.0.0.1"], Some("192.0.2.2")),
            ("11.0.0.1", &["nonsense"], Some("11.0.0.1")),
            // It has to say an address.
            ("10.1.2.3", &["unknown"], None),
            ("10.1.2.3", &["203.0.113.9, unknown, 10.0.0.1"], None),
            ("10.1.2.3", &[""], None),
            ("10.1.2.3", &["203.0.113.9,"], None),
            ("10.1.2.3", &["203.0.113.9:port"], None),
            ("10.1.2.3", &["[203.0.113.9]"], None),
        ] {
            let found = client(ProxyHeader::XForwardedFor, peer, lines);
            assert_eq!(found.as_deref(), whose, "{peer} {lines:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_likewise() {
        for (line, whose) in [
            ("for=203.0.113.9", Some("203.0.113.9")),
            ("for=127.0.0.1, For=\"203.0.113.9:4711\";proto=https;by=10.0.0.1", Some("203.0.113.9")),
            ("proto=https; for=\"[2001:db8::7]:4711\"", Some("2001:db8::7")),
            ("for=\"a, for=127.0.0.1\", for=203.0.113.9, for=10.2.2.2", Some("203.0.113.9")),
            // Quotes that a client leaves open swallow nothing.
            ("for=\"a, for=203.0.113.9", None),
            ("for=\"\\\", for=203.0.113.9", None),
            ("for=\"a, for=\"203.0.113.9\"", None),
            ("for=203.0.113.9\"x\"", None),
            ("proto=https", None),
            ("for=_hidden", None),
            ("for=unknown", None),
            ("for=203.0.113.9;for=127.0.0.1", None),
        ] {
            let found = client(ProxyHeader::Forwarded, "10.1.2.3", &[line]);
            assert_eq!(found.as_deref(), whose, "{line}");
        }
    }

    #[test]
    fn networks() {
        for (network, address, inside) in [
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("10.1.0.0/15", "10.0.255.255", true),
            ("10.1.0.0/16", "10.2.0.0", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("2001:db8::/33", "2001:db8:8000::", false),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert_eq!(parsed.contains(address.parse().unwrap()), inside, "{network} {address}");
        }
        for wrong in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/-1", "localhost", "10.0.0.0/"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork), "{wrong}");
        }
    }
}
