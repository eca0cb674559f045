//! Names of metadata as people write them: standard headers by their names, every other name is the object's own.

use wigeon_client::s3::PutOptions;

/// Where a name's value stands.
#[derive(Debug, PartialEq, Eq)]
enum Slot {
    Type,
    Header(String),
    Own(String),
}

impl Slot {
    fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.as_str() {
            "content-type" => Self::Type,
            "cache-control" | "content-disposition" | "content-encoding" | "content-language" | "expires" => {
                Self::Header(name)
            }
            _ => Self::Own(name.strip_prefix("x-amz-meta-").unwrap_or(&name).to_owned()),
        }
    }
}

/// Standard headers by their names, the object's own metadata by its own; one that has a header's name with the prefix.
pub(crate) fn pairs(options: &PutOptions) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        options.content_type.iter().map(|kind| ("content-type".to_owned(), kind.clone())).collect();
    pairs.extend(options.content_headers.iter().cloned());
    let mut own = options.metadata.clone();
    own.sort();
    pairs.extend(own.into_iter().map(|(name, value)| match Slot::of(&name) {
        Slot::Own(_) => (name, value),
        _ => (format!("x-amz-meta-{name}"), value),
    }));
    pairs
}

/// Gives a name this value, or none.
pub(crate) fn put(options: &mut PutOptions, name: &str, value: Option<&String>) {
    let (list, name) = match Slot::of(name) {
        Slot::Type => {
            options.content_type = value.cloned();
            return;
        }
        Slot::Header(name) => (&mut options.content_headers, name),
        Slot::Own(name) => (&mut options.metadata, name),
    };
    list.retain(|(known, _)| *known != name);
    list.extend(value.map(|value| (name, value.clone())));
}

/// `NAME=VALUE`, of metadata and of tags.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_names_and_values() {
        assert_eq!(pair("c=x=y"), Ok(("c".to_owned(), "x=y".to_owned())));
        assert!(pair("=x").is_err() && pair("x").is_err());
    }

    #[test]
    fn a_name_has_one_value() {
        let mut options = PutOptions::default();
        for (name, value) in
            [("Owner", "ada"), ("owner", "bob"), ("Expires", "x"), ("x-amz-meta-expires", "y")]
        {
            put(&mut options, name, Some(&value.to_owned()));
        }
        let shown: Vec<_> = pairs(&options).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(shown, ["expires=x", "x-amz-meta-expires=y", "owner=bob"]);
        put(&mut options, "OWNER", None);
        assert!(!options.metadata.iter().any(|(name, _)| name == "owner"));
    }
}
