//! The authorization request and the response to it (RFC 6749, section 4.1; RFC 7636; RFC 9207; OpenID Connect
//! Core 1.0, section 3.1.2).
//!
//! Enters: provider, client, redirect address. Leaves: an address for the browser, and from its answer the code.
//! Refused: a response with another `state` or `iss`, without a code, with a parameter twice.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::{Url, form_urlencoded};
use wigeon_core::secret::Secret;

use super::discovery::Provider;
use super::token_endpoint::{Client, words};
use crate::profile::OAuth;

/// One attempt to sign in: what only it knows.
pub(super) struct Attempt {
    /// Ties the response to this attempt.
    pub(super) state: Secret,
    /// Ties the ID token to this attempt.
    pub(super) nonce: Secret,
    /// Ties the code to this attempt (PKCE).
    pub(super) verifier: Option<Secret>,
}

/// Why a response to the authorization request is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// It belongs to another attempt, or to none.
    #[error("the address does not belong to this sign-in (`state`)")]
    State,
    /// RFC 9207: it comes from another provider than the one that was asked.
    #[error("the response is of the issuer `{found}`, not of `{expected}`")]
    Issuer {
        /// `iss`; empty when the provider promises one and there is none.
        found: String,
        /// Who was asked.
        expected: String,
    },
    /// The provider says no.
    #[error("the provider refuses: {}", words(code, description))]
    Refused {
        /// `access_denied`, …
        code: String,
        /// The provider's own words.
        description: Option<String>,
    },
    /// Neither a code nor an error.
    #[error("the response has neither a code nor an error")]
    Empty,
    /// A parameter that must stand once stands twice.
    #[error("the response has the parameter `{0}` twice")]
    Twice(&'static str),
}

impl Attempt {
    /// New, unguessable.
    pub(super) fn new(pkce: bool) -> Self {
        Self { state: random(), nonce: random(), verifier: pkce.then(random) }
    }

    /// The address for the browser.
    pub(super) fn address(
        &self,
        endpoint: &Url,
        provider: &Provider,
        oauth: &OAuth,
        client: &Client,
        redirect_uri: &str,
    ) -> Url {
        let mut url = endpoint.clone();
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            if let Some(id) = &client.id {
                query.append_pair("client_id", id);
            }
            let scopes = scopes(provider, oauth);
            query
                .append_pair("redirect_uri", redirect_uri)
                .append_pair("scope", &scopes.join(" "))
                .append_pair("state", self.state.expose())
                .append_pair("nonce", self.nonce.expose());
            if let Some(verifier) = &self.verifier {
                // RFC 7636, section 4.2: S256, never plain.
                let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.expose().as_bytes()));
                query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
            }
            if let Some(prompt) = &oauth.prompt {
                query.append_pair("prompt", prompt);
            } else if scopes.contains(&"offline_access") {
                // OpenID Connect Core, section 11: offline access wants the person's consent.
                query.append_pair("prompt", "consent");
            }
            if let Some(audience) = &oauth.audience {
                query.append_pair("audience", audience);
            }
            if let Some(resource) = &oauth.resource {
                query.append_pair("resource", resource);
            }
            if endpoint.host_str() == Some("accounts.google.com") {
                // Google's own way to ask for a refresh token.
                query.append_pair("access_type", "offline");
            }
            if let Some(username) = &oauth.username {
                query.append_pair("login_hint", username);
            }
        }
        url
    }

    /// Reads the query of the address that the browser came back to.
    pub(super) fn read(&self, query: &str, provider: &Provider) -> Result<Secret, ResponseError> {
        let response = Response::parse(query)?;
        // RFC 6749, section 10.12: first of all, is it ours?
        if response.state.is_none_or(|state| state != self.state) {
            return Err(ResponseError::State);
        }
        // RFC 9207, section 2.4: `iss` is compared whenever it is there, and must be there if the provider says so.
        if let Some(expected) = &provider.issuer {
            let found = response.issuer.as_deref();
            let missing = found.is_none() && provider.names_itself_in_responses;
            if missing || found.is_some_and(|found| found != expected) {
                return Err(ResponseError::Issuer {
                    found: found.unwrap_or_default().to_owned(),
                    expected: expected.clone(),
                });
            }
        }
        if let Some(code) = response.error {
            return Err(ResponseError::Refused { code, description: response.error_description });
        }
        response.code.filter(|code| !code.is_empty()).ok_or(ResponseError::Empty)
    }
}

/// `offline_access` is not asked for where the provider lists its scopes without it: some then refuse everything.
pub(super) fn scopes<'a>(provider: &Provider, oauth: &'a OAuth) -> Vec<&'a str> {
    let known = |scope: &str| {
        scope != "offline_access"
            || provider.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|known| known == scope))
    };
    oauth.scopes.iter().map(String::as_str).filter(|scope| known(scope)).collect()
}

#[derive(Default)]
struct Response {
    code: Option<Secret>,
    state: Option<Secret>,
    issuer: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Response {
    fn parse(query: &str) -> Result<Self, ResponseError> {
        let mut response = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = value.into_owned();
            // RFC 6749, section 3.1: a parameter stands once.
            let before = match name.as_ref() {
                "code" => response.code.replace(Secret::new(value)).map(|_| "code"),
                "state" => response.state.replace(Secret::new(value)).map(|_| "state"),
                "iss" => response.issuer.replace(value).map(|_| "iss"),
                "error" => response.error.replace(value).map(|_| "error"),
                "error_description" => response.error_description.replace(value).map(|_| "error_description"),
                _ => None,
            };
            if let Some(name) = before {
                return Err(ResponseError::Twice(name));
            }
        }
        Ok(response)
    }
}

/// The query part of a pasted address; a pasted query or fragment is taken as well.
pub(super) fn query_of_pasted(text: &str) -> Option<&str> {
    let text = text.trim();
    let after = text.split_once(['?', '#']).map_or(text, |(_, after)| after);
    (after.contains('=')).then(|| after.split('#').next().unwrap_or(after))
}

/// A code by itself, as a page shows it that belongs to nobody's program (`urn:ietf:wg:oauth:2.0:oob` and the like).
pub(super) fn code_of_pasted(text: &str) -> Option<Secret> {
    let text = text.trim();
    let of_an_address = ["code=", "state=", "error=", "://"].iter().any(|part| text.contains(part));
    let graphic = text.len() >= 6 && text.chars().all(|c| c.is_ascii_graphic());
    (graphic && !of_an_address).then(|| Secret::new(text))
}

/// 256 bits, base64url: 43 characters, which also suits PKCE (RFC 7636, section 4.1).
pub(super) fn random() -> Secret {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the system's random generator works once the process runs");
    Secret::new(URL_SAFE_NO_PAD.encode(bytes))
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(issuer: Option<&str>, names_itself: bool) -> Provider {
        Provider {
            issuer: issuer.map(str::to_owned),
            authorization_endpoint: None,
            token_endpoint: "https://idp.example/token".parse().unwrap(),
            device_authorization_endpoint: None,
            revocation_endpoint: None,
            jwks_uri: None,
            client_authentication: None,
            id_token_algorithms: None,
            scopes: None,
            names_itself_in_responses: names_itself,
        }
    }

    fn read(query: &str, provider: &Provider) -> Result<String, ResponseError> {
        let attempt = Attempt { state: Secret::new("s"), nonce: Secret::new("n"), verifier: None };
        attempt.read(query, provider).map(|code| code.expose().to_owned())
    }

    #[test]
    fn responses() {
        let plain = provider(Some("https://i"), false);
        assert_eq!(read("code=c&state=s", &plain), Ok("c".to_owned()));
        assert_eq!(read("code=c&state=s&iss=https%3A%2F%2Fi&session_state=x", &plain), Ok("c".to_owned()));
        for query in ["code=c", "code=c&state=x", "code=c&state=", "error=access_denied", ""] {
            assert_eq!(read(query, &plain), Err(ResponseError::State), "{query}");
        }
        for query in ["state=s", "state=s&code="] {
            assert_eq!(read(query, &plain), Err(ResponseError::Empty));
        }
        assert_eq!(read("code=a&code=b&state=s", &plain), Err(ResponseError::Twice("code")));
        assert_eq!(read("code=a&state=s&state=s", &plain), Err(ResponseError::Twice("state")));
        assert!(matches!(
            read("code=c&state=s&iss=https://other", &plain),
            Err(ResponseError::Issuer { .. })
        ));
        let refused = read("error=access_denied&error_description=not+you&state=s", &plain).unwrap_err();
        assert_eq!(refused.to_string(), "the provider refuses: access_denied (not you)");
    }

    #[test]
    fn a_provider_that_promises_its_name_must_give_it() {
        let promising = provider(Some("https://i"), true);
        assert!(matches!(read("code=c&state=s", &promising), Err(ResponseError::Issuer { .. })));
        assert_eq!(read("code=c&state=s&iss=https://i", &promising), Ok("c".to_owned()));
        assert_eq!(read("code=c&state=s&iss=https://any", &provider(None, false)), Ok("c".to_owned()));
    }

    #[test]
    fn attempts_are_unlike() {
        let (one, two) = (Attempt::new(true), Attempt::new(false));
        assert!(one.state != two.state && one.nonce != one.state && two.verifier.is_none());
        assert_eq!(one.verifier.unwrap().expose().len(), 43);
    }

    #[test]
    fn pasted_texts() {
        for text in [
            " x-cyberduck-action:oauth?code=c&state=s\n",
            "code=c&state=s",
            "https://x/#code=c&state=s",
            "?code=c&state=s",
        ] {
            assert_eq!(query_of_pasted(text), Some("code=c&state=s"), "{text}");
        }
        assert_eq!(query_of_pasted("hello"), None);
        let code = |text| code_of_pasted(text).map(|code| code.expose().to_owned());
        assert_eq!(code(" 4/0AbCd-eF==\n").as_deref(), Some("4/0AbCd-eF=="));
        for text in
            ["hello", "hello world", "https://x/?code=c&state=s", "code=c&state=s", "error=access_denied"]
        {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
