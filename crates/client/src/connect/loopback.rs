//! Which hosts are this machine: for them there is no proxy, and http is as good as https.

use std::net::IpAddr;

/// `localhost` and names under it, 127.0.0.0/8, `::1` (in brackets, as addresses have it).
pub(super) fn is_loopback_host(host: &str) -> bool {
    let name = host.to_ascii_lowercase();
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&name);
    name == "localhost"
        || name.ends_with(".localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The same for a `Host` header: a host, perhaps with a port, and nothing else.
pub(crate) fn is_loopback_authority(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    is_loopback_host(host)
}
