//! The authorization request (RFC 6749 section 4.1.1, OpenID Connect Core section 3.1.2.1, RFC 7636).
//!
//! Enters what the browser was sent with; leaves an [`AuthorizationRequest`] whose client and redirect
//! address are registered. An unknown client or address is told to the person and never redirected: else
//! the provider would send people wherever a stranger likes. Every other fault goes back to the client.

use crate::config::Client;
use crate::parameters::{Parameters, Repeated};

/// A request that has passed every check; only [`read`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct AuthorizationRequest {
    pub(crate) client_id: String,
    /// As presented: registered, apart from a loopback port.
    pub(crate) redirect_uri: String,
    pub(crate) scopes: Scopes,
    pub(crate) state: Option<String>,
    pub(crate) nonce: Option<String>,
    /// The S256 challenge.
    pub(crate) code_challenge: String,
    pub(crate) login_hint: Option<String>,
}

/// The scopes that were granted: those that this provider knows, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scopes(Vec<&'static str>);

/// The scopes that the provider knows.
pub(crate) const SCOPES: [&str; 5] = ["openid", "profile", "email", "groups", "offline_access"];

impl Scopes {
    /// Unknown scopes are left out, as RFC 6749 section 3.3 allows; the answer says what was granted.
    pub(crate) fn parse(text: &str) -> Self {
        let asked: Vec<&str> = text.split(' ').collect();
        Self(SCOPES.into_iter().filter(|scope| asked.contains(scope)).collect())
    }

    pub(crate) fn has(&self, scope: &str) -> bool {
        self.0.contains(&scope)
    }

    /// Whether every scope here is one of the other's.
    pub(crate) fn within(&self, other: &Self) -> bool {
        self.0.iter().all(|scope| other.has(scope))
    }

    pub(crate) fn joined(&self) -> String {
        self.0.join(" ")
    }
}

/// A request that is not honored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Shown to the person.
    Page(Unregistered),
    /// Sent back to the client.
    Redirect { redirect_uri: String, state: Option<String>, error: Fault },
}

/// Why nobody can be redirected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unregistered {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("the request names no client (`client_id`)")]
    NoClient,
    #[error("the client `{0}` is not registered with this provider")]
    Client(String),
    #[error("the request names no redirect address (`redirect_uri`)")]
    NoRedirect,
    #[error("the redirect address `{presented}` is not registered for the client `{client}`")]
    Redirect { client: String, presented: String },
}

/// What the client is told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("the request has no `response_type`")]
    NoResponseType,
    #[error("the response type `{0}` is not supported: only `code` is")]
    ResponseType(String),
    #[error("the response mode `{0}` is not supported: only `query` is")]
    ResponseMode(String),
    #[error("the scope lacks `openid`")]
    NotOpenId,
    #[error("the request has no `code_challenge`: PKCE is required")]
    NoChallenge,
    #[error("the `code_challenge_method` must be `S256`")]
    ChallengeMethod,
    #[error("the `code_challenge` is not the 43 characters of an S256 challenge")]
    Challenge,
    #[error("request objects are not supported")]
    RequestObject,
    #[error("request objects by reference are not supported")]
    RequestUri,
    #[error("a login is needed, and `prompt=none` forbids one")]
    LoginRequired,
    #[error("`prompt` holds `none` beside other values")]
    Prompt,
    #[error("the person declined")]
    Denied,
    #[error("too many sign-ins are under way: try again later")]
    Busy,
}

impl Fault {
    /// The code of RFC 6749 section 4.1.2.1 and OpenID Connect Core section 3.1.2.6.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Repeated(_)
            | Self::NoResponseType
            | Self::ResponseMode(_)
            | Self::NoChallenge
            | Self::ChallengeMethod
            | Self::Challenge
            | Self::Prompt => "invalid_request",
            Self::ResponseType(_) => "unsupported_response_type",
            Self::NotOpenId => "invalid_scope",
            Self::RequestObject => "request_not_supported",
            Self::RequestUri => "request_uri_not_supported",
            Self::LoginRequired => "login_required",
            Self::Denied => "access_denied",
            Self::Busy => "temporarily_unavailable",
        }
    }
}

/// Checks a request against the registered clients.
pub(crate) fn read(parameters: &Parameters, clients: &[Client]) -> Result<AuthorizationRequest, Refusal> {
    let (client, redirect_uri) = registered(parameters, clients).map_err(Refusal::Page)?;
    // A repeated `state` is not echoed: which of them would be the client's?
    let state = parameters.one("state").ok().flatten().map(str::to_owned);
    let refuse =
        |error| Refusal::Redirect { redirect_uri: redirect_uri.to_owned(), state: state.clone(), error };

    let asked = checked(parameters).map_err(refuse)?;
    Ok(AuthorizationRequest {
        client_id: client.id.clone(),
        redirect_uri: redirect_uri.to_owned(),
        state: state.clone(),
        ..asked
    })
}

fn registered<'a>(
    parameters: &'a Parameters,
    clients: &'a [Client],
) -> Result<(&'a Client, &'a str), Unregistered> {
    let id = parameters.one("client_id")?.ok_or(Unregistered::NoClient)?;
    let client =
        clients.iter().find(|client| client.id == id).ok_or_else(|| Unregistered::Client(id.to_owned()))?;
    let presented = parameters.one("redirect_uri")?.ok_or(Unregistered::NoRedirect)?;
    if !client.redirect_uris.iter().any(|uri| uri.matches(presented)) {
        return Err(Unregistered::Redirect { client: id.to_owned(), presented: presented.to_owned() });
    }
    Ok((client, presented))
}

/// Everything that is the client's own affair; the client, address and state are filled in by [`read`].
fn checked(parameters: &Parameters) -> Result<AuthorizationRequest, Fault> {
    parameters.one("state")?;
    if parameters.one("request")?.is_some() {
        return Err(Fault::RequestObject);
    }
    if parameters.one("request_uri")?.is_some() {
        return Err(Fault::RequestUri);
    }
    match parameters.one("response_type")? {
        Some("code") => {}
        Some(other) => return Err(Fault::ResponseType(other.to_owned())),
        None => return Err(Fault::NoResponseType),
    }
    match parameters.one("response_mode")? {
        None | Some("query") => {}
        Some(other) => return Err(Fault::ResponseMode(other.to_owned())),
    }
    let scopes = Scopes::parse(parameters.one("scope")?.unwrap_or_default());
    if !scopes.has("openid") {
        return Err(Fault::NotOpenId);
    }
    let code_challenge = challenge(parameters)?;
    let prompt: Vec<&str> = parameters.one("prompt")?.unwrap_or_default().split(' ').collect();
    match prompt.as_slice() {
        ["none"] => return Err(Fault::LoginRequired),
        several if several.contains(&"none") => return Err(Fault::Prompt),
        _ => {}
    }
    Ok(AuthorizationRequest {
        client_id: String::new(),
        redirect_uri: String::new(),
        scopes,
        state: None,
        nonce: parameters.one("nonce")?.map(str::to_owned),
        code_challenge,
        login_hint: parameters.one("login_hint")?.map(str::to_owned),
    })
}

/// RFC 7636 section 4.3; `plain`, which is also what an absent method means, is refused.
fn challenge(parameters: &Parameters) -> Result<String, Fault> {
    let challenge = parameters.one("code_challenge")?.ok_or(Fault::NoChallenge)?;
    if parameters.one("code_challenge_method")? != Some("S256") {
        return Err(Fault::ChallengeMethod);
    }
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return Err(Fault::Challenge);
    }
    Ok(challenge.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const GOOD: &str = "response_type=code&client_id=app&redirect_uri=http%3A%2F%2F127.0.0.1%3A5%2Fcb\
        &scope=openid+groups+unknown&state=s&nonce=n&code_challenge_method=S256\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse(query: &str) -> Result<AuthorizationRequest, Refusal> {
        let redirect_uris = vec!["http://127.0.0.1/cb".parse().unwrap()];
        read(&Parameters::parse(query.as_bytes()), &[Client { id: "app".to_owned(), redirect_uris }])
    }

    #[test]
    fn a_good_request() {
        let request = parse(GOOD).unwrap();
        assert_eq!(request.client_id, "app");
        assert_eq!(request.redirect_uri, "http://127.0.0.1:5/cb");
        assert_eq!(request.scopes.joined(), "openid groups");
        assert_eq!((request.state.as_deref(), request.nonce.as_deref()), (Some("s"), Some("n")));
    }

    #[rstest]
    #[case("client_id=app", "client_id=other")]
    #[case("client_id=app", "client_id=app&client_id=app")]
    #[case("client_id=app", "x=y")]
    #[case("%2Fcb", "%2Fcb2")]
    #[case("%2F127.0.0.1", "%2Fevil.example")]
    #[case("redirect_uri", "redirect")]
    #[case("&scope", "&redirect_uri=http%3A%2F%2F127.0.0.1%3A6%2Fcb&scope")]
    fn never_redirected(#[case] from: &str, #[case] to: &str) {
        let changed = GOOD.replace(from, to);
        assert_ne!(changed, GOOD);
        assert!(matches!(parse(&changed), Err(Refusal::Page(_))), "{changed}");
    }

    #[rstest]
    #[case("response_type=code", "response_type=token", "unsupported_response_type")]
    #[case("response_type=code", "x=y", "invalid_request")]
    #[case("openid+", "", "invalid_scope")]
    #[case("method=S256", "method=plain", "invalid_request")]
    #[case("&code_challenge_method=S256", "", "invalid_request")]
    #[case("&code_challenge=E9", "&x=E9", "invalid_request")]
    #[case("stw-cM", "stw-c", "invalid_request")]
    #[case("stw-cM", "stw%2BcM", "invalid_request")]
    #[case("&state", "&prompt=none&state", "login_required")]
    #[case("&state", "&prompt=none+login&state", "invalid_request")]
    #[case("&state", "&request=x&state", "request_not_supported")]
    #[case("&state", "&request_uri=x&state", "request_uri_not_supported")]
    #[case("&state", "&response_mode=fragment&state", "invalid_request")]
    #[case("nonce=n", "nonce=n&nonce=m", "invalid_request")]
    fn sent_back_to_the_client(#[case] from: &str, #[case] to: &str, #[case] code: &str) {
        let changed = GOOD.replace(from, to);
        assert_ne!(changed, GOOD);
        match parse(&changed) {
            Err(Refusal::Redirect { redirect_uri, state, error }) => {
                assert_eq!((redirect_uri.as_str(), state.as_deref()), ("http://127.0.0.1:5/cb", Some("s")));
                assert_eq!(error.code(), code, "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}
