//! The steps themselves. Each asks the one who knows, as a command would, and keeps their words.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use reqwest::Method;
use wigeon_client::caller::caller_identity;
use wigeon_client::connect::Connector;
use wigeon_client::profile::{Redirect, Settings};
use wigeon_client::s3::{Client, Endpoint, ListQuery};
use wigeon_client::session::{Record, Session};
use wigeon_client::sign_in::{Grant, Provider, TokenEndpointError, locate, redeem};
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp, iso8601, parse_http_date};

use crate::commands::findings::{Findings, State};
use crate::commands::login::handler;
use crate::commands::objects::address::StorePlace;
use crate::context::Context;
use crate::errors::{Failure, Kind, sign_in_needed};
use crate::wording::duration;

/// From where on a clock is called wrong: STS's and the ID token's own tolerance, and S3's.
const SKEW_WARNING: i64 = 60;
const SKEW_FAILURE: i64 = 300;

/// Where nobody answers.
const CONNECTION_FIX: &str = "check the address, the network and proxies (HTTPS_PROXY, NO_PROXY)";

/// What all steps need.
pub(super) struct Probes {
    settings: Settings,
    session: Arc<Session>,
    connector: Connector,
    now: Timestamp,
}

impl Probes {
    /// `None`, and said so, where not even a session can be made.
    pub(super) fn new(context: &Context, settings: &Settings, findings: &mut Findings) -> Option<Self> {
        let made = context.session_of(settings).and_then(|session| {
            let connector = session.connector()?.clone();
            Ok((session, connector))
        });
        match made {
            Ok((session, connector)) => {
                Some(Self { settings: settings.clone(), session, connector, now: context.clock.now() })
            }
            Err(failure) => {
                findings.failed("setup", &failure, "");
                None
            }
        }
    }

    /// The provider's document, over TLS, and its clock.
    pub(super) async fn discovery(&self, findings: &mut Findings) -> Option<Provider> {
        let oauth = self.settings.oauth().ok()?;
        match locate(&self.connector, &oauth).await {
            Ok(provider) => {
                let issuer = provider.issuer.clone();
                match &issuer {
                    Some(issuer) => findings.ok("discovery", format!("{issuer}; keys and addresses found")),
                    None => findings.add(
                        "discovery",
                        State::Warning,
                        "there is no discovery document: ID tokens are believed because they come from the token endpoint",
                        &[],
                        "name the issuer: wigeon login --issuer URL",
                    ),
                }
                self.reached("provider", provider.token_endpoint.as_str(), findings).await;
                Some(provider)
            }
            Err(error) => {
                let fix = if error.is_temporary() {
                    CONNECTION_FIX
                } else {
                    "compare the issuer with the provider's documentation, and open its .well-known/openid-configuration"
                };
                findings.failed("discovery", &Failure::because(Kind::Error, &error), fix);
                None
            }
        }
    }

    /// Whether the browser has somewhere to come back to.
    pub(super) async fn redirect(&self, context: &Context, findings: &mut Findings) {
        let Ok(oauth) = self.settings.oauth() else { return };
        match &oauth.redirect {
            Redirect::Loopback { text, port: Some(port), .. } => {
                match tokio::net::TcpListener::bind(("127.0.0.1", *port)).await {
                    Ok(_) => findings.ok("redirect", format!("{text}; the port is free")),
                    Err(error) => findings.add(
                        "redirect",
                        State::Failed,
                        &format!("cannot listen at {text}"),
                        &[error.to_string()],
                        "end what uses the port, or register an address without one: wigeon login --redirect-url http://127.0.0.1/callback",
                    ),
                }
            }
            Redirect::Loopback { text, port: None, .. } => {
                findings.ok("redirect", format!("{text}, at any free port"));
            }
            Redirect::CustomScheme(text) => {
                let by = match handler(context, &oauth.redirect) {
                    Ok(Some(_)) => "which the desktop hands over".to_owned(),
                    _ => format!(
                        "which you paste; it comes back by itself after: wigeon setup desktop {}",
                        self.settings.name()
                    ),
                };
                findings.ok("redirect", format!("{text}, {by}"));
            }
            Redirect::Elsewhere(text) => findings.ok("redirect", format!("{text}, which you paste")),
        }
    }

    /// Whether the provider knows the client: it is asked for tokens with a refresh token that is none.
    pub(super) async fn client(&self, provider: &Provider, findings: &mut Findings) {
        let Ok(sign_in) = self.session.sign_in() else { return };
        let id = sign_in.client.id.clone().unwrap_or_else(|| "(none)".to_owned());
        let fix = format!(
            "register the client `{id}` at the provider, or name another: wigeon login --client-id ID"
        );
        let none = Secret::new("wigeon-doctor-asks-whether-the-client-is-known");
        match redeem(
            &self.connector,
            provider,
            sign_in.client,
            Grant::Refresh { token: &none, resource: None },
        )
        .await
        {
            // The client is known, and the token is not: as it should be.
            Err(TokenEndpointError::Refused { code, .. }) if code == "invalid_grant" => {
                findings.ok("client", format!("{id} is known to the provider"));
            }
            Err(TokenEndpointError::Refused { code, description }) => {
                let words = wigeon_client::sign_in::words(&code, &description);
                let known = matches!(
                    code.as_str(),
                    "unauthorized_client" | "unsupported_grant_type" | "invalid_scope" | "invalid_request"
                );
                if known {
                    let text = format!(
                        "{id}: the provider does not renew for this client, or does not say: {words}"
                    );
                    findings.add(
                        "client",
                        State::Warning,
                        &text,
                        &[],
                        "allow the client refresh tokens (the grant `refresh_token`)",
                    );
                } else {
                    let text = format!("the provider does not accept the client `{id}`");
                    findings.add("client", State::Failed, &text, &[words], &fix);
                }
            }
            // Some refuse a token that is none of theirs without a word, so this tells nothing of the client.
            Err(TokenEndpointError::Unreadable { status: status @ 400..=403, .. }) => {
                let text = format!(
                    "{id}: the provider refuses a made-up token with status {status} and does not say why"
                );
                findings.add("client", State::Warning, &text, &[], "sign in to find out: wigeon login");
            }
            Err(error) => findings.failed("client", &Failure::because(Kind::Error, &error), ""),
            Ok(_) => {
                findings.add("client", State::Warning, "the provider gives tokens for anything", &[], "")
            }
        }
    }

    /// Whether the STS and the store can be reached, and their clocks.
    pub(super) async fn endpoints(&self, findings: &mut Findings) {
        let sts = self.session.sts().endpoint.clone();
        self.reached("sts", sts.as_str(), findings).await;
        if let Ok(endpoint) = self.settings.endpoint()
            && endpoint.value.origin() != sts.origin()
        {
            self.reached("store", endpoint.value.as_str(), findings).await;
        }
    }

    /// Connects, with TLS where the address says so; any answer will do. The `Date` of it tells the clock.
    async fn reached(&self, step: &'static str, url: &str, findings: &mut Findings) {
        let Ok(url) = url.parse::<url::Url>() else { return };
        let answer = match self.connector.request(Method::GET, &url).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let mut failure = Failure::because(Kind::Retry, &error);
                failure.message = format!("cannot reach {url}");
                let fix = CONNECTION_FIX;
                return findings.failed(step, &failure, fix);
            }
        };
        let secure = if url.scheme() == "https" { "over TLS" } else { "over http" };
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(parse_http_date);
        let skew = date.map(|date| self.now.duration_since(date).as_secs());
        let origin = url.origin().ascii_serialization();
        match skew {
            None => findings.ok(step, format!("{origin} answers {secure}")),
            Some(skew) if skew.abs() <= SKEW_WARNING => {
                findings.ok(
                    step,
                    format!("{origin} answers {secure}; the clocks agree within {} s", skew.abs().max(1)),
                );
            }
            Some(skew) => {
                let way = if skew > 0 { "ahead of" } else { "behind" };
                let far = duration(SignedDuration::from_secs(skew.abs()));
                let text = format!("this machine's clock is {far} {way} {origin}'s");
                let state = if skew.abs() > SKEW_FAILURE { State::Failed } else { State::Warning };
                findings.add(
                    "clock",
                    state,
                    &text,
                    &[],
                    "let the machine keep its time by itself (NTP): timedatectl set-ntp true",
                );
            }
        }
    }

    /// What the kept ID token says.
    pub(super) fn token(&self, findings: &mut Findings) -> bool {
        let record = match self.session.record() {
            Ok(Some(record)) => record,
            Ok(None) if self.session.is_unattended().unwrap_or(false) => {
                findings.ok("token", "no person is needed: the machine or the job has the token or the keys");
                return true;
            }
            Ok(None) => {
                let needed = sign_in_needed(self.session.profile());
                let login = format!("wigeon login {}", self.session.profile());
                findings.add("token", State::Missing, "nobody has signed in yet", &[], &login);
                tracing::debug!(needed = needed.message, "the rest needs a sign-in");
                return false;
            }
            Err(error) => {
                findings.failed("token", &error.into(), "");
                return false;
            }
        };
        let Record { identity, refresh_token, .. } = &record;
        if record.id_token.is_none() {
            findings.ok("token", format!("{}, from {}", identity.user, identity.issuer));
            return true;
        }
        let ends = if identity.expires_at > self.now {
            format!("ends in {}", duration(identity.expires_at.duration_since(self.now)))
        } else {
            format!("ended at {}", iso8601(identity.expires_at))
        };
        let audience = identity.audience.join(", ");
        let text = format!(
            "{} (sub {}), iss {}, aud {audience}, {ends}",
            identity.user, identity.subject, identity.issuer
        );
        if refresh_token.is_none() && identity.expires_at <= self.now {
            let login = format!("wigeon login {}", self.session.profile());
            findings.add(
                "token",
                State::Missing,
                &text,
                &["there is no refresh token to renew it with".to_owned()],
                &login,
            );
            return false;
        }
        if refresh_token.is_none() {
            let fix = "let the profile ask for the scope `offline_access`, if the provider has it";
            findings.add("token", State::Warning, &format!("{text}; there is no refresh token"), &[], fix);
        } else {
            findings.ok("token", text);
        }
        true
    }

    /// An exchange that is made now, whatever is still valid.
    pub(super) async fn exchange(&self, findings: &mut Findings) -> bool {
        let renewed = match self.session.credentials().await {
            Ok(credentials) => self.session.instead_of(&credentials).await,
            Err(error) => Err(error),
        };
        match renewed {
            Ok(credentials) => {
                let role = match self.session.record() {
                    Ok(Some(record)) => {
                        crate::wording::role_name(&record).unwrap_or_else(|| "(the STS's own)".to_owned())
                    }
                    _ => "(unknown)".to_owned(),
                };
                let valid = credentials.expires_at.map_or_else(
                    || "without an end".to_owned(),
                    |end| format!("for {}", duration(end.duration_since(self.now))),
                );
                findings.ok("exchange", format!("role {role}, {valid}"));
                true
            }
            Err(error) => {
                let failure = Failure::from(error);
                if failure.kind == Kind::SignInNeeded {
                    let login = format!("wigeon login {}", self.session.profile());
                    findings.add("exchange", State::Missing, &failure.message, &failure.causes, &login);
                } else {
                    findings.failed(
                        "exchange",
                        &failure,
                        "compare the role's trust policy with the token's iss, aud and sub above",
                    );
                }
                false
            }
        }
    }

    /// Who the STS says that we are.
    pub(super) async fn caller(&self, findings: &mut Findings) {
        let Ok(credentials) = self.session.credentials().await else { return };
        let endpoint = &self.session.sts().endpoint;
        match caller_identity(&self.connector, endpoint, &credentials, self.now).await {
            Some(caller) => findings.ok("caller", caller.arn.clone()),
            None => findings.ok("caller", "the STS has no GetCallerIdentity; nothing depends on it"),
        }
    }

    /// The profile's bucket, or the buckets.
    pub(super) async fn listing(&self, context: &Context, findings: &mut Findings) {
        let path = self.settings.default_path().map(|path| path.value.trim_start_matches('/').to_owned());
        let place = match StorePlace::parse(&format!("s3://{}", path.unwrap_or_default())) {
            Ok(place) => place,
            Err(failure) => return findings.failed("listing", &failure, ""),
        };
        let endpoint = match Endpoint::of_profile(&self.settings) {
            Ok(endpoint) => endpoint,
            Err(error) => return findings.failed("listing", &error.into(), ""),
        };
        let session: Arc<Session> = Arc::clone(&self.session);
        let client = Client::new(self.connector.clone(), endpoint, session, Arc::clone(&context.clock));
        let listed = match &place.bucket {
            None => client.list_buckets().await.map(|buckets| format!("{} buckets", buckets.len())),
            Some(bucket) => {
                let query = ListQuery {
                    prefix: place.key.clone(),
                    delimiter: Some("/".to_owned()),
                    ..ListQuery::default()
                };
                let mut entries = client.list(bucket, query);
                entries.try_next().await.map(|first| match first {
                    Some(_) => format!("{place} can be listed"),
                    None => format!("{place} can be listed, and is empty"),
                })
            }
        };
        match listed {
            Ok(text) => findings.ok("listing", text),
            Err(error) => {
                let role = match self.settings.role().map(|role| role.value) {
                    Ok(wigeon_client::profile::Role::Given(arn)) => Arn::to_string(&arn),
                    _ => "the role".to_owned(),
                };
                let fix = format!(
                    "give {role} s3:ListAllMyBuckets or s3:ListBucket, or name a bucket that it may list: `Default Path`"
                );
                findings.failed("listing", &Failure::from(error), &fix);
            }
        }
    }
}
