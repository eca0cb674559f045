//! Several providers in one profile, of which a person chooses one.
//!
//! Enters: properties `wigeon.provider.NAME.KEY`, where `KEY` is a key of a profile in its TOML notation, or `title`; in
//! TOML also a table `[providers.NAME]`. Leaves: what may be chosen, and settings in which
//! the values of the chosen one lie over the profile's. The choice is saved with the profile, as every answer is; a
//! further choice takes back the answers that belonged to the one before.

use super::document;
use super::keys;
use super::overlay::{part, property_name};
use super::settings::Settings;
use super::shelf::Stored;
use super::values::SettingsError;

/// A provider that may be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderChoice {
    /// Its name in the profile.
    pub id: String,
    /// What people call it.
    pub title: String,
    /// Where it is.
    pub issuer: String,
}

impl Settings {
    /// The providers that the profile allows; empty where there is only the one that it names.
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderChoice> {
        let (_, properties) = &self.properties[1];
        let mut found: Vec<ProviderChoice> = Vec::new();
        for (id, ..) in properties.iter().filter_map(|(name, value)| part(name, value)) {
            if found.iter().any(|choice| choice.id == id) {
                continue;
            }
            let of = |key: &str| {
                let value = properties.iter().find(|(name, _)| *name == property_name(id, key));
                value.and_then(|(_, value)| document::text(Some(value))).map(|text| text.trim().to_owned())
            };
            let issuer = of("issuer").or_else(|| of("oauth_authorization_url")).unwrap_or_default();
            let title = of("title").unwrap_or_else(|| id.to_owned());
            found.push(ProviderChoice { id: id.to_owned(), title, issuer });
        }
        found
    }

    /// The provider that was chosen, where there are several.
    ///
    /// # Errors
    /// One that the profile does not allow any more.
    pub fn chosen_provider(&self) -> Result<Option<ProviderChoice>, SettingsError> {
        let Some(chosen) = self.property(keys::PROVIDER_CHOICE) else { return Ok(None) };
        let providers = self.providers();
        let names = providers.iter().map(|choice| choice.id.clone()).collect::<Vec<_>>().join(", ");
        match providers.into_iter().find(|choice| choice.id == chosen.value) {
            Some(choice) => Ok(Some(choice)),
            None => {
                let problem = format!("is `{}`; the profile's providers are: {names}", chosen.value);
                Err(self.wrong(keys::PROVIDER_CHOICE, chosen.origin, problem))
            }
        }
    }

    /// The stored profile with this provider chosen.
    ///
    /// # Errors
    /// One that the profile does not allow.
    pub fn choosing(&self, id: &str) -> Result<Stored, SettingsError> {
        let mut stored = self.stored().clone();
        let before = self.property(keys::PROVIDER_CHOICE).map(|text| text.value);
        if before.is_some_and(|before| before != id) {
            let (_, properties) = &self.properties[1];
            for (_, key, _) in properties.iter().filter_map(|(name, value)| part(name, value)) {
                stored.bookmark.take_back(&key);
            }
            // Whatever else was answered for the one before.
            for key in [keys::OAUTH_CLIENT_ID.plist, keys::OAUTH_CLIENT_SECRET.plist, keys::ROLE_ARN] {
                stored.bookmark.take_back(key);
            }
        }
        stored.bookmark.answer(keys::PROVIDER_CHOICE, id);
        Settings::new(stored.clone(), self.configuration().clone()).chosen_provider()?;
        Ok(stored)
    }
}

#[cfg(test)]
mod tests {
    use super::super::configuration::Configuration;
    use super::super::document::{Bookmark, Document};
    use super::super::values::{ClientCredential, Flow, Role};
    use super::*;

    const TOML: &str = "protocol='s3'\nvendor='team'\noauth_client_id='shared'\n\
        [providers.work]\ntitle='Work'\nissuer='https://work.example'\n\
        [providers.uni]\nissuer='https://uni.example'\noauth_client_id='s3-uni'\nrole_arn='arn:aws:iam::1:role/guest'\n\
        scopes='openid eduperson'\n[properties]\nrole_arn='arn:aws:iam::1:role/staff'\n";

    fn settings(text: &str) -> Settings {
        let Document::Profile(profile, bookmark) = Document::parse(text.as_bytes(), "team.toml").unwrap()
        else {
            panic!()
        };
        Settings::new(Stored { name: "team".to_owned(), profile, bookmark }, Configuration::default())
    }

    fn client(settings: &Settings) -> String {
        match settings.oauth().unwrap().client_id {
            ClientCredential::Given(id) => id,
            other => panic!("{other:?}"),
        }
    }

    fn role(settings: &Settings) -> String {
        match settings.role().unwrap().value {
            Role::Given(arn) => arn.as_str().rsplit('/').next().unwrap_or_default().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn chosen_changed_and_refused() {
        let open = settings(TOML);
        assert_eq!(open.flow().value, Flow::AuthorizationCode);
        let titles: Vec<_> =
            open.providers().into_iter().map(|choice| (choice.title, choice.issuer)).collect();
        let expected = [("Work", "https://work.example"), ("uni", "https://uni.example")];
        assert_eq!(titles, expected.map(|(title, issuer)| (title.to_owned(), issuer.to_owned())));
        assert_eq!(open.chosen_provider(), Ok(None));
        assert!(open.choosing("other").unwrap_err().problem.contains("work, uni"));

        let uni = Settings::new(open.choosing("uni").unwrap(), Configuration::default());
        assert_eq!(uni.oauth().unwrap().issuer.unwrap().as_str(), "https://uni.example/");
        assert_eq!(uni.oauth().unwrap().scopes, ["openid", "eduperson"]);
        assert_eq!(client(&uni), "s3-uni");
        assert_eq!(role(&uni), "guest");

        let mut answered = uni.into_stored();
        answered.bookmark.answer("role_arn", "arn:aws:iam::1:role/mine");
        let answered = Settings::new(answered, Configuration::default());
        assert_eq!(role(&answered), "mine", "an answer wins");
        let work = Settings::new(answered.choosing("work").unwrap(), Configuration::default());
        assert_eq!(client(&work), "shared");
        assert_eq!(role(&work), "staff", "and goes with its provider");
    }

    #[test]
    fn a_provider_cannot_make_this_machine_run_or_read_anything() {
        let text = TOML.replace("[providers.uni]\n", "[providers.uni]\ntoken='command:id'\nca_file='/x'\n");
        let uni = Settings::new(settings(&text).choosing("uni").unwrap(), Configuration::default());
        assert_eq!(
            (uni.flow().value, uni.token_source().unwrap(), uni.ca_file()),
            (Flow::AuthorizationCode, None, None)
        );
    }

    #[test]
    fn both_notations_say_the_same() {
        let Document::Profile(profile, _) = Document::parse(TOML.as_bytes(), "team.toml").unwrap() else {
            panic!()
        };
        let list = profile.to_property_list().unwrap();
        assert!(list.contains("wigeon.provider.uni.issuer"), "{list}");
        assert_eq!(settings(&list).providers(), settings(TOML).providers());
        let toml = Document::Profile(profile, Bookmark::default()).to_toml();
        assert_eq!(settings(&toml).providers(), settings(TOML).providers());
    }
}
