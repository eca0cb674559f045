//! Which way a person wants to get to the provider's page, where they do not leave it to the surroundings.
//!
//! Enters: the property `wigeon.sign_in` of a profile, or of `[defaults]` for all. Leaves: a [`Way`].

use super::keys;
use super::settings::Settings;
use super::values::SettingsError;

/// The way to the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The browser of this desktop.
    Browser,
    /// Any other device, with a code.
    Device,
    /// A browser elsewhere: the address is printed, and what comes back is pasted.
    Paste,
}

impl Settings {
    /// What was chosen, if anything was.
    ///
    /// # Errors
    /// A word that is no way.
    pub fn way(&self) -> Result<Option<Way>, SettingsError> {
        let Some(text) = self.property(keys::SIGN_IN) else { return Ok(None) };
        match text.value.as_str() {
            "browser" => Ok(Some(Way::Browser)),
            "device" => Ok(Some(Way::Device)),
            "paste" => Ok(Some(Way::Paste)),
            other => {
                let problem = format!("is `{other}`, none of `browser`, `device` and `paste`");
                Err(self.wrong(keys::SIGN_IN, text.origin, problem))
            }
        }
    }
}
