//! Roles.

use std::sync::Arc;

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::tags::write_tags;
use super::xml::Xml;
use crate::directory::entry::RoleEntry;
use crate::directory::{Change, LastUse, Used};

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "CreateRole", on: On::Role, work: Work::WriteAndRead(create, described) },
    Action { name: "GetRole", on: On::Role, work: Work::ReadUse(used, get) },
    Action { name: "ListRoles", on: On::Account, work: Work::Read(list) },
    Action { name: "UpdateRole", on: On::Role, work: Work::WriteAndRead(update, |_| Ok(Xml::default())) },
    Action {
        name: "UpdateRoleDescription",
        on: On::Role,
        work: Work::WriteAndRead(update_description, described),
    },
    Action { name: "UpdateAssumeRolePolicy", on: On::Role, work: Work::Write(update_trust) },
    Action { name: "DeleteRole", on: On::Role, work: Work::Write(delete) },
    Action { name: "ListInstanceProfilesForRole", on: On::Role, work: Work::Read(instance_profiles) },
];

pub(super) fn name(of: &Reading<'_>) -> Result<String, Fault> {
    of.input.name("RoleName", 64).map(str::to_owned)
}

/// The role that a request names.
pub(super) fn role<'a>(of: &Reading<'a>) -> Result<&'a Arc<RoleEntry>, Fault> {
    let name = name(of)?;
    let missing = || Fault::no_such_entity(format!("The role with name {name} cannot be found."));
    of.snapshot.entries().role(&name).ok_or_else(missing)
}

fn create(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreateRole {
        name: name(of)?,
        path: of.input.path("Path")?.to_owned(),
        trust: of.input.document("AssumeRolePolicyDocument")?.to_owned(),
        description: of.input.description()?.map(str::to_owned),
        max_session_duration: of.input.number("MaxSessionDuration", 3600, 43_200)?.unwrap_or(3600),
        boundary: of.input.optional_arn("PermissionsBoundary")?.map(str::to_owned),
        tags: of.input.tags()?,
    })
}

fn used<'a>(of: &'a Reading<'_>) -> Result<Used<'a>, Fault> {
    role(of).map(|role| Used::Role { id: &role.id, name: &role.name })
}

/// The role, and, as AWS says it to `GetRole` alone, when it was last used.
fn get(of: &Reading<'_>, last: Option<&LastUse>) -> Answer {
    let role = role(of)?;
    let mut xml = Xml::default();
    xml.within("Role", |xml| {
        write_all(xml, of.snapshot.account_in_arns(), role);
        xml.within("RoleLastUsed", |xml| {
            if let Some(last) = last.filter(|last| last.is_remembered(of.at)) {
                xml.time("LastUsedDate", last.at);
                xml.leaf("Region", &last.region);
            }
        });
    });
    Ok(xml)
}

fn described(of: &Reading<'_>) -> Answer {
    let role = role(of)?;
    let mut xml = Xml::default();
    xml.within("Role", |xml| write_all(xml, of.snapshot.account_in_arns(), role));
    Ok(xml)
}

/// What a list leaves out, too.
fn write_all(xml: &mut Xml, account: &str, role: &RoleEntry) {
    write_role(xml, account, role);
    if let Some(arn) = &role.policies.boundary {
        xml.within("PermissionsBoundary", |xml| {
            xml.leaf("PermissionsBoundaryType", "Policy");
            xml.leaf("PermissionsBoundaryArn", arn);
        });
    }
    if !role.tags.is_empty() {
        write_tags(xml, &role.tags);
    }
}

/// What every answer says of a role.
fn write_role(xml: &mut Xml, account: &str, role: &RoleEntry) {
    xml.leaf("Path", &role.path);
    xml.leaf("RoleName", &role.name);
    xml.leaf("RoleId", &role.id);
    xml.leaf("Arn", &role.arn(account));
    xml.time("CreateDate", role.created_at);
    xml.document("AssumeRolePolicyDocument", &role.trust);
    xml.optional("Description", role.description.as_deref());
    xml.number("MaxSessionDuration", role.max_session_duration as usize);
}

fn list(of: &Reading<'_>) -> Answer {
    let prefix = of.input.path_prefix()?;
    let roles = &of.snapshot.entries().roles;
    let fitting = roles.iter().filter(|(_, role)| role.path.starts_with(prefix));
    let page = Page::of(&of.input, fitting.map(|(key, role)| (key.as_str(), role)))?;
    let mut xml = Xml::default();
    xml.list("Roles", &page.items, |xml, role| write_role(xml, of.snapshot.account_in_arns(), role));
    page.write(&mut xml);
    Ok(xml)
}

fn update(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::UpdateRole {
        name: name(of)?,
        description: of.input.description()?.map(str::to_owned),
        max_session_duration: of.input.number("MaxSessionDuration", 3600, 43_200)?,
    })
}

fn update_description(of: &Reading<'_>) -> Result<Change, Fault> {
    let description = of.input.description()?.unwrap_or_default().to_owned();
    Ok(Change::UpdateRole { name: name(of)?, description: Some(description), max_session_duration: None })
}

fn update_trust(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::UpdateTrust { name: name(of)?, document: of.input.document("PolicyDocument")?.to_owned() })
}

fn delete(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeleteRole { name: name(of)? })
}

/// There are no instances, so no role has a profile for them; tools ask all the same.
fn instance_profiles(of: &Reading<'_>) -> Answer {
    role(of)?;
    let mut xml = Xml::default();
    xml.texts("InstanceProfiles", []);
    xml.flag("IsTruncated", false);
    Ok(xml)
}
