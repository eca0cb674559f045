//! A signed caller at a role's door: `AssumeRole`.
//!
//! The role's trust policy has to let the caller in: by the ARN of the session or of its role, or, where it
//! names the account, together with the caller's own policies. Tags that the caller's session hands on, and
//! its source identity, go with it and cannot be changed. Source: docs/sts.md, "Other actions"; AWS IAM User
//! Guide, "Pass session tags in AWS STS" and "Monitor and control actions taken with assumed roles".

use std::sync::{Arc, LazyLock};

use wigeon_core::arn::Arn;
use wigeon_core::policy::{Context, Document, Kind, Policy};
use wigeon_core::sts::{AssumeRole, SessionTags};

use super::assumed::{AssumedRole, By, Circumstances, Entry, TrustError};
use super::tags::{enter_role_tags, enter_tags};
use crate::directory::{Role, Snapshot};
use crate::rights::Rights;
use crate::session::{Origin, Session};

/// The most roles that a chain of sessions goes through.
const LONGEST_CHAIN: usize = 16;

/// Asks a role's trust policy, and the caller's own.
pub fn assume_as_caller(
    snapshot: &Snapshot,
    rights: &Rights,
    request: &AssumeRole,
    circumstances: &Circumstances<'_>,
) -> Result<AssumedRole, TrustError> {
    let role_arn = request.role_arn.as_str();
    // 1. What the caller's session hands on, and what may not be changed of it.
    let inherited = rights.session().map(|session| inherited_tags(session)).unwrap_or_default();
    let held = rights.session().and_then(|session| session.source_identity.as_deref());
    if let Some((key, _)) = request.tags.principal.iter().find(|(key, _)| inherited.value(key).is_some()) {
        return Err(TrustError::InheritedTag(key.clone()));
    }
    if let (Some(held), Some(_)) = (held, request.source_identity.as_deref().filter(|new| held != Some(*new)))
    {
        return Err(TrustError::InheritedSourceIdentity(held.to_owned()));
    }
    // 2. The policies, for the role and for each thing that goes with it. A role that is not there trusts
    //    nobody, so that it reads like one that does not trust the caller.
    let role = snapshot.role(role_arn);
    let trust = role.map_or(&*TRUSTS_NOBODY, |role| &*role.trust);
    let context = context(snapshot, role, rights, request, circumstances);
    let source_identity = request.source_identity.as_deref().or(held);
    let actions = [
        ("sts:AssumeRole", true),
        ("sts:TagSession", !request.tags.is_empty() || !inherited.is_empty()),
        ("sts:SetSourceIdentity", source_identity.is_some()),
    ];
    let mut allowed_by = None;
    for (action, _) in actions.into_iter().filter(|(_, wanted)| *wanted) {
        let by = rights
            .decide(action, role_arn, Some(trust), &context)
            .map_err(|denial| TrustError::Denied { role: role_arn.to_owned(), denial })?;
        allowed_by = allowed_by.or(by);
    }
    let role = role.ok_or_else(|| TrustError::UnknownRole(role_arn.to_owned()))?;
    let by = by(rights)?;
    let mut tags = inherited;
    tags.principal.extend(request.tags.principal.iter().cloned());
    tags.transitive.extend(request.tags.transitive.iter().cloned());
    Ok(AssumedRole(Entry {
        account: snapshot.account().to_owned(),
        claim_policies: Vec::new(),
        ceph: snapshot.is_ceph(),
        allowed_by,
        by,
        role: Arc::clone(role),
        session_name: request.role_session_name.clone(),
        tags,
        source_identity: source_identity.map(str::to_owned),
    }))
}

fn by(rights: &Rights) -> Result<By, TrustError> {
    let arn: Arn = rights.arn().parse().map_err(|_| TrustError::UnknownRole(rights.arn().to_owned()))?;
    match rights.session() {
        None => Ok(By::Account { arn }),
        Some(session) => {
            let links = match &session.origin {
                Origin::WebIdentity(_) => 0,
                Origin::Chained(origin) => origin.links.len(),
            };
            if links >= LONGEST_CHAIN {
                return Err(TrustError::LongChain(LONGEST_CHAIN));
            }
            Ok(By::Session { arn, session: Arc::clone(session) })
        }
    }
}

/// The transitive tags of a session, with their values.
fn inherited_tags(session: &Session) -> SessionTags {
    let own = SessionTags {
        principal: session.principal_tags.clone(),
        transitive: session.transitive_tag_keys.clone(),
    };
    let handed_on = |key: &str| own.transitive.iter().any(|name| name.to_lowercase() == key.to_lowercase());
    let principal = own.principal.iter().filter(|(key, _)| handed_on(key)).cloned().collect();
    SessionTags { principal, transitive: own.transitive }
}

/// Stands in for the trust policy of a role that does not exist.
static TRUSTS_NOBODY: LazyLock<Policy> = LazyLock::new(|| {
    const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":{"Service":"nobody.invalid"},"Action":"sts:AssumeRole"}}"#;
    Document::parse(DOCUMENT, Kind::Trust).expect("a constant that the tests parse").named("no such role")
});

/// The condition keys. What the server and the caller's session say stands first.
fn context<'a>(
    snapshot: &Snapshot,
    role: Option<&'a Arc<Role>>,
    rights: &'a Rights,
    request: &'a AssumeRole,
    circumstances: &Circumstances<'a>,
) -> Context<'a> {
    let mut context = Context::with_capacity(32);
    circumstances.enter_keys(&mut context);
    rights.enter_keys(&mut context);
    context.set("sts:RoleSessionName", request.role_session_name.as_str());
    if let Some(external_id) = &request.external_id {
        context.set("sts:ExternalId", external_id);
    }
    if let Some(source_identity) = &request.source_identity {
        context.set("sts:SourceIdentity", source_identity);
    }
    if let Some(role) = role {
        enter_role_tags(&mut context, role);
    }
    enter_tags(&mut context, &request.tags, snapshot.is_ceph());
    context
}
