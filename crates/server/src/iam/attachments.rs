//! Inline and attached policies and boundaries of roles, users and groups.

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::xml::Xml;
use crate::directory::entry::Attachments;
use crate::directory::{Change, Owner};

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "PutRolePolicy", on: On::Role, work: Work::Write(|of| put(of, role(of)?)) },
    Action { name: "GetRolePolicy", on: On::Role, work: Work::Read(|of| get(of, &role(of)?)) },
    Action { name: "ListRolePolicies", on: On::Role, work: Work::Read(|of| list(of, &role(of)?)) },
    Action { name: "DeleteRolePolicy", on: On::Role, work: Work::Write(|of| remove(of, role(of)?)) },
    Action { name: "AttachRolePolicy", on: On::Role, work: Work::Write(|of| attach(of, role(of)?)) },
    Action { name: "DetachRolePolicy", on: On::Role, work: Work::Write(|of| detach(of, role(of)?)) },
    Action {
        name: "ListAttachedRolePolicies",
        on: On::Role,
        work: Work::Read(|of| list_attached(of, &role(of)?)),
    },
    Action {
        name: "PutRolePermissionsBoundary",
        on: On::Role,
        work: Work::Write(|of| set_boundary(of, role(of)?)),
    },
    Action {
        name: "DeleteRolePermissionsBoundary",
        on: On::Role,
        work: Work::Write(|of| Ok(Change::SetBoundary { owner: role(of)?, arn: None })),
    },
    Action { name: "PutUserPolicy", on: On::User, work: Work::Write(|of| put(of, user(of)?)) },
    Action { name: "GetUserPolicy", on: On::User, work: Work::Read(|of| get(of, &user(of)?)) },
    Action { name: "ListUserPolicies", on: On::User, work: Work::Read(|of| list(of, &user(of)?)) },
    Action { name: "DeleteUserPolicy", on: On::User, work: Work::Write(|of| remove(of, user(of)?)) },
    Action { name: "AttachUserPolicy", on: On::User, work: Work::Write(|of| attach(of, user(of)?)) },
    Action { name: "DetachUserPolicy", on: On::User, work: Work::Write(|of| detach(of, user(of)?)) },
    Action {
        name: "ListAttachedUserPolicies",
        on: On::User,
        work: Work::Read(|of| list_attached(of, &user(of)?)),
    },
    Action {
        name: "PutUserPermissionsBoundary",
        on: On::User,
        work: Work::Write(|of| set_boundary(of, user(of)?)),
    },
    Action {
        name: "DeleteUserPermissionsBoundary",
        on: On::User,
        work: Work::Write(|of| Ok(Change::SetBoundary { owner: user(of)?, arn: None })),
    },
    Action { name: "PutGroupPolicy", on: On::Group, work: Work::Write(|of| put(of, group(of)?)) },
    Action { name: "GetGroupPolicy", on: On::Group, work: Work::Read(|of| get(of, &group(of)?)) },
    Action { name: "ListGroupPolicies", on: On::Group, work: Work::Read(|of| list(of, &group(of)?)) },
    Action { name: "DeleteGroupPolicy", on: On::Group, work: Work::Write(|of| remove(of, group(of)?)) },
    Action { name: "AttachGroupPolicy", on: On::Group, work: Work::Write(|of| attach(of, group(of)?)) },
    Action { name: "DetachGroupPolicy", on: On::Group, work: Work::Write(|of| detach(of, group(of)?)) },
    Action {
        name: "ListAttachedGroupPolicies",
        on: On::Group,
        work: Work::Read(|of| list_attached(of, &group(of)?)),
    },
];

fn role(of: &Reading<'_>) -> Result<Owner, Fault> {
    Ok(Owner::Role(of.input.name("RoleName", 64)?.to_owned()))
}

fn user(of: &Reading<'_>) -> Result<Owner, Fault> {
    Ok(Owner::User(of.input.name("UserName", 128)?.to_owned()))
}

fn group(of: &Reading<'_>) -> Result<Owner, Fault> {
    Ok(Owner::Group(of.input.name("GroupName", 128)?.to_owned()))
}

fn policy_name(of: &Reading<'_>) -> Result<String, Fault> {
    of.input.name("PolicyName", 128).map(str::to_owned)
}

fn policy_arn(of: &Reading<'_>) -> Result<String, Fault> {
    of.input.arn("PolicyArn").map(str::to_owned)
}

fn put(of: &Reading<'_>, owner: Owner) -> Result<Change, Fault> {
    let document = of.input.document("PolicyDocument")?.to_owned();
    Ok(Change::PutPolicy { owner, name: policy_name(of)?, document })
}

fn remove(of: &Reading<'_>, owner: Owner) -> Result<Change, Fault> {
    Ok(Change::RemovePolicy { owner, name: policy_name(of)? })
}

fn attach(of: &Reading<'_>, owner: Owner) -> Result<Change, Fault> {
    Ok(Change::Attach { owner, arn: policy_arn(of)? })
}

fn detach(of: &Reading<'_>, owner: Owner) -> Result<Change, Fault> {
    Ok(Change::Detach { owner, arn: policy_arn(of)? })
}

fn set_boundary(of: &Reading<'_>, owner: Owner) -> Result<Change, Fault> {
    Ok(Change::SetBoundary { owner, arn: Some(of.input.arn("PermissionsBoundary")?.to_owned()) })
}

/// The kind of an owner in element names, its name, and its policies.
fn policies<'a, 'o>(
    of: &Reading<'a>,
    owner: &'o Owner,
) -> Result<(&'static str, &'o str, &'a Attachments), Fault> {
    let entries = of.snapshot.entries();
    let (kind, name, found) = match owner {
        Owner::Role(name) => ("Role", name, entries.role(name).map(|role| &role.policies)),
        Owner::User(name) => ("User", name, entries.user(name).map(|user| &user.policies)),
        Owner::Group(name) => ("Group", name, entries.group(name).map(|group| &group.policies)),
    };
    let missing = || {
        let kind = kind.to_ascii_lowercase();
        Fault::no_such_entity(format!("The {kind} with name {name} cannot be found."))
    };
    Ok((kind, name, found.ok_or_else(missing)?))
}

fn get(of: &Reading<'_>, owner: &Owner) -> Answer {
    let (kind, owner, policies) = policies(of, owner)?;
    let name = policy_name(of)?;
    let missing = || {
        let kind = kind.to_ascii_lowercase();
        Fault::no_such_entity(format!("The {kind} policy with name {name} cannot be found."))
    };
    let document = policies.inline.get(&name).ok_or_else(missing)?;
    let mut xml = Xml::default();
    xml.leaf(&format!("{kind}Name"), owner);
    xml.leaf("PolicyName", &name);
    xml.document("PolicyDocument", document);
    Ok(xml)
}

fn list(of: &Reading<'_>, owner: &Owner) -> Answer {
    let (_, _, policies) = policies(of, owner)?;
    let names = policies.inline.keys().map(String::as_str);
    let page = Page::of(&of.input, names.map(|name| (name, name)))?;
    let mut xml = Xml::default();
    xml.texts("PolicyNames", page.items.iter().copied());
    page.write(&mut xml);
    Ok(xml)
}

fn list_attached(of: &Reading<'_>, owner: &Owner) -> Answer {
    let (_, _, policies) = policies(of, owner)?;
    let prefix = of.input.path_prefix()?;
    let entries = of.snapshot.entries();
    let mut arns: Vec<&str> = policies
        .attached
        .iter()
        .map(String::as_str)
        .filter(|arn| entries.policy(arn).is_some_and(|policy| policy.path.starts_with(prefix)))
        .collect();
    arns.sort_unstable();
    let page = Page::of(&of.input, arns.into_iter().map(|arn| (arn, arn)))?;
    let mut xml = Xml::default();
    xml.list("AttachedPolicies", &page.items, |xml, arn| {
        let name = entries.policy(arn).map(|policy| policy.name.as_str());
        xml.leaf("PolicyName", name.unwrap_or_default());
        xml.leaf("PolicyArn", arn);
    });
    page.write(&mut xml);
    Ok(xml)
}
