//! Who sent a request: the signature checked with the secret key of a session, of a user or of the root key.
//!
//! Enters: a [`Request`]. Leaves: an [`Authenticated`], which only [`Authenticator`] makes. Refused: an unsigned
//! request, an access key that is nobody's, a session token that this server did not seal, that is another
//! access key's, has ended or was revoked, and every signature that `core::sigv4::verify` refuses.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use wigeon_core::s3::BucketName;
use wigeon_core::s3::form_policy::{FormPolicy, FormPolicyError, LengthRange};
use wigeon_core::secret::Secret;
use wigeon_core::sigv4::canonical::{ALGORITHM, SigningSecret};
use wigeon_core::sigv4::form::{FormClaim, FormFields};
use wigeon_core::sigv4::verify::{Claim, Expected, Payload, Seed, SignatureError, Verified};
use wigeon_core::sts::{FaultCode, StsError};
use wigeon_core::time::Timestamp;

use crate::directory::{Directory, Used};
use crate::issue::{Sealer, UnsealError};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::session::Caller;

/// What AWS's services with query parameters say to a wrong signature.
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
    Access Key and signing method. Consult the service documentation for details.";

/// The administrator's long-lived key, from the configuration.
#[derive(Debug, Clone)]
pub struct RootKey {
    /// Its access key id.
    pub access_key_id: String,
    /// Its secret key.
    pub secret_key: Secret,
}

/// A request whose sender is known.
#[derive(Debug, Clone)]
pub struct Authenticated {
    caller: Caller,
    access_key_id: String,
    signature: Option<Signature>,
    payload: Payload,
    seed: Option<Seed>,
}

/// Where the signature stood and of what kind it is: what condition keys say of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// `s3:authType`
    pub auth_type: &'static str,
    /// `s3:signatureversion`
    pub version: &'static str,
    /// When it was made; version 2 does not say.
    pub at: Option<Timestamp>,
}

impl Authenticated {
    /// Who.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whose key signed.
    #[must_use]
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// What is known of the signature; `None` where there is none.
    #[must_use]
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// How the body is bound to the signature.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What signs the chunks of a streaming body.
    #[must_use]
    pub fn seed(&self) -> Option<&Seed> {
        self.seed.as_ref()
    }
}

/// Why a request's sender is not known.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// It is not signed.
    #[error("the request is not signed")]
    Anonymous,
    /// The access key is nobody's.
    #[error("the access key `{0}` does not exist here")]
    UnknownKey(String),
    /// The session token was not sealed here, or is not this access key's.
    #[error("the session token is malformed or otherwise invalid")]
    InvalidToken,
    /// The session has ended.
    #[error("the session of the access key `{0}` has ended")]
    Expired(String),
    /// The signature.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A form that is not what its policy allows.
    #[error(transparent)]
    Form(#[from] FormPolicyError),
}

/// Checks signatures.
pub struct Authenticator {
    sealer: Arc<Sealer>,
    directory: Arc<Directory>,
    /// The administrator's key, as it is configured by now.
    root: ArcSwapOption<(String, SigningSecret)>,
    region: String,
}

impl Authenticator {
    /// `region` is the one that signatures must be made for.
    #[must_use]
    pub fn new(
        sealer: Arc<Sealer>,
        directory: Arc<Directory>,
        root: Option<RootKey>,
        region: String,
    ) -> Self {
        let authenticator = Self { sealer, directory, root: ArcSwapOption::empty(), region };
        authenticator.change_root(root);
        authenticator
    }

    /// Another key of the administrator from now on, or none.
    pub fn change_root(&self, root: Option<RootKey>) {
        let kept = |root: RootKey| Arc::new((root.access_key_id, SigningSecret::new(root.secret_key)));
        self.root.store(root.map(kept));
    }

    /// The region that signatures must be made for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Finds out who sent a request to S3, which may be nobody.
    ///
    /// # Errors
    /// As [`Authenticator::authenticate`]; a request with a part of a signature is not an anonymous one.
    pub fn authenticate_or_anonymous(
        &self,
        request: &Request,
        bucket_of_host: Option<&str>,
    ) -> Result<Authenticated, AuthenticateError> {
        match self.authenticate(request, "s3", bucket_of_host, None) {
            Err(AuthenticateError::Anonymous) => Ok(Authenticated {
                caller: Caller::Anonymous,
                access_key_id: String::new(),
                signature: None,
                payload: Payload::of_unsigned(&request.signed())?,
                seed: None,
            }),
            known => known,
        }
    }

    /// Finds out who signed a form, which may be nobody, and holds the form to the policy that they signed. Gives
    /// also how long its file may be.
    ///
    /// # Errors
    /// [`AuthenticateError`], [`AuthenticateError::Form`] where the form is not the one that was signed for.
    pub fn authenticate_form(
        &self,
        request: &Request,
        fields: &FormFields,
        bucket: &BucketName,
    ) -> Result<(Authenticated, LengthRange), AuthenticateError> {
        let of = |caller, access_key_id: &str, signature| Authenticated {
            caller,
            access_key_id: access_key_id.to_owned(),
            signature,
            payload: Payload::Unsigned,
            seed: None,
        };
        let Some(claim) = FormClaim::read(fields)? else {
            return Ok((of(Caller::Anonymous, "", None), LengthRange::ANY));
        };
        let token = fields.value("x-amz-security-token");
        let (caller, secret) = self.key_of(claim.access_key_id(), token, request)?;
        let policy = claim.verify(&secret, &self.expected("s3", request))?;
        let range = FormPolicy::parse(&policy)?.check(fields, bucket.as_str(), request.at)?;
        self.note_use(&caller, claim.access_key_id(), "s3", request.at);
        let version = if claim.signed_at().is_some() { ALGORITHM } else { "AWS" };
        let signature = Signature { auth_type: "POST", version, at: claim.signed_at() };
        Ok((of(caller, claim.access_key_id(), Some(signature)), range))
    }

    fn expected<'a>(&'a self, service: &'a str, request: &Request) -> Expected<'a> {
        let empty_region = self.directory.snapshot().is_ceph();
        Expected { service, region: &self.region, empty_region, now: request.at }
    }

    /// Finds out who sent the request.
    ///
    /// `service` is `s3`, `sts` or `iam`. `bucket_of_host` is the bucket that the host names, which version 2
    /// signatures cover. `body_sha256` is given by services that read the body first.
    ///
    /// # Errors
    /// [`AuthenticateError`]
    pub fn authenticate(
        &self,
        request: &Request,
        service: &str,
        bucket_of_host: Option<&str>,
        body_sha256: Option<&str>,
    ) -> Result<Authenticated, AuthenticateError> {
        let signed = request.signed();
        let claim = Claim::read(&signed)?.ok_or(AuthenticateError::Anonymous)?;
        // Version 2 covers neither a body nor the service: an address that was presigned for S3 would do for any form.
        if service != "s3" && matches!(claim, Claim::PresignedV2(_)) {
            return Err(SignatureError::UnsupportedMechanism.into());
        }
        let token = claim.session_token(&signed);
        let (caller, secret) = self.key_of(claim.access_key_id(), token, request)?;
        let expected = self.expected(service, request);
        let verified = claim.verify(&signed, &secret, bucket_of_host, &expected, body_sha256)?;
        let Verified { payload, version, seed, presigned, signed_at } = verified;
        let signature = Some(Signature {
            auth_type: if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" },
            version,
            at: signed_at,
        });
        let access_key_id = claim.access_key_id().to_owned();
        self.note_use(&caller, &access_key_id, service, request.at);
        Ok(Authenticated { caller, access_key_id, signature, payload, seed })
    }

    /// A user's own key, or a session of a role, signed rightly.
    fn note_use(&self, caller: &Caller, access_key_id: &str, service: &str, at: Timestamp) {
        let used = match caller {
            Caller::User(_) => Used::Key { id: access_key_id },
            Caller::Session(session) => Used::Role { id: &session.role_id, name: &session.role_name },
            Caller::Anonymous | Caller::Root | Caller::RootSession(_) | Caller::UserSession(_) => return,
        };
        self.directory.used(used, service, &self.region, at);
    }

    fn key_of(
        &self,
        access_key_id: &str,
        token: Option<&str>,
        request: &Request,
    ) -> Result<(Caller, SigningSecret), AuthenticateError> {
        let unknown = || AuthenticateError::UnknownKey(access_key_id.to_owned());
        let Some(token) = token else {
            if let Some((_, secret)) = self.root.load().as_deref().filter(|(id, _)| id == access_key_id) {
                return Ok((Caller::Root, secret.clone()));
            }
            let snapshot = self.directory.snapshot();
            let (key, user) = snapshot.access_key(access_key_id).ok_or_else(unknown)?;
            let opened = || self.sealer.open_secret(access_key_id, &key.sealed_secret);
            let secret = key.plain_secret.clone().or_else(opened).ok_or_else(unknown)?;
            return Ok((Caller::User(Arc::clone(user)), SigningSecret::new(secret)));
        };
        let unsealed = self.sealer.unseal(token, access_key_id, request.at).map_err(|error| match error {
            UnsealError::Expired { .. } => AuthenticateError::Expired(access_key_id.to_owned()),
            UnsealError::Invalid | UnsealError::OtherAccessKey => AuthenticateError::InvalidToken,
        })?;
        if let Caller::RootSession(session) = &unsealed.caller {
            // It ends with the key that it was made from.
            let standing = self.root.load().as_deref().is_some_and(|(id, _)| *id == session.by);
            standing.then_some(()).ok_or_else(unknown)?;
        }
        Ok((unsealed.caller.clone(), unsealed.secret_key.clone()))
    }
}

impl From<AuthenticateError> for Refusal {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Anonymous => Self::access_denied("the request is not signed"),
            AuthenticateError::UnknownKey(_) => {
                let message = "The AWS Access Key Id you provided does not exist in our records.";
                Self::new("InvalidAccessKeyId", StatusCode::FORBIDDEN, message)
            }
            AuthenticateError::InvalidToken => {
                let message = "The provided token is malformed or otherwise invalid.";
                Self::new("InvalidToken", StatusCode::BAD_REQUEST, message)
            }
            AuthenticateError::Expired(_) => {
                Self::new("ExpiredToken", StatusCode::BAD_REQUEST, "The provided token has expired.")
            }
            AuthenticateError::Signature(error) => error.into(),
            AuthenticateError::Form(error) => error.into(),
        }
    }
}

impl From<AuthenticateError> for StsError {
    fn from(error: AuthenticateError) -> Self {
        match error {
            AuthenticateError::Anonymous => {
                Self::new(FaultCode::MissingAuthenticationToken, "Request is missing Authentication Token")
            }
            AuthenticateError::UnknownKey(_) | AuthenticateError::InvalidToken => Self::new(
                FaultCode::InvalidClientTokenId,
                "The security token included in the request is invalid.",
            ),
            AuthenticateError::Expired(_) => {
                Self::new(FaultCode::ExpiredToken, "The security token included in the request is expired")
            }
            // This service takes no forms of that kind.
            AuthenticateError::Form(error) => Self::new(FaultCode::IncompleteSignature, error.to_string()),
            AuthenticateError::Signature(error) => match error {
                SignatureError::Malformed(_)
                | SignatureError::MalformedQuery(_)
                | SignatureError::UnsupportedMechanism
                | SignatureError::TwoMechanisms
                | SignatureError::NoDate
                | SignatureError::UnsignedHeader(_)
                | SignatureError::UnsignedParameter(_)
                | SignatureError::DuplicateHeader(_)
                | SignatureError::NoPayloadHash
                | SignatureError::PayloadHash => Self::new(FaultCode::IncompleteSignature, error.to_string()),
                SignatureError::Skewed
                | SignatureError::Expired
                | SignatureError::NotYetValid
                | SignatureError::ScopeDate(_)
                | SignatureError::ScopeRegion { .. }
                | SignatureError::ScopeService(_) => {
                    Self::new(FaultCode::SignatureDoesNotMatch, error.to_string())
                }
                SignatureError::Mismatch => Self::new(FaultCode::SignatureDoesNotMatch, MISMATCH),
            },
        }
    }
}
