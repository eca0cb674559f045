//! Credentials of an instance, from its metadata service, version 2. Source: Amazon EC2 User Guide, "Use IMDS".

use std::time::Duration;

use wigeon_core::credentials::Credentials;

use super::answer;
use crate::backend::upstream::settings::Environment;

/// Machines without the service should not wait for it.
const LONGEST: Duration = Duration::from_secs(2);

/// Asks; `None` where the environment forbids it.
pub(super) async fn ask(
    http: &reqwest::Client,
    environment: &Environment,
) -> Option<Result<Credentials, String>> {
    if environment.value("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    {
        return None;
    }
    let base = environment.value("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or("http://169.254.169.254");
    Some(fetch(http, base.trim_end_matches('/')).await)
}

async fn fetch(http: &reqwest::Client, base: &str) -> Result<Credentials, String> {
    let token =
        http.put(format!("{base}/latest/api/token")).header("x-aws-ec2-metadata-token-ttl-seconds", "300");
    let token = text(base, token).await?;
    let roles = format!("{base}/latest/meta-data/iam/security-credentials/");
    let get = |url: String| http.get(url).header("x-aws-ec2-metadata-token", token.as_str());
    let role = text(base, get(roles.clone())).await?;
    let role = role.lines().next().unwrap_or_default().trim();
    if role.is_empty() || role.contains('/') {
        return Err("the instance has no role".to_owned());
    }
    let json = text(base, get(format!("{roles}{role}"))).await?;
    answer::read(json.as_bytes(), false)
        .ok_or_else(|| "the instance's metadata has no credentials".to_owned())
}

async fn text(base: &str, request: reqwest::RequestBuilder) -> Result<String, String> {
    let failed = |error: reqwest::Error| {
        format!("the metadata service `{base}` does not answer: {}", error.without_url())
    };
    let answer = request.timeout(LONGEST).send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("the metadata service `{base}` answers {}", answer.status().as_u16()));
    }
    answer.text().await.map_err(failed)
}
