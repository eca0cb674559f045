//! The container credentials endpoint: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `…_FULL_URI`, with the token of
//! `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` or `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
//!
//! Refused: http to anything but loopback and the addresses of ECS and EKS.

use http::header;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use super::answer;
use super::error::KeysError;
use crate::connect::{Connector, is_loopback};
use crate::surroundings::Surroundings;

/// Where a relative address is, at ECS.
const ECS: &str = "http://169.254.170.2";

/// The hosts that may be asked over http: those of ECS and EKS.
const AWS_HOSTS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// Asks the endpoint.
pub(super) async fn keys(around: &Surroundings, connector: &Connector) -> Result<Credentials, KeysError> {
    let text = match around.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("{ECS}{path}"),
        None => around
            .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI")
            .ok_or(KeysError::Variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?
            .to_owned(),
    };
    let url = Url::parse(&text).map_err(|_| KeysError::Address { url: text.clone() })?;
    let known = url.host_str().is_some_and(|host| AWS_HOSTS.contains(&host)) || is_loopback(&url);
    if url.scheme() != "https" && !(url.scheme() == "http" && known) {
        return Err(KeysError::Address { url: text });
    }
    let mut request = answer::get(connector, &url);
    if let Some(token) = token(around).await? {
        request = request.header(header::AUTHORIZATION, token.expose());
    }
    let text = answer::text(request, &url).await?;
    answer::credentials(text.expose(), "the container endpoint", false)
}

async fn token(around: &Surroundings) -> Result<Option<Secret>, KeysError> {
    match around.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(path) => match tokio::fs::read_to_string(path).await {
            Ok(text) => Ok(Some(Secret::new(text.trim()))),
            Err(source) => Err(KeysError::File { path: path.into(), source }),
        },
        None => Ok(around.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new)),
    }
}
