//! Redirect addresses: which are registered, and whether a presented one is among them.
//!
//! Registered are `http` on a loopback host (any port is then accepted, RFC 8252 section 7.3), `https`, and
//! private-use schemes (section 7.1), both compared as text. The comparison is on the text itself and not on
//! a parsed address: apart from a loopback port, every byte must be equal, so no two parsers can differ.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

/// A redirect address that a client has registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri {
    text: String,
    /// For a loopback address, where its authority ends without the port, and where its path begins.
    loopback: Option<(usize, usize)>,
}

/// Why an address cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    /// Not an absolute address.
    #[error("the redirect address `{0}` is not an absolute URL")]
    NotAbsolute(String),
    /// RFC 6749, section 3.1.2.
    #[error("the redirect address `{0}` has a fragment")]
    Fragment(String),
    /// Plain http to another machine would carry the code over the network.
    #[error("the redirect address `{0}` is plain http and not on 127.0.0.1, [::1] or localhost")]
    NotLoopback(String),
    /// `javascript:` and the like.
    #[error("the redirect address `{0}` has a scheme that runs or shows content")]
    Scheme(String),
}

const LOOPBACK: [&str; 3] = ["http://127.0.0.1", "http://[::1]", "http://localhost"];
const REFUSED_SCHEMES: [&str; 7] = ["javascript", "data", "vbscript", "file", "blob", "about", "ftp"];

impl RedirectUri {
    /// Whether the presented address is this one (on loopback: apart from the port).
    pub(crate) fn matches(&self, presented: &str) -> bool {
        let Some((host_end, path_start)) = self.loopback else {
            return presented == self.text;
        };
        let (Some(host), Some(path)) = (self.text.get(..host_end), self.text.get(path_start..)) else {
            return false;
        };
        let Some(rest) = presented.strip_prefix(host) else {
            return false;
        };
        match rest.strip_suffix(path) {
            Some("") => true,
            Some(port) => port.strip_prefix(':').is_some_and(is_port),
            None => false,
        }
    }
}

/// One to five digits, no leading zero, at most 65535.
fn is_port(text: &str) -> bool {
    !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The redirect address with parameters added to its query (RFC 6749, section 4.1.2).
pub(crate) fn with_parameters(address: &str, parameters: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{}", query.finish())
}

/// The scheme and host of an address, as a source of the `form-action` directive.
pub(crate) fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    match url.origin() {
        url::Origin::Tuple(..) => Some(url.origin().ascii_serialization()),
        url::Origin::Opaque(_) => Some(format!("{}:", url.scheme())),
    }
}

impl FromStr for RedirectUri {
    type Err = RedirectUriError;

    fn from_str(text: &str) -> Result<Self, RedirectUriError> {
        let clean = !text.chars().any(|c| c.is_whitespace() || c.is_control());
        let Ok(url) = Url::parse(text).map_err(|_| ()).and_then(|url| clean.then_some(url).ok_or(())) else {
            return Err(RedirectUriError::NotAbsolute(text.to_owned()));
        };
        if url.fragment().is_some() {
            return Err(RedirectUriError::Fragment(text.to_owned()));
        }
        if REFUSED_SCHEMES.contains(&url.scheme()) {
            return Err(RedirectUriError::Scheme(text.to_owned()));
        }
        let loopback = LOOPBACK.iter().find_map(|host| split_loopback(text, host));
        if url.scheme() == "http" && loopback.is_none() {
            return Err(RedirectUriError::NotLoopback(text.to_owned()));
        }
        Ok(Self { text: text.to_owned(), loopback })
    }
}

fn split_loopback(text: &str, host: &str) -> Option<(usize, usize)> {
    let rest = text.strip_prefix(host)?;
    let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
    let port = rest.get(..path_at)?;
    let valid = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    valid.then_some((host.len(), host.len() + path_at))
}

impl TryFrom<String> for RedirectUri {
    type Error = RedirectUriError;

    fn try_from(text: String) -> Result<Self, RedirectUriError> {
        text.parse()
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().unwrap()
    }

    #[test]
    fn any_port_on_loopback_and_nothing_else_differs() {
        let registered = uri("http://127.0.0.1/callback");
        for good in
            ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
        {
            assert!(registered.matches(good), "{good}");
        }
        for bad in [
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:8080/callback/",
            "http://127.0.0.1:8080/callback?x=1",
            "http://127.0.0.1:8080/callback#x",
            "http://127.0.0.1:8080/a/../callback",
            "http://127.0.0.1:8080/Callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://localhost:8080/callback",
            "https://127.0.0.1:8080/callback",
            "HTTP://127.0.0.1:8080/callback",
            "http://127.0.0.1:8080\\callback",
            "http://127.0.0.1:+80/callback",
            "",
        ] {
            assert!(!registered.matches(bad), "{bad}");
        }
        assert!(uri("http://[::1]:9/").matches("http://[::1]:10/"));
        assert!(uri("http://localhost/cb?a=b").matches("http://localhost:7/cb?a=b"));
    }

    #[test]
    fn others_are_compared_as_text() {
        let registered = uri("x-wigeon-action:oauth");
        assert!(registered.matches("x-wigeon-action:oauth"));
        assert!(!registered.matches("x-wigeon-action:oauth2"));
        assert!(!uri("https://app.example/cb").matches("https://app.example:8443/cb"));
    }

    #[test]
    fn refused_registrations() {
        for bad in [
            "",
            "/callback",
            "http://example.org/callback",
            "http://127.0.0.1.nip.io/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://127.0.0.1/callback#fragment",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://127.0.0.1/call back",
        ] {
            assert!(bad.parse::<RedirectUri>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_escaped() {
        assert_eq!(
            with_parameters("http://localhost/cb?a=b", &[("state", "x&y=z #"), ("code", "1")]),
            "http://localhost/cb?a=b&state=x%26y%3Dz+%23&code=1"
        );
        assert_eq!(origin("http://127.0.0.1:80/x").as_deref(), Some("http://127.0.0.1"));
        assert_eq!(origin("x-wigeon-action:oauth").as_deref(), Some("x-wigeon-action:"));
    }
}
