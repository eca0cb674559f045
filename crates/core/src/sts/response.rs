//! The answers: written by the server, read by the client, from AWS and from those who write it a little
//! differently (Ceph RGW: no namespace, `AssumeRoleId`, nanoseconds). Source: sts.md, peers' quirks.

use super::xml::{Leaves, NAMESPACE, Writer, XmlError};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::time::{iso8601, parse_iso8601};

/// The result of `AssumeRoleWithWebIdentity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumedRole {
    /// The temporary credentials; the session token and the expiration are always there.
    pub credentials: Credentials,
    /// The token's `sub`.
    pub subject: Option<String>,
    /// `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    pub arn: Option<String>,
    /// `AROA…:SESSION`.
    pub assumed_role_id: Option<String>,
    /// The ARN of the provider; `iss` at some services.
    pub provider: Option<String>,
    /// The token's `azp`, or its `aud`.
    pub audience: Option<String>,
    /// From the token's source identity claim.
    pub source_identity: Option<String>,
    /// Percent of what session policies and tags may take.
    pub packed_policy_size: Option<u32>,
    /// For the service's operator.
    pub request_id: Option<String>,
}

impl AssumedRole {
    /// Writes the answer to an `AssumeRoleWithWebIdentity`.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_xml_of("AssumeRoleWithWebIdentity")
    }

    /// Writes the answer to this operation: `AssumeRole`, `AssumeRoleWithWebIdentity` or MinIO's
    /// `AssumeRoleWithClientGrants`, which calls the subject otherwise.
    #[must_use]
    pub fn to_xml_of(&self, action: &str) -> String {
        let root = format!("{action}Response");
        let result = format!("{action}Result");
        let subject = match action {
            "AssumeRoleWithClientGrants" => "SubjectFromToken",
            _ => "SubjectFromWebIdentityToken",
        };
        let mut to = Writer::new(&root, NAMESPACE);
        to.open(&result);
        to.optional(subject, self.subject.as_deref());
        to.optional("Audience", self.audience.as_deref());
        to.open("AssumedRoleUser");
        to.optional("AssumedRoleId", self.assumed_role_id.as_deref());
        to.optional("Arn", self.arn.as_deref());
        to.close("AssumedRoleUser");
        credentials(&mut to, &self.credentials);
        to.optional("Provider", self.provider.as_deref());
        to.optional("SourceIdentity", self.source_identity.as_deref());
        to.optional("PackedPolicySize", self.packed_policy_size.map(|size| size.to_string()).as_deref());
        to.close(&result);
        metadata(&mut to, self.request_id.as_deref());
        to.finish(&root)
    }

    /// Reads the answer of any service that speaks the API, MinIO's client-grants form included.
    pub fn from_xml(text: &str) -> Result<Self, XmlError> {
        let leaves = Leaves::read(text)?;
        let forms = [
            ("AssumeRoleResponse", "AssumeRoleResult"),
            ("AssumeRoleWithWebIdentityResponse", "AssumeRoleWithWebIdentityResult"),
            ("AssumeRoleWithClientGrantsResponse", "AssumeRoleWithClientGrantsResult"),
        ];
        let one = |path: &[&str]| {
            forms.iter().find_map(|(root, result)| {
                let path: Vec<&str> = [*root, *result].into_iter().chain(path.iter().copied()).collect();
                leaves.text(&path).filter(|text| !text.is_empty()).map(str::to_owned)
            })
        };
        let needed = |name: &'static str| one(&["Credentials", name]).ok_or(XmlError::Missing(name));
        let expiration = needed("Expiration")?;
        let Some(expires_at) = parse_iso8601(&expiration) else {
            return Err(XmlError::Expiration(expiration));
        };
        Ok(Self {
            credentials: Credentials {
                access_key_id: needed("AccessKeyId")?,
                secret_key: Secret::new(needed("SecretAccessKey")?),
                session_token: Some(Secret::new(needed("SessionToken")?)),
                expires_at: Some(expires_at),
            },
            subject: one(&["SubjectFromWebIdentityToken"]).or_else(|| one(&["SubjectFromToken"])),
            arn: one(&["AssumedRoleUser", "Arn"]),
            assumed_role_id: one(&["AssumedRoleUser", "AssumedRoleId"])
                .or_else(|| one(&["AssumedRoleUser", "AssumeRoleId"])),
            provider: one(&["Provider"]),
            audience: one(&["Audience"]),
            source_identity: one(&["SourceIdentity"]),
            packed_policy_size: one(&["PackedPolicySize"]).and_then(|size| size.parse().ok()),
            request_id: forms
                .iter()
                .find_map(|(root, _)| leaves.text(&[root, "ResponseMetadata", "RequestId"]))
                .map(str::to_owned),
        })
    }
}

/// The result of `GetCallerIdentity`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// Who asked.
    pub arn: String,
    /// `AROA…:SESSION` of a session; the account's number for its root.
    pub user_id: String,
    /// The account.
    pub account: String,
    /// For the service's operator.
    pub request_id: Option<String>,
}

impl CallerIdentity {
    /// The name of the operation.
    pub const ACTION: &'static str = "GetCallerIdentity";

    /// Writes the answer.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut to = Writer::new("GetCallerIdentityResponse", NAMESPACE);
        to.open("GetCallerIdentityResult");
        to.leaf("Arn", &self.arn);
        to.leaf("UserId", &self.user_id);
        to.leaf("Account", &self.account);
        to.close("GetCallerIdentityResult");
        metadata(&mut to, self.request_id.as_deref());
        to.finish("GetCallerIdentityResponse")
    }

    /// Reads the answer.
    pub fn from_xml(text: &str) -> Result<Self, XmlError> {
        let leaves = Leaves::read(text)?;
        let needed = |name: &'static str| {
            let path = ["GetCallerIdentityResponse", "GetCallerIdentityResult", name];
            leaves.text(&path).map(str::to_owned).ok_or(XmlError::Missing(name))
        };
        let request_id = leaves.text(&["GetCallerIdentityResponse", "ResponseMetadata", "RequestId"]);
        Ok(Self {
            arn: needed("Arn")?,
            user_id: needed("UserId")?,
            account: needed("Account")?,
            request_id: request_id.map(str::to_owned),
        })
    }
}

/// The answer to `GetSessionToken`.
#[must_use]
pub fn session_token_xml(issued: &Credentials, request_id: &str) -> String {
    let mut to = Writer::new("GetSessionTokenResponse", NAMESPACE);
    to.open("GetSessionTokenResult");
    credentials(&mut to, issued);
    to.close("GetSessionTokenResult");
    metadata(&mut to, Some(request_id));
    to.finish("GetSessionTokenResponse")
}

/// The answer to `GetAccessKeyInfo`.
#[must_use]
pub fn access_key_info_xml(account: &str, request_id: &str) -> String {
    single_leaf("GetAccessKeyInfo", "Account", account, request_id)
}

/// The answer to `DecodeAuthorizationMessage`.
#[must_use]
pub fn decoded_message_xml(message: &str, request_id: &str) -> String {
    single_leaf("DecodeAuthorizationMessage", "DecodedMessage", message, request_id)
}

fn single_leaf(action: &str, name: &str, text: &str, request_id: &str) -> String {
    let (root, result) = (format!("{action}Response"), format!("{action}Result"));
    let mut to = Writer::new(&root, NAMESPACE);
    to.open(&result);
    to.leaf(name, text);
    to.close(&result);
    metadata(&mut to, Some(request_id));
    to.finish(&root)
}

fn credentials(to: &mut Writer, credentials: &Credentials) {
    to.open("Credentials");
    to.leaf("AccessKeyId", &credentials.access_key_id);
    to.leaf("SecretAccessKey", credentials.secret_key.expose());
    to.optional("SessionToken", credentials.session_token.as_ref().map(Secret::expose));
    to.optional("Expiration", credentials.expires_at.map(iso8601).as_deref());
    to.close("Credentials");
}

fn metadata(to: &mut Writer, request_id: Option<&str>) {
    to.open("ResponseMetadata");
    to.optional("RequestId", request_id);
    to.close("ResponseMetadata");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed() -> AssumedRole {
        AssumedRole {
            credentials: Credentials {
                access_key_id: "ASIAABCDEFGHIJKLMNOP".to_owned(),
                secret_key: Secret::new("s/+="),
                session_token: Some(Secret::new("t<&>")),
                expires_at: parse_iso8601("2026-11-23T21:07:00Z"),
            },
            subject: Some("alice & <bob>".to_owned()),
            arn: Some("arn:aws:sts::000000000000:assumed-role/r/s".to_owned()),
            assumed_role_id: Some("AROAX:s".to_owned()),
            provider: Some("arn:aws:iam::000000000000:oidc-provider/idp.example".to_owned()),
            audience: Some("s3-cli".to_owned()),
            source_identity: Some("alice".to_owned()),
            packed_policy_size: Some(7),
            request_id: Some("r-1".to_owned()),
        }
    }

    #[test]
    fn both_ways() {
        let xml = assumed().to_xml();
        assert!(xml.contains("<Expiration>2026-11-23T21:07:00Z</Expiration>"), "{xml}");
        assert_eq!(AssumedRole::from_xml(&xml), Ok(assumed()));
        let caller = CallerIdentity {
            arn: "arn:aws:iam::1:root".to_owned(),
            user_id: "1".to_owned(),
            account: "1".to_owned(),
            request_id: Some("r".to_owned()),
        };
        assert_eq!(CallerIdentity::from_xml(&caller.to_xml()), Ok(caller));
    }

    #[test]
    fn as_ceph_writes_it() {
        let xml = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult>\
            <SubjectFromWebIdentityToken>alice</SubjectFromWebIdentityToken><Audience>s3-cli</Audience>\
            <AssumedRoleUser><Arn>arn:aws:sts:::assumed-role/S3Access/alice</Arn>\
            <AssumeRoleId>e5:alice</AssumeRoleId><PackedPolicySize>0</PackedPolicySize></AssumedRoleUser>\
            <Credentials><AccessKeyId>0123456789ABCDEFGHI</AccessKeyId>\
            <Expiration>2026-11-23T21:07:00.123456789Z</Expiration>\
            <SecretAccessKey>x</SecretAccessKey><SessionToken>y</SessionToken></Credentials>\
            <Provider>http://127.0.0.1:18300</Provider>\
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
        let role = AssumedRole::from_xml(xml).unwrap();
        assert_eq!(role.assumed_role_id.as_deref(), Some("e5:alice"));
        assert_eq!(role.credentials.expires_at, parse_iso8601("2026-11-23T21:07:00.123456789Z"));
        assert_eq!(role.request_id, None);
    }

    #[test]
    fn answers_without_credentials_are_refused() {
        let xml = assumed().to_xml();
        for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            let without = xml.replace(&format!("<{name}>"), "<X>").replace(&format!("</{name}>"), "</X>");
            assert_eq!(AssumedRole::from_xml(&without), Err(XmlError::Missing(name)));
        }
        let odd = xml.replace("2026-11-23T21:07:00Z", "soon");
        assert_eq!(AssumedRole::from_xml(&odd), Err(XmlError::Expiration("soon".to_owned())));
        assert!(AssumedRole::from_xml("<html/>").is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", assumed());
        assert!(!shown.contains("s/+=") && !shown.contains("t<&>"), "{shown}");
    }
}
