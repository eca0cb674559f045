//! Ending sessions before their time, and what was ended.
//!
//! `RevokeSession`, `RevokeRoleSessions`, `RevokeOpenIDConnectProviderSessions` and `ListRevocations` are Wigeon's
//! own: AWS knows revocation only as a policy with `aws:TokenIssueTime`, which works here as well.

use wigeon_core::time::{SignedDuration, Timestamp};

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::xml::Xml;
use crate::directory::Change;

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "RevokeSession", on: On::Account, work: Work::Write(session) },
    Action { name: "RevokeRoleSessions", on: On::Role, work: Work::Write(role) },
    Action { name: "RevokeOpenIDConnectProviderSessions", on: On::Provider, work: Work::Write(provider) },
    Action { name: "ListRevocations", on: On::Account, work: Work::Read(list) },
];

/// The longest session, and some.
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(13);

/// `AccessKeyId`. Which session it is need not be known: nothing is stored of sessions.
fn session(of: &Reading<'_>) -> Result<Change, Fault> {
    let access_key_id = of.input.access_key_id()?.to_owned();
    if !access_key_id.starts_with("ASIA") {
        let text = "The access key of a session begins with ASIA; delete or deactivate a user's key.";
        return Err(Fault::invalid(text));
    }
    Ok(Change::RevokeSession { access_key_id, until: of.at + LONGEST_SESSION })
}

/// `RoleName`, and `IssuedBefore` for another time than now.
fn role(of: &Reading<'_>) -> Result<Change, Fault> {
    let name = of.input.name("RoleName", 64)?.to_owned();
    Ok(Change::RevokeRole { name, before: issued_before(of)? })
}

/// `OpenIDConnectProviderArn`, and `IssuedBefore` for another time than now.
fn provider(of: &Reading<'_>) -> Result<Change, Fault> {
    let arn = of.input.arn("OpenIDConnectProviderArn")?.to_owned();
    Ok(Change::RevokeProvider { arn, before: issued_before(of)? })
}

fn issued_before(of: &Reading<'_>) -> Result<Timestamp, Fault> {
    match of.input.time("IssuedBefore")? {
        None => Ok(of.at),
        Some(before) if before <= of.at => Ok(before),
        // It would end sessions that nobody has seen yet, and could not be taken back.
        Some(_) => Err(Fault::invalid("IssuedBefore lies in the future.")),
    }
}

/// All of them: sessions until they would have ended anyway, roles and providers with the time that counts.
fn list(of: &Reading<'_>) -> Answer {
    let (entries, account) = (of.snapshot.entries(), of.snapshot.account_in_arns());
    let mut xml = Xml::default();
    xml.list("Sessions", entries.revoked.values().filter(|revoked| revoked.until > of.at), |xml, revoked| {
        xml.leaf("AccessKeyId", &revoked.access_key_id);
        xml.time("Until", revoked.until);
    });
    let roles = entries.roles.values().filter_map(|role| Some((role, role.revoked_before?)));
    xml.list("Roles", roles, |xml, (role, before)| {
        xml.leaf("RoleName", &role.name);
        xml.time("IssuedBefore", before);
    });
    let providers =
        entries.providers.values().filter_map(|provider| Some((provider, provider.revoked_before?)));
    xml.list("OpenIDConnectProviders", providers, |xml, (provider, before)| {
        xml.leaf("Arn", provider.arn(account).as_str());
        xml.leaf("Url", &provider.url);
        xml.time("IssuedBefore", before);
    });
    Ok(xml)
}
