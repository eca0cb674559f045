//! What a profile comes to, in lines for people; no secret is among them.

use serde::Serialize;

use super::document;
use super::keys;
use super::settings::Settings;
use super::values::{Flow, Origin, Role, SettingsError};

/// One line of what a profile comes to, for showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// What it is.
    pub key: &'static str,
    /// The value, or what stands for it; never a secret.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Settings {
    /// What the profile comes to, a line for each value that is used. A value that cannot be used is shown as
    /// its error.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown> {
        let mut lines = Vec::new();
        let mut line = |key, value: String, origin| lines.push(Shown { key, value, origin });
        let error = |error: SettingsError| (error.problem, error.origin);
        line("vendor", self.stored().profile.vendor(), Origin::Profile);
        line("description", self.description(), Origin::Profile);
        let (value, origin) = self.endpoint().map_or_else(error, |v| (v.value.to_string(), v.origin));
        line("endpoint", value, origin);
        let region = self.region();
        line("region", region.value, region.origin);
        if let Ok(path_style) = self.path_style() {
            let style = if path_style.value { "path" } else { "virtual host" };
            line("addressing", style.to_owned(), path_style.origin);
        }
        let flow = self.flow();
        let flow_text = match flow.value {
            Flow::AuthorizationCode => "browser (authorization code)",
            Flow::PasswordGrant => "user name and password (password grant)",
            Flow::Workload => "nobody: a token of the machine or the job",
            Flow::IdentityCenter => "AWS IAM Identity Center (a code on any device)",
            Flow::AccessKeys => "access keys",
        };
        line("sign-in", flow_text.to_owned(), flow.origin);
        if let Some(issuer) = self.property(keys::ISSUER) {
            line("issuer", issuer.value, issuer.origin);
        }
        for (name, key) in [
            ("token", keys::TOKEN),
            ("token", keys::WEB_IDENTITY_TOKEN_FILE),
            ("credentials", keys::CREDENTIALS),
            ("start url", keys::SSO_START_URL),
            ("account", keys::SSO_ACCOUNT_ID),
            ("role name", keys::SSO_ROLE_NAME),
            ("mfa serial", keys::MFA_SERIAL),
            ("role chain", keys::ROLE_CHAIN),
            ("provider id", keys::PROVIDER_ID),
        ] {
            if let Some(text) = self.property(key) {
                line(name, text.value, text.origin);
            }
        }
        if matches!(flow.value, Flow::AuthorizationCode | Flow::PasswordGrant | Flow::Workload) {
            for (name, key) in [
                ("authorization url", keys::OAUTH_AUTHORIZATION_URL),
                ("token url", keys::OAUTH_TOKEN_URL),
                ("client id", keys::OAUTH_CLIENT_ID),
                ("redirect url", keys::OAUTH_REDIRECT_URL),
            ] {
                if let Some(text) = self.text(key) {
                    line(name, text.value, text.origin);
                }
            }
            if let Some((origin, value)) = self.raw(keys::OAUTH_CLIENT_SECRET) {
                let shown = if document::is_blank(value) { "none is sent" } else { "(set)" };
                line("client secret", shown.to_owned(), origin);
            }
            if let Ok(oauth) = self.oauth() {
                let origin = self.raw(keys::SCOPES).map_or(Origin::Default, |(origin, _)| origin);
                line("scopes", oauth.scopes.join(" "), origin);
            }
            let (value, origin) = self.sts_endpoint().map_or_else(error, |v| (v.value.to_string(), v.origin));
            line("sts endpoint", value, origin);
            let (value, origin) = self.role().map_or_else(error, |role| {
                let text = match &role.value {
                    Role::Given(arn) => arn.to_string(),
                    Role::Ask => "(asked for)".to_owned(),
                    Role::None => "(the STS decides)".to_owned(),
                };
                (text, role.origin)
            });
            line("role", value, origin);
        }
        if let Some(file) = self.ca_file() {
            line("ca file", file.value.display().to_string(), file.origin);
        }
        lines
    }
}
