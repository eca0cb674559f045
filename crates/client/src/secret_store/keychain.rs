//! The keychain: the Secret Service of a desktop, or the system's own.
//!
//! Enters and leaves: one small key, by its id. Refused: a keychain that is locked (no dialog is opened: nobody may be
//! there to answer it), and one that does not answer in two seconds. keyring blocks for as long as the service does, so
//! each question is asked on a thread of its own, which is left behind when time is up.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use keyring::v1::{Entry, Error};
use zeroize::Zeroizing;

/// How long a service may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What our items are called.
const SERVICE: &str = "wigeon";

/// Why the keychain does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeychainError {
    /// There is none, or it cannot be used.
    #[error("there is no keychain here: {0}")]
    None(String),
    /// It is locked.
    #[error("the keychain is locked")]
    Locked,
    /// It hangs.
    #[error("the keychain has not answered for two seconds")]
    Silent,
}

/// The key of that id; `None` where the keychain has none.
pub(super) fn find(id: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeychainError> {
    let id = id.to_owned();
    within(PATIENCE, move || {
        unlocked()?;
        match entry(&id)?.get_secret() {
            Ok(key) => Ok(Some(Zeroizing::new(key))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(refused(&error)),
        }
    })
}

/// Keeps a key, and looks whether it is there.
pub(super) fn keep(id: &str, key: &[u8]) -> Result<(), KeychainError> {
    let (id, key) = (id.to_owned(), Zeroizing::new(key.to_vec()));
    within(PATIENCE, move || {
        unlocked()?;
        let entry = entry(&id)?;
        entry.set_secret(&key).map_err(|error| refused(&error))?;
        match entry.get_secret().map(Zeroizing::new) {
            Ok(kept) if kept == key => Ok(()),
            Ok(_) => Err(KeychainError::None("it gives back something else than it was given".to_owned())),
            Err(error) => Err(refused(&error)),
        }
    })
}

fn within<T: Send + 'static>(
    patience: Duration,
    question: impl FnOnce() -> Result<T, KeychainError> + Send + 'static,
) -> Result<T, KeychainError> {
    let (sender, receiver) = mpsc::channel();
    let asked = thread::Builder::new().name("keychain".to_owned()).spawn(move || {
        // Whoever asked may have gone.
        let _ = sender.send(question());
    });
    asked.map_err(|error| KeychainError::None(error.to_string()))?;
    receiver.recv_timeout(patience).unwrap_or(Err(KeychainError::Silent))
}

fn entry(id: &str) -> Result<Entry, KeychainError> {
    if let Err(error) = Entry::store_status() {
        return Err(refused(error));
    }
    Entry::new(SERVICE, id).map_err(|error| refused(&error))
}

fn refused(error: &Error) -> KeychainError {
    match error {
        Error::NoStorageAccess(_) => KeychainError::Locked,
        error => KeychainError::None(error.to_string()),
    }
}

/// Secret Service API, sections "Collections" and "Locking": the default collection, and whether it is open.
#[cfg(target_os = "linux")]
fn unlocked() -> Result<(), KeychainError> {
    use zbus::blocking::Connection;
    use zbus::zvariant::{OwnedObjectPath, OwnedValue};

    const NAME: &str = "org.freedesktop.secrets";
    let none = |error: zbus::Error| KeychainError::None(error.to_string());
    let bus = Connection::session().map_err(none)?;
    let interface = Some("org.freedesktop.Secret.Service");
    let collection: OwnedObjectPath = bus
        .call_method(Some(NAME), "/org/freedesktop/secrets", interface, "ReadAlias", &"default")
        .and_then(|answer| answer.body().deserialize())
        .map_err(none)?;
    if collection.as_str() == "/" {
        return Err(KeychainError::None("the Secret Service has no default collection".to_owned()));
    }
    let interface = Some("org.freedesktop.DBus.Properties");
    let locked: OwnedValue = bus
        .call_method(
            Some(NAME),
            &collection,
            interface,
            "Get",
            &("org.freedesktop.Secret.Collection", "Locked"),
        )
        .and_then(|answer| answer.body().deserialize())
        .map_err(none)?;
    match bool::try_from(locked) {
        Ok(false) => Ok(()),
        Ok(true) => Err(KeychainError::Locked),
        Err(error) => Err(KeychainError::None(error.to_string())),
    }
}

/// Other systems ask for themselves.
#[cfg(not(target_os = "linux"))]
fn unlocked() -> Result<(), KeychainError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keychain_that_hangs_is_not_waited_for() {
        let begun = std::time::Instant::now();
        let hangs = || {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        };
        assert_eq!(within(Duration::from_millis(50), hangs), Err(KeychainError::Silent));
        assert!(begun.elapsed() < Duration::from_secs(30));
        assert_eq!(within(PATIENCE, || Ok(7)), Ok(7));
        assert_eq!(
            within(PATIENCE, || -> Result<(), _> { panic!("in its own thread") }),
            Err(KeychainError::Silent)
        );
    }
}
