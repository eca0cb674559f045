//! Session tokens of version 1, which knew web identities only: they live on until they expire.

use serde::Deserialize;
use wigeon_core::arn::Arn;
use wigeon_core::claims::Claims;
use wigeon_core::time::Timestamp;

use crate::session::{Origin, Prepared, ProviderRef, Session, WebIdentityOrigin};

/// The version.
pub(super) const VERSION: u8 = 1;

#[derive(Deserialize)]
struct Version1 {
    k: String,
    a: String,
    r: Arn,
    ri: String,
    rn: String,
    n: String,
    i: String,
    p: Arn,
    s: String,
    u: String,
    #[serde(default)]
    m: Vec<String>,
    #[serde(default)]
    t: Vec<(String, String)>,
    #[serde(default)]
    tt: Vec<String>,
    si: Option<String>,
    pi: Option<String>,
    #[serde(default)]
    pa: Vec<String>,
    #[serde(default)]
    c: Claims,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    f: Timestamp,
    #[serde(with = "jiff::fmt::serde::timestamp::second::required")]
    e: Timestamp,
}

/// The session of an opened token.
pub(super) fn read(plain: &[u8]) -> Option<Session> {
    let old: Version1 = serde_json::from_slice(plain).ok()?;
    let provider = ProviderRef { issuer: old.i, principal: old.p.into() };
    Some(Session {
        access_key_id: old.k,
        account: old.a,
        role_arn: old.r,
        role_id: old.ri,
        role_name: old.rn,
        session_name: old.n,
        origin: Origin::WebIdentity(WebIdentityOrigin {
            provider,
            subject: old.s,
            audience: old.u,
            amr: old.m,
            claims: old.c,
            jwt_keys: false,
            app_id: false,
        }),
        principal_tags: old.t,
        transitive_tag_keys: old.tt,
        source_identity: old.si,
        policy: old.pi,
        policy_arns: old.pa,
        claim_policies: Vec::new(),
        issued_at: old.f,
        expires_at: old.e,
        prepared: Prepared::default(),
    })
}
