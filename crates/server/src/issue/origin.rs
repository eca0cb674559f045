//! What a session remembers of whom it was made for.

use wigeon_core::claims::Claims;
use wigeon_core::sts::Bearer;
use wigeon_core::time::Timestamp;

use crate::session::{ChainedOrigin, Link, Origin, ProviderRef, Session, WebIdentityOrigin, claim_value};
use crate::trust::By;

/// The origin of a session that begins now.
pub(super) fn of(by: By, ceph: bool, issued_at: Timestamp) -> Origin {
    match by {
        By::WebIdentity(identity) => {
            let (provider, Bearer { subject, audience, amr, claims }) = identity.into_bearer();
            let principal = provider.principal().to_owned();
            Origin::WebIdentity(WebIdentityOrigin {
                provider: ProviderRef { issuer: provider.url.clone(), principal },
                subject,
                audience,
                amr,
                claims: kept_claims(claims),
                jwt_keys: provider.minio.is_some(),
                app_id: ceph,
            })
        }
        By::Session { arn, session } => Origin::Chained(ChainedOrigin {
            by: arn,
            provider: session.provider().cloned(),
            began_at: session.began_at(),
            links: links(&session),
        }),
        By::Account { arn } => {
            Origin::Chained(ChainedOrigin { by: arn, provider: None, began_at: issued_at, links: Vec::new() })
        }
    }
}

/// The time that a session may not outlive: that of the session that it was made from, or, where the provider
/// says so, of its token.
pub(super) fn ends_with(by: &By) -> Option<Timestamp> {
    match by {
        By::WebIdentity(identity) => {
            identity.provider().sessions_end_with_token.then(|| identity.token().expires_at())
        }
        By::Session { session, .. } => Some(session.expires_at),
        By::Account { .. } => None,
    }
}

/// The roles that a chain went through, the calling session's among them, each once.
fn links(session: &Session) -> Vec<Link> {
    let mut links = match &session.origin {
        Origin::WebIdentity(_) => Vec::new(),
        Origin::Chained(origin) => origin.links.clone(),
    };
    if !links.iter().any(|link| link.role_id == session.role_id) {
        links.push(Link {
            role_arn: session.role_arn.clone(),
            role_id: session.role_id.clone(),
            issued_at: session.issued_at,
        });
    }
    links
}

/// The claims that a session keeps. What only the exchange needed stays behind.
fn kept_claims(claims: Claims) -> Claims {
    const LEFT: [&str; 11] =
        ["iss", "sub", "aud", "amr", "exp", "iat", "nbf", "nonce", "at_hash", "c_hash", "s_hash"];
    claims.kept(|name, claim| {
        !LEFT.contains(&name) && !name.starts_with("https://aws.amazon.com/") && claim_value(claim).is_some()
    })
}
