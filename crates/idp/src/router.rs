//! Every route of the provider, and the guard before them.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};

use crate::provider::Provider;
use crate::{authorize, metadata, page, revoke, token, userinfo};

/// No form of ours is longer.
const BODY_LIMIT: usize = 64 * 1024;

impl Provider {
    /// The routes, under the issuer's path. Whoever serves them must listen on loopback.
    pub fn router(&self) -> Router {
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(metadata::discovery))
            .route("/jwks", get(metadata::jwks))
            .route("/authorize", get(authorize::from_query).post(authorize::from_form))
            .route("/login", post(authorize::log_in))
            .route("/token", post(token::token))
            .route("/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
            .route("/revoke", post(revoke::revoke));
        let routes = match self.base_path() {
            "" => routes,
            path => Router::new().nest(path, routes),
        };
        routes
            .layer(DefaultBodyLimit::max(BODY_LIMIT))
            .layer(middleware::from_fn_with_state(self.clone(), loopback_host))
            .with_state(self.clone())
    }
}

/// Refuses a request whose Host is another name: a page whose name was rebound to loopback sends its own.
async fn loopback_host(State(provider): State<Provider>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if is_loopback(host) || provider.authority().as_deref() == Some(host) {
        next.run(request).await
    } else {
        page::error(StatusCode::MISDIRECTED_REQUEST, "This provider answers under loopback names only.")
    }
}

fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn hosts() {
        for good in
            ["127.0.0.1", "127.0.0.1:80", "localhost:1", "LOCALHOST", "[::1]:80", "[::1]", "127.1.2.3"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in
            ["", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", "[::2]:1"]
        {
            assert!(!is_loopback(bad), "{bad}");
        }
    }
}
