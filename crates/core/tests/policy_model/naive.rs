//! The policy language read straight from its JSON: slow, plain, and sharing nothing with the engine, not
//! even the pattern matcher. What AWS's guide says in a sentence is here a line or two.

use std::net::IpAddr;

use serde_json::Value as Json;
use wigeon_core::time::Timestamp;

/// The value of a condition key.
#[derive(Debug, Clone)]
pub(crate) enum Given {
    Text(String),
    Many(Vec<String>),
    /// ISO 8601 in whole seconds, UTC.
    Time(String),
    Number(i64),
    Flag(bool),
    Address(String),
}

#[derive(Debug, Clone)]
pub(crate) enum Who {
    Anonymous,
    Token { provider: String },
    Session { account: String, role: String, session: String, provider: Option<String> },
    User { account: String, arn: String },
    Root { account: String },
}

/// A request with all policies that bear on it.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) trust: Option<Json>,
    pub(crate) bucket: Option<Json>,
    pub(crate) identity: Vec<Json>,
    pub(crate) boundary: Option<Json>,
    pub(crate) session: Vec<Json>,
    pub(crate) who: Who,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) account: String,
    pub(crate) context: Vec<(String, Given)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Allow,
    ExplicitDeny,
    ImplicitDeny,
}

impl Case {
    pub(crate) fn decide(&self) -> Outcome {
        let resource = self.trust.as_ref().or(self.bucket.as_ref());
        let all = resource.into_iter().chain(&self.identity).chain(&self.boundary).chain(&self.session);
        if all.into_iter().any(|policy| self.any_applies(policy, "Deny")) {
            return Outcome::ExplicitDeny;
        }
        if self.is_allowed(resource) { Outcome::Allow } else { Outcome::ImplicitDeny }
    }

    fn is_allowed(&self, resource: Option<&Json>) -> bool {
        let named = |how: &str| {
            resource.is_some_and(|policy| {
                let version = version(policy);
                statements(policy).iter().any(|statement| {
                    self.applies(statement, version, "Allow") && self.named(statement).contains(&how)
                })
            })
        };
        let identity = self.identity.iter().any(|policy| self.any_applies(policy, "Allow"));
        let root = matches!(self.who, Who::Root { .. });
        let boundary = self.boundary.as_ref().is_none_or(|policy| self.any_applies(policy, "Allow"));
        let session =
            self.session.is_empty() || self.session.iter().any(|policy| self.any_applies(policy, "Allow"));
        let limits = boundary && session;
        let (itself, role, account) = (named("itself"), named("role"), named("account"));
        let Some(own) = self.own_account() else { return itself || role };
        if own != self.account {
            return (itself || role || account) && (identity || root) && limits;
        }
        if itself {
            return true;
        }
        if self.trust.is_some() {
            return (role || (account && (identity || root))) && limits;
        }
        (role || identity || root) && limits
    }

    fn own_account(&self) -> Option<&str> {
        match &self.who {
            Who::Anonymous | Who::Token { .. } => None,
            Who::Session { account, .. } | Who::User { account, .. } | Who::Root { account } => Some(account),
        }
    }

    fn any_applies(&self, policy: &Json, effect: &str) -> bool {
        statements(policy).iter().any(|statement| self.applies(statement, version(policy), effect))
    }

    /// Whether the statement has the effect and everything in it fits.
    pub(crate) fn applies(&self, statement: &Json, version: &str, effect: &str) -> bool {
        statement["Effect"] == effect
            && !self.named(statement).is_empty()
            && self.action_fits(statement)
            && self.resource_fits(statement, version)
            && self.conditions_hold(statement, version)
    }

    fn action_fits(&self, statement: &Json) -> bool {
        let action: Vec<char> = self.action.to_lowercase().chars().collect();
        let fits = |pattern: &String| glob(&symbols(&pattern.to_lowercase(), true, None), &action);
        match statement.get("Action") {
            Some(actions) => texts(actions).iter().any(fits),
            None => !texts(&statement["NotAction"]).iter().any(fits),
        }
    }

    fn resource_fits(&self, statement: &Json, version: &str) -> bool {
        let fits = |pattern: &String| self.arn_fits(pattern, version, &self.resource, true);
        match (statement.get("Resource"), statement.get("NotResource")) {
            (Some(resources), _) => texts(resources).iter().any(|pattern| fits(pattern) == Some(true)),
            (_, Some(except)) => texts(except).iter().all(|pattern| fits(pattern) == Some(false)),
            _ => true,
        }
    }

    /// Component by component; `None` if a variable has no value, or the pattern is not an ARN.
    fn arn_fits(&self, pattern: &str, version: &str, arn: &str, is_resource: bool) -> Option<bool> {
        if is_resource && pattern == "*" {
            return Some(true);
        }
        // Colons within braces do not separate.
        let mut parts = vec![String::new()];
        let mut depth = 0;
        for char in pattern.chars() {
            match char {
                '{' if version == "2012-10-17" => depth += 1,
                '}' if depth > 0 => depth -= 1,
                _ => {}
            }
            if char == ':' && depth == 0 && parts.len() < 6 {
                parts.push(String::new());
            } else {
                parts.last_mut().unwrap().push(char);
            }
        }
        if is_resource {
            parts.resize(6, "*".to_owned());
        } else if parts.len() < 6 {
            return None;
        }
        let given: Vec<&str> = arn.splitn(6, ':').collect();
        if !is_resource && given.len() < 6 {
            return None;
        }
        let mut all = given.len() == 6;
        for (number, part) in parts.iter().enumerate() {
            let symbols = self.substituted(part, version, true)?;
            all &= given.get(number).is_some_and(|given| glob(&symbols, &given.chars().collect::<Vec<_>>()));
        }
        Some(all)
    }

    /// How the statement names who asks; nothing if it does not.
    pub(crate) fn named(&self, statement: &Json) -> Vec<&'static str> {
        if let Some(principal) = statement.get("Principal") {
            let mut names = self.listed(principal);
            let everyone = *principal == "*" || texts(&principal["AWS"]).contains(&"*".to_owned());
            if everyone && statement["Effect"] == "Deny" {
                names.push("role");
            }
            return names;
        }
        let Some(except) = statement.get("NotPrincipal") else { return vec!["itself"] };
        let listed = self.listed(except);
        let everyone = *except == "*" || texts(&except["AWS"]).contains(&"*".to_owned());
        if statement["Effect"] == "Deny" {
            let spared = everyone || listed.contains(&"itself");
            return if spared { vec![] } else { vec!["itself"] };
        }
        match &self.who {
            _ if everyone || !listed.is_empty() => vec![],
            Who::Anonymous => vec!["itself"],
            Who::Token { .. } => vec![],
            _ => vec!["role"],
        }
    }

    fn listed(&self, principal: &Json) -> Vec<&'static str> {
        let aws = if *principal == "*" { vec!["*".to_owned()] } else { texts(&principal["AWS"]) };
        let federated = texts(&principal["Federated"]);
        let has = |name: &str| aws.iter().any(|listed| listed == name);
        let has_account = |account: &str| has(account) || has(&format!("arn:aws:iam::{account}:root"));
        let mut names = vec![];
        match &self.who {
            Who::Anonymous if has("*") => names.push("itself"),
            Who::Anonymous => {}
            Who::Token { provider } if federated.contains(provider) => names.push("itself"),
            Who::Token { .. } => {}
            Who::Session { account, role, session, provider } => {
                if has(session) {
                    names.push("itself");
                }
                let vouched = provider.as_ref().is_some_and(|provider| federated.contains(provider));
                if has(role) || has("*") || vouched {
                    names.push("role");
                }
                if has_account(account) {
                    names.push("account");
                }
            }
            Who::User { account, arn } => {
                if has(arn) {
                    names.push("itself");
                }
                if has("*") {
                    names.push("role");
                }
                if has_account(account) {
                    names.push("account");
                }
            }
            Who::Root { account } => {
                if has_account(account) {
                    names.push("itself");
                }
                if has("*") {
                    names.push("role");
                }
            }
        }
        names
    }

    fn conditions_hold(&self, statement: &Json, version: &str) -> bool {
        let Some(conditions) = statement["Condition"].as_object() else { return true };
        conditions.iter().all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, values)| {
                let values: Vec<String> = match values {
                    Json::Array(items) => items.iter().map(scalar).collect(),
                    one => vec![scalar(one)],
                };
                self.condition_holds(operator, key, &values, version)
            })
        })
    }

    fn value(&self, key: &str) -> Option<&Given> {
        self.context
            .iter()
            .find(|(name, _)| name.to_lowercase() == key.to_lowercase())
            .map(|(_, value)| value)
    }

    fn condition_holds(&self, operator: &str, key: &str, expected: &[String], version: &str) -> bool {
        let given = match self.value(key) {
            Some(Given::Many(many)) if many.is_empty() => None,
            other => other,
        };
        if operator == "Null" {
            return expected.contains(&given.is_none().to_string());
        }
        let (quantifier, rest) = operator.split_once(':').unwrap_or(("", operator));
        let if_exists = rest.ends_with("IfExists");
        let base = rest.trim_end_matches("IfExists");
        let negated = base.contains("Not");
        let Some(given) = given else {
            return if_exists
                || match quantifier {
                    "ForAllValues" => true,
                    "ForAnyValue" => false,
                    _ => negated,
                };
        };
        let passes = |given: &Given| {
            let compare =
                |expected: &String| self.compare(&base.replace("Not", ""), expected, given, version);
            if negated {
                expected.iter().all(|value| compare(value) == Some(false))
            } else {
                expected.iter().any(|value| compare(value) == Some(true))
            }
        };
        match (quantifier, given) {
            ("", Given::Many(_)) => false,
            ("ForAllValues", Given::Many(many)) => {
                many.iter().all(|value| passes(&Given::Text(value.clone())))
            }
            ("ForAnyValue", Given::Many(many)) => {
                many.iter().any(|value| passes(&Given::Text(value.clone())))
            }
            _ => passes(given),
        }
    }

    /// `None` if the two cannot be compared.
    fn compare(&self, operator: &str, expected: &str, given: &Given, version: &str) -> Option<bool> {
        let text = written(given);
        let plain = |lower: bool| -> Option<bool> {
            let fold = |text: &str| if lower { text.to_lowercase() } else { text.to_owned() };
            let symbols = self.substituted(expected, version, false)?;
            let literal: String = symbols.iter().map(|symbol| symbol.unwrap()).collect();
            Some(fold(&literal) == fold(&text))
        };
        match operator {
            "StringEquals" => plain(false),
            "StringEqualsIgnoreCase" => plain(true),
            "StringLike" => {
                let symbols = self.substituted(expected, version, true)?;
                Some(like(&symbols, &text.chars().collect::<Vec<_>>()))
            }
            "ArnEquals" | "ArnLike" => self.arn_fits(expected, version, &text, false),
            "Bool" => {
                let given = text.to_lowercase();
                ["true", "false"].contains(&given.as_str()).then(|| given == expected.to_lowercase())
            }
            "BinaryEquals" => Some(text == expected),
            "IpAddress" => match given {
                Given::Number(_) | Given::Time(_) => None,
                _ => Some(in_network(&bits(&text)?, expected)),
            },
            _ if operator.starts_with("Numeric") => {
                let given = match given {
                    Given::Time(_) | Given::Address(_) => return None,
                    _ => text.parse::<f64>().ok()?,
                };
                related(operator, given, expected.parse::<f64>().unwrap())
            }
            _ => {
                let given = match given {
                    Given::Address(_) => return None,
                    _ => seconds(&text)?,
                };
                related(operator, given, seconds(expected).unwrap())
            }
        }
    }

    /// The text as symbols: `Some` character, `None` for an asterisk; a question mark is '\u{0}'. What comes
    /// from a variable is characters only.
    fn substituted(&self, text: &str, version: &str, wildcards: bool) -> Option<Vec<Option<char>>> {
        if version != "2012-10-17" {
            return Some(symbols(text, wildcards, None));
        }
        let mut all = vec![];
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            all.extend(symbols(&rest[..start], wildcards, None));
            let end = start + rest[start..].find('}').unwrap();
            let inside = &rest[start + 2..end];
            let (key, default) = match inside.split_once(", ") {
                Some((key, default)) => (key, Some(default.trim_matches('\'').to_owned())),
                None => (inside, None),
            };
            let value = match (key, self.value(key)) {
                ("*" | "?" | "$", _) => key.to_owned(),
                (_, Some(Given::Many(_))) => return None,
                (_, Some(given)) => written(given),
                (_, None) => default?,
            };
            all.extend(value.chars().map(Some));
            rest = &rest[end + 1..];
        }
        all.extend(symbols(rest, wildcards, None));
        Some(all)
    }
}

const ANY_CHAR: char = '\u{0}';

fn symbols(text: &str, wildcards: bool, none: Option<char>) -> Vec<Option<char>> {
    let symbol = |char| match char {
        '*' if wildcards => none,
        '?' if wildcards => Some(ANY_CHAR),
        other => Some(other),
    };
    text.chars().map(symbol).collect()
}

fn like(pattern: &[Option<char>], text: &[char]) -> bool {
    glob(pattern, text)
}

fn glob(pattern: &[Option<char>], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((None, rest)) => (0..=text.len()).any(|taken| glob(rest, &text[taken..])),
        Some((Some(ANY_CHAR), rest)) => !text.is_empty() && glob(rest, &text[1..]),
        Some((Some(char), rest)) => text.first() == Some(char) && glob(rest, &text[1..]),
    }
}

fn related(operator: &str, given: f64, expected: f64) -> Option<bool> {
    let relation = operator.trim_start_matches("Numeric").trim_start_matches("Date");
    Some(match relation {
        "Equals" => given == expected,
        "LessThan" => given < expected,
        "LessThanEquals" => given <= expected,
        "GreaterThan" => given > expected,
        "GreaterThanEquals" => given >= expected,
        other => panic!("{other}"),
    })
}

fn seconds(text: &str) -> Option<f64> {
    match text.parse::<i64>() {
        Ok(seconds) if text.len() != 4 && !text.starts_with('+') => Some(seconds as f64),
        Ok(_) => format!("{text}-01-01T00:00:00Z").parse::<Timestamp>().ok().map(|at| at.as_second() as f64),
        Err(_) => text.parse::<Timestamp>().ok().map(|at| at.as_second() as f64),
    }
}

/// An address as a text of zeros and ones: 32 of them or 128.
fn bits(text: &str) -> Option<String> {
    Some(match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V4(address) => address.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        IpAddr::V6(address) => address.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
    })
}

fn in_network(given: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap_or((network, "128"));
    let base = bits(base).unwrap();
    let length = length.parse::<usize>().unwrap().min(base.len());
    base.len() == given.len() && base[..length] == given[..length]
}

/// A value as text.
pub(crate) fn written(given: &Given) -> String {
    match given {
        Given::Text(text) | Given::Time(text) => text.clone(),
        Given::Number(number) => number.to_string(),
        Given::Flag(flag) => flag.to_string(),
        Given::Address(address) => address.parse::<IpAddr>().unwrap().to_canonical().to_string(),
        Given::Many(_) => unreachable!("many values have no one text"),
    }
}

fn scalar(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn texts(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) => vec![text.clone()],
        Json::Array(items) => items.iter().map(scalar).collect(),
        _ => vec![],
    }
}

pub(crate) fn version(policy: &Json) -> &str {
    policy["Version"].as_str().unwrap_or("2008-10-17")
}

pub(crate) fn statements(policy: &Json) -> Vec<&Json> {
    match &policy["Statement"] {
        Json::Array(statements) => statements.iter().collect(),
        one => vec![one],
    }
}
