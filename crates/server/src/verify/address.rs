//! Where a provider's documents may be fetched from (docs/threat-model.md, "Tokens": SSRF).
//!
//! An administrator chose the issuer; what the issuer's discovery document names is its own word. That
//! word may not weaken the scheme, and may not lead to link-local addresses, where clouds keep their
//! metadata services, neither as a literal nor through a name.

use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// An address that may not be fetched from, cut to 200 characters.
#[derive(Debug)]
pub(super) struct RefusedAddress(pub(super) String);

/// Checks an address that a document of `issuer` names.
pub(super) fn check_named(address: &str, issuer: &Url) -> Result<Url, RefusedAddress> {
    let refused = || RefusedAddress(address.chars().take(200).collect());
    let url = Url::parse(address).map_err(|_| refused())?;
    let scheme_holds = match url.scheme() {
        "https" => true,
        "http" => issuer.scheme() == "http",
        _ => false,
    };
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err(refused()),
    };
    let own_host = url.host() == issuer.host();
    let reachable = own_host || literal.is_none_or(|address| !is_link_local(address));
    let plain = url.username().is_empty() && url.password().is_none();
    if scheme_holds && reachable && plain { Ok(url) } else { Err(refused()) }
}

/// 169.254.0.0/16, fe80::/10, their forms within each other, the IPv6 address of EC2's metadata service,
/// and the unspecified addresses.
fn is_link_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local() || address.is_unspecified(),
        IpAddr::V6(address) => {
            let [first, ..] = address.segments();
            first & 0xffc0 == 0xfe80
                || address.is_unspecified()
                || address.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254]
        }
    }
}

/// The system's resolver, without link-local answers. The connection goes to exactly what was checked, so
/// a name that changes its mind in between gains nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let addresses: Addrs = Box::new(reachable(found).collect::<Vec<_>>().into_iter());
            Ok(addresses)
        })
    }
}

/// Of the addresses of a name, those that are connected to.
fn reachable(found: impl Iterator<Item = SocketAddr>) -> impl Iterator<Item = SocketAddr> {
    found.filter(|address| !is_link_local(address.ip()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// A name that leads to the metadata service, as after a rebinding, leads nowhere.
    #[test]
    fn names_do_not_lead_to_link_local_addresses() {
        let found =
            ["169.254.169.254:0", "[fe80::1]:0", "[::ffff:169.254.169.254]:0", "10.0.0.7:0", "0.0.0.0:0"];
        let left: Vec<String> = reachable(found.iter().map(|text| text.parse().unwrap()))
            .map(|address| address.to_string())
            .collect();
        assert_eq!(left, ["10.0.0.7:0"]);
    }

    #[rstest]
    #[case("https://idp.example", "https://keys.example/jwks", true)]
    #[case("https://idp.example", "https://10.0.0.7/jwks", true)]
    #[case("https://idp.example", "http://idp.example/jwks", false)]
    #[case("http://127.0.0.1:8080", "http://127.0.0.1:8080/jwks", true)]
    #[case("http://127.0.0.1:8080", "https://keys.example/jwks", true)]
    #[case("https://idp.example", "https://169.254.169.254/latest", false)]
    #[case("https://idp.example", "https://[fe80::1]/x", false)]
    #[case("https://idp.example", "https://[::ffff:169.254.169.254]/x", false)]
    #[case("https://idp.example", "https://[fd00:ec2::254]/x", false)]
    #[case("https://idp.example", "https://0.0.0.0/x", false)]
    #[case("https://idp.example", "https://2852039166/x", false)]
    #[case("https://idp.example", "file:///etc/passwd", false)]
    #[case("https://idp.example", "https://user:pass@keys.example/", false)]
    #[case("https://idp.example", "/jwks", false)]
    fn named_addresses(#[case] issuer: &str, #[case] address: &str, #[case] accepted: bool) {
        let checked = check_named(address, &Url::parse(issuer).unwrap());
        assert_eq!(checked.is_ok(), accepted, "{checked:?}");
    }
}
