//! What Login with Amazon and Facebook say about an opaque access token.
//!
//! Enters: the answer of a token-information endpoint, as it came. Leaves: [`TokenInformation`], which only the
//! two readers here can make. Refused: answers that are about another service's token, that name no application
//! or nobody, and tokens whose time is over. Sources: Login with Amazon, Developer Guide for Websites,
//! "Obtain profile information: verify the access token" (`/auth/o2/tokeninfo`); Facebook, Graph API reference,
//! `debug_token`, and "Debugging and error handling"; AWS IAM User Guide, "Available keys for AWS web identity
//! federation" (`www.amazon.com:app_id`, `:user_id`; `graph.facebook.com:app_id`, `:id`).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::time::{SignedDuration, Timestamp};

/// Facebook's error subcode for a session that has expired.
const FACEBOOK_EXPIRED: i64 = 463;

/// What an access token stands for, in the word of the service that issued it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInformation {
    pub(super) subject: String,
    pub(super) audience: String,
    pub(super) expires_at: Timestamp,
    /// The condition keys that AWS knows for the service.
    pub(super) claims: Map<String, Value>,
}

/// Why an answer makes nobody's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InformationError {
    /// Not the document that the service describes.
    #[error("the answer about the access token is not the documented one")]
    Shape,
    /// The service does not take the token for good.
    #[error("the service that issued the access token refuses it")]
    Rejected,
    /// The token was good once.
    #[error("the access token has expired")]
    Expired,
}

/// Reads Login with Amazon's answer to `/auth/o2/tokeninfo`; a refusal there has another status than 200.
///
/// # Errors
/// [`InformationError`]
pub fn amazon_information(json: &[u8], now: Timestamp) -> Result<TokenInformation, InformationError> {
    #[derive(Deserialize)]
    struct Answer {
        iss: String,
        user_id: String,
        aud: String,
        app_id: String,
        /// The seconds that are left.
        exp: i64,
    }
    let answer: Answer = serde_json::from_slice(json).map_err(|_| InformationError::Shape)?;
    if answer.iss != "https://www.amazon.com" {
        return Err(InformationError::Rejected);
    }
    let expires_at = now.checked_add(SignedDuration::from_secs(answer.exp));
    let expires_at = expires_at.map_err(|_| InformationError::Shape)?;
    let claims = [("app_id", &answer.app_id), ("user_id", &answer.user_id)];
    of(answer.user_id.clone(), answer.aud, expires_at, claims, now)
}

/// Reads Facebook's answer to `/debug_token`. Ids are numbers in older versions of the Graph API.
///
/// # Errors
/// [`InformationError`]
pub fn facebook_information(json: &[u8], now: Timestamp) -> Result<TokenInformation, InformationError> {
    #[derive(Deserialize)]
    struct Answer {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        app_id: Option<Value>,
        user_id: Option<Value>,
        #[serde(default)]
        is_valid: bool,
        /// Seconds since 1970; 0 for a token that does not end.
        #[serde(default)]
        expires_at: i64,
        error: Option<FacebookError>,
    }
    let Answer { data } = serde_json::from_slice(json).map_err(|_| InformationError::Shape)?;
    if !data.is_valid {
        let expired = data.error.is_some_and(|error| error.says_expired());
        return Err(if expired { InformationError::Expired } else { InformationError::Rejected });
    }
    let id = |value: Option<Value>| match value {
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(InformationError::Shape),
    };
    let (app, user) = (id(data.app_id)?, id(data.user_id)?);
    let expires_at = match data.expires_at {
        0 => Timestamp::MAX,
        seconds => Timestamp::from_second(seconds).map_err(|_| InformationError::Shape)?,
    };
    of(user.clone(), app.clone(), expires_at, [("app_id", &app), ("id", &user)], now)
}

/// What an error document of Facebook's says of the token.
#[must_use]
pub fn facebook_refusal(json: &[u8]) -> InformationError {
    #[derive(Deserialize)]
    struct Answer {
        error: FacebookError,
    }
    match serde_json::from_slice::<Answer>(json) {
        Ok(answer) if answer.error.says_expired() => InformationError::Expired,
        _ => InformationError::Rejected,
    }
}

#[derive(Deserialize)]
struct FacebookError {
    #[serde(rename = "error_subcode", alias = "subcode")]
    subcode: Option<i64>,
}

impl FacebookError {
    fn says_expired(&self) -> bool {
        self.subcode == Some(FACEBOOK_EXPIRED)
    }
}

fn of(
    subject: String,
    audience: String,
    expires_at: Timestamp,
    claims: [(&str, &String); 2],
    now: Timestamp,
) -> Result<TokenInformation, InformationError> {
    if subject.is_empty() || audience.is_empty() || claims.iter().any(|(_, value)| value.is_empty()) {
        return Err(InformationError::Shape);
    }
    if expires_at <= now {
        return Err(InformationError::Expired);
    }
    let claims = claims.map(|(name, value)| (name.to_owned(), Value::from(value.as_str())));
    Ok(TokenInformation { subject, audience, expires_at, claims: claims.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_760_000_000).unwrap()
    }

    #[test]
    fn amazons_answer() {
        let json = json!({"iss": "https://www.amazon.com", "user_id": "amzn1.account.K2", "exp": 3597,
            "aud": "amzn1.application-oa2-client.x", "app_id": "amzn1.application.4", "iat": 1_311_280_970});
        let read = amazon_information(json.to_string().as_bytes(), now()).unwrap();
        assert_eq!(
            (read.subject.as_str(), read.audience.as_str()),
            ("amzn1.account.K2", "amzn1.application-oa2-client.x")
        );
        assert_eq!(read.expires_at, now() + SignedDuration::from_secs(3597));
        let claims = json!({"app_id": "amzn1.application.4", "user_id": "amzn1.account.K2"});
        assert_eq!(Value::Object(read.claims), claims);
    }

    #[rstest]
    #[case::another_service(json!({"iss": "https://evil.example"}), InformationError::Rejected)]
    #[case::over(json!({"exp": 0}), InformationError::Expired)]
    #[case::long_over(json!({"exp": -5}), InformationError::Expired)]
    #[case::nobody(json!({"user_id": ""}), InformationError::Shape)]
    #[case::no_application(json!({"app_id": null}), InformationError::Shape)]
    #[case::no_audience(json!({"aud": ""}), InformationError::Shape)]
    #[case::absurd_time(json!({"exp": i64::MAX}), InformationError::Shape)]
    fn amazons_answers_that_do_not_count(#[case] changes: Value, #[case] error: InformationError) {
        let mut json =
            json!({"iss": "https://www.amazon.com", "user_id": "u", "exp": 10, "aud": "a", "app_id": "p"});
        json.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!(amazon_information(json.to_string().as_bytes(), now()), Err(error));
    }

    #[rstest]
    #[case::texts(json!({"app_id": "1", "user_id": "2", "is_valid": true, "expires_at": 1_760_000_100}), Ok(1_760_000_100))]
    #[case::numbers(json!({"app_id": 1, "user_id": 2, "is_valid": true, "expires_at": 1_760_000_100}), Ok(1_760_000_100))]
    #[case::without_end(json!({"app_id": "1", "user_id": "2", "is_valid": true, "expires_at": 0}), Ok(Timestamp::MAX.as_second()))]
    #[case::invalid(json!({"app_id": "1", "user_id": "2", "is_valid": false}), Err(InformationError::Rejected))]
    #[case::no_word(json!({"app_id": "1", "user_id": "2"}), Err(InformationError::Rejected))]
    #[case::expired(json!({"is_valid": false, "error": {"code": 190, "subcode": 463}}), Err(InformationError::Expired))]
    #[case::past(json!({"app_id": "1", "user_id": "2", "is_valid": true, "expires_at": 1_759_999_999}), Err(InformationError::Expired))]
    #[case::of_an_application(json!({"app_id": "1", "is_valid": true}), Err(InformationError::Shape))]
    fn facebooks_answers(#[case] data: Value, #[case] expected: Result<i64, InformationError>) {
        let read = facebook_information(json!({"data": data}).to_string().as_bytes(), now());
        assert_eq!(read.as_ref().map(|read| read.expires_at.as_second()).map_err(|error| *error), expected);
        if let Ok(read) = read {
            assert_eq!((read.subject.as_str(), read.audience.as_str()), ("2", "1"));
            assert_eq!(Value::Object(read.claims), json!({"app_id": "1", "id": "2"}));
        }
    }

    #[test]
    fn facebooks_errors() {
        let expired = br#"{"error":{"message":"m","type":"OAuthException","code":190,"error_subcode":463}}"#;
        assert_eq!(facebook_refusal(expired), InformationError::Expired);
        for other in [&br#"{"error":{"code":190,"error_subcode":467}}"#[..], b"{}", b"<html>", b""] {
            assert_eq!(facebook_refusal(other), InformationError::Rejected);
        }
        for odd in [&b"[]"[..], b"{}", b"", br#"{"data":[]}"#] {
            assert_eq!(facebook_information(odd, now()), Err(InformationError::Shape));
            assert_eq!(amazon_information(odd, now()), Err(InformationError::Shape));
        }
    }
}
