//! The token of a workload: nobody signs in, the machine or the job has a token of its own.
//!
//! Enters: where it comes from ([`TokenSource`]). Leaves: a `WorkloadToken`, read anew with each call, since whoever
//! makes such tokens replaces them. Refused: a source without a token, and what is no token. Whether it holds is for
//! the STS to say; here it is only read for what it says of itself.
//!
//! GitHub's way is that of its documentation, "OpenID Connect reference": a request to the address of the job, with
//! the job's own bearer token and the audience.

use std::path::PathBuf;

use http::{Method, header};
use serde::Deserialize;
use url::Url;
use wigeon_core::secret::Secret;

use crate::connect::{self, BodyError, is_loopback};
use crate::profile::TokenSource;
use crate::program::{ProgramError, output_of};
use crate::sign_in::{DiscoveryError, Grant, Identity, SignIn, TokenEndpointError, locate, redeem};
use crate::surroundings::Surroundings;

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// For whom the token is asked for where the profile does not say.
const AUDIENCE: &str = "sts.amazonaws.com";

/// A token, and what it says of itself.
#[derive(Debug)]
pub(crate) struct WorkloadToken {
    pub(crate) token: Secret,
    pub(crate) identity: Identity,
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A file cannot be read.
    #[error("cannot read the token file `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A variable is not there.
    #[error("the variable `{0}` is not set")]
    Variable(String),
    /// GitHub gives the job no way to ask.
    #[error(
        "there is no `{0}`: this is not a job of GitHub Actions, or it lacks the permission `id-token: write`"
    )]
    NotAJob(&'static str),
    /// The address that the job was given is none, or not a safe one.
    #[error("`ACTIONS_ID_TOKEN_REQUEST_URL` is not an https address")]
    Address,
    /// The provider of tokens cannot be reached.
    #[error("cannot reach the provider of the job's token at `{host}`")]
    Unreachable {
        /// Its host.
        host: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer breaks off.
    #[error("cannot read the job's token")]
    Body(#[source] BodyError),
    /// It says no.
    #[error("the provider of the job's token at `{host}` answered with status {status}")]
    Status {
        /// Its host.
        host: String,
        /// The HTTP status.
        status: u16,
    },
    /// The program that makes the token.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// The provider of a client without a person.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// Its token endpoint.
    #[error(transparent)]
    Tokens(#[from] TokenEndpointError),
    /// What came is empty.
    #[error("{0} gave no token")]
    Empty(&'static str),
}

impl WorkloadError {
    /// Whether the same again may work.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Body(_) => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Discovery(error) => error.is_temporary(),
            Self::Tokens(error) => error.is_temporary(),
            Self::File { .. }
            | Self::Variable(_)
            | Self::NotAJob(_)
            | Self::Address
            | Self::Program(_)
            | Self::Empty(_) => false,
        }
    }
}

/// Reads the token.
pub(crate) async fn token(
    source: &TokenSource,
    around: &Surroundings,
    sign_in: SignIn<'_>,
) -> Result<WorkloadToken, WorkloadError> {
    let variable = |name: &str| around.variable(name).ok_or_else(|| WorkloadError::Variable(name.to_owned()));
    let (text, from) = match source {
        TokenSource::File(path) => (file(path.clone()).await?, "the file"),
        TokenSource::Environment => {
            (file(variable("AWS_WEB_IDENTITY_TOKEN_FILE")?.into()).await?, "the file")
        }
        TokenSource::Variable(name) => (Secret::new(variable(name)?), "the variable"),
        TokenSource::Command(line) => (output_of(line).await?, "the program"),
        TokenSource::GitHubActions => (github(around, sign_in).await?, "GitHub"),
        TokenSource::ClientCredentials => (client_credentials(sign_in).await?, "the provider"),
    };
    let token = Secret::new(text.expose().trim());
    if token.is_empty() {
        return Err(WorkloadError::Empty(from));
    }
    let identity = Identity::claimed(&token, sign_in.clock.now());
    Ok(WorkloadToken { token, identity })
}

async fn file(path: PathBuf) -> Result<Secret, WorkloadError> {
    match tokio::fs::read_to_string(&path).await {
        Ok(text) => Ok(Secret::new(text)),
        Err(source) => Err(WorkloadError::File { path, source }),
    }
}

async fn github(around: &Surroundings, sign_in: SignIn<'_>) -> Result<Secret, WorkloadError> {
    let needed = |name| around.variable(name).ok_or(WorkloadError::NotAJob(name));
    let mut url: Url = needed("ACTIONS_ID_TOKEN_REQUEST_URL")?.parse().map_err(|_| WorkloadError::Address)?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err(WorkloadError::Address);
    }
    let bearer = needed("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
    url.query_pairs_mut().append_pair("audience", sign_in.oauth.audience.as_deref().unwrap_or(AUDIENCE));
    let host = url.host_str().unwrap_or_default().to_owned();
    let answer = sign_in
        .connector
        .request(Method::GET, &url)
        .header(header::ACCEPT, "application/json; api-version=2.0")
        .bearer_auth(bearer)
        .send()
        .await
        .map_err(|source| WorkloadError::Unreachable { host: host.clone(), source: source.without_url() })?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(WorkloadError::Status { host, status });
    }
    #[derive(Deserialize)]
    struct Answer {
        value: Secret,
    }
    let body = connect::body(answer, ANSWER_LIMIT).await.map_err(WorkloadError::Body)?;
    serde_json::from_slice::<Answer>(&body)
        .map(|answer| answer.value)
        .map_err(|_| WorkloadError::Empty("GitHub"))
}

/// RFC 6749, section 4.4. An ID token where the provider gives one to a client; else its access token.
async fn client_credentials(sign_in: SignIn<'_>) -> Result<Secret, WorkloadError> {
    let SignIn { connector, oauth, client, .. } = sign_in;
    let provider = locate(connector, oauth).await?;
    let scope = oauth.scopes.join(" ");
    let grant = Grant::ClientCredentials {
        scope: &scope,
        audience: oauth.audience.as_deref(),
        resource: oauth.resource.as_deref(),
    };
    let tokens = redeem(connector, &provider, client, grant).await?;
    tokens.id_token.or(tokens.access_token).ok_or(WorkloadError::Empty("the provider"))
}
