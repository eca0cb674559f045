//! What kind of address the provider sends the browser back to (docs/profiles.md, "The redirect").

use url::Url;

use crate::connect::is_loopback;

/// Where the authorization response arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redirect {
    /// A listener of ours. Without a port in the profile any free one is taken (RFC 8252, section 7.3).
    Loopback {
        /// The address as it is written, which is what the provider compares with.
        text: String,
        /// The same, parsed.
        url: Url,
        /// The port that the profile asks for.
        port: Option<u16>,
    },
    /// A scheme that the desktop hands to an application.
    CustomScheme(String),
    /// Some page: the person pastes the code, or the whole address.
    Elsewhere(String),
}

impl Redirect {
    /// Classifies the text of a profile.
    #[must_use]
    pub fn classify(text: &str) -> Self {
        if text.ends_with(":oauth") || text.contains("://oauth") && !text.starts_with("http") {
            return Self::CustomScheme(text.to_owned());
        }
        match Url::parse(text) {
            Ok(url) if url.scheme() == "http" && is_loopback(&url) => {
                // The URL type drops a port that is the scheme's own.
                let written = text.split('/').nth(2).is_some_and(|authority| authority.ends_with(":80"));
                let port = url.port().or(written.then_some(80));
                Self::Loopback { text: text.to_owned(), url, port }
            }
            Ok(url) if !matches!(url.scheme(), "http" | "https" | "urn") => {
                Self::CustomScheme(text.to_owned())
            }
            _ => Self::Elsewhere(text.to_owned()),
        }
    }

    /// The custom scheme, where it is one that a desktop can know.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        let Self::CustomScheme(text) = self else { return None };
        let (scheme, _) = text.split_once(':')?;
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        named.then_some(scheme)
    }

    /// The `redirect_uri` to send. A loopback address without a port gets the listener's.
    #[must_use]
    pub fn uri(&self, listening_on: Option<u16>) -> String {
        match (self, listening_on) {
            (Self::Loopback { text, url, port: None }, Some(port)) => {
                // Put in by hand: writing the parsed URL could change the path that was registered.
                let authority = text.find("://").map_or(0, |at| at + 3);
                let host = url.host_str().unwrap_or_default().len();
                let (before, after) = text.split_at_checked(authority + host).unwrap_or((text, ""));
                format!("{before}:{port}{after}")
            }
            (Self::Loopback { text, .. } | Self::CustomScheme(text) | Self::Elsewhere(text), _) => {
                text.clone()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("x-cyberduck-action:oauth")]
    #[case("x-cyberduck-action://oauth")]
    #[case("${oauth.handler.scheme}://oauth")]
    #[case("${oauth.application.identifier}:oauth")]
    #[case("com.example.app:/callback")]
    fn custom_schemes(#[case] text: &str) {
        assert_eq!(Redirect::classify(text), Redirect::CustomScheme(text.to_owned()));
    }

    #[test]
    fn schemes_that_a_desktop_can_know() {
        assert_eq!(Redirect::classify("x-cyberduck-action:oauth").scheme(), Some("x-cyberduck-action"));
        assert_eq!(Redirect::classify("com.example.app:/callback").scheme(), Some("com.example.app"));
        assert_eq!(Redirect::classify("${oauth.handler.scheme}://oauth").scheme(), None);
        assert_eq!(Redirect::classify("http://localhost/").scheme(), None);
    }

    #[rstest]
    #[case("http://127.0.0.1/callback", None)]
    #[case("http://localhost:8976/callback", Some(8976))]
    #[case("http://[::1]:1/", Some(1))]
    #[case("http://127.0.0.1:80/", Some(80))]
    #[case("http://localhost", None)]
    fn loopback(#[case] text: &str, #[case] expected: Option<u16>) {
        assert!(matches!(Redirect::classify(text), Redirect::Loopback { port, .. } if port == expected));
    }

    #[rstest]
    #[case("http://127.0.0.1/callback", "http://127.0.0.1:5/callback")]
    #[case("http://localhost", "http://localhost:5")]
    #[case("http://[::1]/a?b=c", "http://[::1]:5/a?b=c")]
    #[case("http://localhost:8976", "http://localhost:8976")]
    #[case("x-cyberduck-action:oauth", "x-cyberduck-action:oauth")]
    fn addresses_to_send(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(Redirect::classify(text).uri(Some(5)), expected);
    }

    #[rstest]
    #[case("https://cyberduck.io/oauth")]
    #[case("https://localhost/callback")]
    #[case("http://login.example/callback")]
    #[case("urn:ietf:wg:oauth:2.0:oob")]
    #[case("")]
    fn anything_else_is_pasted(#[case] text: &str) {
        assert_eq!(Redirect::classify(text), Redirect::Elsewhere(text.to_owned()));
    }
}
