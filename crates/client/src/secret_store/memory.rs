//! Secrets in memory: gone with the process. For tests, and for machines on which nothing may be kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wigeon_core::secret::Secret;

use super::boundary::{Account, Lock, Place, Prepared, SecretStore, StoreError, digest_of};

/// Keeps secrets for as long as it lives. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    secrets: BTreeMap<String, BTreeMap<String, Secret>>,
    current: BTreeMap<String, String>,
    locked: BTreeSet<String>,
}

impl MemoryStore {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SecretStore for MemoryStore {
    fn load(&self, profile: &str) -> Result<Option<Secret>, StoreError> {
        let shared = self.shared();
        let current = shared.current.get(profile);
        Ok(current.and_then(|digest| shared.secrets.get(profile)?.get(digest).cloned()))
    }

    fn accounts(&self, profile: &str) -> Result<Vec<Secret>, StoreError> {
        Ok(self.shared().secrets.get(profile).map(|all| all.values().cloned().collect()).unwrap_or_default())
    }

    fn prepare(&self, _profile: &str) -> Result<Prepared, StoreError> {
        Ok(Prepared { place: Place::Memory, passed_over: None })
    }

    fn place(&self, profile: &str) -> Result<Option<Place>, StoreError> {
        Ok(self.shared().current.get(profile).map(|_| Place::Memory))
    }

    fn save(&self, account: &Account, secret: &Secret) -> Result<(), StoreError> {
        let mut shared = self.shared();
        let digest = digest_of(account);
        shared.secrets.entry(account.profile.clone()).or_default().insert(digest.clone(), secret.clone());
        shared.current.insert(account.profile.clone(), digest);
        Ok(())
    }

    fn remove(&self, profile: &str) -> Result<bool, StoreError> {
        let mut shared = self.shared();
        shared.secrets.remove(profile);
        Ok(shared.current.remove(profile).is_some())
    }

    fn profiles(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.shared().current.keys().cloned().collect())
    }

    fn try_lock(&self, profile: &str) -> Result<Option<Lock>, StoreError> {
        if !self.shared().locked.insert(profile.to_owned()) {
            return Ok(None);
        }
        Ok(Some(Lock::holding(Held { store: self.clone(), profile: profile.to_owned() })))
    }
}

struct Held {
    store: MemoryStore,
    profile: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.shared().locked.remove(&self.profile);
    }
}
