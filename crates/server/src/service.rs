//! The three services of a server, which share its addresses or have some of their own.

use serde::{Deserialize, Serialize};

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Buckets and objects.
    S3,
    /// Tokens for credentials.
    Sts,
    /// The directory's administration.
    Iam,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::S3, Self::Sts, Self::Iam];

    /// As signatures and records name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Sts => "sts",
            Self::Iam => "iam",
        }
    }
}

/// Some of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Services([bool; Service::ALL.len()]);

impl Services {
    /// All of them.
    pub const ALL: Self = Self([true; Service::ALL.len()]);

    /// Whether one is among them.
    #[must_use]
    pub fn contains(self, service: Service) -> bool {
        self.0.get(service as usize).copied().unwrap_or(false)
    }
}

impl FromIterator<Service> for Services {
    fn from_iter<I: IntoIterator<Item = Service>>(services: I) -> Self {
        let mut all = Self([false; Service::ALL.len()]);
        for service in services {
            if let Some(known) = all.0.get_mut(service as usize) {
                *known = true;
            }
        }
        all
    }
}
