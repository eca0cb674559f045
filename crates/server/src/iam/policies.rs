//! Managed policies and their versions.

use std::sync::Arc;

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::tags::write_tags;
use super::xml::Xml;
use crate::directory::Change;
use crate::directory::entry::{PolicyEntry, PolicyVersion};

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "CreatePolicy", on: On::Policy, work: Work::WriteAndRead(create, created) },
    Action { name: "GetPolicy", on: On::Policy, work: Work::Read(get) },
    Action { name: "ListPolicies", on: On::Account, work: Work::Read(list) },
    Action { name: "DeletePolicy", on: On::Policy, work: Work::Write(delete) },
    Action {
        name: "CreatePolicyVersion",
        on: On::Policy,
        work: Work::WriteAndRead(create_version, created_version),
    },
    Action { name: "GetPolicyVersion", on: On::Policy, work: Work::Read(get_version) },
    Action { name: "ListPolicyVersions", on: On::Policy, work: Work::Read(list_versions) },
    Action { name: "DeletePolicyVersion", on: On::Policy, work: Work::Write(delete_version) },
    Action { name: "SetDefaultPolicyVersion", on: On::Policy, work: Work::Write(set_default) },
    Action { name: "ListEntitiesForPolicy", on: On::Policy, work: Work::Read(entities) },
];

fn arn(of: &Reading<'_>) -> Result<String, Fault> {
    let arn = of.input.arn("PolicyArn")?;
    match arn.parse::<wigeon_core::arn::Arn>() {
        Ok(_) => Ok(arn.to_owned()),
        Err(_) => Err(Fault::invalid(format!("ARN {arn} is not valid."))),
    }
}

fn policy<'a>(of: &Reading<'a>, arn: &str) -> Result<&'a Arc<PolicyEntry>, Fault> {
    let missing = || Fault::no_such_entity(format!("Policy {arn} was not found."));
    of.snapshot.entries().policy(arn).ok_or_else(missing)
}

fn create(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreatePolicy {
        name: of.input.name("PolicyName", 128)?.to_owned(),
        path: of.input.path("Path")?.to_owned(),
        document: of.input.document("PolicyDocument")?.to_owned(),
        description: of.input.description()?.map(str::to_owned),
        tags: of.input.tags()?,
    })
}

fn created(of: &Reading<'_>) -> Answer {
    answer(of, &of.resource(On::Policy))
}

fn get(of: &Reading<'_>) -> Answer {
    answer(of, &arn(of)?)
}

fn answer(of: &Reading<'_>, arn: &str) -> Answer {
    let policy = policy(of, arn)?;
    let mut xml = Xml::default();
    xml.within("Policy", |xml| {
        write_policy(xml, of, policy);
        xml.optional("Description", policy.description.as_deref());
        write_tags(xml, &policy.tags);
    });
    Ok(xml)
}

/// What every answer says of a policy; a list leaves description and tags out.
fn write_policy(xml: &mut Xml, of: &Reading<'_>, policy: &PolicyEntry) {
    let entries = of.snapshot.entries();
    let arn = policy.arn(entries.account_in_arns());
    xml.leaf("PolicyName", &policy.name);
    xml.leaf("PolicyId", &policy.id);
    xml.leaf("Arn", &arn);
    xml.leaf("Path", &policy.path);
    xml.leaf("DefaultVersionId", &format!("v{}", policy.default_version));
    xml.number("AttachmentCount", entries.attachment_count(&arn));
    xml.number("PermissionsBoundaryUsageCount", entries.boundary_count(&arn));
    xml.flag("IsAttachable", true);
    xml.time("CreateDate", policy.created_at);
    xml.time("UpdateDate", policy.updated_at);
}

fn list(of: &Reading<'_>) -> Answer {
    let prefix = of.input.path_prefix()?;
    let scope = of.input.word("Scope", &["All", "AWS", "Local"])?.unwrap_or("All");
    let only_attached = of.input.flag("OnlyAttached")?;
    let usage = usage(of)?;
    let entries = of.snapshot.entries();
    let fits = |policy: &PolicyEntry| {
        let arn = policy.arn(entries.account_in_arns());
        let attached = || match usage {
            Usage::Any => entries.attachment_count(&arn) + entries.boundary_count(&arn) > 0,
            Usage::Permissions => entries.attachment_count(&arn) > 0,
            Usage::Boundary => entries.boundary_count(&arn) > 0,
        };
        policy.path.starts_with(prefix)
            && (scope == "All" || policy.built_in == (scope == "AWS"))
            && (usage == Usage::Any && !only_attached || attached())
    };
    let fitting = entries.policies.iter().filter(|(_, policy)| fits(policy));
    let page = Page::of(&of.input, fitting.map(|(key, policy)| (key.as_str(), policy)))?;
    let mut xml = Xml::default();
    xml.list("Policies", &page.items, |xml, policy| write_policy(xml, of, policy));
    page.write(&mut xml);
    Ok(xml)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    Any,
    Permissions,
    Boundary,
}

fn usage(of: &Reading<'_>) -> Result<Usage, Fault> {
    Ok(match of.input.word("PolicyUsageFilter", &["PermissionsPolicy", "PermissionsBoundary"])? {
        None => Usage::Any,
        Some("PermissionsPolicy") => Usage::Permissions,
        Some(_) => Usage::Boundary,
    })
}

fn delete(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeletePolicy { arn: arn(of)? })
}

fn create_version(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreatePolicyVersion {
        arn: arn(of)?,
        document: of.input.document("PolicyDocument")?.to_owned(),
        set_as_default: of.input.flag("SetAsDefault")?,
    })
}

fn created_version(of: &Reading<'_>) -> Answer {
    let policy = policy(of, &arn(of)?)?;
    let mut xml = Xml::default();
    if let Some(version) = policy.versions.last() {
        xml.within("PolicyVersion", |xml| write_version(xml, policy, version));
    }
    Ok(xml)
}

fn write_version(xml: &mut Xml, policy: &PolicyEntry, version: &PolicyVersion) {
    xml.leaf("VersionId", &version.id());
    xml.flag("IsDefaultVersion", version.number == policy.default_version);
    xml.time("CreateDate", version.created_at);
}

fn get_version(of: &Reading<'_>) -> Answer {
    let arn = arn(of)?;
    let id = of.input.required("VersionId")?;
    let policy = policy(of, &arn)?;
    let missing =
        || Fault::no_such_entity(format!("Policy {arn} version {id} does not exist or is not attachable."));
    let version = policy.version(id).ok_or_else(missing)?;
    let mut xml = Xml::default();
    xml.within("PolicyVersion", |xml| {
        xml.document("Document", &version.document);
        write_version(xml, policy, version);
    });
    Ok(xml)
}

fn list_versions(of: &Reading<'_>) -> Answer {
    let policy = policy(of, &arn(of)?)?;
    // Newest first; the keys of the pages count down.
    let versions: Vec<(String, &PolicyVersion)> = policy
        .versions
        .iter()
        .rev()
        .map(|version| (format!("{:010}", u32::MAX - version.number), version))
        .collect();
    let page = Page::of(&of.input, versions.iter().map(|(key, version)| (key.as_str(), *version)))?;
    let mut xml = Xml::default();
    xml.list("Versions", &page.items, |xml, version| write_version(xml, policy, version));
    page.write(&mut xml);
    Ok(xml)
}

fn version(of: &Reading<'_>) -> Result<String, Fault> {
    of.input.required("VersionId").map(str::to_owned)
}

fn delete_version(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeletePolicyVersion { arn: arn(of)?, version: version(of)? })
}

fn set_default(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::SetDefaultPolicyVersion { arn: arn(of)?, version: version(of)? })
}

/// Whom a policy is attached to, all in one list of pages: groups, then roles, then users.
fn entities(of: &Reading<'_>) -> Answer {
    let arn = arn(of)?;
    policy(of, &arn)?;
    let prefix = of.input.path_prefix()?;
    let filter = of
        .input
        .word("EntityFilter", &["User", "Role", "Group", "LocalManagedPolicy", "AWSManagedPolicy"])?;
    let usage = usage(of)?;
    let entries = of.snapshot.entries();
    let uses = |policies: &crate::directory::entry::Attachments, path: &str| {
        let attached = usage != Usage::Boundary && policies.attached.contains(&arn);
        let bounds = usage != Usage::Permissions && policies.boundary.as_ref() == Some(&arn);
        path.starts_with(prefix) && (attached || bounds)
    };
    let wanted = |kind: &str| filter.is_none_or(|filter| filter == kind);
    let mut found: Vec<(String, &str, &str, &str)> = Vec::new();
    for (key, group) in entries.groups.iter().filter(|_| wanted("Group")) {
        if uses(&group.policies, &group.path) {
            found.push((format!("group/{key}"), "Group", &group.name, &group.id));
        }
    }
    for (key, role) in entries.roles.iter().filter(|_| wanted("Role")) {
        if uses(&role.policies, &role.path) {
            found.push((format!("role/{key}"), "Role", &role.name, &role.id));
        }
    }
    for (key, user) in entries.users.iter().filter(|_| wanted("User")) {
        if uses(&user.policies, &user.path) {
            found.push((format!("user/{key}"), "User", &user.name, &user.id));
        }
    }
    let page = Page::of(&of.input, found.iter().map(|entity| (entity.0.as_str(), entity)))?;
    let mut xml = Xml::default();
    for kind in ["Group", "User", "Role"] {
        let of_kind = page.items.iter().filter(|entity| entity.1 == kind);
        xml.list(&format!("Policy{kind}s"), of_kind, |xml, (_, _, name, id)| {
            xml.leaf(&format!("{kind}Name"), name);
            xml.leaf(&format!("{kind}Id"), id);
        });
    }
    page.write(&mut xml);
    Ok(xml)
}
