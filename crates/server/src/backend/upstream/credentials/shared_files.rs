//! AWS's shared files: `~/.aws/config` and `~/.aws/credentials`.
//!
//! Enters: their texts. Leaves: the settings of a profile, those of the credentials file first. Lines that continue a
//! setting (indented ones) belong to services and are passed over. Source: AWS SDKs and Tools Reference Guide,
//! "Shared config and credentials files".

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::backend::upstream::settings::Environment;

/// The settings of one profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Profile(BTreeMap<String, String>);

impl Profile {
    /// A setting that is not empty.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Of the files that the environment names, or of those in the home folder; `None` where neither has it.
    pub(super) fn read(name: &str, environment: &Environment) -> Option<Self> {
        let place = |variable: &str, file: &str| match environment.value(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => environment.value("HOME").map(|home| PathBuf::from(home).join(".aws").join(file)),
        };
        let text = |path: Option<PathBuf>| {
            path.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
        };
        let config = text(place("AWS_CONFIG_FILE", "config"));
        let credentials = text(place("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
        Self::of(name, &config, &credentials)
    }

    fn of(name: &str, config: &str, credentials: &str) -> Option<Self> {
        let wanted = |section: &str| {
            let long = section.strip_prefix("profile").filter(|rest| rest.starts_with([' ', '\t']));
            long.map_or(name == "default" && section == "default", |rest| rest.trim() == name)
        };
        let mut settings = section(config, wanted);
        if let Some(more) = section(credentials, |section| section == name) {
            settings.get_or_insert_default().extend(more);
        }
        settings.map(Self)
    }
}

fn section(text: &str, wanted: impl Fn(&str) -> bool) -> Option<BTreeMap<String, String>> {
    let mut found: Option<BTreeMap<String, String>> = None;
    let mut inside = false;
    for line in text.lines() {
        if let Some(head) = line.trim().strip_prefix('[') {
            inside = wanted(head.split(']').next().unwrap_or_default().trim());
            if inside {
                found.get_or_insert_default();
            }
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = line.split_once('=')
            && let Some(found) = &mut found
        {
            let value = value.split(" #").next().unwrap_or_default().split(" ;").next().unwrap_or_default();
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "[default]\nregion = eu-west-1\n# no\n[profile a]\nrole_arn=arn # the role\ns3 =\n  \
                          max = 1\nsource_profile = default\n[a]\nregion = no\n";

    #[test]
    fn profiles_of_both_files() {
        let profile = Profile::of("a", CONFIG, "[a]\naws_access_key_id = AKIA\n[b]\nx=1").unwrap();
        assert_eq!(
            (profile.value("role_arn"), profile.value("aws_access_key_id")),
            (Some("arn"), Some("AKIA"))
        );
        assert_eq!((profile.value("region"), profile.value("max"), profile.value("s3")), (None, None, None));
        assert_eq!(Profile::of("default", CONFIG, "").unwrap().value("region"), Some("eu-west-1"));
        assert!(Profile::of("b", CONFIG, "[b]\nx=1").is_some());
        assert_eq!(Profile::of("c", CONFIG, ""), None);
    }
}
