//! Credentials of a container, from the address that its environment names.
//!
//! Refused: an `http://` address that is neither loopback nor one of the fixed addresses of ECS and EKS. Source: AWS
//! SDKs and Tools Reference Guide, "Container credential provider".

use std::net::IpAddr;

use wigeon_core::credentials::Credentials;

use super::answer;
use crate::backend::upstream::settings::Environment;

/// Asks; `None` where the environment names no address.
pub(super) async fn ask(
    http: &reqwest::Client,
    environment: &Environment,
) -> Option<Result<Credentials, String>> {
    let relative = environment.value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = match relative {
        Some(path) => format!("http://169.254.170.2{path}"),
        None => environment.value("AWS_CONTAINER_CREDENTIALS_FULL_URI")?.to_owned(),
    };
    Some(fetch(http, environment, &url).await)
}

async fn fetch(http: &reqwest::Client, environment: &Environment, url: &str) -> Result<Credentials, String> {
    if !is_allowed(url) {
        return Err(format!(
            "`{url}` is neither https:// nor an address of this machine or of its container service"
        ));
    }
    let token = match environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => {
            let read = std::fs::read_to_string(file);
            Some(read.map_err(|error| format!("the token file `{file}` cannot be read: {error}"))?)
        }
        None => environment.value("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
    };
    let mut request = http.get(url);
    if let Some(token) = token {
        request = request.header("authorization", token.trim());
    }
    let failed = |error: reqwest::Error| format!("`{url}` does not answer: {}", error.without_url());
    let answer = request.send().await.map_err(failed)?;
    if !answer.status().is_success() {
        return Err(format!("`{url}` answers {}", answer.status().as_u16()));
    }
    let body = answer.bytes().await.map_err(failed)?;
    answer::read(&body, false).ok_or_else(|| format!("`{url}` answers without credentials"))
}

fn is_allowed(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let fixed = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    url.scheme() == "https"
        || (url.scheme() == "http"
            && (host == "localhost"
                || fixed.contains(&host)
                || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())))
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    #[test]
    fn plain_http_stays_on_the_machine() {
        for url in
            ["http://127.0.0.1:1/x", "http://[::1]/", "http://169.254.170.23/v1", "https://example.org/"]
        {
            assert!(is_allowed(url), "{url}");
        }
        for url in ["http://example.org/", "http://169.254.169.254/", "ftp://127.0.0.1/", "x"] {
            assert!(!is_allowed(url), "{url}");
        }
    }
}
