//! Where a store's web console is.
//!
//! Enters: the profile. Leaves: a [`ConsolePlace`], or nothing. AWS's is known by its endpoint; that of any other store
//! by the property `wigeon.console`: a page's address, or `federation:` and the address of an endpoint that takes
//! sessions as AWS's does.

use url::Url;

use super::keys;
use super::settings::Settings;
use super::values::{SettingsError, Valued};

/// How a console is entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsolePlace {
    /// With the session, by way of a federation endpoint.
    Federation {
        /// The endpoint that makes a sign-in token of the session.
        endpoint: Url,
        /// The page to arrive at.
        destination: Url,
    },
    /// With a sign-in of its own.
    Page(Url),
}

impl Settings {
    /// The console, where there is one.
    ///
    /// # Errors
    /// A value that is no address.
    pub fn console(&self) -> Result<Option<Valued<ConsolePlace>>, SettingsError> {
        let Some(text) = self.property(keys::CONSOLE) else { return self.console_of_aws() };
        let Some(endpoint) = text.value.strip_prefix("federation:") else {
            let page = self.url_of(keys::CONSOLE, &text)?;
            return Ok(Some(text.map(|_| ConsolePlace::Page(page))));
        };
        let endpoint = text.clone().map(|_| endpoint.trim().to_owned());
        let endpoint = self.url_of(keys::CONSOLE, &endpoint)?;
        let mut destination = endpoint.clone();
        destination.set_path("/");
        destination.set_query(None);
        Ok(Some(text.map(|_| ConsolePlace::Federation { endpoint, destination })))
    }

    /// One for each partition of AWS.
    fn console_of_aws(&self) -> Result<Option<Valued<ConsolePlace>>, SettingsError> {
        let endpoint = self.endpoint()?;
        let host = endpoint.value.host_str().unwrap_or_default().to_ascii_lowercase();
        let region = self.region().value;
        let domain = match host.as_str() {
            host if host.ends_with(".amazonaws.com.cn") => "amazonaws.cn",
            host if !host.ends_with(".amazonaws.com") => return Ok(None),
            host if region.starts_with("us-gov-") || host.contains(".us-gov-") => "amazonaws-us-gov.com",
            _ => "aws.amazon.com",
        };
        let at = |address: String| {
            let problem = format!("is `{region}`, which no address of AWS can hold");
            Url::parse(&address).map_err(|_| self.wrong(keys::REGION.plist, endpoint.origin, problem))
        };
        let signs_in = at(format!("https://signin.{domain}/federation"))?;
        let mut destination = at(format!("https://console.{domain}/s3/home"))?;
        destination.query_pairs_mut().append_pair("region", &region);
        let place = ConsolePlace::Federation { endpoint: signs_in, destination };
        Ok(Some(Valued { value: place, origin: endpoint.origin }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{Configuration, Document, Stored};

    fn console(more: &str) -> Result<Option<ConsolePlace>, SettingsError> {
        let text = format!("protocol = 's3'\nvendor = 'lab'\n{more}");
        let Document::Profile(profile, bookmark) = Document::parse(text.as_bytes(), "lab.toml").unwrap()
        else {
            panic!()
        };
        let stored = Stored { name: "lab".to_owned(), profile, bookmark };
        Ok(Settings::new(stored, Configuration::default()).console()?.map(|found| found.value))
    }

    #[test]
    fn awss_own_by_its_partition() {
        for (host, region, endpoint, destination) in [
            ("", "", "signin.aws.amazon.com", "console.aws.amazon.com/s3/home?region=us-east-1"),
            (
                "s3.eu-central-1.amazonaws.com",
                "eu-central-1",
                "signin.aws.amazon.com",
                "console.aws.amazon.com/s3/home?region=eu-central-1",
            ),
            (
                "s3.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                "signin.amazonaws.cn",
                "console.amazonaws.cn/s3/home?region=cn-north-1",
            ),
            (
                "s3.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                "signin.amazonaws-us-gov.com",
                "console.amazonaws-us-gov.com/s3/home?region=us-gov-west-1",
            ),
        ] {
            let found = console(&format!("default_hostname = '{host}'\nregion = '{region}'\n")).unwrap();
            let Some(ConsolePlace::Federation { endpoint: at, destination: to }) = found else { panic!() };
            assert_eq!(at.as_str(), format!("https://{endpoint}/federation"));
            assert_eq!(to.as_str(), format!("https://{destination}"));
        }
    }

    #[test]
    fn others_where_the_profile_names_it() {
        let at = "default_hostname = 's3.example.org'\n";
        assert_eq!(console(at).unwrap(), None);
        let page = "https://console.example.org/".parse().unwrap();
        assert_eq!(
            console(&format!("{at}console = 'https://console.example.org/'\n")).unwrap(),
            Some(ConsolePlace::Page(page))
        );
        assert_eq!(
            console(&format!("{at}console = 'federation:https://s3.example.org/federation'\n")).unwrap(),
            Some(ConsolePlace::Federation {
                endpoint: "https://s3.example.org/federation".parse().unwrap(),
                destination: "https://s3.example.org/".parse().unwrap(),
            })
        );
        let refused = console(&format!("{at}console = 'over there'\n")).unwrap_err().to_string();
        assert!(refused.contains("wigeon.console"), "{refused}");
    }
}
