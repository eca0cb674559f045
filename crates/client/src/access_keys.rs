//! Access keys that come from somewhere: variables, a program, the machine's or the container's metadata.
//!
//! Enters: a [`KeySource`]. Leaves: [`Credentials`], asked for anew with each call. Refused: what has no keys, and
//! metadata over http anywhere but where AWS puts them. Sources: AWS SDKs and Tools Reference Guide, "Process
//! credential provider", "Container credential provider", "IMDS credential provider".

mod error;

mod answer;

mod process;

mod container;

mod instance;

use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use crate::connect::Connector;
use crate::profile::KeySource;
use crate::surroundings::Surroundings;

pub use error::KeysError;

/// Asks a source for keys. Kept keys and those of AWS's files are not asked for here: `None`.
pub(crate) async fn keys(
    source: &KeySource,
    around: &Surroundings,
    connector: &Connector,
) -> Result<Option<Credentials>, KeysError> {
    match source {
        KeySource::Kept | KeySource::AwsProfile(_) => Ok(None),
        KeySource::Environment => environment(around).map(Some),
        KeySource::Process(line) => process::keys(line).await.map(Some),
        KeySource::Container => container::keys(around, connector).await.map(Some),
        KeySource::Instance(url) => instance::keys(url.as_ref(), around, connector).await.map(Some),
    }
}

fn environment(around: &Surroundings) -> Result<Credentials, KeysError> {
    let needed = |name| around.variable(name).ok_or(KeysError::Variable(name));
    Ok(Credentials {
        access_key_id: needed("AWS_ACCESS_KEY_ID")?.to_owned(),
        secret_key: Secret::new(needed("AWS_SECRET_ACCESS_KEY")?),
        session_token: around.variable("AWS_SESSION_TOKEN").map(Secret::new),
        expires_at: around.variable("AWS_CREDENTIAL_EXPIRATION").and_then(wigeon_core::time::parse_iso8601),
    })
}

#[cfg(test)]
mod tests;
