//! What a document is for, and what a statement does.

/// What a document is attached to: it decides which elements it must and must not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Attached to a role, user or group, or a permissions boundary: resources, no principals.
    Identity,
    /// A role's trust policy: principals and `sts:` actions, no resources.
    Trust,
    /// A bucket policy: principals and resources.
    Resource,
    /// Handed in with an exchange: the elements of an identity policy.
    Session,
}

impl Kind {
    /// Whether its statements name principals.
    pub(super) fn has_principals(self) -> bool {
        matches!(self, Self::Trust | Self::Resource)
    }

    /// Whether its statements name resources.
    pub(super) fn has_resources(self) -> bool {
        !matches!(self, Self::Trust)
    }
}

/// What a statement does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Lets it through, unless something denies it.
    Allow,
    /// Refuses it, whatever else allows it.
    Deny,
}
