//! ID tokens and the claims about a person (OpenID Connect Core, sections 2, 3.1.3.6, 5.1 and 5.4).

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use wigeon_core::jwt;
use wigeon_core::jwt::signing::{SigningError, SigningKey};

use crate::authorization_request::Scopes;
use crate::config::User;

/// What goes into an ID token.
#[derive(Debug)]
pub(crate) struct IdToken<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) user: &'a User,
    pub(crate) scopes: &'a Scopes,
    pub(crate) nonce: Option<&'a str>,
    pub(crate) auth_time: Timestamp,
    pub(crate) access_token: &'a str,
    pub(crate) now: Timestamp,
    pub(crate) ttl: SignedDuration,
}

/// A signed ID token. The claims of the granted scopes stand in it, since it is the web identity that STS
/// sees: there is no userinfo call behind a role's trust policy.
pub(crate) fn id_token(key: &SigningKey, token: &IdToken<'_>) -> Result<String, SigningError> {
    let mut claims = person(token.user, token.scopes);
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    set("iss", token.issuer.into());
    set("sub", token.user.subject().into());
    set("aud", token.client_id.into());
    set("iat", token.now.as_second().into());
    set("exp", (token.now + token.ttl).as_second().into());
    set("auth_time", token.auth_time.as_second().into());
    set("at_hash", jwt::at_hash(key.algorithm(), token.access_token).into());
    if let Some(nonce) = token.nonce {
        set("nonce", nonce.into());
    }
    key.sign(&Map::new(), &claims)
}

/// The claims about a person that the scopes release, without `sub`.
pub(crate) fn person(user: &User, scopes: &Scopes) -> Map<String, Value> {
    let mut claims = user.claims.clone();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    if scopes.has("profile") {
        set("preferred_username", user.login.as_str().into());
        if let Some(name) = &user.name {
            set("name", name.as_str().into());
        }
    }
    if let Some(email) = user.email.as_deref().filter(|_| scopes.has("email")) {
        set("email", email.into());
        set("email_verified", true.into());
    }
    if scopes.has("groups") {
        set("groups", user.groups.clone().into());
    }
    claims
}
