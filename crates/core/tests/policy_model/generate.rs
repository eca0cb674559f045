//! Policies and requests made from a tape of bytes: each choice takes one, zero is the simplest. So a
//! failing case shrinks with its tape. The vocabulary is small, to make agreement and near misses common.

use serde_json::{Map, Value as Json, json};

use super::naive::{Case, Given, Who};

const ACCOUNT: &str = "111122223333";
const OTHER: &str = "999999999999";
const ROLE: &str = "arn:aws:iam::111122223333:role/r";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/r/a";
const USER: &str = "arn:aws:iam::111122223333:user/bob";
const PROVIDER: &str = "arn:aws:iam::111122223333:oidc-provider/idp.example";

const ACTIONS: &[&str] =
    &["s3:GetObject", "s3:GetObjectAcl", "s3:PutObject", "s3:ListBucket", "sts:AssumeRole"];
const RESOURCES: &[&str] = &[
    "arn:aws:s3:::b/a",
    "arn:aws:s3:::b",
    "arn:aws:s3:::b/a/c",
    "arn:aws:s3:::b/*/é",
    "arn:aws:s3:::b/*",
    "arn:aws:iam::111122223333:role/a:b",
    "*",
];
const KEYS: &[&str] = &["aws:username", "k:one", "k:two", "k:Three", "k:four/x"];
const TEXTS: &[&str] =
    &["a", "*", "b", "A", "ab", "*", "a*", "a/c", "é", "É", "", "1", "2.5", "true", "b/a", ROLE];
const TIMES: &[&str] = &["2026-11-23T00:00:00Z", "2026-11-23T00:00:01Z", "2026-01-01T00:00:00Z"];
const ADDRESSES: &[&str] = &["10.0.0.1", "10.128.0.1", "2001:db8::1", "::ffff:10.0.0.1"];

pub(crate) struct Tape<'t> {
    bytes: std::slice::Iter<'t, u8>,
}

impl<'t> Tape<'t> {
    pub(crate) fn new(bytes: &'t [u8]) -> Self {
        Self { bytes: bytes.iter() }
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(*byte)) % end
    }

    /// Once in `of` times.
    pub(crate) fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// One to `most` of what `make` makes, as policies write it: alone or in a list.
    pub(crate) fn list(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> Json) -> Json {
        match self.below(most + 1) {
            0 => make(self),
            many => (0..many).map(|_| make(self)).collect(),
        }
    }

    pub(crate) fn case(&mut self) -> Case {
        let is_trust = self.once_in(4);
        let policies = |tape: &mut Self, most: usize, kind: Kind| -> Vec<Json> {
            (0..tape.below(most + 1)).map(|_| tape.policy(kind)).collect()
        };
        Case {
            trust: is_trust.then(|| self.policy(Kind::Trust)),
            bucket: if is_trust { None } else { policies(self, 1, Kind::Bucket).pop() },
            identity: policies(self, 2, Kind::Identity),
            boundary: if self.once_in(3) { Some(self.policy(Kind::Identity)) } else { None },
            session: if self.once_in(3) { policies(self, 2, Kind::Identity) } else { vec![] },
            who: self.who(),
            action: self.action(is_trust),
            resource: self.pick(RESOURCES).to_owned(),
            account: if self.once_in(5) { OTHER } else { ACCOUNT }.to_owned(),
            context: self.context(),
        }
    }

    fn action(&mut self, is_trust: bool) -> String {
        let action = if is_trust && !self.once_in(5) { "sts:AssumeRole" } else { self.pick(ACTIONS) };
        if self.once_in(4) { action.to_uppercase() } else { action.to_owned() }
    }

    fn who(&mut self) -> Who {
        let account = if self.once_in(8) { OTHER } else { ACCOUNT }.to_owned();
        match self.below(8) {
            0..4 => Who::Session {
                account,
                role: ROLE.to_owned(),
                session: SESSION.to_owned(),
                provider: self.once_in(2).then(|| PROVIDER.to_owned()),
            },
            4 => Who::User { account, arn: USER.to_owned() },
            5 => Who::Token { provider: PROVIDER.to_owned() },
            6 => Who::Anonymous,
            _ => Who::Root { account },
        }
    }

    fn context(&mut self) -> Vec<(String, Given)> {
        let mut context: Vec<(String, Given)> = vec![];
        for key in KEYS {
            if self.once_in(3) {
                continue;
            }
            let key = if self.once_in(4) { key.to_uppercase() } else { (*key).to_owned() };
            let value = match self.below(10) {
                0..4 => Given::Text(self.text()),
                4 | 5 => Given::Many((0..self.below(3)).map(|_| self.text()).collect()),
                6 => Given::Time(self.pick(TIMES).to_owned()),
                7 => Given::Number(self.pick(&[1, 2, -1, 1_795_392_000])),
                8 => Given::Flag(self.once_in(2)),
                _ => Given::Address(self.pick(ADDRESSES).to_owned()),
            };
            context.push((key, value));
        }
        context
    }

    fn text(&mut self) -> String {
        match self.below(8) {
            0..6 => self.pick(TEXTS),
            6 => self.pick(TIMES),
            _ => self.pick(ADDRESSES),
        }
        .to_owned()
    }

    fn policy(&mut self, kind: Kind) -> Json {
        let version = if self.once_in(8) { "2008-10-17" } else { "2012-10-17" };
        let count = 1 + self.below(3);
        let statements: Vec<Json> = (0..count).map(|_| self.statement(kind, version)).collect();
        json!({"Version": version, "Statement": statements})
    }

    fn statement(&mut self, kind: Kind, version: &str) -> Json {
        let mut statement = Map::new();
        let effect = if self.once_in(4) { "Deny" } else { "Allow" };
        statement.insert("Effect".to_owned(), json!(effect));
        if kind != Kind::Identity {
            let negated = self.once_in(8) && (kind == Kind::Bucket || effect == "Deny");
            let principal = self.principals();
            statement.insert(if negated { "NotPrincipal" } else { "Principal" }.to_owned(), principal);
        }
        let name = if self.once_in(6) { "NotAction" } else { "Action" };
        statement.insert(name.to_owned(), self.list(3, |tape| json!(tape.action_pattern(kind))));
        if kind != Kind::Trust {
            let name = if self.once_in(6) { "NotResource" } else { "Resource" };
            let resources = self.list(3, |tape| json!(tape.resource_pattern(kind, version)));
            statement.insert(name.to_owned(), resources);
        }
        let mut conditions = Map::new();
        for _ in 0..self.below(3) {
            let (operator, values) = self.condition(version);
            let key = self.pick(KEYS);
            let key = if self.once_in(4) { key.to_lowercase() } else { key.to_owned() };
            conditions.insert(operator, json!({key: values}));
        }
        if !conditions.is_empty() {
            statement.insert("Condition".to_owned(), Json::Object(conditions));
        }
        Json::Object(statement)
    }

    fn principals(&mut self) -> Json {
        if self.once_in(6) {
            return json!("*");
        }
        let root = "arn:aws:iam::111122223333:root";
        match self.below(4) {
            0..3 => {
                json!({"AWS": self.list(2, |tape| json!(tape.pick(&[ROLE, SESSION, ACCOUNT, root, USER, "*", OTHER])))})
            }
            _ => {
                json!({"Federated": self.list(1, |tape| json!(tape.pick(&[PROVIDER, "accounts.google.com"])))})
            }
        }
    }

    fn action_pattern(&mut self, kind: Kind) -> String {
        if kind == Kind::Trust {
            return self.pick(&["sts:AssumeRole", "sts:*", "STS:assume*", "sts:TagSession"]).to_owned();
        }
        if self.once_in(6) {
            return "*".to_owned();
        }
        let action = self.pick(ACTIONS);
        let (service, name) = action.split_once(':').unwrap();
        let pattern = format!("{service}:{}", self.blurred(name));
        if self.once_in(3) { pattern.to_lowercase() } else { pattern }
    }

    /// A text with some of its characters replaced by wildcards.
    pub(crate) fn blurred(&mut self, text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut blurred = chars.clone();
        match self.below(6) {
            0 => {}
            1 => blurred = chars[..self.below(chars.len())].iter().copied().chain(['*']).collect(),
            2 => blurred[self.below(chars.len())] = '?',
            3 => {
                let from = self.below(chars.len());
                let to = from + self.below(chars.len() - from);
                blurred.splice(from..to, ['*']);
            }
            4 => {
                let from = self.below(chars.len());
                blurred = ['*'].into_iter().chain(chars[from..].iter().copied()).collect();
                if self.once_in(2) {
                    blurred.push('*');
                }
            }
            _ => {
                let at = self.below(chars.len());
                blurred.splice(at..at, "*?".chars());
            }
        }
        blurred.into_iter().collect()
    }

    fn variable(&mut self) -> String {
        match self.below(6) {
            0..3 => format!("${{{}}}", self.pick(KEYS)),
            3 => format!("${{{}, '{}'}}", self.pick(KEYS), self.pick(&["a", "*", "b"])),
            4 => "${missing}".to_owned(),
            _ => self.pick(&["${*}", "${?}", "${$}"]).to_owned(),
        }
    }

    fn resource_pattern(&mut self, kind: Kind, version: &str) -> String {
        let resource = self.pick(RESOURCES);
        if resource == "*" {
            let patterns =
                ["*", "arn:aws:s3:::*", "arn:*:s3:*:*:b/*", "arn:aws:*:*:*:*", "arn:aws:s*", "arn:aws:s3"];
            // Only identity policies may leave components out.
            let end = if kind == Kind::Bucket { patterns.len() - 1 } else { patterns.len() };
            return self.pick(&patterns[..end]).to_owned();
        }
        let (leading, last) = resource.rsplit_once(":::").or_else(|| resource.split_once("3:r")).unwrap();
        let separator = &resource[leading.len()..resource.len() - last.len()];
        let mut last = self.blurred(last);
        if self.once_in(3) && version == "2012-10-17" {
            let variable = self.variable();
            last = match self.below(3) {
                0 => format!("b/{variable}"),
                1 => format!("b/{variable}/*"),
                _ => format!("b/*{variable}"),
            };
        }
        format!("{leading}{separator}{last}")
    }

    fn condition(&mut self, version: &str) -> (String, Json) {
        if self.once_in(10) {
            return ("Null".to_owned(), json!(self.pick(&["true", "false"])));
        }
        let (base, kind) = self.pick(OPERATORS);
        let quantifier = self.pick(&["", "", "ForAllValues:", "ForAnyValue:"]);
        let suffix = if self.once_in(4) { "IfExists" } else { "" };
        let values = self.list(2, |tape| match kind {
            Operand::Text if tape.once_in(4) && version == "2012-10-17" => {
                json!(format!("{}{}", tape.pick(&["", "a", "*"]), tape.variable()))
            }
            Operand::Text => {
                let text = tape.text();
                json!(if text.is_empty() { text } else { tape.blurred(&text) })
            }
            Operand::Arn => {
                json!(tape.pick(&[ROLE, "arn:aws:iam::*:role/*", "arn:*:*:*:*:*", "arn:aws:iam:*", "*", "a"]))
            }
            Operand::Number => tape.pick(&[1.0, 2.5, -1.0, 1_795_392_000.0]).into(),
            Operand::Date => json!(tape.pick(&["2026-11-23T00:00:00Z", "1795392000", "2026"])),
            Operand::Flag => json!(tape.pick(&["true", "FALSE"])),
            Operand::Binary => json!(tape.pick(&["AQID", "AQIE"])),
            Operand::Network => {
                json!(tape.pick(&["10.0.0.0/9", "10.0.0.1", "::/0", "2001:db8::/32", "0.0.0.0/0"]))
            }
        });
        (format!("{quantifier}{base}{suffix}"), values)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Identity,
    Bucket,
    Trust,
}

#[derive(Clone, Copy)]
enum Operand {
    Text,
    Arn,
    Number,
    Date,
    Flag,
    Binary,
    Network,
}

const OPERATORS: &[(&str, Operand)] = &[
    ("StringEquals", Operand::Text),
    ("StringLike", Operand::Text),
    ("StringNotEquals", Operand::Text),
    ("StringNotLike", Operand::Text),
    ("StringEqualsIgnoreCase", Operand::Text),
    ("StringNotEqualsIgnoreCase", Operand::Text),
    ("ArnLike", Operand::Arn),
    ("ArnEquals", Operand::Arn),
    ("ArnNotLike", Operand::Arn),
    ("ArnNotEquals", Operand::Arn),
    ("NumericEquals", Operand::Number),
    ("NumericNotEquals", Operand::Number),
    ("NumericLessThan", Operand::Number),
    ("NumericLessThanEquals", Operand::Number),
    ("NumericGreaterThan", Operand::Number),
    ("NumericGreaterThanEquals", Operand::Number),
    ("DateEquals", Operand::Date),
    ("DateNotEquals", Operand::Date),
    ("DateLessThan", Operand::Date),
    ("DateLessThanEquals", Operand::Date),
    ("DateGreaterThan", Operand::Date),
    ("DateGreaterThanEquals", Operand::Date),
    ("Bool", Operand::Flag),
    ("BinaryEquals", Operand::Binary),
    ("IpAddress", Operand::Network),
    ("NotIpAddress", Operand::Network),
];
