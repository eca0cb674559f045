//! Who the STS says we are (`GetCallerIdentity`), where it has the operation: Ceph RGW has not.
//!
//! Enters: the STS endpoint and credentials. Leaves: its own answer, or `None` where it does not know the question.

use url::Url;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sts::{API_VERSION, CallerIdentity};
use wigeon_core::time::Timestamp;

use crate::connect::{self, Connector};
use crate::sts_request::{GLOBAL_REGION, signed};

/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 16;

/// Asks. `None`: the STS cannot be reached, or has no such operation, or refuses it; nobody needs the answer to go on.
pub async fn caller_identity(
    connector: &Connector,
    endpoint: &Url,
    credentials: &Credentials,
    at: Timestamp,
) -> Option<CallerIdentity> {
    let form = Secret::new(format!("Action={}&Version={API_VERSION}", CallerIdentity::ACTION));
    let request = signed(connector, endpoint, GLOBAL_REGION, credentials, &form, at)?;
    let answer = request.send().await.ok()?;
    if answer.status().as_u16() != 200 {
        tracing::debug!(status = answer.status().as_u16(), "the STS does not say who we are");
        return None;
    }
    let body = connect::body(answer, ANSWER_LIMIT).await.ok()?;
    CallerIdentity::from_xml(&String::from_utf8_lossy(&body)).ok()
}
