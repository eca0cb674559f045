//! Credentials of a role, from an STS endpoint: with a token in a file, or with credentials that one has.

use std::path::Path;

use http::{HeaderMap, HeaderValue, Method};
use wigeon_core::credentials::Credentials;
use wigeon_core::encoding::percent_encode;
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::{Query, sha256_hex};
use wigeon_core::sigv4::sign::Signer;
use wigeon_core::time::{Timestamp, parse_iso8601};

use crate::backend::upstream::settings::Environment;

/// What is asked for.
#[derive(Debug)]
pub(super) struct RoleCall<'a> {
    /// The role.
    pub(super) role_arn: &'a str,
    /// The name of the session.
    pub(super) session_name: &'a str,
    /// Further parameters.
    pub(super) more: Vec<(&'static str, String)>,
}

/// `AssumeRoleWithWebIdentity` with the token that the file has now.
pub(super) async fn with_token_file(
    http: &reqwest::Client,
    environment: &Environment,
    region: &str,
    mut call: RoleCall<'_>,
    file: &Path,
) -> Result<Credentials, String> {
    let token = std::fs::read_to_string(file);
    let token =
        token.map_err(|error| format!("the token file `{}` cannot be read: {error}", file.display()))?;
    call.more.push(("WebIdentityToken", token.trim().to_owned()));
    let form = form("AssumeRoleWithWebIdentity", &call);
    ask(http, &endpoint(environment, region), HeaderMap::new(), form).await
}

/// `AssumeRole` with the credentials of somebody who may.
pub(super) async fn with_credentials(
    http: &reqwest::Client,
    environment: &Environment,
    region: &str,
    call: RoleCall<'_>,
    credentials: &Credentials,
    at: Timestamp,
) -> Result<Credentials, String> {
    let form = form("AssumeRole", &call);
    let endpoint = endpoint(environment, region);
    let url = url::Url::parse(&endpoint).map_err(|_| format!("`{endpoint}` is not an address"))?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Err(format!("`{endpoint}` names no host")),
    };
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    let signer = Signer { credentials, region, service: "sts", at };
    let query = Query::of(Vec::new());
    signer
        .sign(&Method::POST, &host, url.path(), &query, &mut headers, &sha256_hex(form.as_bytes()))
        .map_err(|_| "the session token cannot stand in a header".to_owned())?;
    ask(http, &endpoint, headers, form).await
}

fn endpoint(environment: &Environment, region: &str) -> String {
    let configured = environment.value("AWS_ENDPOINT_URL_STS").or(environment.value("AWS_ENDPOINT_URL"));
    configured.map_or_else(|| format!("https://sts.{region}.amazonaws.com/"), str::to_owned)
}

fn form(action: &str, call: &RoleCall<'_>) -> String {
    let fixed = [("Action", action), ("Version", "2011-06-15"), ("RoleArn", call.role_arn)];
    let named = [("RoleSessionName", call.session_name)];
    let more = call.more.iter().map(|(name, value)| (*name, value.as_str()));
    let pairs = fixed.into_iter().chain(named).chain(more);
    pairs
        .map(|(name, value)| format!("{name}={}", percent_encode(value, false)))
        .collect::<Vec<_>>()
        .join("&")
}

async fn ask(
    http: &reqwest::Client,
    endpoint: &str,
    headers: HeaderMap,
    form: String,
) -> Result<Credentials, String> {
    let answer = http
        .post(endpoint)
        .header("content-type", "application/x-www-form-urlencoded")
        .headers(headers)
        .body(form)
        .send()
        .await
        .map_err(|error| format!("`{endpoint}` does not answer: {}", error.without_url()))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|_| format!("the answer of `{endpoint}` broke off"))?;
    read(&text).ok_or_else(|| {
        let code = text_of(&text, "Code").unwrap_or_default();
        format!("`{endpoint}` answers {} {code}", status.as_u16())
    })
}

fn text_of(xml: &str, name: &str) -> Option<String> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let node = document.descendants().find(|node| node.tag_name().name() == name)?;
    Some(node.text().unwrap_or_default().trim().to_owned())
}

fn read(xml: &str) -> Option<Credentials> {
    Some(Credentials {
        access_key_id: text_of(xml, "AccessKeyId")?,
        secret_key: Secret::new(text_of(xml, "SecretAccessKey")?),
        session_token: Some(Secret::new(text_of(xml, "SessionToken")?)),
        expires_at: Some(parse_iso8601(&text_of(xml, "Expiration")?)?),
    })
}
