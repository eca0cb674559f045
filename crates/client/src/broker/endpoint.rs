//! The container-credentials endpoint: `GET /v1/credentials/PROFILE` on a loopback address.
//!
//! Enters: requests that [`admit`] lets through. Leaves: the document of [`Issued::for_container`], or a sentence
//! with a status: 401 and 403 for who may not ask, 404 for no such profile, 409 where a person has to sign in, 503
//! where the same again may work. Source: AWS SDKs and Tools Reference, "Container credential provider".

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use wigeon_core::secret::Secret;
use wigeon_core::time::Clock;

use super::admission::{TokenKey, TurnedAway, admit};
use super::holder::{Holder, NotIssued, Reason};
use super::issued::Issued;

/// The endpoint, before it is served.
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
    key: TokenKey,
}

/// What a program needs to ask for one profile's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub url: String,
    /// `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
    pub token: Secret,
}

struct Shared<H> {
    holder: H,
    key: TokenKey,
    clock: Arc<dyn Clock>,
}

impl Endpoint {
    /// Listens on 127.0.0.1, at a port that is free, or at the given one.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(port: u16, key: TokenKey) -> std::io::Result<Self> {
        Self::on(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?, key)
    }

    /// Takes a listener that is there already; one that others could reach is refused.
    ///
    /// # Errors
    /// What the system says; an address that is not loopback.
    pub fn on(listener: TcpListener, key: TokenKey) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            return Err(std::io::Error::other(format!("`{address}` can be reached from other machines")));
        }
        Ok(Self { listener, address, key })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The key of its tokens.
    pub(super) fn key(&self) -> &TokenKey {
        &self.key
    }

    /// The way to one profile's credentials.
    #[must_use]
    pub fn access(&self, profile: &str) -> Access {
        access(self.address, &self.key, profile)
    }

    /// Answers until the future ends; requests that are under way are finished.
    ///
    /// # Errors
    /// What the system says.
    pub async fn serve<H: Holder>(
        self,
        holder: H,
        clock: Arc<dyn Clock>,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let shared = Arc::new(Shared { holder, key: self.key, clock });
        let router = Router::new()
            .route("/v1/credentials/{profile}", get(credentials::<H>))
            .fallback(|| async { refused(StatusCode::NOT_FOUND, "NotFound", "there is nothing here") })
            .with_state(shared);
        axum::serve(self.listener, router).with_graceful_shutdown(until).await
    }
}

pub(super) fn access(address: SocketAddr, key: &TokenKey, profile: &str) -> Access {
    Access { url: format!("http://{address}/v1/credentials/{profile}"), token: key.token_for(profile) }
}

async fn credentials<H: Holder>(
    State(shared): State<Arc<Shared<H>>>,
    Path(profile): Path<String>,
    headers: HeaderMap,
) -> Response {
    match admit(&headers, &shared.key.token_for(&profile)) {
        Ok(()) => {}
        Err(error @ TurnedAway::Token) => {
            return refused(StatusCode::UNAUTHORIZED, "Unauthorized", &error.to_string());
        }
        Err(error @ (TurnedAway::Host | TurnedAway::Browser)) => {
            return refused(StatusCode::FORBIDDEN, "Forbidden", &error.to_string());
        }
    }
    match shared.holder.credentials(&profile).await {
        Ok(credentials) => {
            let document = Issued::new(&credentials, shared.clock.now()).for_container();
            let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
            (headers, document.as_str().to_owned()).into_response()
        }
        Err(error) => not_issued(&error),
    }
}

fn not_issued(error: &NotIssued) -> Response {
    let (status, code) = match error.reason {
        Reason::UnknownProfile => (StatusCode::NOT_FOUND, "UnknownProfile"),
        // Not one of those that tools try again.
        Reason::SignInNeeded => (StatusCode::CONFLICT, "SignInNeeded"),
        Reason::Denied => (StatusCode::FORBIDDEN, "AccessDenied"),
        Reason::Retry => (StatusCode::SERVICE_UNAVAILABLE, "Unavailable"),
        Reason::Failed => (StatusCode::BAD_REQUEST, "Failed"),
    };
    refused(status, code, &error.message)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, json!({ "code": code, "message": message }).to_string()).into_response()
}
