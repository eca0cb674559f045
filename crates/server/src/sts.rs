//! The token service, without HTTP: parameters in, a status and an XML document out.
//!
//! Enters: the parameters of a request and, where it was signed, its caller. Leaves: an [`StsResponse`],
//! with what the audit wants to know. Refused: everything that docs/sts.md refuses, with its code and words;
//! operations that are not here are `InvalidAction`.

mod call;

mod parts;

mod grant;

mod exchange;

mod caller;

mod chain;

use std::sync::Arc;

use wigeon_core::sts::{
    API_VERSION, AssumeRole, AssumeRoleWithWebIdentity, CallerIdentity, DecodeAuthorizationMessage,
    FaultCode, GetAccessKeyInfo, GetSessionToken, StsError,
};
use wigeon_core::time::Clock;

pub use call::{Answer, Outcome, StsCall, StsResponse};

use crate::directory::Directory;
use crate::issue::Sealer;
use crate::verify::Verifier;
use call::Refusal;
use parts::Parts;

/// The token service.
#[derive(Clone)]
pub struct StsService {
    parts: Parts,
}

impl StsService {
    /// The operations.
    pub const ACTIONS: [&str; 7] = [
        AssumeRoleWithWebIdentity::ACTION,
        AssumeRoleWithWebIdentity::CLIENT_GRANTS,
        AssumeRole::ACTION,
        GetSessionToken::ACTION,
        CallerIdentity::ACTION,
        GetAccessKeyInfo::ACTION,
        DecodeAuthorizationMessage::ACTION,
    ];

    /// Those that issue credentials.
    pub const EXCHANGES: [&str; 4] = [
        AssumeRoleWithWebIdentity::ACTION,
        AssumeRoleWithWebIdentity::CLIENT_GRANTS,
        AssumeRole::ACTION,
        GetSessionToken::ACTION,
    ];

    /// Over these parts.
    #[must_use]
    pub fn new(
        directory: Arc<Directory>,
        verifier: Arc<Verifier>,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { parts: Parts { directory, verifier, sealer, clock } }
    }

    /// Whether an operation has to be signed. Only the exchange need not be: its token is its proof.
    #[must_use]
    pub fn needs_signature(action: &str) -> bool {
        action != AssumeRoleWithWebIdentity::ACTION && action != AssumeRoleWithWebIdentity::CLIENT_GRANTS
    }

    /// Seals what an administrator may decode of a denied request.
    #[must_use]
    pub fn encode(&self, denial: &str) -> Option<String> {
        self.parts.sealer.seal_message(denial, self.parts.clock.now())
    }

    /// Answers one request.
    pub async fn handle(&self, call: StsCall<'_>) -> StsResponse {
        let action = call.parameters.action().unwrap_or_default();
        let version = call.parameters.value("Version").unwrap_or(API_VERSION);
        let parts = &self.parts;
        let answered = match action {
            _ if version != API_VERSION => Err(unknown_action(action, version).into()),
            AssumeRoleWithWebIdentity::ACTION => exchange::exchange(parts, &call).await,
            AssumeRoleWithWebIdentity::CLIENT_GRANTS if parts.directory.snapshot().knows_minio() => {
                exchange::exchange(parts, &call).await
            }
            AssumeRole::ACTION => chain::assume_role(parts, &call),
            CallerIdentity::ACTION => caller::caller_identity(parts, &call),
            GetSessionToken::ACTION => caller::session_token(parts, &call),
            GetAccessKeyInfo::ACTION => caller::access_key_info(parts, &call),
            DecodeAuthorizationMessage::ACTION => caller::decode_message(parts, &call),
            _ => Err(unknown_action(action, version).into()),
        };
        match answered {
            Ok((xml, outcome)) => StsResponse { status: 200, xml: Answer(xml), outcome },
            Err(Refusal { mut error, reason, denial }) => {
                if let Some(encoded) = denial.and_then(|document| self.encode(&document)) {
                    error.message.push_str(". Encoded authorization failure message: ");
                    error.message.push_str(&encoded);
                }
                Self::refuse_because(&error, reason, call.request_id)
            }
        }
    }

    /// The answer to a request that failed before it came here: unreadable parameters, a wrong signature.
    #[must_use]
    pub fn refuse(error: &StsError, request_id: &str) -> StsResponse {
        Self::refuse_because(error, error.message.clone(), request_id)
    }

    fn refuse_because(error: &StsError, reason: String, request_id: &str) -> StsResponse {
        let outcome = Outcome::Refused { code: error.code, reason };
        StsResponse { status: error.code.status(), xml: Answer(error.to_xml(request_id)), outcome }
    }
}

fn unknown_action(action: &str, version: &str) -> StsError {
    let cut = |text: &str| text.chars().take(100).collect::<String>();
    StsError::new(
        FaultCode::InvalidAction,
        format!("Could not find operation {} for version {}", cut(action), cut(version)),
    )
}

#[cfg(test)]
mod tests;
