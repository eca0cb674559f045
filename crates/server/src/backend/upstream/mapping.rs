//! Which bucket is where: a name here, and there an upstream, a bucket and what its keys begin with.

use wigeon_core::s3::{BucketName, ObjectKey};

use super::settings::Mapping;

/// Where a bucket is at its upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    mapping: Mapping,
}

impl Place {
    /// Under its own name.
    pub(super) fn same(name: &BucketName) -> Self {
        Self { mapping: Mapping { name: name.clone(), bucket: name.clone(), prefix: String::new() } }
    }

    pub(super) fn mapped(mapping: &Mapping) -> Self {
        Self { mapping: mapping.clone() }
    }

    /// The name that clients use.
    pub(super) fn name(&self) -> &BucketName {
        &self.mapping.name
    }

    /// The name at the upstream.
    pub(super) fn bucket(&self) -> &BucketName {
        &self.mapping.bucket
    }

    /// What every key there begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.mapping.prefix
    }

    /// Whether the bucket is a part of one.
    pub(super) fn is_part(&self) -> bool {
        !self.mapping.prefix.is_empty()
    }

    /// Whether names there are other than here.
    pub(super) fn differs(&self) -> bool {
        self.is_part() || self.mapping.bucket != self.mapping.name
    }

    /// The key there.
    pub(super) fn key(&self, key: &ObjectKey) -> String {
        [self.mapping.prefix.as_str(), key.as_str()].concat()
    }

    /// The text without the prefix; what does not begin with it is not of this bucket.
    pub(super) fn strip<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.strip_prefix(self.mapping.prefix.as_str())
    }

    /// The same for percent-encoded names of a listing, whose rest stays as it is written.
    pub(super) fn strip_encoded<'t>(&self, text: &'t str) -> Option<&'t str> {
        let mut rest = text;
        for expected in self.mapping.prefix.bytes() {
            let (found, after) = match rest.as_bytes() {
                [b'%', high, low, ..] => {
                    let digit = |byte: &u8| char::from(*byte).to_digit(16);
                    (u8::try_from(digit(high)? * 16 + digit(low)?).ok()?, 3)
                }
                [b'+', ..] => (b' ', 1),
                [byte, ..] => (*byte, 1),
                [] => return None,
            };
            if found != expected {
                return None;
            }
            rest = rest.get(after..)?;
        }
        Some(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefix: &str) -> Place {
        let name = BucketName::parse("here").unwrap();
        let bucket = BucketName::parse("there").unwrap();
        Place::mapped(&Mapping { name, bucket, prefix: prefix.to_owned() })
    }

    #[test]
    fn names_there_and_back() {
        let place = place("a b/ü/");
        assert_eq!(place.key(&ObjectKey::parse("k").unwrap()), "a b/ü/k");
        assert_eq!(place.strip("a b/ü/k"), Some("k"));
        assert_eq!(place.strip("other/k"), None);
        for text in ["a%20b/%C3%BC/k%2Fx", "a+b%2F%c3%bc%2fk%2Fx"] {
            assert_eq!(place.strip_encoded(text), Some("k%2Fx"), "{text}");
        }
        for text in ["", "a%20", "a%2", "a%20c/%C3%BC/k"] {
            assert_eq!(place.strip_encoded(text), None, "{text}");
        }
    }
}
