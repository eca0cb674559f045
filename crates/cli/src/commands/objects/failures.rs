//! The errors of stores and transfers, each with its exit code and what to do. A new kind of error does not
//! compile until it has its place here.

use wigeon_client::s3::{EndpointError, ErrorKind, ProfileEndpointError, S3Error};
use wigeon_client::session::SessionError;
use wigeon_client::transfer::TransferError;

use crate::errors::{Failure, Kind, sign_in_needed};

impl From<S3Error> for Failure {
    fn from(error: S3Error) -> Self {
        let (kind, hint) = judged(error.kind());
        let failure = match error {
            // The session's own sentence says more than ours.
            S3Error::Credentials(error) => match error.source.downcast::<SessionError>() {
                Ok(error) => return (*error).into(),
                Err(source) => Self::because(kind, source.as_ref()),
            },
            other => Self::because(kind, &other),
        };
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

fn judged(kind: ErrorKind) -> (Kind, Option<&'static str>) {
    match kind {
        ErrorKind::Denied => {
            (Kind::Denied, Some("the role's policy does not allow this; `wigeon whoami` shows the role"))
        }
        ErrorKind::NotFound => (Kind::Error, None),
        ErrorKind::Expired | ErrorKind::SignInNeeded => (Kind::SignInNeeded, Some("run: wigeon login")),
        ErrorKind::BadCredentials => (
            Kind::Denied,
            Some(
                "sign in again with `wigeon login`; if that does not help, the STS and the S3 endpoint of the profile may belong to different services",
            ),
        ),
        ErrorKind::ClockSkew => (Kind::Error, Some("set this machine's clock")),
        ErrorKind::Throttled | ErrorKind::Unavailable => (Kind::Retry, None),
        ErrorKind::Precondition
        | ErrorKind::Conflict
        | ErrorKind::Range
        | ErrorKind::Untrusted
        | ErrorKind::Invalid => (Kind::Error, None),
        ErrorKind::NotSupported => (Kind::Error, Some("the store does not offer this operation")),
        ErrorKind::Elsewhere => {
            (Kind::Error, Some("set the region, or the endpoint, of the bucket in the profile"))
        }
        ErrorKind::Corrupt => (Kind::Retry, None),
    }
}

fn kind_of(error: &TransferError) -> Kind {
    match error {
        TransferError::Store(_) => Kind::Error,
        TransferError::Guarded(..) => Kind::Denied,
        TransferError::NotRemoved(kept) if kept.code == "AccessDenied" => Kind::Denied,
        TransferError::Changed(_) | TransferError::Corrupt { .. } => Kind::Retry,
        // Of a plan; the rest of it is done.
        TransferError::Outdated(_) => Kind::Partial,
        TransferError::File { .. }
        | TransferError::Stream(_)
        | TransferError::NotAFile { .. }
        | TransferError::Link(_)
        | TransferError::NotRemoved(_)
        | TransferError::Outside { .. }
        | TransferError::WithOthers(_)
        | TransferError::Plan(_)
        | TransferError::Name(_)
        | TransferError::Key(_)
        | TransferError::TooLong
        | TransferError::Interrupted
        | TransferError::Worker => Kind::Error,
    }
}

impl From<TransferError> for Failure {
    fn from(error: TransferError) -> Self {
        let kind = kind_of(&error);
        match error {
            TransferError::Store(error) => error.into(),
            other => Self::because(kind, &other),
        }
    }
}

impl From<ProfileEndpointError> for Failure {
    fn from(error: ProfileEndpointError) -> Self {
        match error {
            ProfileEndpointError::Settings(error) => error.into(),
            ProfileEndpointError::Endpoint(error) => error.into(),
        }
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        Self::because(Kind::Error, &error)
    }
}

impl Failure {
    /// A transfer's error that stays where it is, among others.
    pub(crate) fn of_transfer(error: &TransferError) -> Self {
        let TransferError::Store(store) = error else {
            return Self::because(kind_of(error), error);
        };
        let (kind, hint) = judged(store.kind());
        let failure = match store {
            // The session's own sentence says more than ours.
            S3Error::Credentials(error) => {
                if let Some(SessionError::SignInNeeded { profile, reason }) = error.source.downcast_ref() {
                    let mut failure = sign_in_needed(profile);
                    failure.causes.extend(reason.clone());
                    return failure;
                }
                Self::because(kind, error.source.as_ref())
            }
            other => Self::because(kind, other),
        };
        hint.into_iter().fold(failure, Self::hint)
    }
}
