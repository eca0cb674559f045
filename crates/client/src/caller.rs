//! Who the STS says we are (`GetCallerIdentity`), where it has the operation: Ceph RGW has not.
//!
//! Enters: the STS endpoint and credentials. Leaves: its own answer, or `None` where it does not know the question.

use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::sts::{API_VERSION, CallerIdentity};
use wigeon_core::time::Timestamp;

use crate::connect::Connector;
use crate::signed_query::SignedQuery;

/// Asks. `None`: the STS cannot be reached, or has no such operation, or refuses it; nobody needs the answer to go on.
pub async fn caller_identity(
    connector: &Connector,
    endpoint: &Url,
    credentials: &Credentials,
    at: Timestamp,
) -> Option<CallerIdentity> {
    let query = SignedQuery { connector, endpoint, credentials, service: "sts", at };
    let form = [("Action", CallerIdentity::ACTION), ("Version", API_VERSION)];
    let (status, text) = query.send(&form).await.ok()?;
    if status != 200 {
        tracing::debug!(status, "the STS does not say who we are");
        return None;
    }
    CallerIdentity::from_xml(&text).ok()
}
