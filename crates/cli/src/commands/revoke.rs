//! `wigeon revoke`: end sessions before their time, as an administrator.
//!
//! Signed with a profile's session, or, with `--endpoint`, with the keys in `AWS_ACCESS_KEY_ID` and
//! `AWS_SECRET_ACCESS_KEY`: the root key, for instance.

use clap::Subcommand;
use serde_json::{Value, json};
use url::Url;
use wigeon_client::administration::{AdministrationError, Revocation, Revocations, revocations, revoke};
use wigeon_client::connect::Connector;
use wigeon_client::signed_query::SignedQuery;
use wigeon_core::arn::without_scheme;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Timestamp, parse_iso8601};

use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
    /// The server, instead of a profile's; AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY sign
    #[arg(long, value_name = "URL", global = true)]
    endpoint: Option<Url>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// End one session
    Session {
        /// Its access key id, as in the audit record and in whoami
        #[arg(value_name = "ACCESS-KEY-ID")]
        id: String,
    },
    /// End the sessions of a role
    Role {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// Those that were issued before this time, such as 2026-11-23T20:07:00Z; by default now
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
    },
    /// End the sessions that came from a provider's tokens
    Provider {
        /// Its ARN or its address
        #[arg(value_name = "PROVIDER")]
        provider: String,
        /// Those that were issued before this time; by default now
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
    },
    /// List what was ended
    List,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let way = Way::find(args.endpoint.as_ref(), context).await?;
    let query = way.query(context);
    let (revocation, what, before) = match &args.what {
        What::List => return list(&query, context).await,
        What::Session { id } => (Revocation::Session(id), format!("the session of `{id}`"), None),
        What::Role { name, before } => {
            let before = time(before.as_deref())?;
            (Revocation::Role(name, before), format!("the sessions of the role `{name}`"), before)
        }
        What::Provider { provider, before } => {
            let before = time(before.as_deref())?;
            let arn = way.provider_arn(provider, context).await?;
            let what = format!("the sessions from the provider `{arn}`");
            revoke(&query, Revocation::Provider(&arn, before)).await.map_err(|error| failure(&error))?;
            return said(context, &what, before);
        }
    };
    revoke(&query, revocation).await.map_err(|error| failure(&error))?;
    said(context, &what, before)
}

fn said(context: &Context, what: &str, before: Option<Timestamp>) -> Result<(), Failure> {
    let data = json!({ "revoked": what, "before": before });
    context.output.result(&data, |_| match before {
        Some(before) => printable(&format!("Ended {what} that were issued before {before}.")),
        None => printable(&format!("Ended {what}.")),
    })
}

async fn list(query: &SignedQuery<'_>, context: &Context) -> Result<(), Failure> {
    let listed = revocations(query).await.map_err(|error| failure(&error))?;
    let Revocations { sessions, roles, providers } = &listed;
    let rows = |rows: &[(String, String)], what: &str, when: &str| -> Vec<Value> {
        rows.iter().map(|(name, time)| json!({ "kind": what, "name": name, when: time })).collect()
    };
    let data = [
        rows(sessions, "session", "until"),
        rows(roles, "role", "issued_before"),
        rows(providers, "provider", "issued_before"),
    ]
    .concat();
    let text = |rows: &[(String, String)], what: &str, when: &str| {
        rows.iter()
            .map(|(name, time)| printable(&format!("{what:9} {name}  {when} {time}")))
            .collect::<Vec<_>>()
    };
    context.output.result(&data, |_| {
        let lines = [
            text(sessions, "session", "until"),
            text(roles, "role", "issued before"),
            text(providers, "provider", "issued before"),
        ];
        lines.concat().join("\n")
    })
}

/// The server, and who speaks to it.
struct Way {
    connector: Connector,
    endpoint: Url,
    credentials: Credentials,
}

impl Way {
    async fn find(endpoint: Option<&Url>, context: &Context) -> Result<Self, Failure> {
        if let Some(endpoint) = endpoint {
            let connector = Connector::new(&context.connect_options());
            let connector = connector.map_err(|error| Failure::because(Kind::Error, &error))?;
            return Ok(Self { connector, endpoint: endpoint.clone(), credentials: from_variables(context)? });
        }
        let settings = context.settings_of(context.stored(None)?)?;
        let session = context.session_of(&settings)?;
        let credentials = session.credentials().await?;
        let connector = session.connector()?.clone();
        let credentials = Credentials::clone(&credentials);
        Ok(Self { connector, endpoint: session.sts().endpoint.clone(), credentials })
    }

    fn query<'a>(&'a self, context: &Context) -> SignedQuery<'a> {
        let Self { connector, endpoint, credentials } = self;
        SignedQuery { connector, endpoint, credentials, service: "iam", at: context.clock.now() }
    }

    /// A provider's ARN; one that is named by its address has the caller's account in it.
    async fn provider_arn(&self, provider: &str, context: &Context) -> Result<String, Failure> {
        if provider.starts_with("arn:") {
            return Ok(provider.to_owned());
        }
        let Self { connector, endpoint, credentials } = self;
        let asked =
            wigeon_client::caller::caller_identity(connector, endpoint, credentials, context.clock.now())
                .await;
        let account = asked.map(|caller| caller.account).ok_or_else(|| {
            Failure::error("the server does not say which account this is")
                .hint("name the provider by its ARN")
        })?;
        Ok(format!("arn:aws:iam::{account}:oidc-provider/{}", without_scheme(provider)))
    }
}

fn from_variables(context: &Context) -> Result<Credentials, Failure> {
    let variable = |name: &str| {
        let value = context.environment.variable(name).map(str::to_owned);
        value.ok_or_else(|| {
            Failure::usage(format!("--endpoint needs {name}"))
                .hint("or leave --endpoint out and use a profile")
        })
    };
    Ok(Credentials {
        access_key_id: variable("AWS_ACCESS_KEY_ID")?,
        secret_key: Secret::new(variable("AWS_SECRET_ACCESS_KEY")?),
        session_token: context.environment.variable("AWS_SESSION_TOKEN").map(Secret::new),
        expires_at: None,
    })
}

fn time(text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let read = parse_iso8601(text);
    read.map(Some).ok_or_else(|| {
        Failure::usage(format!("`{}` is not a time such as 2026-11-23T20:07:00Z", printable(text)))
    })
}

fn failure(error: &AdministrationError) -> Failure {
    match error {
        AdministrationError::Query(_) => Failure::because(Kind::Retry, error),
        AdministrationError::Refused { status: 403, .. } => Failure::because(Kind::Denied, error)
            .hint("it needs iam:RevokeSession, iam:RevokeRoleSessions and the like; a directory file is changed by hand (`revoked_before`, `revoked_sessions`)"),
        AdministrationError::Refused { status, .. } if *status >= 500 => Failure::because(Kind::Retry, error),
        AdministrationError::Refused { .. } | AdministrationError::NotWigeon { .. } => {
            Failure::because(Kind::Error, error)
        }
    }
}
