//! What of a profile would not work, and what to do about it, without asking anyone.

use serde::Serialize;
use url::{Host, Url};

use super::redirect::Redirect;
use super::settings::Settings;
use super::source::{KeySource, TokenSource};
use super::values::{ClientCredential, Flow, Role};
use crate::connect::is_loopback;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The profile cannot be used like this.
    Error,
    /// It can, but something is in the way or unsafe.
    Warning,
    /// Good to know.
    Note,
}

/// Something about a profile, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What is so.
    pub text: String,
    /// What to do; empty when there is nothing to be done.
    pub fix: String,
}

/// Looks a profile over; the worst comes first.
#[must_use]
pub fn check(settings: &Settings) -> Vec<Finding> {
    let mut findings = Findings::default();
    addresses(settings, &mut findings);
    host(settings, &mut findings);
    match settings.flow().value {
        Flow::AuthorizationCode | Flow::PasswordGrant => {
            sign_in(settings, &mut findings);
            exchange(settings, &mut findings);
        }
        Flow::Workload => workload(settings, &mut findings),
        Flow::IdentityCenter => identity_center(settings, &mut findings),
        Flow::AccessKeys => access_keys(settings, &mut findings),
    }
    for (key, value) in settings.unresolved() {
        findings.add(
            Severity::Warning,
            &format!("`{key}` is `{value}`, and that preference has no value"),
            "set it in config.toml under [preferences]",
        );
    }
    let unknown: Vec<String> = settings
        .unknown_keys()
        .into_iter()
        .map(|unknown| format!("`{}` ({})", unknown.key, unknown.place))
        .collect();
    if !unknown.is_empty() {
        findings.add(Severity::Note, &format!("kept, and not used: {}", unknown.join(", ")), "");
    }
    findings.0.sort_by_key(|finding| finding.severity);
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, text: &str, fix: &str) {
        self.0.push(Finding { severity, text: text.to_owned(), fix: fix.to_owned() });
    }

    fn ok<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(Severity::Error, &error.to_string(), "correct the value")).ok()
    }

    /// What goes to this address must not be read on the way.
    fn in_the_clear(&mut self, what: &str, url: &Url, carries: &str) {
        if url.scheme() == "http" && !is_loopback(url) {
            let text = format!("{what} `{url}` is http: everyone on the way can read {carries}");
            self.add(Severity::Warning, &text, "use https");
        }
    }
}

fn addresses(settings: &Settings, findings: &mut Findings) {
    let Some(endpoint) = findings.ok(settings.endpoint()) else { return };
    findings.in_the_clear("the S3 endpoint", &endpoint.value, "the data");
    let Some(path_style) = findings.ok(settings.path_style()) else { return };
    let by_number = matches!(endpoint.value.host(), Some(Host::Ipv4(_) | Host::Ipv6(_)));
    let name = endpoint.value.host_str().unwrap_or_default();
    if !path_style.value && (by_number || name == "localhost") {
        findings.add(
            Severity::Warning,
            &format!("buckets are addressed as host names under `{name}`, which rarely works"),
            "set the property `s3.bucket.virtualhost.disable` to true",
        );
    }
}

fn sign_in(settings: &Settings, findings: &mut Findings) {
    let providers = settings.providers();
    let open = match settings.chosen_provider() {
        Ok(chosen) => chosen.is_none() && !providers.is_empty(),
        Err(error) => {
            let names = providers.iter().map(|choice| choice.id.as_str()).collect::<Vec<_>>().join(", ");
            let fix = format!("run: wigeon login --provider NAME, with one of {names}");
            return findings.add(Severity::Error, &error.to_string(), &fix);
        }
    };
    if open {
        let names = providers.iter().map(|choice| choice.title.as_str()).collect::<Vec<_>>().join(", ");
        let text = format!("the provider is chosen at the first sign-in, among {names}");
        findings.add(Severity::Note, &text, "");
    }
    let Some(oauth) = findings.ok(settings.oauth()) else { return };
    if oauth.issuer.is_none() && !open {
        if oauth.token_url.is_none() {
            findings.add(
                Severity::Error,
                "there is no `OAuth Token Url`",
                "set it, or the issuer as the property `wigeon.issuer`",
            );
        }
        if oauth.authorization_url.is_none() && oauth.flow == Flow::AuthorizationCode {
            findings.add(
                Severity::Error,
                "there is no `OAuth Authorization Url`",
                "set it, or the issuer as the property `wigeon.issuer`",
            );
        }
    }
    for (what, url) in [
        ("the issuer", &oauth.issuer),
        ("`OAuth Authorization Url`", &oauth.authorization_url),
        ("`OAuth Token Url`", &oauth.token_url),
    ] {
        if let Some(url) = url.as_ref().filter(|url| url.scheme() == "http" && !is_loopback(url)) {
            findings.add(
                Severity::Error,
                &format!("{what} `{url}` is http: a sign-in over it is not possible"),
                "use https",
            );
        }
    }
    if oauth.client_id == ClientCredential::Ask {
        findings.add(Severity::Note, "the client id is asked for at the first sign-in", "");
    }
    if !oauth.pkce && oauth.flow == Flow::AuthorizationCode {
        findings.add(
            Severity::Warning,
            "PKCE is switched off: a stolen code can be redeemed by others",
            "remove `OAuth PKCE`, unless the provider cannot do it",
        );
    }
    match (&oauth.redirect, oauth.flow) {
        (_, Flow::PasswordGrant) => findings.add(
            Severity::Warning,
            "the profile hands the password through Wigeon to the provider (password grant)",
            "use `AuthorizationCode` if the provider's client allows it",
        ),
        (Redirect::CustomScheme(text), _) => findings.add(
            Severity::Warning,
            &format!("the redirect `{text}` belongs to a desktop application: its address has to be handed back"),
            "run: wigeon setup desktop; or register `http://127.0.0.1/callback` at the provider, and run: wigeon login --redirect-url http://127.0.0.1/callback",
        ),
        (Redirect::Elsewhere(text), _) => findings.add(
            Severity::Note,
            &format!("after the redirect to `{text}` its address has to be pasted"),
            "",
        ),
        (Redirect::Loopback { .. }, _) => {}
    }
}

fn workload(settings: &Settings, findings: &mut Findings) {
    let Some(Some(source)) = findings.ok(settings.token_source()) else { return };
    match source.value {
        TokenSource::ClientCredentials => sign_in_without_person(settings, findings),
        // The role is the environment's where the profile has none.
        TokenSource::Environment => return,
        TokenSource::File(_)
        | TokenSource::Variable(_)
        | TokenSource::Command(_)
        | TokenSource::GitHubActions => {}
    }
    exchange(settings, findings);
}

fn sign_in_without_person(settings: &Settings, findings: &mut Findings) {
    let Some(oauth) = findings.ok(settings.oauth()) else { return };
    if oauth.issuer.is_none() && oauth.token_url.is_none() {
        let fix = "set it, or the issuer as the property `wigeon.issuer`";
        findings.add(Severity::Error, "there is no `OAuth Token Url`", fix);
    }
    if !matches!(oauth.client_secret, ClientCredential::Given(_)) {
        let text = "there is no `OAuth Client Secret`: a client that signs in by itself needs one";
        findings.add(Severity::Error, text, "set it");
    }
}

fn identity_center(settings: &Settings, findings: &mut Findings) {
    match findings.ok(settings.identity_center()) {
        None => {}
        Some(Some(center)) if center.account_id.is_some() && center.role_name.is_some() => {}
        Some(Some(_)) => {
            findings.add(Severity::Note, "account and role are chosen at the first sign-in", "");
        }
        Some(None) => {
            let name = settings.aws_profile().unwrap_or_else(|| "default".to_owned());
            let text = format!("the sign-in is that of the profile `{name}` in ~/.aws/config");
            findings.add(
                Severity::Note,
                &text,
                "another one: set `sso_start_url` and `sso_region`, or the bookmark's user name",
            );
        }
    }
}

/// What is asked for whatever the sign-in is.
fn host(settings: &Settings, findings: &mut Findings) {
    if let Some(example) = settings.host_to_ask_for() {
        let text = format!("the store's host (as in `{example}`) is asked for at the first sign-in");
        findings.add(Severity::Note, &text, "");
    }
}

fn access_keys(settings: &Settings, findings: &mut Findings) {
    let Some(source) = findings.ok(settings.key_source()) else { return };
    let Some(sts) = findings.ok(settings.sts()) else { return };
    if source.value == KeySource::Kept {
        let text = "the profile has no sign-in: access keys are asked for, and kept in the secret store";
        let fix = "a sign-in is safer: set `wigeon.issuer`, if there is a provider";
        findings.add(Severity::Note, text, fix);
    }
    match sts.role {
        Role::Given(_) => findings.in_the_clear("the STS endpoint", &sts.endpoint, "the credentials"),
        Role::Ask => findings.add(Severity::Note, "the role is asked for at the first sign-in", ""),
        Role::None => {}
    }
    if let Some(serial) = &sts.mfa_serial {
        let text = format!("the role wants a code of `{serial}` each time its session ends");
        findings.add(Severity::Note, &text, "");
    }
}

fn exchange(settings: &Settings, findings: &mut Findings) {
    let Some(sts) = findings.ok(settings.sts()) else { return };
    findings.in_the_clear("the STS endpoint", &sts.endpoint, "the token and the credentials");
    match sts.role {
        Role::Given(_) => {}
        Role::Ask => findings.add(Severity::Note, "the role is asked for at the first sign-in", ""),
        Role::None if sts.endpoint.host_str().is_some_and(|host| host.ends_with("amazonaws.com")) => findings
            .add(
                Severity::Error,
                "there is no role, and AWS needs one",
                "set the property `role_arn`, or run: wigeon login --role-arn ARN",
            ),
        Role::None => findings.add(Severity::Note, "there is no role: the STS has to know one by itself", ""),
    }
}
