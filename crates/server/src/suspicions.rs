//! What the policies of a directory say that can hardly be meant.

use std::collections::HashSet;
use std::sync::Arc;

use wigeon_core::policy::{Document, Finding, Policy, lint};

use crate::directory::Snapshot;

/// A finding, and where.
#[derive(Debug, Clone)]
pub struct Suspicion {
    /// `role NAME, trust policy`
    pub place: String,
    /// What.
    pub finding: Finding,
}

/// Looks through the policies of all roles and users, by name, and those that nobody has.
#[must_use]
pub fn suspicions(snapshot: &Snapshot) -> Vec<Suspicion> {
    let issuers: Vec<&str> = snapshot.providers().map(|provider| provider.url.as_str()).collect();
    let mut found = Vec::new();
    let mut look = |place: String, document: &Document| {
        let findings = lint(document, Some(&issuers)).into_iter();
        found.extend(findings.map(|finding| Suspicion { place: place.clone(), finding }));
    };
    let mut roles: Vec<_> = snapshot.roles().collect();
    roles.sort_by(|one, other| one.name.cmp(&other.name));
    for role in roles {
        look(format!("role `{}`, trust policy", role.name), &role.trust.document);
        for policy in role.policies.iter().chain(&role.boundary) {
            look(format!("role `{}`, policy `{}`", role.name, policy.name), &policy.document);
        }
    }
    // Policies of groups are their members'; managed ones that nobody has are still somebody's intention.
    let mut users: Vec<_> = snapshot.users().collect();
    users.sort_by(|one, other| one.name.cmp(&other.name));
    for user in users {
        for policy in user.policies.iter().chain(&user.boundary) {
            look(format!("user `{}`, policy `{}`", user.name, policy.name), &policy.document);
        }
    }
    let of_roles = snapshot.roles().flat_map(|role| role.policies.iter().chain(&role.boundary));
    let of_users = snapshot.users().flat_map(|user| user.policies.iter().chain(&user.boundary));
    let held: HashSet<*const Policy> = of_roles.chain(of_users).map(Arc::as_ptr).collect();
    let account = snapshot.account_in_arns();
    for entry in snapshot.entries().policies.values().filter(|entry| !entry.built_in) {
        let policy = snapshot.policy(&entry.arn(account));
        if let Some(policy) = policy.filter(|policy| !held.contains(&Arc::as_ptr(policy))) {
            look(format!("policy `{}`", entry.name), &policy.document);
        }
    }
    found
}
