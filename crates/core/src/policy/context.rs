//! What a policy is held against: who asks, for which action on which resource, in which circumstances.
//!
//! Everything is borrowed where it can be: a [`Request`] is built for each call and thrown away. Condition
//! keys compare without case. A key that stands already cannot be set again, so a server that enters its
//! own findings first cannot have them shadowed by what the requester wrote.
//!
//! Source: AWS IAM User Guide, "The request context" and "AWS global condition context keys".

use std::borrow::Cow;
use std::cell::LazyCell;
use std::fmt::{self, Write};
use std::net::IpAddr;

use crate::time::Timestamp;

/// One action on one resource, by someone, in some circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// `s3:GetObject`, in any case.
    pub action: &'a str,
    /// The ARN of what is asked for, with its case; `*` for an action that has no resource.
    pub resource: &'a str,
    /// The account that owns the resource. A principal of another account needs both a resource policy and
    /// an identity policy that allow.
    pub account: &'a str,
    /// The condition keys of the request.
    pub context: &'a dyn Keys,
}

/// Where policies look up the condition keys that they name. Most name none: a [`Context`] in a [`LazyCell`] is gathered
/// for those that do.
pub trait Keys: fmt::Debug {
    /// All of them.
    fn all(&self) -> &Context<'_>;

    /// The value of a key, in any case.
    fn value(&self, key: &str) -> Option<&Value<'_>> {
        self.all().value(key)
    }
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal<'a> {
    /// Nobody: an unsigned request.
    Anonymous,
    /// The bearer of an ID token, before the exchange.
    WebIdentity {
        /// The ARN of the OIDC provider, or the name of a built-in one (`accounts.google.com`).
        provider: &'a str,
    },
    /// A session of a role.
    Session {
        /// The role's account.
        account: &'a str,
        /// The role's ARN, with its path.
        role: &'a str,
        /// The ARN of the assumed role and session.
        session: &'a str,
        /// The provider whose token the session was made from, as policies name it.
        provider: Option<&'a str>,
    },
    /// A user with keys of its own.
    User {
        /// The user's account.
        account: &'a str,
        /// The user's ARN.
        arn: &'a str,
    },
    /// The account itself. It needs no identity policy; a resource policy can still deny it.
    Root {
        /// The account.
        account: &'a str,
    },
}

impl<'a> Principal<'a> {
    /// The account that the principal belongs to; none for the anonymous and for web identities.
    #[must_use]
    pub fn account(&self) -> Option<&'a str> {
        match *self {
            Self::Anonymous | Self::WebIdentity { .. } => None,
            Self::Session { account, .. } | Self::User { account, .. } | Self::Root { account } => {
                Some(account)
            }
        }
    }
}

impl fmt::Display for Principal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => f.write_str("anonymous"),
            Self::WebIdentity { provider } => f.write_str(provider),
            Self::Session { session, .. } => f.write_str(session),
            Self::User { arn, .. } => f.write_str(arn),
            Self::Root { account } => write!(f, "arn:aws:iam::{account}:root"),
        }
    }
}

/// The condition keys of one request and their values.
#[derive(Debug, Clone, Default)]
pub struct Context<'a> {
    entries: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Context<'a> {
    /// No keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No keys, and room for some.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        Self { entries: Vec::with_capacity(keys) }
    }

    /// Enters a key with its value, unless the key is there already: then nothing changes and the answer is
    /// `false`. Enter what the server knows first, and what the requester wrote last.
    pub fn set(&mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> bool {
        let key = key.into();
        let fresh = self.value(&key).is_none();
        if fresh {
            self.entries.push((key, value.into()));
        }
        fresh
    }

    /// Enters keys that were prepared once for many requests, borrowing their values. As with [`Self::set`],
    /// what stands already stays; among themselves the prepared keys must differ, which is not looked at.
    pub fn set_prepared(&mut self, prepared: &'a [(String, Value<'static>)]) {
        let standing = self.entries.len();
        for (key, value) in prepared {
            let taken = self.entries.iter().take(standing).any(|(name, _)| name.eq_ignore_ascii_case(key));
            if !taken {
                self.entries.push((Cow::Borrowed(key), value.borrowed()));
            }
        }
    }

    /// The value of a key, in any case.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value<'a>> {
        // Lengths differ sooner than characters do.
        let is_it = |name: &str| name.len() == key.len() && name.eq_ignore_ascii_case(key);
        self.entries.iter().find(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    /// Each key as it was entered, with its value, in the order of entry.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.entries.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

impl Keys for Context<'_> {
    fn all(&self) -> &Context<'_> {
        self
    }
}

impl<'a, F: FnOnce() -> Context<'a>> Keys for LazyCell<Context<'a>, F> {
    fn all(&self) -> &Context<'_> {
        self
    }
}

/// The value of a condition key. What is not text stays what it is, so that a request pays for its textual
/// form only where a policy asks for it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// One text.
    Text(Cow<'a, str>),
    /// A key that may have many values (`aws:TagKeys`, `<issuer>:amr`), however many there are now. None at
    /// all is the same as an absent key.
    Texts(Vec<Cow<'a, str>>),
    /// Several values of which operators without a quantifier take any, as at Ceph RGW: a negated one holds if
    /// none of them matches.
    Any(Vec<Cow<'a, str>>),
    /// A point in time; as text, ISO 8601 in whole seconds.
    Time(Timestamp),
    /// A whole number.
    Number(i64),
    /// `true` or `false`.
    Bool(bool),
    /// An address. IPv4 within IPv6 counts as IPv4.
    Address(IpAddr),
}

impl Value<'_> {
    /// The same value, its text lent.
    #[must_use]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Texts(texts) => {
                Value::Texts(texts.iter().map(|text| Cow::Borrowed(text.as_ref())).collect())
            }
            Self::Any(texts) => Value::Any(texts.iter().map(|text| Cow::Borrowed(text.as_ref())).collect()),
            Self::Time(at) => Value::Time(*at),
            Self::Number(number) => Value::Number(*number),
            Self::Bool(flag) => Value::Bool(*flag),
            Self::Address(address) => Value::Address(*address),
        }
    }

    /// Each value as text, as explanations show it.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        match self {
            Self::Texts(texts) | Self::Any(texts) => texts.iter().map(|text| text.to_string()).collect(),
            _ => self.single().map(|single| single.with_text(str::to_owned)).into_iter().collect(),
        }
    }

    /// The value of a key that has exactly one, by its kind rather than by count.
    pub(super) fn single(&self) -> Option<Single<'_>> {
        match self {
            Self::Text(text) => Some(Single::Text(text)),
            Self::Texts(_) | Self::Any(_) => None,
            Self::Time(at) => Some(Single::Time(*at)),
            Self::Number(number) => Some(Single::Number(*number)),
            Self::Bool(flag) => Some(Single::Text(if *flag { "true" } else { "false" })),
            Self::Address(address) => Some(Single::Address(address.to_canonical())),
        }
    }
}

/// One value, as an operator sees it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Single<'v> {
    Text(&'v str),
    Time(Timestamp),
    Number(i64),
    Address(IpAddr),
}

impl Single<'_> {
    /// Lends the textual form; what is not text is written to the stack.
    pub(super) fn with_text<R>(&self, read: impl FnOnce(&str) -> R) -> R {
        let mut buffer = Inline::default();
        let written = match self {
            Self::Text(text) => return read(text),
            Self::Time(at) => write!(buffer, "{}", at.strftime("%Y-%m-%dT%H:%M:%SZ")),
            Self::Number(number) => write!(buffer, "{number}"),
            Self::Address(address) => write!(buffer, "{address}"),
        };
        written.expect("64 bytes hold any time, number or address");
        read(buffer.as_str())
    }
}

/// A short text on the stack.
struct Inline {
    bytes: [u8; 64],
    length: usize,
}

impl Default for Inline {
    fn default() -> Self {
        Self { bytes: [0; 64], length: 0 }
    }
}

impl Inline {
    fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl Write for Inline {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<IpAddr> for Value<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl<'a, T: Into<Cow<'a, str>>> From<Vec<T>> for Value<'a> {
    fn from(texts: Vec<T>) -> Self {
        Self::Texts(texts.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_first_value_of_a_key_stands() {
        let mut context = Context::new();
        assert!(context.set("aws:userid", "AROA:alice"));
        assert!(!context.set("AWS:UserId", "admin"));
        assert_eq!(context.value("aws:USERID"), Some(&Value::from("AROA:alice")));
        assert_eq!(context.value("aws:userid2"), None);
        assert_eq!(context.iter().count(), 1);
    }

    #[test]
    fn keys_are_gathered_once_and_only_when_one_is_asked_for() {
        let gathered = Cell::new(0);
        let keys = LazyCell::new(|| {
            gathered.set(gathered.get() + 1);
            let mut context = Context::new();
            context.set("aws:userid", "AROA:alice");
            context
        });
        let keys: &dyn Keys = &keys;
        assert_eq!(gathered.get(), 0);
        assert_eq!(keys.value("AWS:userid"), Some(&Value::from("AROA:alice")));
        assert_eq!((keys.value("other"), keys.all().iter().count()), (None, 1));
        assert_eq!(gathered.get(), 1);
    }

    #[test]
    fn prepared_keys_shadow_nothing() {
        let prepared = [
            ("AWS:userid".to_owned(), Value::from("admin")),
            ("jwt:groups".to_owned(), Value::from(vec!["a".to_owned()])),
        ];
        let mut context = Context::new();
        context.set("aws:userid", "AROA:alice");
        context.set_prepared(&prepared);
        assert_eq!(context.value("aws:userid"), Some(&Value::from("AROA:alice")));
        assert!(!context.set("JWT:groups", "b"));
        assert_eq!(context.value("jwt:groups"), Some(&Value::from(vec!["a"])));
        assert_eq!(context.iter().count(), 2);
    }

    #[test]
    fn values_as_text() {
        let at: Timestamp = "2026-11-23T20:07:00.5Z".parse().unwrap();
        assert_eq!(Value::from(at).texts(), ["2026-11-23T20:07:00Z"]);
        assert_eq!(Value::from(-5).texts(), ["-5"]);
        assert_eq!(Value::from(true).texts(), ["true"]);
        let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(Value::from(mapped).texts(), ["10.0.0.1"]);
        assert_eq!(Value::from(vec!["a", "b"]).texts(), ["a", "b"]);
        let longest: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        assert_eq!(Value::from(longest).texts().concat().len(), 39);
    }
}
