//! A profile or a bookmark as it was written: every key kept, types checked, nothing interpreted.
//!
//! Enters: the bytes of a file. Leaves: a [`Document`]. Refused, with file, line and what is missing: what is
//! neither a property list nor TOML; a profile without `Protocol` or `Vendor`; a key whose value is of a type
//! that cannot be read as the key's.

use plist::{Dictionary, Value};
use toml::Table;

use super::keys::{self, BOOKMARK, Key, Kind, PROFILE};
use super::property_list::{self, Parsed};
use super::toml_form;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// A connection profile; from Wigeon's own TOML also the answers that were saved with it.
    Profile(Profile, Bookmark),
    /// A bookmark, which names its profile's `Vendor` as `Provider`.
    Bookmark(Bookmark),
}

/// A connection profile: it has `Protocol` and `Vendor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub(super) dictionary: Dictionary,
}

/// A bookmark, or the answers that a person gave: they win over the profile.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bookmark {
    pub(super) dictionary: Dictionary,
}

/// A key that means nothing to Wigeon. It is kept, and exported again.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UnknownKey {
    /// Where it stands: `profile`, `properties`, `bookmark`.
    pub place: &'static str,
    /// Its name.
    pub key: String,
}

/// Why a file is not a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`, line {line}: {problem}")]
pub struct ProfileError {
    /// The file's name, as it was given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong, or what is missing.
    pub problem: String,
}

impl Document {
    /// Reads a property list or TOML, whichever the bytes are.
    ///
    /// # Errors
    /// See the module.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, ProfileError> {
        let at = |line, problem| ProfileError { file: file.to_owned(), line, problem };
        if property_list::looks_like_one(bytes) {
            let parsed = property_list::read(bytes).map_err(|problem| at(problem.line, problem.text))?;
            return Self::from_property_list(parsed).map_err(|(line, problem)| at(line, problem));
        }
        if !file.ends_with(".toml") && !bytes.contains(&b'=') {
            return Err(at(
                1,
                "this is neither a property list (`<plist>`) nor TOML (`key = value`)".to_owned(),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| at(1, "the text is not UTF-8".to_owned()))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let what =
                if file.ends_with(".toml") { "" } else { "this is not a property list, and as TOML: " };
            at(line, format!("{what}{}", error.message()))
        })?;
        Self::from_table(table).map_err(|(key, problem)| at(line_of_toml_key(text, key.as_deref()), problem))
    }

    fn from_property_list(parsed: Parsed) -> Result<Self, (usize, String)> {
        let Parsed { dictionary, lines, first_line } = parsed;
        let line = |key: &str| lines.get(key).copied().unwrap_or(first_line);
        let is_bookmark = !dictionary.contains_key(keys::VENDOR.plist)
            && [keys::PROVIDER, keys::UUID, keys::HOSTNAME]
                .iter()
                .any(|key| dictionary.contains_key(key.plist));
        if is_bookmark {
            return Bookmark::new(dictionary)
                .map(Self::Bookmark)
                .map_err(|(key, problem)| (key.map_or(first_line, |key| line(&key)), problem));
        }
        Profile::new(dictionary)
            .map(|profile| Self::Profile(profile, Bookmark::default()))
            .map_err(|(key, problem)| (key.map_or(first_line, |key| line(&key)), problem))
    }

    fn from_table(mut table: Table) -> Result<Self, (Option<String>, String)> {
        let bookmark = match table.remove("bookmark") {
            Some(toml::Value::Table(bookmark)) => {
                let dictionary = toml_form::from_table(&bookmark, BOOKMARK, false)
                    .map_err(|problem| (Some("bookmark".to_owned()), problem))?;
                Bookmark::new(dictionary)?
            }
            None => Bookmark::default(),
            Some(_) => return Err((Some("bookmark".to_owned()), "`bookmark` must be a table".to_owned())),
        };
        let dictionary = toml_form::from_table(&table, PROFILE, true).map_err(|problem| (None, problem))?;
        if dictionary.is_empty() && !bookmark.dictionary.is_empty() {
            return Ok(Self::Bookmark(bookmark));
        }
        Profile::new(dictionary).map(|profile| Self::Profile(profile, bookmark)).map_err(|(key, problem)| {
            let toml_name =
                |name: &str| PROFILE.iter().find(|key| key.plist == name).map(|key| key.toml.to_owned());
            (key.and_then(|key| toml_name(&key)), problem)
        })
    }

    /// Wigeon's TOML.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut table = match self {
            Self::Profile(profile, _) => toml_form::to_table(&profile.dictionary, PROFILE),
            Self::Bookmark(_) => Table::new(),
        };
        let (Self::Profile(_, bookmark) | Self::Bookmark(bookmark)) = self;
        if !bookmark.dictionary.is_empty() {
            let bookmark = toml_form::to_table(&bookmark.dictionary, BOOKMARK);
            table.insert("bookmark".to_owned(), toml::Value::Table(bookmark));
        }
        // Every value of the table has a form in TOML: it has just been made of them.
        toml::to_string_pretty(&table).unwrap_or_default()
    }
}

impl Profile {
    /// The properties, each as text.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String)> {
        let found = properties(self.dictionary.get(keys::PROPERTIES.plist));
        found.into_iter().map(|(key, value)| (key, text(Some(&value)).unwrap_or_default())).collect()
    }

    /// Checks the two keys that must be there, and the types of the others. The error names the key at fault.
    pub(super) fn new(dictionary: Dictionary) -> Result<Self, (Option<String>, String)> {
        for key in [keys::PROTOCOL, keys::VENDOR] {
            if text(dictionary.get(key.plist)).is_none_or(|text| text.trim().is_empty()) {
                let at = dictionary.contains_key(key.plist).then(|| key.plist.to_owned());
                return Err((at, format!("a connection profile needs `{}`, and there is none", key.plist)));
            }
        }
        check_types(&dictionary, PROFILE)?;
        Ok(Self { dictionary })
    }

    /// The plain profile of a protocol, for a bookmark that names no vendor.
    #[must_use]
    pub fn of_protocol(protocol: &str) -> Self {
        let entries = [(keys::PROTOCOL, protocol), (keys::VENDOR, "iterate GmbH")];
        let dictionary =
            entries.into_iter().map(|(key, text)| (key.plist.to_owned(), Value::from(text))).collect();
        Self { dictionary }
    }

    /// `Protocol`, trimmed.
    #[must_use]
    pub fn protocol(&self) -> String {
        text(self.dictionary.get(keys::PROTOCOL.plist)).unwrap_or_default().trim().to_owned()
    }

    /// `Vendor`, trimmed: the profile's identifier, which bookmarks name.
    #[must_use]
    pub fn vendor(&self) -> String {
        text(self.dictionary.get(keys::VENDOR.plist)).unwrap_or_default().trim().to_owned()
    }

    /// The XML property list.
    ///
    /// # Errors
    /// A text with a character that XML cannot hold.
    pub fn to_property_list(&self) -> Result<String, String> {
        property_list::write(&self.dictionary)
    }

    /// The keys that mean nothing to Wigeon.
    #[must_use]
    pub fn unknown_keys(&self) -> Vec<UnknownKey> {
        let properties = properties(self.dictionary.get(keys::PROPERTIES.plist));
        unknown(&self.dictionary, PROFILE, "profile")
            .chain(
                properties
                    .into_iter()
                    .filter(|(name, _)| {
                        !keys::PROPERTIES_KNOWN.contains(&name.as_str())
                            && !name.starts_with(toml_form::PROVIDER)
                    })
                    .map(|(key, _)| UnknownKey { place: "properties", key }),
            )
            .collect()
    }
}

impl Bookmark {
    fn new(dictionary: Dictionary) -> Result<Self, (Option<String>, String)> {
        check_types(&dictionary, BOOKMARK)?;
        Ok(Self { dictionary })
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dictionary.is_empty()
    }

    /// The `Vendor` of the profile that it belongs to.
    #[must_use]
    pub fn provider(&self) -> Option<String> {
        text(self.dictionary.get(keys::PROVIDER.plist))
            .map(|text| text.trim().to_owned())
            .filter(|t| !t.is_empty())
    }

    /// `Protocol`; `s3` where the bookmark has none.
    #[must_use]
    pub fn protocol(&self) -> String {
        text(self.dictionary.get(keys::BOOKMARK_PROTOCOL.plist)).unwrap_or_else(|| "s3".to_owned())
    }

    /// `Nickname`, else `Hostname`.
    #[must_use]
    pub fn title(&self) -> Option<String> {
        [keys::NICKNAME, keys::HOSTNAME]
            .iter()
            .find_map(|key| text(self.dictionary.get(key.plist)).filter(|text| !text.trim().is_empty()))
    }

    /// Remembers an answer, under the key's or property's own name; it wins over the profile from now on.
    pub fn answer(&mut self, key: &str, value: &str) {
        toml_form::set_property(&mut self.dictionary, keys::CUSTOM.plist, key, Value::from(value));
    }

    /// Takes an answer back: the profile's own value counts again.
    pub fn take_back(&mut self, key: &str) {
        toml_form::remove_property(&mut self.dictionary, keys::CUSTOM.plist, key);
    }

    /// The XML property list (`.duck`).
    ///
    /// # Errors
    /// A text with a character that XML cannot hold.
    pub fn to_property_list(&self) -> Result<String, String> {
        property_list::write(&self.dictionary)
    }

    /// The keys that mean nothing to Wigeon.
    #[must_use]
    pub fn unknown_keys(&self) -> Vec<UnknownKey> {
        unknown(&self.dictionary, BOOKMARK, "bookmark").collect()
    }
}

fn unknown(
    dictionary: &Dictionary,
    known: &'static [Key],
    place: &'static str,
) -> impl Iterator<Item = UnknownKey> {
    dictionary
        .keys()
        .filter(move |key| known.iter().all(|known| known.plist != key.as_str()))
        .map(move |key| UnknownKey { place, key: key.clone() })
}

fn check_types(dictionary: &Dictionary, known: &[Key]) -> Result<(), (Option<String>, String)> {
    for key in known {
        let Some(value) = dictionary.get(key.plist) else { continue };
        let (fits, wanted) = match key.kind {
            Kind::Any => (true, ""),
            Kind::Text => (text(Some(value)).is_some(), "a string"),
            Kind::Flag => (flag(value).is_some() || is_blank(value), "`<true/>` or `<false/>`"),
            Kind::List => (list(value).is_some(), "a list of strings"),
            Kind::Properties => (
                match value {
                    Value::Dictionary(_) => true,
                    Value::Array(lines) => lines.iter().all(|line| line.as_string().is_some()),
                    other => is_blank(other),
                },
                "a dictionary, or a list of `key=value`",
            ),
        };
        if !fits {
            return Err((
                Some(key.plist.to_owned()),
                format!("the value of `{}` must be {wanted}", key.plist),
            ));
        }
    }
    Ok(())
}

/// A text of nothing but white space.
pub(super) fn is_blank(value: &Value) -> bool {
    value.as_string().is_some_and(|text| text.trim().is_empty())
}

/// A scalar as text; `<true/>` is "true".
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// A flag, or a text or number that says so.
pub(super) fn flag(value: &Value) -> Option<bool> {
    match text(Some(value))?.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

/// A list of texts; a single text is a list of one, a blank one of none.
pub(super) fn list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => items.iter().map(|item| text(Some(item))).collect(),
        other if is_blank(other) => Some(Vec::new()),
        other => text(Some(other)).map(|text| vec![text]),
    }
}

/// Properties of either generation; the last of two equal names counts.
pub(super) fn properties(value: Option<&Value>) -> Vec<(String, Value)> {
    match value {
        Some(Value::Dictionary(entries)) => {
            entries.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        Some(Value::Array(lines)) => {
            let mut found: Vec<(String, Value)> = Vec::new();
            for line in lines.iter().filter_map(Value::as_string) {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                let (key, value) = (key.trim().to_owned(), Value::from(value.trim()));
                found.retain(|(other, _)| *other != key);
                found.push((key, value));
            }
            found
        }
        _ => Vec::new(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn line_of_toml_key(text: &str, key: Option<&str>) -> usize {
    let Some(key) = key else { return 1 };
    let begins = |line: &str| {
        let line = line.trim_start().trim_start_matches('[');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
    };
    text.lines().position(begins).map_or(1, |index| index + 1)
}
