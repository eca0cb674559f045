//! What a tool has to know besides credentials: endpoints, region, certificates; and the variables that say so.
//!
//! Enters: a profile's settings. Leaves: variables to set and a rule for those to remove. What each tool reads is
//! listed in docs/tools.md.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use wigeon_client::profile::{Origin, Settings};

use crate::context::Context;
use crate::errors::Failure;

/// A profile, as other tools see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surroundings {
    /// The profile's name.
    pub(crate) profile: String,
    /// The S3 endpoint without a last slash; `None` for AWS, where the tools know it.
    pub(crate) endpoint: Option<String>,
    /// The STS endpoint without a last slash; `None` for AWS.
    pub(crate) sts: Option<String>,
    pub(crate) region: String,
    /// Whether the bucket stands in the path.
    pub(crate) path_style: bool,
    /// A certificate authority of the profile or the command line.
    pub(crate) ca_file: Option<PathBuf>,
}

impl Surroundings {
    /// Of a profile.
    pub(crate) fn of(settings: &Settings, context: &Context) -> Result<Self, Failure> {
        let bare = |url: &str| url.trim_end_matches('/').to_owned();
        let endpoint = settings.endpoint()?;
        let sts = settings.sts_endpoint()?;
        let ca_file = settings.ca_file().map(|file| file.value).or_else(|| context.options.ca_file.clone());
        Ok(Self {
            profile: settings.name().to_owned(),
            endpoint: (endpoint.origin != Origin::Default).then(|| bare(endpoint.value.as_str())),
            sts: (sts.origin != Origin::Default).then(|| bare(sts.value.as_str())),
            region: settings.region().value,
            path_style: settings.path_style()?.value,
            ca_file: ca_file.map(|file| std::path::absolute(&file).unwrap_or(file)),
        })
    }

    /// Whether the endpoint is plain http.
    pub(crate) fn is_http(&self) -> bool {
        self.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"))
    }

    /// The endpoint's host and port, without the scheme.
    pub(crate) fn host(&self) -> Option<&str> {
        let endpoint = self.endpoint.as_deref()?;
        Some(endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest))
    }

    /// Variables for the region and the endpoints. `AWS_ENDPOINT_URL_S3` and `_STS` are AWS's; `S3_ENDPOINT_URL` is
    /// s5cmd's, `AWS_ENDPOINT` and `AWS_ALLOW_HTTP` are object_store's.
    pub(crate) fn places(&self) -> Vec<(&'static str, String)> {
        let mut set = vec![("AWS_REGION", self.region.clone()), ("AWS_DEFAULT_REGION", self.region.clone())];
        if let Some(endpoint) = &self.endpoint {
            set.extend(
                ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "S3_ENDPOINT_URL"]
                    .map(|name| (name, endpoint.clone())),
            );
        }
        if let Some(sts) = &self.sts {
            set.push(("AWS_ENDPOINT_URL_STS", sts.clone()));
        }
        if self.is_http() {
            set.push(("AWS_ALLOW_HTTP", "true".to_owned()));
        }
        set
    }

    /// Variables for a file of certificates, which holds the system's and the profile's own: most of these replace
    /// what the tool trusts, and do not add to it.
    pub(crate) fn certificates(bundle: &Path) -> Vec<(&'static str, String)> {
        ["AWS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"]
            .map(|name| (name, bundle.display().to_string()))
            .to_vec()
    }

    /// A remote of rclone, made of variables alone: `rclone ls wigeon:BUCKET`.
    pub(crate) fn rclone_remote(&self) -> Vec<(&'static str, String)> {
        let mut set = vec![
            ("RCLONE_CONFIG_WIGEON_TYPE", "s3".to_owned()),
            (
                "RCLONE_CONFIG_WIGEON_PROVIDER",
                if self.endpoint.is_some() { "Other" } else { "AWS" }.to_owned(),
            ),
            ("RCLONE_CONFIG_WIGEON_ENV_AUTH", "true".to_owned()),
            ("RCLONE_CONFIG_WIGEON_REGION", self.region.clone()),
        ];
        if let Some(endpoint) = &self.endpoint {
            set.push(("RCLONE_CONFIG_WIGEON_ENDPOINT", endpoint.clone()));
            set.push(("RCLONE_CONFIG_WIGEON_FORCE_PATH_STYLE", self.path_style.to_string()));
        }
        set
    }

    /// A section for a file of AWS's configuration, with the style of addresses and the endpoints. `more` are lines
    /// of their own in the section.
    pub(crate) fn aws_section(&self, section: &str, more: &[String]) -> String {
        let mut text = format!("[{section}]\nregion = {}\n", self.region);
        for line in more {
            let _ = writeln!(text, "{line}");
        }
        if self.endpoint.is_some() {
            let style = if self.path_style { "path" } else { "virtual" };
            let _ = writeln!(text, "s3 =\n  addressing_style = {style}");
        }
        text
    }
}

/// Whether a variable of the caller's would lead a tool to other credentials or another place.
pub(crate) fn is_stale(name: &str) -> bool {
    const STALE: [&str; 24] = [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY",
        "AWS_SECRET_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_SECURITY_TOKEN",
        "AWS_DELEGATION_TOKEN",
        "AWS_CREDENTIAL_EXPIRATION",
        "AWS_CREDENTIAL_FILE",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_VAULT",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_ROLE_SESSION_NAME",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_ALLOW_HTTP",
        "S3_ENDPOINT_URL",
    ];
    STALE.contains(&name) || name == "AWS_ENDPOINT" || name.starts_with("AWS_ENDPOINT_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lab() -> Surroundings {
        Surroundings {
            profile: "lab".to_owned(),
            endpoint: Some("http://127.0.0.1:9000".to_owned()),
            sts: Some("http://127.0.0.1:9000".to_owned()),
            region: "eu-central-1".to_owned(),
            path_style: true,
            ca_file: None,
        }
    }

    #[test]
    fn what_is_set_replaces_what_is_stale() {
        let set = lab().places();
        assert!(set.contains(&("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000".to_owned())));
        assert!(set.iter().all(|(name, _)| is_stale(name)), "{set:?}");
        for name in ["AWS_SHARED_CREDENTIALS_FILE_", "AWS_MAX_ATTEMPTS", "PATH", "AWS_PAGER"] {
            assert!(!is_stale(name), "{name}");
        }
        assert!(is_stale("AWS_ENDPOINT_URL_DYNAMODB"));
    }

    #[test]
    fn aws_itself_has_no_endpoint() {
        let aws = Surroundings { endpoint: None, sts: None, ..lab() };
        assert_eq!(aws.places().len(), 2);
        assert_eq!(aws.aws_section("default", &[]), "[default]\nregion = eu-central-1\n");
        assert_eq!(
            lab().aws_section("profile lab", &["a = b".to_owned()]),
            "[profile lab]\nregion = eu-central-1\na = b\ns3 =\n  addressing_style = path\n"
        );
    }
}
