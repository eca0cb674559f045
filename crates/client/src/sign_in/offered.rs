//! A provider that a profile allows, as a person is shown it.

/// One of the providers, as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its name in the profile.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it is.
    pub issuer: String,
}
