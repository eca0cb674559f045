//! Wildcards in the address of objects, as s5cmd has them: `*` is any run, slashes too, and `?` any one letter.

use regex::Regex;

/// A key with wildcards.
#[derive(Debug, Clone)]
pub struct Wildcard {
    prefix: String,
    whole: Regex,
}

impl Wildcard {
    /// Reads a key; `None` where it has no wildcard.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let first = key.find(['*', '?'])?;
        let mut whole = String::from("(?s)^");
        for letter in key.chars() {
            match letter {
                '*' => whole.push_str(".*"),
                '?' => whole.push('.'),
                other => whole.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        whole.push('$');
        Some(Self { prefix: key.get(..first)?.to_owned(), whole: Regex::new(&whole).ok()? })
    }

    /// What all keys that match begin with: all that has to be listed.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The folder of that: up to and with its last slash. What matches keeps its name below it when it is copied.
    #[must_use]
    pub fn folder(&self) -> &str {
        let end = self.prefix.rfind('/').map_or(0, |slash| slash + 1);
        self.prefix.get(..end).unwrap_or_default()
    }

    /// Whether a key is meant.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        self.whole.is_match(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        let logs = Wildcard::parse("logs/a*.gz").unwrap();
        assert_eq!((logs.prefix(), logs.folder()), ("logs/a", "logs/"));
        for key in ["logs/a.gz", "logs/a/b/c.gz", "logs/a\nb.gz"] {
            assert!(logs.matches(key), "{key}");
        }
        for key in ["logs/b.gz", "logs/a.gz2", "x/logs/a.gz", "logs/axgz"] {
            assert!(!logs.matches(key), "{key}");
        }
        let one = Wildcard::parse("?[a]").unwrap();
        assert_eq!((one.prefix(), one.folder()), ("", ""));
        assert!(one.matches("ü[a]") && !one.matches("üa"));
        assert!(Wildcard::parse("plain/[key]").is_none());
    }
}
