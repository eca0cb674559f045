//! The person's own settings, `config.toml`: the default profile, defaults for all profiles, and preferences that
//! `${…}` in a profile refers to.
//!
//! ```toml
//! profile = "lab"
//! store = "keychain"    # where new sign-ins are kept
//!
//! [defaults]            # the keys of a profile
//! region = "eu-central-1"
//!
//! [preferences]
//! "oauth.handler.scheme" = "x-cyberduck-action"
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use plist::{Dictionary, Value};
use toml::Table;
use url::Url;

use super::document::ProfileError;
use super::keys::{DEFAULT_HOSTNAME, DEFAULT_PORT, PROFILE, PROPERTIES, SCHEME, VIRTUAL_HOST_DISABLE};
use super::toml_form;

/// What the person has set. Empty by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// The profile that is used when none is named.
    pub profile: Option<String>,
    /// Where new sign-ins are kept.
    pub store: Option<String>,
    pub(super) defaults: Dictionary,
    pub(super) preferences: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads the file; one that is not there sets nothing.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML, or has a key that means nothing.
    pub fn load(path: &Path) -> Result<Self, ProfileError> {
        let file = path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(ProfileError { file, line: 1, problem: error.to_string() }),
        };
        Self::parse(&text, &file)
    }

    /// Sets a default that the surroundings give, unless there is one already. A value with a scheme for a host name
    /// sets scheme, host and port.
    pub fn stand_in(&mut self, name: &str, value: &str) {
        let mut set = |name: &str, value: &str| {
            if PROFILE.iter().any(|key| key.plist == name) {
                if !self.defaults.contains_key(name) {
                    self.defaults.insert(name.to_owned(), Value::from(value));
                }
            } else {
                toml_form::set_property(&mut self.defaults, PROPERTIES.plist, name, Value::from(value));
            }
        };
        match Url::parse(value) {
            Ok(url) if name == DEFAULT_HOSTNAME.plist => {
                set(SCHEME.plist, url.scheme());
                set(name, url.host_str().unwrap_or_default());
                if let Some(port) = url.port() {
                    set(DEFAULT_PORT.plist, &port.to_string());
                }
                // A store of one's own rarely has a host name for each bucket.
                set(VIRTUAL_HOST_DISABLE, "true");
            }
            _ => set(name, value),
        }
    }

    fn parse(text: &str, file: &str) -> Result<Self, ProfileError> {
        let at = |line, problem| ProfileError { file: file.to_owned(), line, problem };
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            at(1 + before.matches('\n').count(), error.message().to_owned())
        })?;
        let mut configuration = Self::default();
        for (key, value) in &table {
            match (key.as_str(), value) {
                ("profile", toml::Value::String(name)) => configuration.profile = Some(name.clone()),
                ("store", toml::Value::String(place)) => configuration.store = Some(place.clone()),
                ("defaults", toml::Value::Table(defaults)) => {
                    configuration.defaults =
                        toml_form::from_table(defaults, PROFILE, true).map_err(|problem| at(1, problem))?;
                }
                ("preferences", toml::Value::Table(preferences)) => {
                    for (name, value) in preferences {
                        let text = value
                            .as_str()
                            .ok_or_else(|| at(1, format!("the preference `{name}` must be a string")))?;
                        configuration.preferences.insert(name.clone(), text.to_owned());
                    }
                }
                _ => {
                    return Err(at(
                        1,
                        format!(
                            "`{key}` is not a setting, or not of its type; there are `profile` and `store` (strings), `defaults` and `preferences` (tables)"
                        ),
                    ));
                }
            }
        }
        Ok(configuration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_refused() {
        let read = |text| Configuration::parse(text, "config.toml");
        let configuration =
            read("profile = 'lab'\nstore = 'file'\n[defaults]\nregion = 'x'\nissuer = 'https://i'\n[preferences]\na = 'b'")
                .unwrap();
        assert_eq!(configuration.profile.as_deref(), Some("lab"));
        assert_eq!(configuration.store.as_deref(), Some("file"));
        assert_eq!(configuration.defaults.len(), 2);
        assert_eq!(configuration.preferences.get("a").map(String::as_str), Some("b"));
        assert_eq!(read("\n\nx = [").unwrap_err().line, 3);
        assert!(read("profiel = 'lab'").unwrap_err().problem.contains("`profiel`"));
        assert!(read("[preferences]\na = 1").is_err());
        assert_eq!(Configuration::load(Path::new("/nonexistent/config.toml")), Ok(Configuration::default()));
    }
}
