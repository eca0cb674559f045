//! Users, their access keys, and groups.

use std::sync::Arc;

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::tags::write_tags;
use super::xml::Xml;
use crate::directory::entry::{GroupEntry, UserEntry, key_of};
use crate::directory::{Change, LastUse, Used};
use crate::issue::LongLived;
use crate::session::Caller;

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "CreateUser", on: On::User, work: Work::WriteAndRead(create, created) },
    Action { name: "GetUser", on: On::User, work: Work::Read(get) },
    Action { name: "ListUsers", on: On::Account, work: Work::Read(list) },
    Action { name: "UpdateUser", on: On::User, work: Work::Write(update) },
    Action { name: "DeleteUser", on: On::User, work: Work::Write(delete) },
    Action { name: "CreateAccessKey", on: On::User, work: Work::CreateAccessKey },
    Action { name: "ListAccessKeys", on: On::User, work: Work::Read(list_keys) },
    Action { name: "UpdateAccessKey", on: On::User, work: Work::Write(update_key) },
    Action { name: "DeleteAccessKey", on: On::User, work: Work::Write(delete_key) },
    Action { name: "GetAccessKeyLastUsed", on: On::Account, work: Work::ReadUse(used_key, last_use) },
    Action { name: "ListGroupsForUser", on: On::User, work: Work::Read(groups_of_user) },
    Action { name: "CreateGroup", on: On::Group, work: Work::WriteAndRead(create_group, created_group) },
    Action { name: "GetGroup", on: On::Group, work: Work::Read(get_group) },
    Action { name: "ListGroups", on: On::Account, work: Work::Read(list_groups) },
    Action { name: "UpdateGroup", on: On::Group, work: Work::Write(update_group) },
    Action { name: "DeleteGroup", on: On::Group, work: Work::Write(delete_group) },
    Action { name: "AddUserToGroup", on: On::Group, work: Work::Write(add_to_group) },
    Action { name: "RemoveUserFromGroup", on: On::Group, work: Work::Write(remove_from_group) },
];

fn user<'a>(of: &Reading<'a>, name: &str) -> Result<&'a Arc<UserEntry>, Fault> {
    let missing = || Fault::no_such_entity(format!("The user with name {name} cannot be found."));
    of.snapshot.entries().user(name).ok_or_else(missing)
}

fn write_user(xml: &mut Xml, account: &str, user: &UserEntry) {
    xml.leaf("Path", &user.path);
    xml.leaf("UserName", &user.name);
    xml.leaf("UserId", &user.id);
    xml.leaf("Arn", &user.arn(account));
    xml.time("CreateDate", user.created_at);
}

fn create(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreateUser {
        name: of.input.name("UserName", 64)?.to_owned(),
        path: of.input.path("Path")?.to_owned(),
        boundary: of.input.optional_arn("PermissionsBoundary")?.map(str::to_owned),
        tags: of.input.tags()?,
    })
}

fn created(of: &Reading<'_>) -> Answer {
    answer(of, user(of, of.input.name("UserName", 64)?)?)
}

/// Without a name, the caller: the root of the account is one, too.
fn get(of: &Reading<'_>) -> Answer {
    match (of.input.optional("UserName"), of.caller) {
        (None, Caller::Root | Caller::RootSession(_)) => {
            let account = of.snapshot.account_in_arns();
            let mut xml = Xml::default();
            xml.within("User", |xml| {
                xml.leaf("UserId", account);
                xml.leaf("Arn", &format!("arn:aws:iam::{account}:root"));
                xml.time("CreateDate", wigeon_core::time::Timestamp::UNIX_EPOCH);
            });
            Ok(xml)
        }
        _ => answer(of, user(of, of.user_name()?)?),
    }
}

fn answer(of: &Reading<'_>, user: &UserEntry) -> Answer {
    let mut xml = Xml::default();
    xml.within("User", |xml| {
        write_user(xml, of.snapshot.account_in_arns(), user);
        if let Some(arn) = &user.policies.boundary {
            xml.within("PermissionsBoundary", |xml| {
                xml.leaf("PermissionsBoundaryType", "Policy");
                xml.leaf("PermissionsBoundaryArn", arn);
            });
        }
        if !user.tags.is_empty() {
            write_tags(xml, &user.tags);
        }
    });
    Ok(xml)
}

fn list(of: &Reading<'_>) -> Answer {
    let prefix = of.input.path_prefix()?;
    let users = of.snapshot.entries().users.iter();
    let fitting = users.filter(|(_, user)| user.path.starts_with(prefix));
    users_page(of, "Users", fitting.map(|(key, user)| (key.as_str(), user)), Xml::default())
}

fn users_page<'u>(
    of: &Reading<'_>,
    name: &str,
    users: impl Iterator<Item = (&'u str, &'u Arc<UserEntry>)>,
    mut xml: Xml,
) -> Answer {
    let page = Page::of(&of.input, users)?;
    xml.list(name, &page.items, |xml, user| write_user(xml, of.snapshot.account_in_arns(), user));
    page.write(&mut xml);
    Ok(xml)
}

fn update(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::UpdateUser {
        name: of.input.name("UserName", 128)?.to_owned(),
        new_name: of.input.optional_name("NewUserName", 64)?.map(str::to_owned),
        new_path: of.input.optional_path("NewPath")?.map(str::to_owned),
    })
}

fn delete(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeleteUser { name: of.input.name("UserName", 128)?.to_owned() })
}

/// The change that keeps a new access key.
pub(super) fn create_key(of: &Reading<'_>, made: &LongLived) -> Result<Change, Fault> {
    Ok(Change::CreateAccessKey {
        user: of.user_name()?.to_owned(),
        id: made.access_key_id.clone(),
        sealed_secret: made.sealed_secret.clone(),
    })
}

/// The one answer that holds a secret.
pub(super) fn created_key(of: &Reading<'_>, made: &LongLived) -> Answer {
    let user = user(of, of.user_name()?)?;
    let created = of.snapshot.entries().access_keys.get(&made.access_key_id).map(|key| key.created_at);
    let mut xml = Xml::default();
    xml.within("AccessKey", |xml| {
        xml.leaf("UserName", &user.name);
        xml.leaf("AccessKeyId", &made.access_key_id);
        xml.leaf("Status", "Active");
        xml.leaf("SecretAccessKey", made.secret_key.expose());
        if let Some(at) = created {
            xml.time("CreateDate", at);
        }
    });
    Ok(xml)
}

fn list_keys(of: &Reading<'_>) -> Answer {
    let user = user(of, of.user_name()?)?;
    let key = key_of(&user.name);
    let keys = of.snapshot.entries().access_keys.iter().filter(|(_, access_key)| access_key.user == key);
    let page = Page::of(&of.input, keys.map(|(id, key)| (id.as_str(), key)))?;
    let mut xml = Xml::default();
    xml.list("AccessKeyMetadata", &page.items, |xml, key| {
        xml.leaf("UserName", &user.name);
        xml.leaf("AccessKeyId", &key.id);
        xml.leaf("Status", if key.active { "Active" } else { "Inactive" });
        xml.time("CreateDate", key.created_at);
    });
    page.write(&mut xml);
    Ok(xml)
}

fn update_key(of: &Reading<'_>) -> Result<Change, Fault> {
    of.input.required("Status")?;
    let status = of.input.word("Status", &["Active", "Inactive"])?;
    Ok(Change::UpdateAccessKey {
        user: of.user_name()?.to_owned(),
        id: of.input.access_key_id()?.to_owned(),
        active: status == Some("Active"),
    })
}

fn delete_key(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeleteAccessKey { user: of.user_name()?.to_owned(), id: of.input.access_key_id()?.to_owned() })
}

fn used_key<'a>(of: &'a Reading<'_>) -> Result<Used<'a>, Fault> {
    Ok(Used::Key { id: of.input.access_key_id()? })
}

/// A key that was never used has no date, as at AWS.
fn last_use(of: &Reading<'_>, last: Option<&LastUse>) -> Answer {
    let id = of.input.access_key_id()?;
    let missing = || Fault::no_such_entity(format!("The Access Key with id {id} cannot be found."));
    let entries = of.snapshot.entries();
    let key = entries.access_keys.get(id).ok_or_else(missing)?;
    let user = entries.users.get(&key.user).ok_or_else(missing)?;
    let mut xml = Xml::default();
    xml.leaf("UserName", &user.name);
    xml.within("AccessKeyLastUsed", |xml| {
        if let Some(last) = last {
            xml.time("LastUsedDate", last.at);
        }
        xml.leaf("ServiceName", last.map_or("N/A", |last| last.service.as_str()));
        xml.leaf("Region", last.map_or("N/A", |last| last.region.as_str()));
    });
    Ok(xml)
}

fn groups_of_user(of: &Reading<'_>) -> Answer {
    let user = user(of, of.input.name("UserName", 128)?)?;
    let entries = of.snapshot.entries();
    let mut groups: Vec<(&str, &Arc<GroupEntry>)> =
        user.groups.iter().filter_map(|key| Some((key.as_str(), entries.groups.get(key)?))).collect();
    groups.sort_by_key(|(key, _)| *key);
    groups_page(of, groups.into_iter())
}

fn group<'a>(of: &Reading<'a>) -> Result<&'a Arc<GroupEntry>, Fault> {
    let name = of.input.name("GroupName", 128)?;
    let missing = || Fault::no_such_entity(format!("The group with name {name} cannot be found."));
    of.snapshot.entries().group(name).ok_or_else(missing)
}

fn write_group(xml: &mut Xml, account: &str, group: &GroupEntry) {
    xml.leaf("Path", &group.path);
    xml.leaf("GroupName", &group.name);
    xml.leaf("GroupId", &group.id);
    xml.leaf("Arn", &group.arn(account));
    xml.time("CreateDate", group.created_at);
}

fn groups_page<'g>(of: &Reading<'_>, groups: impl Iterator<Item = (&'g str, &'g Arc<GroupEntry>)>) -> Answer {
    let page = Page::of(&of.input, groups)?;
    let mut xml = Xml::default();
    xml.list("Groups", &page.items, |xml, group| write_group(xml, of.snapshot.account_in_arns(), group));
    page.write(&mut xml);
    Ok(xml)
}

fn create_group(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::CreateGroup {
        name: of.input.name("GroupName", 128)?.to_owned(),
        path: of.input.path("Path")?.to_owned(),
    })
}

fn created_group(of: &Reading<'_>) -> Answer {
    let group = group(of)?;
    let mut xml = Xml::default();
    xml.within("Group", |xml| write_group(xml, of.snapshot.account_in_arns(), group));
    Ok(xml)
}

fn get_group(of: &Reading<'_>) -> Answer {
    let xml = created_group(of)?;
    let key = key_of(&group(of)?.name);
    let members = of.snapshot.entries().users.iter().filter(|(_, user)| user.groups.contains(&key));
    users_page(of, "Users", members.map(|(key, user)| (key.as_str(), user)), xml)
}

fn list_groups(of: &Reading<'_>) -> Answer {
    let prefix = of.input.path_prefix()?;
    let groups = of.snapshot.entries().groups.iter();
    groups_page(
        of,
        groups.filter(|(_, group)| group.path.starts_with(prefix)).map(|(key, group)| (key.as_str(), group)),
    )
}

fn update_group(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::UpdateGroup {
        name: of.input.name("GroupName", 128)?.to_owned(),
        new_name: of.input.optional_name("NewGroupName", 128)?.map(str::to_owned),
        new_path: of.input.optional_path("NewPath")?.map(str::to_owned),
    })
}

fn delete_group(of: &Reading<'_>) -> Result<Change, Fault> {
    Ok(Change::DeleteGroup { name: of.input.name("GroupName", 128)?.to_owned() })
}

fn add_to_group(of: &Reading<'_>) -> Result<Change, Fault> {
    let (group, user) = membership(of)?;
    Ok(Change::AddToGroup { group, user })
}

fn remove_from_group(of: &Reading<'_>) -> Result<Change, Fault> {
    let (group, user) = membership(of)?;
    Ok(Change::RemoveFromGroup { group, user })
}

fn membership(of: &Reading<'_>) -> Result<(String, String), Fault> {
    Ok((of.input.name("GroupName", 128)?.to_owned(), of.input.name("UserName", 128)?.to_owned()))
}
