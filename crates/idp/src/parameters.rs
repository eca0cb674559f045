//! OAuth's request parameters, each at most once (RFC 6749, section 3.1).
//!
//! Enters a query string or a form body; leaves each parameter by name. A parameter without a value counts
//! as omitted; one that is sent twice is refused, because two readers could take different ones.

use url::form_urlencoded;

/// The parameters of one request, in the order in which they were sent.
#[derive(Debug, Clone)]
pub(crate) struct Parameters(Vec<(String, String)>);

/// A parameter that was sent more than once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parameter `{name}` was sent more than once")]
pub(crate) struct Repeated {
    /// Which one.
    pub(crate) name: &'static str,
}

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// The value of a parameter, `None` where it is omitted or empty.
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, Repeated> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Repeated { name }),
            (Some((_, value)), None) if !value.is_empty() => Ok(Some(value)),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_at_most_once() {
        let parameters = Parameters::parse(b"a=1&b=&c=x+%2B&c=y");
        assert_eq!(parameters.one("a"), Ok(Some("1")));
        assert_eq!(parameters.one("b"), Ok(None));
        assert_eq!(parameters.one("c"), Err(Repeated { name: "c" }));
        assert_eq!(parameters.one("d"), Ok(None));
    }
}
