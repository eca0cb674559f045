//! The instance metadata service, version 2 only: first a token by PUT, then the role, then its keys.

use http::Method;
use url::Url;
use wigeon_core::credentials::Credentials;

use super::answer;
use super::error::KeysError;
use crate::connect::Connector;
use crate::surroundings::Surroundings;

const SERVICE: &str = "http://169.254.169.254/";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";

/// Asks the machine. The address is the profile's, else `AWS_EC2_METADATA_SERVICE_ENDPOINT`, else AWS's.
pub(super) async fn keys(
    address: Option<&Url>,
    around: &Surroundings,
    connector: &Connector,
) -> Result<Credentials, KeysError> {
    let mut base = match address {
        Some(url) => url.clone(),
        None => {
            let text = around.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(SERVICE);
            Url::parse(text).map_err(|_| KeysError::Address { url: text.to_owned() })?
        }
    };
    // A profile's address may be that of the roles, or of one role, as Cyberduck's are.
    let named = base.path().strip_prefix(ROLES).map(|role| role.trim_matches('/').to_owned());
    base.set_path("/");
    let at = |path: &str| {
        let mut url = base.clone();
        url.set_path(path);
        url
    };
    let url = at("/latest/api/token");
    let request =
        connector.request(Method::PUT, &url).header("x-aws-ec2-metadata-token-ttl-seconds", "21600");
    let token = answer::text(request, &url).await?;
    let read = |url: Url| {
        let request = answer::get(connector, &url).header("x-aws-ec2-metadata-token", token.expose());
        async move { answer::text(request, &url).await }
    };
    let role = match named.filter(|role| !role.is_empty()) {
        Some(role) => role,
        None => {
            let roles = read(at(ROLES)).await?;
            roles.expose().lines().next().unwrap_or_default().trim().to_owned()
        }
    };
    if role.is_empty() {
        return Err(KeysError::NoRole(base));
    }
    let text = read(at(&format!("{ROLES}{role}"))).await?;
    answer::credentials(text.expose(), "the instance metadata", false)
}
