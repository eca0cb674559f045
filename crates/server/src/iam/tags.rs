//! Tags of roles, users, policies and providers.

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::xml::Xml;
use crate::directory::entry::Tags;
use crate::directory::{Change, Tagged};

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "TagRole", on: On::Role, work: Work::Write(|of| tag(of, role(of)?)) },
    Action { name: "UntagRole", on: On::Role, work: Work::Write(|of| untag(of, role(of)?)) },
    Action { name: "ListRoleTags", on: On::Role, work: Work::Read(|of| list(of, role(of)?)) },
    Action { name: "TagUser", on: On::User, work: Work::Write(|of| tag(of, user(of)?)) },
    Action { name: "UntagUser", on: On::User, work: Work::Write(|of| untag(of, user(of)?)) },
    Action { name: "ListUserTags", on: On::User, work: Work::Read(|of| list(of, user(of)?)) },
    Action { name: "TagPolicy", on: On::Policy, work: Work::Write(|of| tag(of, policy(of)?)) },
    Action { name: "UntagPolicy", on: On::Policy, work: Work::Write(|of| untag(of, policy(of)?)) },
    Action { name: "ListPolicyTags", on: On::Policy, work: Work::Read(|of| list(of, policy(of)?)) },
    Action {
        name: "TagOpenIDConnectProvider",
        on: On::Provider,
        work: Work::Write(|of| tag(of, provider(of)?)),
    },
    Action {
        name: "UntagOpenIDConnectProvider",
        on: On::Provider,
        work: Work::Write(|of| untag(of, provider(of)?)),
    },
    Action {
        name: "ListOpenIDConnectProviderTags",
        on: On::Provider,
        work: Work::Read(|of| list(of, provider(of)?)),
    },
];

/// The element `Tags`.
pub(super) fn write_tags(xml: &mut Xml, tags: &Tags) {
    xml.list("Tags", tags, |xml, (key, value)| {
        xml.leaf("Key", key);
        xml.leaf("Value", value);
    });
}

fn role(of: &Reading<'_>) -> Result<Tagged, Fault> {
    Ok(Tagged::Role(of.input.name("RoleName", 64)?.to_owned()))
}

fn user(of: &Reading<'_>) -> Result<Tagged, Fault> {
    Ok(Tagged::User(of.input.name("UserName", 128)?.to_owned()))
}

fn policy(of: &Reading<'_>) -> Result<Tagged, Fault> {
    Ok(Tagged::Policy(of.input.arn("PolicyArn")?.to_owned()))
}

fn provider(of: &Reading<'_>) -> Result<Tagged, Fault> {
    Ok(Tagged::Provider(of.input.arn("OpenIDConnectProviderArn")?.to_owned()))
}

fn tag(of: &Reading<'_>, what: Tagged) -> Result<Change, Fault> {
    Ok(Change::Tag { what, tags: of.input.tags()? })
}

fn untag(of: &Reading<'_>, what: Tagged) -> Result<Change, Fault> {
    let keys = of.input.list("TagKeys").into_iter().map(str::to_owned).collect();
    Ok(Change::Untag { what, keys })
}

/// The tags of something; `None` where it is not there.
pub(super) fn tags_of<'a>(of: &Reading<'a>, what: &Tagged) -> Option<&'a Tags> {
    let entries = of.snapshot.entries();
    match what {
        Tagged::Role(name) => entries.role(name).map(|role| &role.tags),
        Tagged::User(name) => entries.user(name).map(|user| &user.tags),
        Tagged::Policy(arn) => entries.policy(arn).map(|policy| &policy.tags),
        Tagged::Provider(arn) => entries.provider(arn).map(|provider| &provider.tags),
    }
}

fn list(of: &Reading<'_>, what: Tagged) -> Answer {
    let missing = || {
        let (Tagged::Role(name) | Tagged::User(name) | Tagged::Policy(name) | Tagged::Provider(name)) = &what;
        Fault::no_such_entity(format!("{name} cannot be found."))
    };
    let mut tags = tags_of(of, &what).ok_or_else(missing)?.clone();
    tags.sort();
    let page = Page::of(&of.input, tags.iter().map(|tag| (tag.0.as_str(), tag)))?;
    let mut xml = Xml::default();
    xml.list("Tags", &page.items, |xml, (key, value)| {
        xml.leaf("Key", key);
        xml.leaf("Value", value);
    });
    page.write(&mut xml);
    Ok(xml)
}
