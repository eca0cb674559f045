//! Who may ask at the loopback address.
//!
//! Enters: a request's headers, and the token of the profile that it asks for. Refused: a `Host` that is not this
//! machine (DNS rebinding), whatever a browser sends (`Origin`, `Sec-Fetch-Site`), a missing or wrong token.
//! Everyone on this machine can connect; only the token says who may have credentials, and it opens one profile.

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use http::HeaderMap;
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::hex;

use crate::connect::is_loopback_authority;

/// The key from which each profile's token is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKey(Secret);

impl TokenKey {
    /// A new key, of 32 random bytes.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("the system gives random bytes");
        Self(Secret::new(hex(&bytes)))
    }

    /// A key that was kept.
    #[must_use]
    pub fn kept(text: Secret) -> Self {
        Self(text)
    }

    /// To be kept.
    #[must_use]
    pub fn text(&self) -> &Secret {
        &self.0
    }

    /// The token that opens a profile, and no other.
    #[must_use]
    pub fn token_for(&self, profile: &str) -> Secret {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose().as_bytes());
        Secret::new(hex(hmac::sign(&key, format!("credentials of {profile}").as_bytes()).as_ref()))
    }
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TurnedAway {
    #[error("the request is for another host")]
    Host,
    #[error("browsers get no credentials here")]
    Browser,
    #[error("the authorization token is missing or wrong")]
    Token,
}

/// Lets a request through that is for this machine, from a program, with the token.
pub(super) fn admit(headers: &HeaderMap, token: &Secret) -> Result<(), TurnedAway> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(is_loopback_authority) {
        return Err(TurnedAway::Host);
    }
    if headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site") {
        return Err(TurnedAway::Browser);
    }
    let mut given = headers.get_all(AUTHORIZATION).iter();
    match (given.next().and_then(|value| value.to_str().ok()), given.next()) {
        // A file with the token often ends in a line break, which some tools send on as a space.
        (Some(value), None) if Secret::new(value.trim()) == *token => Ok(()),
        _ => Err(TurnedAway::Token),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[rstest]
    #[case(&[("host", "127.0.0.1:1"), ("authorization", "right")], Ok(()))]
    #[case(&[("host", "localhost"), ("authorization", "right ")], Ok(()))]
    #[case(&[("host", "[::1]:80"), ("authorization", "right")], Ok(()))]
    #[case(&[("authorization", "right")], Err(TurnedAway::Host))]
    #[case(&[("host", "evil.example:1"), ("authorization", "right")], Err(TurnedAway::Host))]
    #[case(&[("host", "127.0.0.1.evil.example"), ("authorization", "right")], Err(TurnedAway::Host))]
    #[case(&[("host", "localhost@evil.example"), ("authorization", "right")], Err(TurnedAway::Host))]
    #[case(&[("host", "localhost"), ("host", "evil.example"), ("authorization", "right")], Err(TurnedAway::Host))]
    #[case(&[("host", "localhost"), ("origin", "http://localhost"), ("authorization", "right")], Err(TurnedAway::Browser))]
    #[case(&[("host", "localhost"), ("sec-fetch-site", "none"), ("authorization", "right")], Err(TurnedAway::Browser))]
    #[case(&[("host", "localhost")], Err(TurnedAway::Token))]
    #[case(&[("host", "localhost"), ("authorization", "")], Err(TurnedAway::Token))]
    #[case(&[("host", "localhost"), ("authorization", "righ")], Err(TurnedAway::Token))]
    #[case(&[("host", "localhost"), ("authorization", "Bearer right")], Err(TurnedAway::Token))]
    #[case(&[("host", "localhost"), ("authorization", "wrong"), ("authorization", "right")], Err(TurnedAway::Token))]
    fn admissions(#[case] sent: &[(&'static str, &str)], #[case] expected: Result<(), TurnedAway>) {
        assert_eq!(admit(&headers(sent), &Secret::new("right")), expected);
    }

    #[test]
    fn a_token_opens_one_profile() {
        let key = TokenKey::random();
        assert_eq!(key.token_for("lab"), TokenKey::kept(key.text().clone()).token_for("lab"));
        assert_ne!(key.token_for("lab"), key.token_for("lab2"));
        assert_ne!(key.token_for("lab"), TokenKey::random().token_for("lab"));
        assert_eq!(key.token_for("lab").expose().len(), 64);
    }
}
