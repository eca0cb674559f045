//! The two services: where they are, how they are asked, and how they refuse.

use http::{Method, header};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;
use wigeon_core::secret::Secret;

use super::error::CenterError;
use crate::connect::{self, Connector};
use crate::surroundings::Surroundings;

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

/// One of the services.
pub(super) struct Service<'a> {
    base: Url,
    connector: &'a Connector,
}

impl<'a> Service<'a> {
    /// The one that signs people in.
    pub(super) fn oidc(
        region: &str,
        around: &Surroundings,
        connector: &'a Connector,
    ) -> Result<Self, CenterError> {
        Self::at(around.variable("AWS_ENDPOINT_URL_SSO_OIDC"), "oidc", region, connector)
    }

    /// The one that gives credentials.
    pub(super) fn portal(
        region: &str,
        around: &Surroundings,
        connector: &'a Connector,
    ) -> Result<Self, CenterError> {
        Self::at(around.variable("AWS_ENDPOINT_URL_SSO"), "portal.sso", region, connector)
    }

    fn at(
        elsewhere: Option<&str>,
        name: &str,
        region: &str,
        connector: &'a Connector,
    ) -> Result<Self, CenterError> {
        let wrong = || CenterError::Region(region.to_owned());
        // The region becomes a part of a host name.
        if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(wrong());
        }
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let text = elsewhere.map_or_else(|| format!("https://{name}.{region}.{suffix}"), str::to_owned);
        Ok(Self { base: Url::parse(&text).map_err(|_| wrong())?, connector })
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, CenterError> {
        let url = self.url(path);
        let request = self
            .connector
            .request(Method::POST, &url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string());
        self.send(request, url).await
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        bearer: &Secret,
    ) -> Result<T, CenterError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        let request =
            self.connector.request(Method::GET, &url).header("x-amz-sso_bearer_token", bearer.expose());
        self.send(request, url).await
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder, url: Url) -> Result<T, CenterError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let answer = request.send().await.map_err(|source| CenterError::Unreachable {
            host: host.clone(),
            source: source.without_url(),
        })?;
        let status = answer.status().as_u16();
        let kind =
            answer.headers().get("x-amzn-errortype").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let body = connect::body(answer, ANSWER_LIMIT)
            .await
            .map_err(|source| CenterError::Body { host: host.clone(), source })?;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|_| CenterError::Unreadable { url, status });
        }
        /// The two services have two shapes.
        #[derive(Deserialize)]
        struct Refusal {
            error: Option<String>,
            error_description: Option<String>,
            #[serde(rename = "__type")]
            kind: Option<String>,
            message: Option<String>,
        }
        let Ok(refusal) = serde_json::from_slice::<Refusal>(&body) else {
            return Err(CenterError::Unreadable { url, status });
        };
        let kind = kind.map(|kind| kind.split(':').next().unwrap_or_default().to_owned());
        match refusal.error.or(refusal.kind).or(kind) {
            Some(code) => {
                let message = refusal.error_description.or(refusal.message).unwrap_or_default();
                Err(CenterError::Refused { host, status, code, message })
            }
            None => Err(CenterError::Unreadable { url, status }),
        }
    }
}
