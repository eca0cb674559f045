//! The bearer of a token at a role's door: `AssumeRoleWithWebIdentity`. Source: docs/sts.md, "Trust".

use std::sync::Arc;

use wigeon_core::arn::without_scheme;
use wigeon_core::policy::{
    Context, Decision, Explanation, Policies, Principal, Request, Value, evaluate, explain,
};

use super::assumed::{AssumedRole, By, Circumstances, Entry, TrustError};
use super::tags::{enter_role_tags, enter_tags};
use crate::decided::DecidedBy;
use crate::directory::{Role, Snapshot};
use crate::session::claim_value;
use crate::verify::WebIdentity;

/// Asks a role's trust policy.
pub fn assume(
    snapshot: &Snapshot,
    identity: WebIdentity,
    role_arn: &str,
    session_name: String,
    circumstances: &Circumstances<'_>,
) -> Result<AssumedRole, TrustError> {
    // 1. The provider may have said which roles this token is for. It says so before anyone looks whether
    //    the role exists.
    let authorized_by_idp = identity.token().authorizes_role(role_arn)?;
    // 2. The role.
    let role = snapshot.role(role_arn).ok_or_else(|| TrustError::UnknownRole(role_arn.to_owned()))?;
    // 3. Its trust policy, for the exchange and for each thing that the token wants beside it.
    let context = context(snapshot, &identity, (role, &session_name), authorized_by_idp, circumstances);
    let mut allowed_by = None;
    for action in actions(&identity) {
        let policies = Policies { resource: Some(&role.trust), ..Policies::default() };
        let request = Request {
            principal: Principal::WebIdentity { provider: identity.provider().principal() },
            action,
            resource: role_arn,
            account: snapshot.account(),
            context: &context,
        };
        let Decision::Allow(by) = evaluate(&policies, &request) else {
            let reason = explain(&policies, &request).to_string();
            return Err(TrustError::Refused { role: role_arn.to_owned(), action, reason });
        };
        allowed_by = allowed_by.or_else(|| DecidedBy::of(&policies, by?));
    }
    let token = identity.token();
    Ok(AssumedRole(Entry {
        account: snapshot.account().to_owned(),
        claim_policies: claim_policies(snapshot, &identity),
        ceph: snapshot.is_ceph(),
        allowed_by,
        role: Arc::clone(role),
        session_name,
        tags: token.tags().clone(),
        source_identity: token.source_identity().map(str::to_owned),
        by: By::WebIdentity(Box::new(identity)),
    }))
}

/// What the trust policy says to each thing that the token wants, and why: for people.
#[must_use]
pub fn explain_trust(
    snapshot: &Snapshot,
    identity: &WebIdentity,
    role_arn: &str,
    session_name: &str,
    circumstances: &Circumstances<'_>,
) -> Vec<Explanation> {
    let authorized_by_idp = identity.token().authorizes_role(role_arn).unwrap_or(false);
    let Some(role) = snapshot.role(role_arn) else { return Vec::new() };
    let context = context(snapshot, identity, (role, session_name), authorized_by_idp, circumstances);
    let policies = Policies { resource: Some(&role.trust), ..Policies::default() };
    let principal = Principal::WebIdentity { provider: identity.provider().principal() };
    let account = snapshot.account();
    let explained = actions(identity).map(|action| {
        explain(&policies, &Request { principal, action, resource: role_arn, account, context: &context })
    });
    explained.collect()
}

/// The exchange, and what the token wants beside it.
fn actions(identity: &WebIdentity) -> impl Iterator<Item = &'static str> + use<> {
    let tags = !identity.token().tags().is_empty();
    let source_identity = identity.token().source_identity().is_some();
    let actions = [
        ("sts:AssumeRoleWithWebIdentity", true),
        ("sts:TagSession", tags),
        ("sts:SetSourceIdentity", source_identity),
    ];
    actions.into_iter().filter(|(_, wanted)| *wanted).map(|(action, _)| action)
}

/// MinIO's way: managed policies that the token names, as far as they exist, separated by commas or as a list.
fn claim_policies(snapshot: &Snapshot, identity: &WebIdentity) -> Vec<String> {
    let minio = identity.provider().minio.as_ref();
    let Some(claim) = minio.and_then(|minio| minio.policy_claim.as_deref()) else { return Vec::new() };
    let named = identity.token().claims().strings(claim).unwrap_or_default();
    let names = named.into_iter().flat_map(|names| names.split(',')).map(str::trim);
    names
        .map(|name| format!("arn:aws:iam::{}:policy/{name}", snapshot.account_in_arns()))
        .filter(|arn| snapshot.policy(arn).is_some())
        .collect()
}

/// The condition keys, those of the token as far as the role's trust policy reads them. What the server knows stands
/// first: a claim can shadow none of it.
fn context<'a>(
    snapshot: &'a Snapshot,
    identity: &'a WebIdentity,
    (role, session_name): (&'a Role, &'a str),
    authorized_by_idp: bool,
    circumstances: &Circumstances<'a>,
) -> Context<'a> {
    let token = identity.token();
    let provider = identity.provider();
    let claims = token.claims();
    let mut context = Context::with_capacity(32);

    circumstances.enter_keys(&mut context);
    context.set("aws:PrincipalAccount", snapshot.account());
    context.set("aws:PrincipalType", "User");
    context.set("aws:userid", provider.principal());
    context.set("aws:FederatedProvider", provider.principal());

    context.set("sts:RoleSessionName", session_name);
    context.set("sts:RoleAuthorizedByIdp", authorized_by_idp);
    if let Some(source_identity) = token.source_identity() {
        context.set("sts:SourceIdentity", source_identity);
    }
    enter_role_tags(&mut context, role);
    enter_tags(&mut context, token.tags(), snapshot.is_ceph());

    let issuer = without_scheme(token.issuer());
    // The services of opaque tokens have the keys that their token information makes, and no others.
    let standard = provider.has_standard_keys();
    let is_read = |name: &str| role.trust.document.may_read(issuer, name);
    let mut enter = |name: &str, value: Value<'a>| context.set([issuer, ":", name].concat(), value);
    if standard && is_read("aud") {
        enter("aud", token.audience().into());
    }
    if standard && snapshot.is_ceph() && is_read("app_id") {
        enter("app_id", token.audience().into());
    }
    if standard && is_read("sub") {
        enter("sub", token.subject().into());
    }
    if standard && is_read("amr") {
        enter("amr", token.amr().iter().map(String::as_str).collect::<Vec<_>>().into());
    }
    if standard && is_read("oaud") {
        let value = match token.original_audiences() {
            [only] => Value::from(only),
            many => Value::from(many.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        enter("oaud", value);
    }
    for (name, claim) in claims.iter().filter(|(name, _)| is_read(name)) {
        if let Some(value) = claim_value(claim) {
            enter(name, value);
        }
    }
    context
}
