//! Administering a Wigeon server: sessions are ended before their time, through its IAM API.
//!
//! Enters: what is to end, a signed way to the server. Leaves: nothing, or the [`Revocations`] that stand. Refused:
//! by the server, with its own code and words.

use serde::Deserialize;
use wigeon_core::sts::Fault;
use wigeon_core::time::{Timestamp, iso8601};

use crate::signed_query::{QueryError, SignedQuery};

const IAM_VERSION: &str = "2010-05-08";

/// What is to end.
#[derive(Debug, Clone, Copy)]
pub enum Revocation<'a> {
    /// One session, by its access key id.
    Session(&'a str),
    /// A role's sessions, by its name: those issued before now, or before a time.
    Role(&'a str, Option<Timestamp>),
    /// The sessions from a provider's tokens, by its ARN: likewise.
    Provider(&'a str, Option<Timestamp>),
}

/// Why nothing was done, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// There is no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The server said no.
    #[error("the server refuses: {code} ({message})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Its code.
        code: String,
        /// Its words.
        message: String,
    },
    /// It answered something else.
    #[error("the answer, with status {status}, is not one of a Wigeon server's IAM API")]
    NotWigeon {
        /// The HTTP status.
        status: u16,
    },
}

/// What was ended and would not have ended yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    /// Access key ids, and when each session would have ended at the latest.
    pub sessions: Vec<(String, String)>,
    /// Names of roles, and the time before which their sessions were issued.
    pub roles: Vec<(String, String)>,
    /// ARNs of providers, and that time.
    pub providers: Vec<(String, String)>,
}

/// Ends sessions. They are over when this returns, and on every other node within a second.
///
/// # Errors
/// [`AdministrationError`]
pub async fn revoke(query: &SignedQuery<'_>, what: Revocation<'_>) -> Result<(), AdministrationError> {
    let (action, name, value, before) = match what {
        Revocation::Session(id) => ("RevokeSession", "AccessKeyId", id, None),
        Revocation::Role(role, before) => ("RevokeRoleSessions", "RoleName", role, before),
        Revocation::Provider(arn, before) => {
            ("RevokeOpenIDConnectProviderSessions", "OpenIDConnectProviderArn", arn, before)
        }
    };
    let before = before.map(iso8601);
    let mut form = vec![("Action", action), ("Version", IAM_VERSION), (name, value)];
    form.extend(before.as_deref().map(|before| ("IssuedBefore", before)));
    answer(query, &form).await.map(drop)
}

/// What was ended.
///
/// # Errors
/// [`AdministrationError`]
pub async fn revocations(query: &SignedQuery<'_>) -> Result<Revocations, AdministrationError> {
    #[derive(Deserialize)]
    struct Response {
        #[serde(rename = "ListRevocationsResult")]
        result: Listed,
    }
    let text = answer(query, &[("Action", "ListRevocations"), ("Version", IAM_VERSION)]).await?;
    let read: Response =
        quick_xml::de::from_str(&text).map_err(|_| AdministrationError::NotWigeon { status: 200 })?;
    Ok(Revocations {
        sessions: read.result.sessions.pairs(),
        roles: read.result.roles.pairs(),
        providers: read.result.providers.pairs(),
    })
}

#[derive(Deserialize)]
struct Listed {
    #[serde(rename = "Sessions")]
    sessions: Members,
    #[serde(rename = "Roles")]
    roles: Members,
    #[serde(rename = "OpenIDConnectProviders")]
    providers: Members,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default, rename = "member")]
    members: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    #[serde(rename = "AccessKeyId", alias = "RoleName", alias = "Arn")]
    what: String,
    #[serde(rename = "Until", alias = "IssuedBefore")]
    time: String,
}

impl Members {
    fn pairs(self) -> Vec<(String, String)> {
        self.members.into_iter().map(|member| (member.what, member.time)).collect()
    }
}

async fn answer(query: &SignedQuery<'_>, form: &[(&str, &str)]) -> Result<String, AdministrationError> {
    let (status, text) = query.send(form).await?;
    if status == 200 && text.contains("<ResponseMetadata>") {
        return Ok(text);
    }
    match Fault::from_xml(&text) {
        Some(fault) if status != 200 => {
            Err(AdministrationError::Refused { status, code: fault.code, message: fault.message })
        }
        _ => Err(AdministrationError::NotWigeon { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let xml = "<ListRevocationsResult><Sessions><member><AccessKeyId>ASIA1</AccessKeyId><Until>t1</Until></member>\
            <member><AccessKeyId>ASIA2</AccessKeyId><Until>t2</Until></member></Sessions><Roles></Roles>\
            <OpenIDConnectProviders><member><Arn>arn</Arn><Url>u</Url><IssuedBefore>t3</IssuedBefore></member>\
            </OpenIDConnectProviders></ListRevocationsResult>";
        let read: Listed = quick_xml::de::from_str(xml).unwrap();
        let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
        assert_eq!(read.sessions.pairs(), [pair("ASIA1", "t1"), pair("ASIA2", "t2")]);
        assert_eq!(read.roles.pairs(), []);
        assert_eq!(read.providers.pairs(), [pair("arn", "t3")]);
    }
}
