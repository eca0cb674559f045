//! The errors of the client, each with the kind that decides the exit code. No case is left to chance: a new one
//! does not compile until it has its place here.

use wigeon_client::connect::ConnectError;
use wigeon_client::console::ConsoleError;
use wigeon_client::exchange::ExchangeError;
use wigeon_client::identity_center::CenterError;
use wigeon_client::profile::{ProfileError, SettingsError, ShelfError};
use wigeon_client::secret_store::{KeychainError, StoreError};
use wigeon_client::session::SessionError;
use wigeon_client::sign_in::{ResponseError, SignInError, TokenEndpointError};

use super::failure::{Failure, Kind, sign_in_needed};
use crate::environment::NoPlace;

macro_rules! plain {
    ($($error:ty),*) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::because(Kind::Error, &error)
            }
        })*
    };
}

plain!(NoPlace, ConnectError, ProfileError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Keychain(KeychainError::Locked | KeychainError::Silent) => {
                Self::because(Kind::Retry, &error)
                    .hint("unlock it, or sign in again with: wigeon login --store file")
            }
            StoreError::Keychain(KeychainError::None(_)) => Self::because(Kind::Error, &error)
                .hint("keep the sign-in elsewhere: wigeon login --store file"),
            StoreError::NoPassphrase => Self::because(Kind::Error, &error).hint(
                "run it at a terminal, or set WIGEON_PASSPHRASE_FILE; an agent remembers what was said once",
            ),
            StoreError::WrongPassphrase => {
                Self::because(Kind::Denied, &error).hint("forgotten? wigeon login --store file begins anew")
            }
            StoreError::Unopened(_) => Self::because(Kind::SignInNeeded, &error).hint("run: wigeon login"),
            StoreError::NoAgent(_) => Self::because(Kind::Error, &error).hint("run: wigeon agent start"),
            StoreError::Busy => Self::because(Kind::Retry, &error),
            StoreError::Io { .. } | StoreError::Open { .. } | StoreError::NoRandom => {
                Self::because(Kind::Error, &error)
            }
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = format!("run: wigeon profile check {}", error.profile);
        Self::because(Kind::Error, &error).hint(hint)
    }
}

impl From<ShelfError> for Failure {
    fn from(error: ShelfError) -> Self {
        match &error {
            ShelfError::Unknown { known, .. } if known.is_empty() => {
                Self::because(Kind::Error, &error).hint("run: wigeon profile import FILE")
            }
            ShelfError::Unknown { known, .. } => {
                let hint = format!("there are: {}", known.join(", "));
                Self::because(Kind::Error, &error).hint(hint)
            }
            ShelfError::Name(_) => Self::because(Kind::Usage, &error),
            ShelfError::Taken(_) => Self::because(Kind::Error, &error)
                .hint("give another name with --name, or replace it with --replace"),
            ShelfError::Damaged(_) | ShelfError::Io { .. } => Self::because(Kind::Error, &error),
        }
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::SignInNeeded { profile, reason } => {
                let mut failure = sign_in_needed(&profile);
                failure.causes.extend(reason);
                failure
            }
            SessionError::Damaged { .. } => Self::because(Kind::SignInNeeded, &error),
            SessionError::AwsConfig(error) => Self::because(Kind::Error, &error),
            SessionError::Workload(error) => Self::because(kind_of(error.is_temporary()), &error),
            SessionError::Keys(error) => Self::because(kind_of(error.is_temporary()), &error),
            SessionError::Center(error) => error.into(),
            SessionError::Paused { .. } => Self::because(Kind::Retry, &error),
            SessionError::Settings(error) => error.into(),
            SessionError::Connect(error) => error.into(),
            SessionError::Store(error) => error.into(),
            SessionError::Exchange(error) => error.into(),
            SessionError::Busy { .. } => Self::because(Kind::Retry, &error),
            SessionError::Renewal(ref source) => Self::because(kind_of_token_endpoint(source), &error),
            SessionError::Untrusted(_) => Self::because(Kind::Error, &error),
        }
    }
}

impl From<CenterError> for Failure {
    fn from(error: CenterError) -> Self {
        match &error {
            CenterError::SignInNeeded(_) | CenterError::CodeExpired => {
                Self::because(Kind::SignInNeeded, &error)
            }
            CenterError::Refused { status: 401 | 403, .. } => Self::because(Kind::Denied, &error),
            CenterError::Refused { code, .. } if code == "access_denied" => {
                Self::because(Kind::Denied, &error)
            }
            CenterError::Refused { .. }
            | CenterError::Region(_)
            | CenterError::Unreachable { .. }
            | CenterError::Body { .. }
            | CenterError::Unreadable { .. }
            | CenterError::Cache { .. } => Self::because(kind_of(error.is_temporary()), &error),
        }
    }
}

fn kind_of(is_temporary: bool) -> Kind {
    if is_temporary { Kind::Retry } else { Kind::Error }
}

impl From<ExchangeError> for Failure {
    fn from(error: ExchangeError) -> Self {
        match &error {
            ExchangeError::Refused(refusal) => {
                let kind = match refusal.status {
                    _ if error.is_temporary() => Kind::Retry,
                    403 => Kind::Denied,
                    _ => Kind::Error,
                };
                Self::because(kind, &error).hint(refusal.hint())
            }
            ExchangeError::RoleNeeded => Self::because(Kind::Usage, &error),
            ExchangeError::Unreachable { .. } | ExchangeError::Body { .. } => {
                Self::because(Kind::Retry, &error)
            }
            ExchangeError::NotAnSts { .. } if error.is_temporary() => Self::because(Kind::Retry, &error),
            ExchangeError::NotAnSts { .. }
            | ExchangeError::Endpoint(_)
            | ExchangeError::Unreadable { .. } => Self::because(Kind::Error, &error),
        }
    }
}

impl From<SignInError> for Failure {
    fn from(error: SignInError) -> Self {
        match &error {
            SignInError::Discovery(source) => Self::because(kind_of(source.is_temporary()), &error),
            SignInError::Response(source) => {
                let kind = match source {
                    ResponseError::Refused { code, .. } if code == "access_denied" => Kind::Denied,
                    ResponseError::Refused { .. }
                    | ResponseError::State
                    | ResponseError::Issuer { .. }
                    | ResponseError::Empty
                    | ResponseError::Twice(_) => Kind::Error,
                };
                Self::because(kind, &error)
            }
            SignInError::Tokens(source) => Self::because(kind_of_token_endpoint(source), &error),
            SignInError::TimeLimit { .. } | SignInError::CodeExpired => {
                Self::because(Kind::SignInNeeded, &error)
            }
            SignInError::NoDeviceEndpoint => Self::because(Kind::Error, &error)
                .hint("sign in with a browser elsewhere: wigeon login --no-browser"),
            SignInError::Listen { .. } => Self::because(Kind::Error, &error)
                .hint("end what uses the port, or let the profile's redirect have no port"),
            SignInError::NobodyPastes(_)
            | SignInError::NotAnAddress
            | SignInError::NoIdToken
            | SignInError::IdToken(_) => Self::because(Kind::Error, &error),
        }
    }
}

impl From<ConsoleError> for Failure {
    fn from(error: ConsoleError) -> Self {
        match &error {
            ConsoleError::NoSession => Self::because(Kind::Usage, &error),
            ConsoleError::Unreachable { .. } | ConsoleError::Body { .. } => {
                Self::because(Kind::Retry, &error)
            }
            ConsoleError::Refused { status: 500.., .. } => Self::because(Kind::Retry, &error),
            ConsoleError::Refused { .. } => Self::because(Kind::Denied, &error).hint(
                "AWS takes no --duration for a session that another session's role was assumed with, and none above the role's longest",
            ),
        }
    }
}

fn kind_of_token_endpoint(error: &TokenEndpointError) -> Kind {
    match error {
        TokenEndpointError::Refused { code, .. } if code == "access_denied" => Kind::Denied,
        _ if error.is_temporary() => Kind::Retry,
        TokenEndpointError::Refused { .. }
        | TokenEndpointError::Unreachable { .. }
        | TokenEndpointError::Body { .. }
        | TokenEndpointError::Unreadable { .. }
        | TokenEndpointError::Insecure(_) => Kind::Error,
    }
}
