//! The account as a whole: its summary, and its aliases (none).

use super::action::{Action, Answer, On, Reading, Work};
use super::xml::Xml;

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "GetAccountSummary", on: On::Account, work: Work::Read(summary) },
    Action { name: "ListAccountAliases", on: On::Account, work: Work::Read(aliases) },
];

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
