//! The parameters of an AWS Query request: from the query string, the form body, or both.
//!
//! Refused: broken percent encoding, text that is not UTF-8, too many parameters, and a name that comes
//! twice with two values (it could be read differently by two readers). Source: docs/sts.md, "Protocol".

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use percent_encoding::percent_decode_str;

use super::fault::{FaultCode, StsError};

const MAX_PARAMETERS: usize = 500;

/// Names and values, each name once. They lie in one text, one after the other, and are found by their names in order.
#[derive(Clone, Default)]
pub struct Parameters {
    text: String,
    /// Sorted by name.
    pairs: Vec<Pair>,
}

/// Where a name and its value lie in the text.
#[derive(Clone)]
struct Pair {
    name: Range<usize>,
    value: Range<usize>,
}

impl Parameters {
    /// Reads the raw query string (without `?`) and the form body.
    pub fn parse(query: &str, body: &str) -> Result<Self, StsError> {
        let text = String::with_capacity(query.len() + body.len());
        let mut parameters = Self { text, pairs: Vec::with_capacity(16) };
        let pairs = query.split('&').chain(body.split('&')).filter(|pair| !pair.is_empty());
        for (count, pair) in pairs.enumerate() {
            if count >= MAX_PARAMETERS {
                return Err(invalid(format!("The request has more than {MAX_PARAMETERS} parameters")));
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) =
                (decode(&mut parameters.text, name), decode(&mut parameters.text, value))
            else {
                return Err(invalid("A parameter is not URL-encoded UTF-8".to_owned()));
            };
            parameters.insert(Pair { name, value })?;
        }
        Ok(parameters)
    }

    fn insert(&mut self, pair: Pair) -> Result<(), StsError> {
        let (name, value) = self.texts(&pair);
        match self.pairs.binary_search_by(|known| self.texts(known).0.cmp(name)) {
            Ok(place) if self.pairs.get(place).is_some_and(|known| self.texts(known).1 != value) => {
                let name: String = name.chars().take(100).collect();
                Err(invalid(format!("The parameter {name} was given twice, with two values")))
            }
            Ok(_) => Ok(()),
            Err(place) => {
                self.pairs.insert(place, pair);
                Ok(())
            }
        }
    }

    fn texts(&self, pair: &Pair) -> (&str, &str) {
        let text = |range: &Range<usize>| self.text.get(range.clone()).unwrap_or_default();
        (text(&pair.name), text(&pair.value))
    }

    /// All of them, by name.
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|pair| self.texts(pair))
    }

    /// Those whose names begin so, by name: what follows, and the value.
    fn beginning<'p, 'n>(
        &'p self,
        prefix: &'n str,
    ) -> impl Iterator<Item = (&'p str, &'p str)> + use<'p, 'n> {
        let first = self.pairs.partition_point(|pair| self.texts(pair).0 < prefix);
        let from = self.pairs.iter().skip(first).map(|pair| self.texts(pair));
        from.map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value)))
    }

    /// The value of a parameter; an empty one is a value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let candidates = self.pairs.iter().filter(|pair| pair.name.len() == name.len());
        candidates.map(|pair| self.texts(pair)).find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// `Action`, if there is one.
    #[must_use]
    pub fn action(&self) -> Option<&str> {
        self.value("Action")
    }

    /// What stands under `NAME.member.N`, in the order of `N`: the rest of each name (empty for the member
    /// itself) and its value.
    #[must_use]
    pub fn numbered(&self, name: &str) -> Vec<BTreeMap<&str, &str>> {
        let prefix = format!("{name}.member.");
        let mut members: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
        for (rest, value) in self.beginning(&prefix) {
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let Ok(number) = number.parse() else { continue };
            members.entry(number).or_default().insert(rest, value);
        }
        members.into_values().collect()
    }

    /// The values of `NAME.member.N.FIELD` in the order of `N`.
    #[must_use]
    pub fn members(&self, name: &str, field: &str) -> Vec<&str> {
        let mut members: Vec<(u32, &str)> = self
            .below(name)
            .filter_map(|(number, its, value)| (its == Some(field)).then_some((number, value)))
            .collect();
        members.sort_by_key(|(number, _)| *number);
        members.into_iter().map(|(_, value)| value).collect()
    }
}

impl Parameters {
    /// The values of `NAME.member.N` in the order of `N`.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let mut items: Vec<(u32, &str)> = self
            .below(name)
            .filter_map(|(number, field, value)| field.is_none().then_some((number, value)))
            .collect();
        items.sort_by_key(|(number, _)| *number);
        items.into_iter().map(|(_, value)| value).collect()
    }

    /// `NAME.member.N.KEY` with `NAME.member.N.VALUE`, in the order of `N`; `None` where one of the two is
    /// missing.
    #[must_use]
    pub fn pairs(&self, name: &str, key: &str, value: &str) -> Option<Vec<(&str, &str)>> {
        let mut pairs: BTreeMap<u32, (Option<&str>, Option<&str>)> = BTreeMap::new();
        for (number, field, text) in self.below(name) {
            let pair = pairs.entry(number).or_default();
            match field {
                Some(field) if field == key => pair.0 = Some(text),
                Some(field) if field == value => pair.1 = Some(text),
                _ => {}
            }
        }
        pairs.into_values().map(|(key, value)| key.zip(value)).collect()
    }

    /// Every `NAME.member.N[.FIELD]`: its number, its field, its value.
    fn below<'p, 'n>(
        &'p self,
        name: &'n str,
    ) -> impl Iterator<Item = (u32, Option<&'p str>, &'p str)> + use<'p, 'n> {
        self.beginning(name).filter_map(|(rest, value)| {
            let rest = rest.strip_prefix(".member.")?;
            let (number, field) = match rest.split_once('.') {
                Some((number, field)) => (number, Some(field)),
                None => (rest, None),
            };
            Some((number.parse().ok()?, field, value))
        })
    }
}

/// Names only: one of the values is a token.
impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

fn invalid(message: String) -> StsError {
    StsError::new(FaultCode::InvalidParameterValue, message)
}

/// Adds the text that this stands for to `all`; gives where it lies there.
fn decode(all: &mut String, text: &str) -> Option<Range<usize>> {
    let begins = all.len();
    // Without an early end many bytes are looked at together, and tokens are long.
    if text.bytes().fold(0, |found, byte| found | u8::from(byte == b'%') | u8::from(byte == b'+')) == 0 {
        all.push_str(text);
        return Some(begins..all.len());
    }
    let broken = text.split('%').skip(1).any(|after| {
        !after.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    if broken {
        return None;
    }
    let spaced = text.replace('+', " ");
    all.push_str(&percent_decode_str(&spaced).decode_utf8().ok()?);
    Some(begins..all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_and_body_are_one() {
        let parameters = Parameters::parse("Action=A&Version=1", "x=a+b%2Bc&Action=A&empty=&flag").unwrap();
        assert_eq!(parameters.action(), Some("A"));
        assert_eq!(parameters.value("x"), Some("a b+c"));
        assert_eq!((parameters.value("empty"), parameters.value("flag")), (Some(""), Some("")));
    }

    #[test]
    fn members_come_in_the_order_of_their_numbers() {
        let body = "P.member.10.arn=c&P.member.2.arn=b&P.member.1.arn=a&P.member.3.other=x&P.member.x.arn=y&Q.member.1.arn=z";
        let parameters = Parameters::parse("", body).unwrap();
        assert_eq!(parameters.members("P", "arn"), ["a", "b", "c"]);
        assert!(parameters.members("R", "arn").is_empty());
    }

    #[test]
    fn members_with_all_that_stands_under_them() {
        let parameters = Parameters::parse(
            "",
            "L.member.2=b&L.member.10=c&L.member.1=a&T.member.1.Key=k&T.member.1.Value=",
        )
        .unwrap();
        let list: Vec<_> = parameters.numbered("L").iter().map(|member| member[""]).collect();
        assert_eq!(list, ["a", "b", "c"]);
        assert_eq!(parameters.numbered("T"), [BTreeMap::from([("Key", "k"), ("Value", "")])]);
        assert!(parameters.numbered("X").is_empty());
    }

    #[test]
    fn lists_and_pairs() {
        let body = "K.member.2=b&K.member.1=a&T.member.1.Key=k&T.member.1.Value=v&T.member.10.Value=&T.member.10.Key=l";
        let parameters = Parameters::parse("", body).unwrap();
        assert_eq!(parameters.list("K"), ["a", "b"]);
        assert_eq!(parameters.pairs("T", "Key", "Value").unwrap(), [("k", "v"), ("l", "")]);
        let half = Parameters::parse("", "T.member.1.Key=k").unwrap();
        assert_eq!(half.pairs("T", "Key", "Value"), None);
        assert_eq!(half.pairs("U", "Key", "Value"), Some(vec![]));
    }

    #[test]
    fn what_could_be_read_twice_is_refused() {
        let refused = |query: &str, body: &str| Parameters::parse(query, body).unwrap_err().code;
        assert_eq!(refused("RoleArn=a", "RoleArn=b"), FaultCode::InvalidParameterValue);
        assert_eq!(refused("", "a=%zz"), FaultCode::InvalidParameterValue);
        assert_eq!(refused("", "a=%4"), FaultCode::InvalidParameterValue);
        assert_eq!(refused("", "a=%ff"), FaultCode::InvalidParameterValue);
        let many: String = (0..501).map(|n| format!("p{n}=1&")).collect();
        assert_eq!(refused("", &many), FaultCode::InvalidParameterValue);
    }

    proptest::proptest! {
        #[test]
        fn any_text_ends_without_a_panic(query in "\\PC{0,80}", body in "[%&=+a-f0-9.]{0,80}") {
            let _ = Parameters::parse(&query, &body);
        }
    }

    #[test]
    fn debug_shows_no_values() {
        let parameters = Parameters::parse("", "WebIdentityToken=secret").unwrap();
        assert_eq!(format!("{parameters:?}"), r#"{"WebIdentityToken"}"#);
    }
}
