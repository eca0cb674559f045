//! The JSON that programs and metadata services give credentials in.

use serde::Deserialize;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::parse_iso8601;

/// The fields, by either of their names.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    version: Option<u32>,
    access_key_id: Option<String>,
    secret_access_key: Option<Secret>,
    #[serde(alias = "SessionToken")]
    token: Option<Secret>,
    expiration: Option<String>,
}

/// Reads them; `None` for anything else. `process`: as `credential_process` writes it, with its version.
pub(super) fn read(json: &[u8], process: bool) -> Option<Credentials> {
    let answer: Answer = serde_json::from_slice(json).ok()?;
    if process && answer.version != Some(1) {
        return None;
    }
    let expires_at = match answer.expiration {
        None => None,
        Some(text) => Some(parse_iso8601(&text)?),
    };
    Some(Credentials {
        access_key_id: answer.access_key_id.filter(|id| !id.is_empty())?,
        secret_key: answer.secret_access_key.filter(|key| !key.is_empty())?,
        session_token: answer.token.filter(|token| !token.is_empty()),
        expires_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_services() {
        let process = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t","Expiration":"2026-11-23T20:00:00Z"}"#;
        let read_one = read(process, true).unwrap();
        assert_eq!(read_one.session_token.unwrap().expose(), "t");
        let service = br#"{"Code":"Success","AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T20:00:00Z"}"#;
        assert_eq!(read(service, false).unwrap().expires_at.unwrap().to_string(), "2026-11-23T20:00:00Z");
        assert_eq!(read(service, true), None);
        for text in [
            "",
            "{}",
            r#"{"AccessKeyId":"A"}"#,
            r#"{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}"#,
        ] {
            assert_eq!(read(text.as_bytes(), false), None, "{text}");
        }
    }
}
