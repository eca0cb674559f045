//! Into a web console with a session, as AWS documents it ("Enable custom identity broker access to the AWS console",
//! IAM User Guide).
//!
//! Enters: temporary credentials, a federation endpoint, the page to arrive at. Leaves: an address that signs whoever
//! opens it in, once and within a quarter of an hour: it is a secret until then. Refused: keys without an end, which
//! the endpoint does not take.

use http::Method;
use serde::Deserialize;
use serde_json::json;
use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;

use crate::connect::{BodyError, Connector, body};

/// The most that an answer may have, in bytes.
const ANSWER_LIMIT: usize = 1 << 16;

/// What the endpoint is told about where the person comes from.
const ISSUER: &str = "wigeon";

/// Why there is no way in.
#[derive(Debug, thiserror::Error)]
pub enum ConsoleError {
    /// Access keys of a person, not of a session.
    #[error("the console takes sessions of roles only, and these keys have no session token")]
    NoSession,
    /// The endpoint cannot be reached.
    #[error("cannot reach the console's sign-in at `{host}`")]
    Unreachable {
        /// The endpoint's host.
        host: String,
        /// Why; without the address, which holds the session.
        #[source]
        source: reqwest::Error,
    },
    /// The answer breaks off.
    #[error("cannot read the answer of `{host}`")]
    Body {
        /// The endpoint's host.
        host: String,
        /// Why.
        #[source]
        source: BodyError,
    },
    /// It says no.
    #[error("the console's sign-in at `{host}` refuses the session (status {status}){words}")]
    Refused {
        /// The endpoint's host.
        host: String,
        /// The HTTP status.
        status: u16,
        /// What else it says.
        words: String,
    },
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "SigninToken")]
    signin_token: Secret,
}

/// Makes the address that leads into the console. `seconds`: how long the console's own session is to last, from 900 to
/// 43,200, where that is not left to the role.
///
/// # Errors
/// See [`ConsoleError`].
pub async fn console_address(
    connector: &Connector,
    endpoint: &Url,
    destination: &Url,
    credentials: &Credentials,
    seconds: Option<u32>,
) -> Result<Secret, ConsoleError> {
    let token = credentials.session_token.as_ref().ok_or(ConsoleError::NoSession)?;
    let session = Secret::new(
        json!({
            "sessionId": credentials.access_key_id,
            "sessionKey": credentials.secret_key.expose(),
            "sessionToken": token.expose(),
        })
        .to_string(),
    );
    let mut ask = endpoint.clone();
    ask.query_pairs_mut().append_pair("Action", "getSigninToken");
    if let Some(seconds) = seconds {
        ask.query_pairs_mut().append_pair("SessionDuration", &seconds.to_string());
    }
    ask.query_pairs_mut().append_pair("Session", session.expose());
    let host = endpoint.host_str().unwrap_or_default().to_owned();
    let answer = connector
        .request(Method::GET, &ask)
        .send()
        .await
        .map_err(|error| ConsoleError::Unreachable { host: host.clone(), source: error.without_url() })?;
    let status = answer.status().as_u16();
    let bytes = body(answer, ANSWER_LIMIT)
        .await
        .map_err(|source| ConsoleError::Body { host: host.clone(), source })?;
    let found = serde_json::from_slice::<Answer>(&bytes).ok().filter(|_| status == 200);
    let Some(Answer { signin_token }) = found else {
        return Err(ConsoleError::Refused { host, status, words: words_of(&bytes) });
    };
    let mut address = endpoint.clone();
    address
        .query_pairs_mut()
        .append_pair("Action", "login")
        .append_pair("Issuer", ISSUER)
        .append_pair("Destination", destination.as_str())
        .append_pair("SigninToken", signin_token.expose());
    Ok(Secret::new(String::from(address)))
}

/// What of an answer is for people: a line of plain text, and no page.
fn words_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    match text.trim() {
        "" => String::new(),
        page if page.starts_with('<') || page.len() > 300 => String::new(),
        words => format!(": {words}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use axum::Router;
    use axum::extract::Query;
    use axum::routing::get;
    use serde_json::Value;

    use super::*;
    use crate::connect::ConnectOptions;

    fn credentials(token: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: "ASIA/+=".to_owned(),
            secret_key: Secret::new("a+b/c=&d"),
            session_token: token.map(Secret::new),
            expires_at: None,
        }
    }

    /// A federation endpoint as documented: it takes a session that it knows, and gives a token.
    async fn federation() -> Url {
        async fn answer(Query(query): Query<HashMap<String, String>>) -> (http::StatusCode, String) {
            let session: Value =
                query.get("Session").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let known = json!({"sessionId": "ASIA/+=", "sessionKey": "a+b/c=&d", "sessionToken": "t&t"});
            let duration = query.get("SessionDuration").map(String::as_str);
            if query.get("Action").map(String::as_str) != Some("getSigninToken") || session != known {
                return (http::StatusCode::BAD_REQUEST, "<html>no</html>".to_owned());
            }
            match duration {
                None | Some("3600") => (http::StatusCode::OK, json!({"SigninToken": "s+i/g=n"}).to_string()),
                Some(_) => (http::StatusCode::BAD_REQUEST, "the duration is too long\n".to_owned()),
            }
        }
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/federation", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/federation", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        endpoint
    }

    #[tokio::test]
    async fn a_session_becomes_an_address() {
        let connector = Connector::new(&ConnectOptions::default()).unwrap();
        let endpoint = federation().await;
        let destination = "https://console.example/s3/home?region=x".parse().unwrap();
        for seconds in [None, Some(3600)] {
            let keys = credentials(Some("t&t"));
            let address = console_address(&connector, &endpoint, &destination, &keys, seconds).await.unwrap();
            let address: Url = address.expose().parse().unwrap();
            let pairs: Vec<_> = address.query_pairs().into_owned().collect();
            let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            assert_eq!(
                pairs,
                [
                    pair("Action", "login"),
                    pair("Issuer", "wigeon"),
                    pair("Destination", "https://console.example/s3/home?region=x"),
                    pair("SigninToken", "s+i/g=n"),
                ]
            );
            assert_eq!(address.path(), "/federation");
        }
    }

    #[tokio::test]
    async fn refusals_in_the_endpoints_words_and_without_the_session() {
        let connector = Connector::new(&ConnectOptions::default()).unwrap();
        let endpoint = federation().await;
        let destination = "https://console.example/".parse().unwrap();
        let refused = |token, seconds| {
            let (connector, endpoint, destination) = (&connector, &endpoint, &destination);
            async move {
                console_address(connector, endpoint, destination, &credentials(token), seconds)
                    .await
                    .unwrap_err()
                    .to_string()
            }
        };
        assert!(refused(None, None).await.contains("no session token"));
        assert!(refused(Some("t&t"), Some(99)).await.ends_with("(status 400): the duration is too long"));
        assert!(refused(Some("other"), None).await.ends_with("refuses the session (status 400)"));
        let nowhere = "http://127.0.0.1:1/federation".parse().unwrap();
        let keys = credentials(Some("secret-token"));
        let error = console_address(&connector, &nowhere, &destination, &keys, None).await.unwrap_err();
        assert!(!format!("{error:?}").contains("secret-token"), "{error:?}");
    }
}
