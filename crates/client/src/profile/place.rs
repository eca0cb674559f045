//! Where the store is.
//!
//! Enters: the profile. Leaves: its endpoint, the region that requests are signed for, the style of its addresses, and
//! whether a person has to say first which store is meant.

use url::Url;

use super::document;
use super::keys;
use super::settings::{Settings, is_web_address};
use super::values::{SettingsError, Valued};

impl Settings {
    /// `http` or `https`.
    fn scheme(&self) -> Result<Valued<String>, SettingsError> {
        let scheme = self.text(keys::SCHEME).unwrap_or_else(|| Valued::default_of("https".to_owned()));
        let scheme = scheme.map(|text| text.to_ascii_lowercase());
        match scheme.value.as_str() {
            "http" | "https" => Ok(scheme),
            "s3" => Ok(scheme.map(|_| "https".to_owned())),
            other => {
                let problem = format!("is `{other}`; only http and https are S3's");
                Err(self.wrong(keys::SCHEME.plist, scheme.origin, problem))
            }
        }
    }

    /// The S3 endpoint: scheme, host and port, with the path of `Context` if that is a path.
    ///
    /// # Errors
    /// A scheme, host or port that makes no address.
    pub fn endpoint(&self) -> Result<Valued<Url>, SettingsError> {
        let host = self
            .bookmark_text(keys::HOSTNAME)
            .or_else(|| self.text(keys::DEFAULT_HOSTNAME))
            .unwrap_or_else(|| Valued::default_of("s3.amazonaws.com".to_owned()));
        let scheme = self.scheme()?;
        let mut text = format!("{}://{}", scheme.value, host.value);
        if let Some(port) = self.bookmark_text(keys::PORT).or_else(|| self.text(keys::DEFAULT_PORT)) {
            let number: u16 = port.value.parse().map_err(|_| {
                let problem = format!("is `{}`, which is not a port", port.value);
                self.wrong(keys::DEFAULT_PORT.plist, port.origin, problem)
            })?;
            if number != 0 {
                text.push_str(&format!(":{number}"));
            }
        }
        let wrong = || {
            let problem = format!("is `{}`, which is not a host name", host.value);
            self.wrong(keys::DEFAULT_HOSTNAME.plist, host.origin, problem)
        };
        let mut url = Url::parse(&text).map_err(|_| wrong())?;
        if url.host_str().is_none_or(str::is_empty) || url.path() != "/" || !url.username().is_empty() {
            return Err(wrong());
        }
        if let Some(context) = self.text(keys::CONTEXT).filter(|context| !is_web_address(&context.value)) {
            url.set_path(&context.value);
        }
        Ok(Valued { value: url, origin: host.origin })
    }

    /// The signing region.
    #[must_use]
    pub fn region(&self) -> Valued<String> {
        self.text(keys::REGION).unwrap_or_else(|| Valued::default_of("us-east-1".to_owned()))
    }

    /// Whether the bucket stands in the path, and not in the host name.
    ///
    /// # Errors
    /// A value that is neither true nor false.
    pub fn path_style(&self) -> Result<Valued<bool>, SettingsError> {
        match self.property(keys::VIRTUAL_HOST_DISABLE) {
            None => Ok(Valued::default_of(false)),
            Some(found) => self.flag_of(keys::VIRTUAL_HOST_DISABLE, found),
        }
    }

    /// The path to begin with: `/bucket/prefix`.
    #[must_use]
    pub fn default_path(&self) -> Option<Valued<String>> {
        self.bookmark_text(keys::PATH).or_else(|| self.text(keys::DEFAULT_PATH))
    }

    /// Whether a person has to say which store is meant, and how such a host looks: the profile is one for many stores,
    /// and nobody has named one yet. AWS's, which is the default, would be sent another store's keys.
    #[must_use]
    pub fn host_to_ask_for(&self) -> Option<String> {
        let named = self.bookmark_text(keys::HOSTNAME).or_else(|| self.text(keys::DEFAULT_HOSTNAME));
        let open =
            self.raw(keys::HOSTNAME_CONFIGURABLE).and_then(|(_, flag)| document::flag(flag)) == Some(true);
        let placeholder = self.text(keys::HOSTNAME_PLACEHOLDER).map(|text| text.value);
        (named.is_none() && open).then(|| placeholder.unwrap_or_else(|| "s3.example.org".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Configuration, Document, Stored};

    fn settings(more: &str) -> Settings {
        let text = format!("protocol = 's3'\nvendor = 'lab'\n{more}");
        let Document::Profile(profile, bookmark) = Document::parse(text.as_bytes(), "lab.toml").unwrap()
        else {
            panic!()
        };
        let stored = Stored { name: "lab".to_owned(), profile, bookmark };
        Settings::new(stored, Configuration::default())
    }

    #[test]
    fn a_profile_for_many_stores_asks_which() {
        for (more, expected) in [
            ("", None),
            ("hostname_configurable = false\n", None),
            ("hostname_configurable = true\ndefault_hostname = 's3.example.com'\n", None),
            ("hostname_configurable = true\n", Some("s3.example.org")),
            (
                "hostname_configurable = true\ndefault_hostname = ''\nhostname_placeholder = 'ID.example'\n",
                Some("ID.example"),
            ),
        ] {
            assert_eq!(settings(more).host_to_ask_for().as_deref(), expected, "{more}");
        }
        let mut stored = settings("hostname_configurable = true\n").into_stored();
        stored.bookmark.answer("Default Hostname", "s3.example.com:8443");
        let answered = Settings::new(stored, Configuration::default());
        assert_eq!(answered.host_to_ask_for(), None);
        assert_eq!(answered.endpoint().unwrap().value.as_str(), "https://s3.example.com:8443/");
    }
}
