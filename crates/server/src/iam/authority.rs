//! Whether a caller may do an IAM action: the same policies and the same evaluation as for objects.
//!
//! What the server knows enters the condition context first (the request's circumstances, the caller, the tags
//! of what the action is about), what the requester wrote last.

use std::net::IpAddr;

use wigeon_core::policy::{Context, Value};
use wigeon_core::time::Timestamp;

use super::action::{Action, On, Reading};
use super::fault::Fault;
use super::tags::tags_of;
use crate::decided::DecidedBy;
use crate::directory::Tagged;
use crate::rights::Rights;
use crate::session::Caller;

/// What the server itself knows of a request.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When it arrived.
    pub now: Timestamp,
    /// Where it came from.
    pub source_ip: IpAddr,
    /// Whether it came over TLS.
    pub secure_transport: bool,
    /// The `User-Agent` header.
    pub user_agent: Option<&'a str>,
    /// The region that the server answers for.
    pub region: &'a str,
}

/// Asks the caller's policies for `iam:ACTION` on what the action is about; says which statement allows.
pub(super) fn allow(
    of: &Reading<'_>,
    action: &Action,
    circumstances: &Circumstances<'_>,
) -> Result<Option<DecidedBy>, Fault> {
    let rights = Rights::of(of.caller, of.snapshot).map_err(|ended| Fault {
        reason: Some(ended.to_string()),
        ..Fault::new("InvalidClientTokenId", 403, "The security token included in the request is invalid.")
    })?;
    if matches!(of.caller, Caller::UserSession(_)) {
        // AWS: not without a second factor, which nobody has here. A stolen session could otherwise make itself a
        // key that stays.
        let message = "The security token included in the request is invalid.";
        let reason = Some("the credentials of GetSessionToken do not administer".to_owned());
        return Err(Fault { reason, ..Fault::new("InvalidClientTokenId", 403, message) });
    }
    let account = of.snapshot.account();
    let resource = of.resource(action.on);
    let request_tags = of.input.tags().unwrap_or_default();
    let tag_keys: Vec<String> = request_tags
        .iter()
        .map(|(key, _)| key.clone())
        .chain(of.input.list("TagKeys").into_iter().map(str::to_owned))
        .collect();

    let mut context = Context::with_capacity(24);
    context.set("aws:SourceIp", circumstances.source_ip);
    context.set("aws:SecureTransport", circumstances.secure_transport);
    context.set("aws:CurrentTime", circumstances.now);
    context.set("aws:EpochTime", circumstances.now.as_second());
    context.set("aws:ResourceAccount", account);
    context.set("aws:RequestedRegion", circumstances.region);
    if let Some(agent) = circumstances.user_agent {
        context.set("aws:UserAgent", agent);
    }
    rights.enter_keys(&mut context);
    for (key, value) in resource_tags(of, action.on, &resource) {
        context.set(format!("aws:ResourceTag/{key}"), value.as_str());
        context.set(format!("iam:ResourceTag/{key}"), value.as_str());
    }
    for (key, value) in &request_tags {
        context.set(format!("aws:RequestTag/{key}"), value.as_str());
    }
    if !tag_keys.is_empty() {
        context.set("aws:TagKeys", Value::from(tag_keys));
    }
    if let Some(arn) = of.input.optional("PolicyArn") {
        context.set("iam:PolicyARN", arn);
    }
    if let Some(arn) = boundary(of, action.on) {
        context.set("iam:PermissionsBoundary", arn);
    }
    let name = format!("iam:{}", action.name);
    rights.decide(&name, &resource, None, &context).map_err(|denial| Fault::denied(&denial))
}

/// The boundary that a request sets, else the one that its role or user has.
fn boundary<'a>(of: &Reading<'a>, on: On) -> Option<&'a str> {
    let entries = of.snapshot.entries();
    let name = |name: &str| of.input.optional(name);
    of.input.optional("PermissionsBoundary").or_else(|| match on {
        On::Role => entries.role(name("RoleName")?)?.policies.boundary.as_deref(),
        On::User => entries.user(name("UserName")?)?.policies.boundary.as_deref(),
        _ => None,
    })
}

fn resource_tags<'a>(
    of: &Reading<'a>,
    on: On,
    resource: &str,
) -> impl Iterator<Item = &'a (String, String)> + use<'a> {
    let name = |name: &str| of.input.optional(name).unwrap_or_default().to_owned();
    let what = match on {
        On::Role => Some(Tagged::Role(name("RoleName"))),
        On::User => of.user_name().ok().map(|name| Tagged::User(name.to_owned())),
        On::Policy => Some(Tagged::Policy(resource.to_owned())),
        On::Provider => Some(Tagged::Provider(resource.to_owned())),
        On::Account | On::Group | On::Source => None,
    };
    what.and_then(|what| tags_of(of, &what)).into_iter().flatten()
}
