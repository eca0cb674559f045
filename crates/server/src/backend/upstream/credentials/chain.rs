//! Where to look for credentials, and in which order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::Timestamp;

use super::key_file::{self, KeyFileError};
use super::shared_files::Profile;
use super::sts::{self, RoleCall};
use super::{container, instance, process};
use crate::backend::upstream::settings::{Environment, Source};

/// Profiles that name one another as their source, at most.
const MOST_PROFILES: usize = 5;

/// Why an upstream's credentials cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file with the secret key.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The place that was configured, or found, does not give any.
    #[error("{0}")]
    Source(String),
    /// There is no place to look.
    #[error(
        "there are no credentials for the upstream: set `credentials` in the configuration, AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
    )]
    None,
}

/// What looking needs.
#[derive(Debug, Clone)]
pub(super) struct Finder {
    pub(super) source: Source,
    pub(super) environment: Environment,
    pub(super) region: String,
    pub(super) http: reqwest::Client,
}

impl Finder {
    pub(super) fn new(
        source: Source,
        environment: Environment,
        region: String,
    ) -> Result<Self, CredentialsError> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .no_proxy()
            .build()
            .map_err(|error| {
                CredentialsError::Source(format!("the HTTP client cannot be set up: {error}"))
            })?;
        Ok(Self { source, environment, region, http })
    }

    /// Credentials as they are now.
    pub(super) async fn find(&self, at: Timestamp) -> Result<Credentials, CredentialsError> {
        match &self.source {
            Source::Key { access_key_id, secret_key_file } => Ok(Credentials {
                access_key_id: access_key_id.clone(),
                secret_key: key_file::read(secret_key_file)?,
                session_token: None,
                expires_at: None,
            }),
            Source::Profile(name) => {
                let profile = Profile::read(name, &self.environment);
                let profile = profile
                    .ok_or_else(|| CredentialsError::Source(format!("there is no AWS profile `{name}`")))?;
                let found = self.of_profile(name, profile, at).await.map_err(CredentialsError::Source)?;
                found.ok_or_else(|| {
                    CredentialsError::Source(format!("the AWS profile `{name}` has no credentials"))
                })
            }
            Source::Chain => self.chain(at).await,
        }
    }

    async fn chain(&self, at: Timestamp) -> Result<Credentials, CredentialsError> {
        let failed = CredentialsError::Source;
        if let Some(found) = self.of_environment() {
            return Ok(found);
        }
        if let Some(found) = self.web_identity_of_environment().await {
            return found.map_err(failed);
        }
        let name = self.environment.value("AWS_PROFILE").unwrap_or("default");
        if let Some(profile) = Profile::read(name, &self.environment)
            && let Some(found) = self.of_profile(name, profile, at).await.map_err(failed)?
        {
            return Ok(found);
        }
        if let Some(found) = container::ask(&self.http, &self.environment).await {
            return found.map_err(failed);
        }
        match instance::ask(&self.http, &self.environment).await {
            Some(Ok(found)) => Ok(found),
            Some(Err(reason)) => {
                tracing::debug!(reason, "no credentials of an instance");
                Err(CredentialsError::None)
            }
            None => Err(CredentialsError::None),
        }
    }

    fn of_environment(&self) -> Option<Credentials> {
        Some(Credentials {
            access_key_id: self.environment.value("AWS_ACCESS_KEY_ID")?.to_owned(),
            secret_key: Secret::new(self.environment.value("AWS_SECRET_ACCESS_KEY")?),
            session_token: self.environment.value("AWS_SESSION_TOKEN").map(Secret::new),
            expires_at: None,
        })
    }

    async fn web_identity_of_environment(&self) -> Option<Result<Credentials, String>> {
        let file = self.environment.value("AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let role_arn = self.environment.value("AWS_ROLE_ARN")?;
        let session_name = self.environment.value("AWS_ROLE_SESSION_NAME").unwrap_or("wigeon");
        let call = RoleCall { role_arn, session_name, more: Vec::new() };
        Some(sts::with_token_file(&self.http, &self.environment, &self.region, call, Path::new(file)).await)
    }

    /// What a profile says; `None` where it says nothing of credentials. Profiles that name a source are resolved from
    /// the far end.
    async fn of_profile(
        &self,
        name: &str,
        profile: Profile,
        at: Timestamp,
    ) -> Result<Option<Credentials>, String> {
        let mut chain = vec![(name.to_owned(), profile)];
        while let Some(source) = chain.last().and_then(|(name, profile)| {
            let source = profile.value("source_profile").filter(|_| profile.value("role_arn").is_some())?;
            // A profile that names itself means its own keys.
            (source != name).then(|| source.to_owned())
        }) {
            if chain.len() >= MOST_PROFILES {
                return Err(format!("the AWS profile `{name}` has too many source profiles"));
            }
            let next = Profile::read(&source, &self.environment);
            chain.push((source.clone(), next.ok_or_else(|| format!("there is no AWS profile `{source}`"))?));
        }
        let mut credentials: Option<Credentials> = None;
        for (name, profile) in chain.iter().rev() {
            credentials = match (profile.value("role_arn"), credentials) {
                (None, _) => self.own(name, profile).await?,
                (Some(role_arn), before) => Some(self.role(name, profile, role_arn, before, at).await?),
            };
        }
        Ok(credentials)
    }

    /// Keys, or a program.
    async fn own(&self, name: &str, profile: &Profile) -> Result<Option<Credentials>, String> {
        let keys = (profile.value("aws_access_key_id"), profile.value("aws_secret_access_key"));
        if let (Some(id), Some(secret)) = keys {
            return Ok(Some(Credentials {
                access_key_id: id.to_owned(),
                secret_key: Secret::new(secret),
                session_token: profile.value("aws_session_token").map(Secret::new),
                expires_at: None,
            }));
        }
        if let Some(command) = profile.value("credential_process") {
            return process::run(command).await.map(Some);
        }
        if profile.value("sso_session").or(profile.value("sso_start_url")).is_some() {
            return Err(format!(
                "the AWS profile `{name}` needs a person to sign in; a server needs one with keys, a role or a credential_process"
            ));
        }
        Ok(None)
    }

    async fn role(
        &self,
        name: &str,
        profile: &Profile,
        role_arn: &str,
        before: Option<Credentials>,
        at: Timestamp,
    ) -> Result<Credentials, String> {
        let region = profile.value("region").unwrap_or(&self.region);
        let session_name = profile.value("role_session_name").unwrap_or("wigeon");
        let mut more = Vec::new();
        for (setting, parameter) in [("duration_seconds", "DurationSeconds"), ("external_id", "ExternalId")] {
            more.extend(profile.value(setting).map(|value| (parameter, value.to_owned())));
        }
        let call = RoleCall { role_arn, session_name, more };
        if let Some(file) = profile.value("web_identity_token_file") {
            let file = PathBuf::from(file);
            return sts::with_token_file(&self.http, &self.environment, region, call, &file).await;
        }
        let source = match (before, profile.value("credential_source")) {
            (Some(before), _) => Some(before),
            (None, Some("Environment")) => self.of_environment(),
            (None, Some("EcsContainer")) => {
                container::ask(&self.http, &self.environment).await.transpose()?
            }
            (None, Some("Ec2InstanceMetadata")) => {
                instance::ask(&self.http, &self.environment).await.transpose()?
            }
            // `source_profile` is the profile itself.
            (None, _) => self.own(name, profile).await?,
        };
        let source = source
            .ok_or_else(|| format!("the AWS profile `{name}` has a role and nothing to assume it with"))?;
        sts::with_credentials(&self.http, &self.environment, region, call, &source, at).await
    }
}
