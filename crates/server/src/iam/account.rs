//! The account as a whole: its summary, its aliases (none), and the revocation of sessions.
//!
//! `RevokeSession`, `RevokeRoleSessions` and `RevokeOpenIDConnectProviderSessions` are Wigeon's own: AWS knows
//! revocation only as a policy with `aws:TokenIssueTime`, which works here as well.

use wigeon_core::time::{SignedDuration, Timestamp};

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::xml::Xml;
use crate::directory::Change;

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "GetAccountSummary", on: On::Account, work: Work::Read(summary) },
    Action { name: "ListAccountAliases", on: On::Account, work: Work::Read(aliases) },
    Action { name: "RevokeSession", on: On::Account, work: Work::Write(revoke_session) },
    Action { name: "RevokeRoleSessions", on: On::Role, work: Work::Write(revoke_role) },
    Action {
        name: "RevokeOpenIDConnectProviderSessions",
        on: On::Provider,
        work: Work::Write(revoke_provider),
    },
];

/// The longest session, and some.
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(13);

fn summary(of: &Reading<'_>) -> Answer {
    let entries = of.snapshot.entries();
    let own = entries.policies.values().filter(|policy| !policy.built_in);
    let (policies, versions) =
        own.fold((0, 0), |(count, versions), policy| (count + 1, versions + policy.versions.len()));
    let numbers = [
        ("Users", entries.users.len()),
        ("Groups", entries.groups.len()),
        ("Roles", entries.roles.len()),
        ("Providers", entries.providers.len()),
        ("Policies", policies),
        ("PolicyVersionsInUse", versions),
        ("AccessKeysPerUserQuota", 2),
        ("AttachedPoliciesPerGroupQuota", 10),
        ("AttachedPoliciesPerRoleQuota", 20),
        ("AttachedPoliciesPerUserQuota", 20),
        ("GroupPolicySizeQuota", 5_120),
        ("GroupsPerUserQuota", 10),
        ("PolicySizeQuota", 6_144),
        ("RolePolicySizeQuota", 10_240),
        ("UserPolicySizeQuota", 2_048),
        ("AssumeRolePolicySizeQuota", 8_192),
        ("VersionsPerPolicyQuota", 5),
        ("InstanceProfiles", 0),
        ("MFADevices", 0),
        ("AccountMFAEnabled", 0),
        ("AccountAccessKeysPresent", 0),
        ("ServerCertificates", 0),
    ];
    let mut xml = Xml::default();
    xml.within("SummaryMap", |xml| {
        for (key, number) in numbers {
            xml.within("entry", |xml| {
                xml.leaf("key", key);
                xml.number("value", number);
            });
        }
    });
    Ok(xml)
}

fn aliases(_: &Reading<'_>) -> Answer {
    let mut xml = Xml::default();
    xml.texts("AccountAliases", []);
    xml.flag("IsTruncated", false);
    Ok(xml)
}

/// `AccessKeyId`. Which session it is need not be known: nothing is stored of sessions.
fn revoke_session(of: &Reading<'_>) -> Result<Change, Fault> {
    let access_key_id = of.input.access_key_id()?.to_owned();
    if !access_key_id.starts_with("ASIA") {
        let text = "The access key of a session begins with ASIA; delete or deactivate a user's key.";
        return Err(Fault::invalid(text));
    }
    Ok(Change::RevokeSession { access_key_id, until: of.at + LONGEST_SESSION })
}

/// `RoleName`, and `IssuedBefore` for another time than now.
fn revoke_role(of: &Reading<'_>) -> Result<Change, Fault> {
    let name = of.input.name("RoleName", 64)?.to_owned();
    Ok(Change::RevokeRole { name, before: issued_before(of)? })
}

/// `OpenIDConnectProviderArn`, and `IssuedBefore` for another time than now.
fn revoke_provider(of: &Reading<'_>) -> Result<Change, Fault> {
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
