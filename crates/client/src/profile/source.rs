//! Where tokens and keys come from when nobody signs in: the texts of a profile as types.
//!
//! Enters: `wigeon.token`, `wigeon.credentials` and AWS's own names for the same things. Leaves: a [`TokenSource`],
//! a [`KeySource`] or an [`IdentityCenter`]. Refused: a text that names none of them.

use std::path::PathBuf;

use url::Url;

use super::keys;
use super::settings::Settings;
use super::values::{Origin, SettingsError, Valued};

/// Where a workload's token comes from. It is read anew at each renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// `file:PATH`, or AWS's `web_identity_token_file`: a file that someone keeps fresh, as Kubernetes does.
    File(PathBuf),
    /// `env:NAME`: a variable, as GitLab's `id_tokens` makes them.
    Variable(String),
    /// `command:LINE`: what a program prints.
    Command(String),
    /// `github-actions`: the job's own token, from GitHub.
    GitHubActions,
    /// `client-credentials`: the profile's OAuth client itself, without a person.
    ClientCredentials,
    /// `environment`: `AWS_WEB_IDENTITY_TOKEN_FILE`.
    Environment,
}

/// Where access keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// `keys`: asked for by `wigeon login`, and kept in the secret store.
    Kept,
    /// `environment`: `AWS_ACCESS_KEY_ID` and its companions.
    Environment,
    /// `process:LINE`, or AWS's `credential_process`: what a program prints.
    Process(String),
    /// `instance`: the instance metadata service, version 2; at another address where `Context` has one.
    Instance(Option<Url>),
    /// `container`: the container credentials endpoint of the environment.
    Container,
    /// `aws:NAME`: a profile of `~/.aws/config` and `~/.aws/credentials`.
    AwsProfile(String),
}

/// AWS IAM Identity Center.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityCenter {
    /// `sso_start_url`.
    pub start_url: String,
    /// `sso_region`.
    pub region: String,
    /// `sso_account_id`; without one the person chooses.
    pub account_id: Option<String>,
    /// `sso_role_name`; without one the person chooses.
    pub role_name: Option<String>,
    /// The scopes to register for.
    pub scopes: Vec<String>,
    /// The name of the `sso_session`, which names the cache file of AWS's tools.
    pub session: Option<String>,
    /// Whether the sign-in is shared with AWS's tools, in `~/.aws/sso/cache`.
    pub shared: bool,
}

impl TokenSource {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) =
            text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest.trim())));
        let rest = rest.filter(|rest| !rest.is_empty());
        match (kind, rest) {
            ("file", Some(path)) => Some(Self::File(PathBuf::from(path))),
            ("env", Some(name)) => Some(Self::Variable(name.to_owned())),
            ("command", Some(line)) => Some(Self::Command(line.to_owned())),
            ("github-actions", None) => Some(Self::GitHubActions),
            // The name that GitLab's own examples use.
            ("gitlab", None) => Some(Self::Variable("GITLAB_OIDC_TOKEN".to_owned())),
            ("client-credentials", None) => Some(Self::ClientCredentials),
            ("environment", None) => Some(Self::Environment),
            _ => None,
        }
    }
}

impl Settings {
    /// Where the token of a workload comes from; `None` where a person signs in.
    ///
    /// # Errors
    /// A text that names no source.
    pub fn token_source(&self) -> Result<Option<Valued<TokenSource>>, SettingsError> {
        if let Some(text) = self.property(keys::TOKEN) {
            let source = TokenSource::parse(&text.value).ok_or_else(|| {
                let problem = format!(
                    "is `{}`; there are `file:PATH`, `env:NAME`, `command:LINE`, `github-actions`, `gitlab`, `client-credentials` and `environment`",
                    text.value
                );
                self.wrong(keys::TOKEN, text.origin, problem)
            })?;
            return Ok(Some(text.map(|_| source)));
        }
        Ok(self
            .property(keys::WEB_IDENTITY_TOKEN_FILE)
            .map(|text| text.map(|path| TokenSource::File(PathBuf::from(path)))))
    }

    /// Where access keys come from, for profiles without a sign-in.
    ///
    /// # Errors
    /// A text that names no source.
    pub fn key_source(&self) -> Result<Valued<KeySource>, SettingsError> {
        if let Some(text) = self.property(keys::CREDENTIALS) {
            let source = self.parse_key_source(&text.value).ok_or_else(|| {
                let problem = format!(
                    "is `{}`; there are `keys`, `environment`, `process:LINE`, `instance`, `container` and `aws:PROFILE`",
                    text.value
                );
                self.wrong(keys::CREDENTIALS, text.origin, problem)
            })?;
            return Ok(text.map(|_| source));
        }
        if let Some(line) = self.property(keys::CREDENTIAL_PROCESS) {
            return Ok(line.map(KeySource::Process));
        }
        if let Some(url) = self.metadata_address() {
            return Ok(url.map(|url| KeySource::Instance(Some(url))));
        }
        Ok(Valued { value: KeySource::Kept, origin: Origin::Default })
    }

    fn parse_key_source(&self, text: &str) -> Option<KeySource> {
        let (kind, rest) =
            text.split_once(':').map_or((text, None), |(kind, rest)| (kind, Some(rest.trim())));
        match (kind, rest.filter(|rest| !rest.is_empty())) {
            ("keys", None) => Some(KeySource::Kept),
            ("environment", None) => Some(KeySource::Environment),
            ("process", Some(line)) => Some(KeySource::Process(line.to_owned())),
            ("instance", None) => Some(KeySource::Instance(self.metadata_address().map(|url| url.value))),
            ("container", None) => Some(KeySource::Container),
            ("aws", Some(name)) => Some(KeySource::AwsProfile(name.to_owned())),
            _ => None,
        }
    }

    /// `Context` with a web address: where the instance's metadata are.
    fn metadata_address(&self) -> Option<Valued<Url>> {
        let text = self.text(keys::CONTEXT)?;
        let url = Url::parse(&text.value).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        Some(text.map(|_| url))
    }

    /// The sign-in at AWS IAM Identity Center, if the profile itself says where that is. A profile that does not
    /// names a profile of `~/.aws/config` ([`Settings::aws_profile`]).
    ///
    /// # Errors
    /// An address that is none; a start URL without a region.
    pub fn identity_center(&self) -> Result<Option<IdentityCenter>, SettingsError> {
        let Some(text) = self.property(keys::SSO_START_URL) else { return Ok(None) };
        self.url_of(keys::SSO_START_URL, &text)?;
        let region = self.property(keys::SSO_REGION).ok_or_else(|| {
            let problem = "is not set, and IAM Identity Center is in one region".to_owned();
            self.wrong(keys::SSO_REGION, text.origin, problem)
        })?;
        let scopes: Vec<String> =
            self.list(keys::SCOPES).into_iter().filter(|scope| scope.starts_with("sso:")).collect();
        Ok(Some(IdentityCenter {
            start_url: text.value,
            region: region.value,
            account_id: self.property(keys::SSO_ACCOUNT_ID).map(|text| text.value),
            role_name: self.property(keys::SSO_ROLE_NAME).map(|text| text.value),
            scopes: if scopes.is_empty() { vec!["sso:account:access".to_owned()] } else { scopes },
            session: self.property(keys::SSO_SESSION).map(|text| text.value),
            shared: match self.property(keys::SSO_CACHE) {
                None => false,
                Some(found) => self.flag_of(keys::SSO_CACHE, found)?.value,
            },
        }))
    }

    /// The profile of `~/.aws/config` that a bookmark's user name stands for where the profile says so, as
    /// Cyberduck's profile for IAM Identity Center does.
    #[must_use]
    pub fn aws_profile(&self) -> Option<String> {
        let named = self.text(keys::USERNAME_PLACEHOLDER).is_some_and(|text| text.value.contains("~/.aws/"));
        (named || self.stored().profile.protocol() == "s3-iam").then(|| {
            self.bookmark_text(keys::USERNAME).map_or_else(|| "default".to_owned(), |text| text.value)
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("file:/var/run/token", Some(TokenSource::File("/var/run/token".into())))]
    #[case("env:MY_TOKEN", Some(TokenSource::Variable("MY_TOKEN".to_owned())))]
    #[case("command: print token --for x:y", Some(TokenSource::Command("print token --for x:y".to_owned())))]
    #[case("github-actions", Some(TokenSource::GitHubActions))]
    #[case("gitlab", Some(TokenSource::Variable("GITLAB_OIDC_TOKEN".to_owned())))]
    #[case("client-credentials", Some(TokenSource::ClientCredentials))]
    #[case("environment", Some(TokenSource::Environment))]
    #[case("file:", None)]
    #[case("file", None)]
    #[case("github-actions:x", None)]
    #[case("/var/run/token", None)]
    fn token_sources(#[case] text: &str, #[case] expected: Option<TokenSource>) {
        assert_eq!(TokenSource::parse(text), expected);
    }
}
