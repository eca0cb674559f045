//! What a profile means: single values, each with its origin.
//!
//! Enters: a stored profile and the person's configuration. Leaves: typed values; precedence is bookmark, then
//! profile, then configuration, then the protocol's default. A blank value falls through, except the OAuth client
//! id and secret, where blank means "none, and do not ask". `${…}` is a preference; an unknown one stays as it is.

use std::path::PathBuf;

use plist::{Dictionary, Value};
use url::Url;
use wigeon_core::arn::Arn;
use wigeon_core::secret::Secret;

use super::configuration::Configuration;
use super::document::{self, UnknownKey};
use super::keys::{self, Key};
use super::overlay::{overlay, part};
use super::redirect::Redirect;
use super::shelf::Stored;
use super::values::{ClientCredential, Exchanged, Flow, OAuth, Origin, Role, SettingsError, Sts, Valued};

/// A profile's values by precedence.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    stored: Stored,
    configuration: Configuration,
    /// The properties of bookmark, profile and configuration, in this order.
    pub(super) properties: [(Origin, Vec<(String, Value)>); 3],
}

impl Settings {
    /// Puts the layers on one another.
    #[must_use]
    pub fn new(stored: Stored, configuration: Configuration) -> Self {
        let of = |dictionary: &Dictionary, key: Key| document::properties(dictionary.get(key.plist));
        let own = of(&stored.profile.dictionary, keys::PROPERTIES);
        let mut answers = of(&stored.bookmark.dictionary, keys::CUSTOM);
        // The answers come first: the first that is found counts.
        answers.extend(overlay(&answers, &own));
        let properties = [
            (Origin::Bookmark, answers),
            (Origin::Profile, own),
            (Origin::Configuration, of(&configuration.defaults, keys::PROPERTIES)),
        ];
        Self { stored, configuration, properties }
    }

    /// The profile's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.stored.name
    }

    /// The stored profile.
    #[must_use]
    pub fn stored(&self) -> &Stored {
        &self.stored
    }

    pub(super) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// The stored profile, to save answers with it.
    #[must_use]
    pub fn into_stored(self) -> Stored {
        self.stored
    }

    /// What the profile says of itself.
    #[must_use]
    pub fn description(&self) -> String {
        [keys::DESCRIPTION, keys::NAME, keys::DEFAULT_NICKNAME]
            .into_iter()
            .find_map(|key| self.text(key))
            .map_or_else(|| self.stored.profile.vendor(), |text| text.value)
    }

    /// A file of certificates to trust.
    #[must_use]
    pub fn ca_file(&self) -> Option<Valued<PathBuf>> {
        self.property(keys::CA_FILE).map(|text| text.map(PathBuf::from))
    }

    /// How a person signs in.
    #[must_use]
    pub fn flow(&self) -> Valued<Flow> {
        for name in [keys::TOKEN, keys::WEB_IDENTITY_TOKEN_FILE] {
            if let Some(found) = self.property(name) {
                return found.map(|_| Flow::Workload);
            }
        }
        if let Some(found) =
            self.property(keys::CREDENTIALS).or_else(|| self.property(keys::CREDENTIAL_PROCESS))
        {
            return found.map(|_| Flow::AccessKeys);
        }
        let authorization = self.text(keys::AUTHORIZATION);
        match authorization.as_ref().map(|text| (text.value.as_str(), text.origin)) {
            Some(("AuthorizationCode", origin)) => return Valued { value: Flow::AuthorizationCode, origin },
            Some(("PasswordGrant", origin)) => return Valued { value: Flow::PasswordGrant, origin },
            // AWS4HMACSHA256, AWS2, and what we do not know: a signature by access keys.
            Some((_, origin)) => return Valued { value: Flow::AccessKeys, origin },
            None => {}
        }
        let oauth =
            [keys::OAUTH_AUTHORIZATION_URL, keys::OAUTH_TOKEN_URL].into_iter().find_map(|key| self.text(key));
        if let Some(found) = oauth.or_else(|| self.property(keys::ISSUER)) {
            return found.map(|_| Flow::AuthorizationCode);
        }
        if self.properties[1].1.iter().any(|(name, value)| part(name, value).is_some()) {
            return Valued { value: Flow::AuthorizationCode, origin: Origin::Profile };
        }
        let identity_center = self.stored.profile.protocol() == "s3-iam";
        if let Some(found) = self.property(keys::SSO_START_URL) {
            return found.map(|_| Flow::IdentityCenter);
        }
        if identity_center {
            return Valued { value: Flow::IdentityCenter, origin: Origin::Profile };
        }
        Valued::default_of(Flow::AccessKeys)
    }

    /// What the sign-in needs.
    ///
    /// # Errors
    /// An address that is none.
    pub fn oauth(&self) -> Result<OAuth, SettingsError> {
        let issuer = match self.property(keys::ISSUER) {
            Some(text) => Some(self.url_of(keys::ISSUER, &text)?),
            None => None,
        };
        let redirect = self
            .text(keys::OAUTH_REDIRECT_URL)
            .map_or_else(|| "http://127.0.0.1/callback".to_owned(), |text| text.value);
        let mut scopes = self.list(keys::SCOPES);
        let flow = self.flow().value;
        let exchanged = self.exchanged()?;
        let identifies = exchanged == Exchanged::IdToken && flow != Flow::Workload;
        if identifies && !scopes.iter().any(|scope| scope == "openid") {
            scopes.insert(0, "openid".to_owned());
        }
        let username_claims = self.property(keys::USERNAME_CLAIMS).map_or_else(
            || ["email", "preferred_username", "upn", "name"].map(str::to_owned).to_vec(),
            |text| {
                text.value.split([',', ' ']).filter(|claim| !claim.is_empty()).map(str::to_owned).collect()
            },
        );
        Ok(OAuth {
            flow,
            issuer,
            authorization_url: self.oauth_url(keys::OAUTH_AUTHORIZATION_URL)?,
            token_url: self.oauth_url(keys::OAUTH_TOKEN_URL)?,
            client_id: self.client_credential(keys::OAUTH_CLIENT_ID),
            client_secret: match self.client_credential(keys::OAUTH_CLIENT_SECRET) {
                ClientCredential::Given(text) => ClientCredential::Given(Secret::new(text)),
                ClientCredential::None => ClientCredential::None,
                ClientCredential::Ask => ClientCredential::Ask,
            },
            redirect: Redirect::classify(&redirect),
            scopes,
            pkce: match self.raw(keys::OAUTH_PKCE) {
                Some((origin, value)) if !document::is_blank(value) => {
                    document::flag(value).ok_or_else(|| {
                        self.wrong(keys::OAUTH_PKCE.plist, origin, "is neither true nor false".to_owned())
                    })?
                }
                _ => true,
            },
            audience: self.property(keys::AUDIENCE).map(|text| text.value),
            prompt: self.property(keys::PROMPT).map(|text| text.value),
            resource: self.property(keys::RESOURCE).map(|text| text.value),
            exchanged,
            username_claims,
            username: self.bookmark_text(keys::USERNAME).map(|text| text.value),
        })
    }

    /// What the exchange needs.
    ///
    /// # Errors
    /// An address or a number that is none.
    pub fn sts(&self) -> Result<Sts, SettingsError> {
        let first = |names: [&str; 2]| names.into_iter().find_map(|name| self.property(name));
        let duration = first([keys::ASSUME_ROLE_DURATION_SECONDS, keys::DURATION_SECONDS]);
        let duration_seconds = match duration {
            None => None,
            Some(text) => Some(text.value.parse().map_err(|_| {
                let problem = format!("is `{}`, which is not a number of seconds", text.value);
                self.wrong(keys::DURATION_SECONDS, text.origin, problem)
            })?),
        };
        Ok(Sts {
            endpoint: self.sts_endpoint()?.value,
            role: self.role()?.value,
            session_name: first([keys::ASSUME_ROLE_SESSION_NAME, keys::ROLE_SESSION_NAME])
                .map(|text| text.value),
            duration_seconds,
            policy: self.property(keys::ASSUME_ROLE_POLICY).map(|text| text.value),
            provider_id: self.property(keys::PROVIDER_ID).map(|text| text.value),
            chain: match self.property(keys::ROLE_CHAIN) {
                None => Vec::new(),
                Some(text) => text
                    .value
                    .split([',', ' ', '\n', '\t'])
                    .filter(|arn| !arn.is_empty())
                    .map(|arn| self.arn_of(keys::ROLE_CHAIN, arn, text.origin))
                    .collect::<Result<_, _>>()?,
            },
            external_id: self.property(keys::EXTERNAL_ID).map(|text| text.value),
            mfa_serial: self.property(keys::MFA_SERIAL).map(|text| text.value),
        })
    }

    /// Which token is exchanged: the ID token, unless the profile names the other one or a provider of AWS's own
    /// that has only that.
    fn exchanged(&self) -> Result<Exchanged, SettingsError> {
        match self.property(keys::EXCHANGE) {
            None if self.property(keys::PROVIDER_ID).is_some() => Ok(Exchanged::AccessToken),
            None => Ok(Exchanged::IdToken),
            Some(text) => match text.value.as_str() {
                "id-token" => Ok(Exchanged::IdToken),
                "access-token" => Ok(Exchanged::AccessToken),
                other => {
                    let problem = format!("is `{other}`, neither `id-token` nor `access-token`");
                    Err(self.wrong(keys::EXCHANGE, text.origin, problem))
                }
            },
        }
    }

    fn arn_of(&self, name: &str, text: &str, origin: Origin) -> Result<Arn, SettingsError> {
        text.parse().map_err(|_| {
            let problem =
                format!("is `{text}`, which is not an ARN such as `arn:aws:iam::ACCOUNT:role/NAME`");
            self.wrong(name, origin, problem)
        })
    }

    /// The STS endpoint.
    ///
    /// # Errors
    /// A value that is not an address.
    pub fn sts_endpoint(&self) -> Result<Valued<Url>, SettingsError> {
        let text = self
            .text(keys::STS_ENDPOINT)
            .unwrap_or_else(|| Valued::default_of("https://sts.amazonaws.com/".to_owned()));
        let url = self.url_of(keys::STS_ENDPOINT.plist, &text)?;
        Ok(text.map(|_| url))
    }

    /// The role: `role_arn` comes before `s3.assumerole.rolearn`; blank, or Role Configurable, means ask.
    ///
    /// # Errors
    /// A value that is not an ARN.
    pub fn role(&self) -> Result<Valued<Role>, SettingsError> {
        for name in [keys::ROLE_ARN, keys::ASSUME_ROLE_ARN] {
            if let Some(text) = self.property(name) {
                let arn = self.arn_of(name, &text.value, text.origin)?;
                return Ok(text.map(|_| Role::Given(arn)));
            }
        }
        let named = self.properties.iter().find(|(_, properties)| {
            properties.iter().any(|(name, _)| name == keys::ROLE_ARN || name == keys::ASSUME_ROLE_ARN)
        });
        if let Some((origin, _)) = named {
            return Ok(Valued { value: Role::Ask, origin: *origin });
        }
        match self.raw(keys::ROLE_CONFIGURABLE) {
            Some((origin, value)) if document::flag(value) == Some(true) => {
                Ok(Valued { value: Role::Ask, origin })
            }
            _ => Ok(Valued::default_of(Role::None)),
        }
    }

    /// Keys that are kept and mean nothing here.
    #[must_use]
    pub fn unknown_keys(&self) -> Vec<UnknownKey> {
        let mut unknown = self.stored.profile.unknown_keys();
        unknown.extend(self.stored.bookmark.unknown_keys());
        unknown
    }

    /// What `${…}` is left in a value that matters, with its key.
    #[must_use]
    pub fn unresolved(&self) -> Vec<(&'static str, String)> {
        let used = [
            keys::OAUTH_AUTHORIZATION_URL,
            keys::OAUTH_TOKEN_URL,
            keys::OAUTH_CLIENT_ID,
            keys::OAUTH_REDIRECT_URL,
            keys::STS_ENDPOINT,
            keys::DEFAULT_HOSTNAME,
            keys::REGION,
        ];
        used.into_iter()
            .filter_map(|key| self.text(key).map(|text| (key.plist, text.value)))
            .filter(|(_, text)| text.contains("${"))
            .collect()
    }

    /// The first layer that has the key at all, blank or not.
    pub(super) fn raw(&self, key: Key) -> Option<(Origin, &Value)> {
        let (_, custom) = &self.properties[0];
        let custom =
            custom.iter().find(|(name, _)| name == key.plist).map(|(_, value)| (Origin::Bookmark, value));
        custom
            .or_else(|| Some((Origin::Profile, self.stored.profile.dictionary.get(key.plist)?)))
            .or_else(|| Some((Origin::Configuration, self.configuration.defaults.get(key.plist)?)))
    }

    /// The first layer that has a value that is not blank.
    pub(super) fn text(&self, key: Key) -> Option<Valued<String>> {
        let (_, custom) = &self.properties[0];
        let layers = [
            (Origin::Bookmark, custom.iter().find(|(name, _)| name == key.plist).map(|(_, value)| value)),
            (Origin::Profile, self.stored.profile.dictionary.get(key.plist)),
            (Origin::Configuration, self.configuration.defaults.get(key.plist)),
        ];
        layers.into_iter().find_map(|(origin, value)| self.not_blank(value, origin))
    }

    pub(super) fn property(&self, name: &str) -> Option<Valued<String>> {
        self.properties.iter().find_map(|(origin, properties)| {
            let value = properties.iter().find(|(key, _)| key == name).map(|(_, value)| value);
            self.not_blank(value, *origin)
        })
    }

    pub(super) fn bookmark_text(&self, key: Key) -> Option<Valued<String>> {
        self.not_blank(self.stored.bookmark.dictionary.get(key.plist), Origin::Bookmark)
    }

    fn not_blank(&self, value: Option<&Value>, origin: Origin) -> Option<Valued<String>> {
        let text = document::text(value)?;
        let text = self.expanded(text.trim());
        (!text.is_empty()).then_some(Valued { value: text, origin })
    }

    pub(super) fn list(&self, key: Key) -> Vec<String> {
        let list = self.raw(key).and_then(|(_, value)| document::list(value)).unwrap_or_default();
        list.iter().flat_map(|text| text.split_whitespace()).map(|text| self.expanded(text)).collect()
    }

    /// Replaces `${name}` by the preference of that name.
    fn expanded(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            expanded.push_str(before);
            match after.split_once('}') {
                Some((name, behind)) => {
                    match self.preference(name) {
                        Some(value) => expanded.push_str(value),
                        None => expanded.extend(["${", name, "}"]),
                    }
                    rest = behind;
                }
                None => {
                    expanded.push_str("${");
                    rest = after;
                }
            }
        }
        expanded.push_str(rest);
        expanded
    }

    fn preference(&self, name: &str) -> Option<&str> {
        let known = (name == "oauth.handler.scheme").then_some("x-cyberduck-action");
        self.configuration.preferences.get(name).map(String::as_str).or(known)
    }

    /// Omitted: ask. Empty: none is sent. A saved answer wins over both.
    fn client_credential(&self, key: Key) -> ClientCredential<String> {
        match self.raw(key) {
            None => ClientCredential::Ask,
            Some((_, value)) => match self.not_blank(Some(value), Origin::Default) {
                Some(text) => ClientCredential::Given(text.value),
                None => ClientCredential::None,
            },
        }
    }

    /// What is not a URL is a path on the bookmark's host.
    fn oauth_url(&self, key: Key) -> Result<Option<Url>, SettingsError> {
        let Some(text) = self.text(key) else { return Ok(None) };
        if is_web_address(&text.value) {
            return self.url_of(key.plist, &text).map(Some);
        }
        let mut base = self.endpoint()?.value;
        base.set_path("/");
        base.join(&format!("/{}", text.value.trim_start_matches('/'))).map(Some).map_err(|_| {
            self.wrong(key.plist, text.origin, format!("is `{}`, which is not an address", text.value))
        })
    }

    pub(super) fn url_of(&self, key: &str, text: &Valued<String>) -> Result<Url, SettingsError> {
        Url::parse(&text.value)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
            .ok_or_else(|| {
                let problem = format!("is `{}`, which is not an http or https address", text.value);
                self.wrong(key, text.origin, problem)
            })
    }

    pub(super) fn flag_of(&self, key: &str, text: Valued<String>) -> Result<Valued<bool>, SettingsError> {
        match document::flag(&Value::from(text.value.as_str())) {
            Some(flag) => Ok(text.map(|_| flag)),
            None => Err(self.wrong(key, text.origin, format!("is `{}`, neither true nor false", text.value))),
        }
    }

    pub(super) fn wrong(&self, key: &str, origin: Origin, problem: String) -> SettingsError {
        SettingsError { profile: self.name().to_owned(), key: key.to_owned(), origin, problem }
    }
}

pub(super) fn is_web_address(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}
