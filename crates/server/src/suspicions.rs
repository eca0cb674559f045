//! What the policies of a directory say that can hardly be meant.

use wigeon_core::policy::{Document, Finding, lint};

use crate::directory::Snapshot;

/// A finding, and where.
#[derive(Debug, Clone)]
pub struct Suspicion {
    /// `role NAME, trust policy`
    pub place: String,
    /// What.
    pub finding: Finding,
}

/// Looks through the policies of all roles, by name.
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
    found
}
