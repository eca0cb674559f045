//! Credentials as other programs are given them.
//!
//! Enters: a session's credentials, and the time. Leaves: the documents of `credential_process` and of the container
//! endpoint. The end that they name is earlier than the true one: some tools use their keys to the last second, and
//! a request takes time, too. Every caller is given the same session (docs/tools.md).

use serde::Serialize;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{SignedDuration, Timestamp, iso8601};
use zeroize::Zeroizing;

/// The most by which the end is named too early.
const EARLY: SignedDuration = SignedDuration::from_mins(5);

/// Credentials, with the end that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    access_key_id: String,
    secret_key: Secret,
    session_token: Option<Secret>,
    told_end: Option<Timestamp>,
}

impl Issued {
    /// Names an end that is five minutes before the true one, or a fifth of the time that is left if that is less.
    #[must_use]
    pub fn new(credentials: &Credentials, now: Timestamp) -> Self {
        let told_end = credentials.expires_at.map(|end| {
            let left = end.duration_since(now).max(SignedDuration::ZERO);
            end.checked_sub(EARLY.min(left / 5)).unwrap_or(end)
        });
        Self {
            access_key_id: credentials.access_key_id.clone(),
            secret_key: credentials.secret_key.clone(),
            session_token: credentials.session_token.clone(),
            told_end,
        }
    }

    /// When the tool is to ask again at the latest.
    #[must_use]
    pub fn told_end(&self) -> Option<Timestamp> {
        self.told_end
    }

    /// What a `credential_process` prints: version 1 of AWS's "Sourcing credentials with an external process".
    #[must_use]
    pub fn for_process(&self) -> Zeroizing<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document<'a> {
            version: u32,
            access_key_id: &'a str,
            secret_access_key: &'a Secret,
            #[serde(skip_serializing_if = "Option::is_none")]
            session_token: Option<&'a Secret>,
            #[serde(skip_serializing_if = "Option::is_none")]
            expiration: Option<String>,
        }
        text(&Document {
            version: 1,
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_key,
            session_token: self.session_token.as_ref(),
            expiration: self.told_end.map(iso8601),
        })
    }

    /// What a container endpoint answers: AWS SDKs' "Container credential provider". All four members are always
    /// there: tools of the first generation refuse a document without one.
    #[must_use]
    pub fn for_container(&self) -> Zeroizing<String> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Document<'a> {
            access_key_id: &'a str,
            secret_access_key: &'a Secret,
            token: &'a str,
            expiration: String,
        }
        text(&Document {
            access_key_id: &self.access_key_id,
            secret_access_key: &self.secret_key,
            token: self.session_token.as_ref().map_or("", |token| token.expose()),
            // Long-lived keys: a date that no tool comes to.
            expiration: self.told_end.map_or_else(|| "2099-12-31T23:59:59Z".to_owned(), iso8601),
        })
    }
}

fn text(document: &impl Serialize) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(document).expect("texts and numbers are always JSON"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn credentials(seconds: i64) -> (Credentials, Timestamp) {
        let now = at("2026-11-23T12:00:00Z");
        let credentials = Credentials {
            access_key_id: "ASIA1".to_owned(),
            secret_key: Secret::new("s"),
            session_token: Some(Secret::new("t")),
            expires_at: Some(now + SignedDuration::from_secs(seconds)),
        };
        (credentials, now)
    }

    #[rstest]
    #[case(3600, 3300)]
    #[case(1200, 960)]
    #[case(20, 16)]
    #[case(7, 5)]
    #[case(0, 0)]
    fn the_end_is_told_early(#[case] left: i64, #[case] told: i64) {
        let (credentials, now) = credentials(left);
        let end = Issued::new(&credentials, now).told_end().unwrap();
        assert_eq!(end.duration_since(now).as_secs(), told);
    }

    #[test]
    fn both_documents() {
        let (credentials, now) = credentials(3600);
        let issued = Issued::new(&credentials, now);
        let read = |text: Zeroizing<String>| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(
            read(issued.for_process()),
            json!({"Version": 1, "AccessKeyId": "ASIA1", "SecretAccessKey": "s", "SessionToken": "t",
                "Expiration": "2026-11-23T12:55:00Z"})
        );
        assert_eq!(
            read(issued.for_container()),
            json!({"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-11-23T12:55:00Z"})
        );
        let lasting = Credentials { expires_at: None, session_token: None, ..credentials };
        let issued = Issued::new(&lasting, now);
        assert_eq!(
            read(issued.for_process()),
            json!({"Version": 1, "AccessKeyId": "ASIA1", "SecretAccessKey": "s"})
        );
        assert_eq!(read(issued.for_container())["Token"], "");
    }
}
