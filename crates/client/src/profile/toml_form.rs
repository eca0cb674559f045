//! A property list's dictionary as TOML, and back, without loss.
//!
//! A table `[providers.NAME]` is read as properties. Known keys get snake-case names; everything else stands under `[other]` with its own name. What TOML has no
//! form for is a table with one key that begins with `$`: `{ "$data" = "base64" }`, `{ "$integer" = "…" }` for
//! integers beyond 64 bits signed, `{ "$uid" = 1 }`, and `{ "$table" = { … } }` for a dictionary that looks like
//! one of these. TOML times without an offset have no form in a property list and are refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plist::{Date, Dictionary, Uid, Value};
use toml::{Table, Value as Toml};

use super::keys::{Key, SHORT_NAMES};

/// The table of the keys that we do not know.
const OTHER: &str = "other";

/// The table of the providers of which one is chosen, and the beginning of the properties that it stands for.
const PROVIDERS: &str = "providers";
pub(super) const PROVIDER: &str = "wigeon.provider.";

/// Writes a dictionary whose known keys are `known`.
pub(super) fn to_table(dictionary: &Dictionary, known: &[Key]) -> Table {
    let mut table = Table::new();
    let mut other = Table::new();
    for (key, value) in dictionary {
        match known.iter().find(|known| known.plist == key) {
            Some(known) => table.insert(known.toml.to_owned(), to_toml(value)),
            None => other.insert(key.clone(), to_toml(value)),
        };
    }
    if !other.is_empty() {
        table.insert(OTHER.to_owned(), Toml::Table(other));
    }
    table
}

/// Reads a table back. A short name such as `issuer` becomes a property; a key that is not known is kept as it is.
pub(super) fn from_table(table: &Table, known: &[Key], short_names: bool) -> Result<Dictionary, String> {
    let mut dictionary = Dictionary::new();
    let mut short = Vec::new();
    for (name, value) in table {
        let short_name = SHORT_NAMES.iter().find(|(short, _)| short_names && short == name);
        if let Some((_, property)) = short_name {
            short.push(((*property).to_owned(), from_toml(value, name)?));
        } else if let (true, PROVIDERS, Toml::Table(providers)) = (short_names, name.as_str(), value) {
            for (id, values) in providers {
                let values = values.as_table().ok_or_else(|| format!("`{name}.{id}` must be a table"))?;
                for (key, value) in values {
                    short.push((format!("{PROVIDER}{id}.{key}"), from_toml(value, key)?));
                }
            }
        } else if let Some(key) = known.iter().find(|key| key.toml == name) {
            dictionary.insert(key.plist.to_owned(), from_toml(value, name)?);
        } else if let (OTHER, Toml::Table(other)) = (name.as_str(), value) {
            for (key, value) in other {
                dictionary.insert(key.clone(), from_toml(value, key)?);
            }
        } else {
            dictionary.insert(name.clone(), from_toml(value, name)?);
        }
    }
    for (property, value) in short {
        set_property(&mut dictionary, "Properties", &property, value);
    }
    Ok(dictionary)
}

/// Sets a property in whichever of its two generations the dictionary has.
pub(super) fn set_property(dictionary: &mut Dictionary, key: &str, property: &str, value: Value) {
    match dictionary.get_mut(key) {
        Some(Value::Dictionary(properties)) => {
            properties.insert(property.to_owned(), value);
        }
        Some(Value::Array(lines)) => {
            let prefix = format!("{property}=");
            lines.retain(|line| !line.as_string().is_some_and(|line| line.starts_with(&prefix)));
            let text = value.as_string().unwrap_or_default();
            lines.push(Value::String(format!("{prefix}{text}")));
        }
        _ => {
            let mut properties = Dictionary::new();
            properties.insert(property.to_owned(), value);
            dictionary.insert(key.to_owned(), Value::Dictionary(properties));
        }
    }
}

/// Takes a property away, in whichever of its two generations the dictionary has.
pub(super) fn remove_property(dictionary: &mut Dictionary, key: &str, property: &str) {
    match dictionary.get_mut(key) {
        Some(Value::Dictionary(properties)) => {
            properties.remove(property);
        }
        Some(Value::Array(lines)) => {
            let prefix = format!("{property}=");
            lines.retain(|line| !line.as_string().is_some_and(|line| line.starts_with(&prefix)));
        }
        _ => {}
    }
}

fn to_toml(value: &Value) -> Toml {
    match value {
        Value::String(text) => Toml::String(text.clone()),
        Value::Boolean(flag) => Toml::Boolean(*flag),
        Value::Real(number) => Toml::Float(*number),
        Value::Integer(number) => match number.as_signed() {
            Some(number) => Toml::Integer(number),
            None => marked("$integer", Toml::String(number.to_string())),
        },
        Value::Data(bytes) => marked("$data", Toml::String(STANDARD.encode(bytes))),
        Value::Date(date) => match date.to_xml_format().parse() {
            Ok(date) => Toml::Datetime(date),
            Err(_) => marked("$date", Toml::String(date.to_xml_format())),
        },
        Value::Uid(uid) => marked("$uid", Toml::String(uid.get().to_string())),
        Value::Array(items) => Toml::Array(items.iter().map(to_toml).collect()),
        Value::Dictionary(entries) => {
            let table: Table = entries.iter().map(|(key, value)| (key.clone(), to_toml(value))).collect();
            if is_marked(&table) { marked("$table", Toml::Table(table)) } else { Toml::Table(table) }
        }
        // The type is not exhaustive; there is no further kind in the format.
        _ => Toml::String(String::new()),
    }
}

fn marked(mark: &str, value: Toml) -> Toml {
    Toml::Table(Table::from_iter([(mark.to_owned(), value)]))
}

fn is_marked(table: &Table) -> bool {
    table.len() == 1 && table.keys().all(|key| key.starts_with('$'))
}

fn from_toml(value: &Toml, key: &str) -> Result<Value, String> {
    Ok(match value {
        Toml::String(text) => Value::String(text.clone()),
        Toml::Boolean(flag) => Value::Boolean(*flag),
        Toml::Float(number) => Value::Real(*number),
        Toml::Integer(number) => Value::from(*number),
        Toml::Datetime(date) => {
            Value::Date(Date::from_xml_format(&date.to_string()).map_err(|_| {
                format!("the time `{date}` of `{key}` needs a date and an offset such as `Z`")
            })?)
        }
        Toml::Array(items) => {
            Value::Array(items.iter().map(|item| from_toml(item, key)).collect::<Result<_, _>>()?)
        }
        Toml::Table(table) if is_marked(table) => unmarked(table, key)?,
        Toml::Table(table) => Value::Dictionary(entries(table)?),
    })
}

fn entries(table: &Table) -> Result<Dictionary, String> {
    table.iter().map(|(key, value)| Ok((key.clone(), from_toml(value, key)?))).collect()
}

fn unmarked(table: &Table, key: &str) -> Result<Value, String> {
    let wrong = || {
        format!(
            "the table of `{key}` begins with `$` but is none of `$data`, `$date`, `$integer`, `$uid`, `$table`"
        )
    };
    let (mark, value) = table.iter().next().ok_or_else(wrong)?;
    Ok(match (mark.as_str(), value) {
        ("$data", Toml::String(text)) => Value::Data(STANDARD.decode(text).map_err(|_| wrong())?),
        ("$date", Toml::String(text)) => Value::Date(Date::from_xml_format(text).map_err(|_| wrong())?),
        ("$integer", Toml::String(text)) => Value::from(text.parse::<u64>().map_err(|_| wrong())?),
        ("$uid", Toml::String(text)) => Value::Uid(Uid::new(text.parse().map_err(|_| wrong())?)),
        ("$table", Toml::Table(table)) => Value::Dictionary(entries(table)?),
        _ => return Err(wrong()),
    })
}
