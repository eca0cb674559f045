//! What a policy says that can hardly be meant: patterns and conditions that never match, and doors that stand
//! open.
//!
//! Enters: a document that parses, and the issuers that are known. Leaves: [`Finding`]s, each with what to
//! change. Refuses nothing: a policy with findings is still a policy.

use std::fmt;

use super::condition::Condition;
use super::context::Context;
use super::document::Document;
use super::kind::{Effect, Kind};
use super::pattern::Case;
use super::statement::Statement;
use super::vocabulary as known;
use crate::arn::{Arn, without_scheme};

/// Something to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The statement: its Sid, or `Statement[N]`.
    pub statement: String,
    /// What kind of thing.
    pub rule: Rule,
    /// What it is, and what to write.
    pub message: String,
}

/// The kinds of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// No action matches.
    UnknownAction,
    /// No such condition key, so the condition never holds (or, negated, always).
    UnknownKey,
    /// A provider, or the keys of one, that is not registered.
    UnknownIssuer,
    /// The keys of another provider than the one whose tokens are let in.
    ForeignKey,
    /// A principal that no action of the statement lets in.
    WrongAction,
    /// A web identity is let in whatever its token is for.
    NoAudience,
    /// A web identity is let in whoever it is.
    EverySubject,
    /// Everyone is a principal.
    Everyone,
    /// A key with many values, and an operator without a quantifier.
    NoQuantifier,
    /// `ForAllValues:` also holds where the key is absent.
    HoldsWhenAbsent,
    /// A `*` or `?` that the operator takes literally.
    LiteralWildcard,
    /// Actions on objects with the ARNs of buckets, or the other way round.
    WrongResource,
    /// `${…}` in a policy of the version before there were variables.
    NoVariables,
}

impl Rule {
    /// The name in output: `unknown-action`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownAction => "unknown-action",
            Self::UnknownKey => "unknown-key",
            Self::UnknownIssuer => "unknown-issuer",
            Self::ForeignKey => "foreign-key",
            Self::WrongAction => "wrong-action",
            Self::NoAudience => "no-audience",
            Self::EverySubject => "every-subject",
            Self::Everyone => "everyone",
            Self::NoQuantifier => "no-quantifier",
            Self::HoldsWhenAbsent => "holds-when-absent",
            Self::LiteralWildcard => "literal-wildcard",
            Self::WrongResource => "wrong-resource",
            Self::NoVariables => "no-variables",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {} ({})", self.statement, self.message, self.rule.name())
    }
}

/// Looks through a document. `issuers`: those of the registered providers, with or without `https://`; `None`
/// where they are not known.
#[must_use]
pub fn lint(document: &Document, issuers: Option<&[&str]>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for statement in document.statements() {
        let mut add = |rule, message: String| {
            findings.push(Finding { statement: statement.to_string(), rule, message });
        };
        actions(statement, &mut add);
        resources(statement, &mut add);
        for condition in statement.conditions() {
            key(condition, issuers, &mut add);
            operator(condition, statement.effect(), &mut add);
        }
        if document.kind() == Kind::Trust && statement.effect() == Effect::Allow {
            trust(statement, issuers, &mut add);
        }
    }
    if document.text().contains("${") && !document.text().contains("2012-10-17") {
        let message = "`${…}` is plain text without `\"Version\": \"2012-10-17\"`: add it";
        findings.push(Finding {
            statement: "policy".to_owned(),
            rule: Rule::NoVariables,
            message: message.to_owned(),
        });
    }
    findings
}

fn actions(statement: &Statement, add: &mut impl FnMut(Rule, String)) {
    let none = Context::new();
    for pattern in &statement.actions.patterns {
        let text = pattern.text();
        let Some((service, _)) = text.split_once(':') else { continue };
        let matches = |name: &str| {
            let action = format!("{}:{name}", service.to_lowercase());
            pattern.matches(&action, Case::AsciiIgnored, &none) == Some(true)
        };
        let names: Vec<&&str> = match service.to_lowercase().as_str() {
            "s3" => [known::S3_ON_OBJECTS, known::S3_ON_BUCKETS, known::S3_ON_OTHERS]
                .into_iter()
                .flatten()
                .collect(),
            "iam" => known::IAM.iter().collect(),
            "sts" => known::STS.iter().collect(),
            service if service.contains(['*', '?']) => continue,
            _ => {
                add(
                    Rule::UnknownAction,
                    format!("`{text}` is an action of a service that is not served here"),
                );
                continue;
            }
        };
        if !names.iter().any(|name| matches(name)) {
            let hint =
                nearest(text.split_once(':').map_or("", |(_, name)| name), names.iter().map(|name| **name));
            let hint = hint.map(|name| format!(": is `{service}:{name}` meant?")).unwrap_or_default();
            add(Rule::UnknownAction, format!("`{text}` matches no action{hint}"));
        }
    }
}

fn resources(statement: &Statement, add: &mut impl FnMut(Rule, String)) {
    let Some(resources) = statement.resources.as_ref().filter(|resources| !resources.negated) else { return };
    if statement.actions.negated {
        return;
    }
    let covers = |names: &[&str]| names.iter().any(|name| statement.actions.cover(&format!("s3:{name}")));
    let s3_only =
        statement.actions.patterns.iter().all(|pattern| pattern.text().to_lowercase().starts_with("s3:"));
    let (objects, buckets) = (covers(known::S3_ON_OBJECTS), covers(known::S3_ON_BUCKETS));
    if !s3_only || covers(known::S3_ON_OTHERS) || objects == buckets {
        return;
    }
    // A pattern that could be either is somebody's intention.
    let plain = |text: &str| {
        text.strip_prefix("arn:aws:s3:::").filter(|rest| !rest.contains("${")).map(str::to_owned)
    };
    let of_objects = |rest: &str| rest.contains('/');
    let of_buckets = |rest: &str| !rest.contains('/') && !rest.contains('*');
    let texts: Vec<String> = resources.patterns.iter().filter_map(|pattern| plain(pattern.text())).collect();
    let all = texts.len() == resources.patterns.len();
    if all && objects && texts.iter().all(|rest| of_buckets(rest)) {
        let bucket = texts.first().map(String::as_str).unwrap_or_default();
        add(
            Rule::WrongResource,
            format!("its actions are on objects, its resources are buckets: write `arn:aws:s3:::{bucket}/*`"),
        );
    }
    if all && buckets && texts.iter().all(|rest| of_objects(rest)) {
        let bucket = texts.first().and_then(|rest| rest.split('/').next()).unwrap_or_default();
        add(
            Rule::WrongResource,
            format!("its actions are on buckets, its resources are objects: write `arn:aws:s3:::{bucket}`"),
        );
    }
}

fn key(condition: &Condition, issuers: Option<&[&str]>, add: &mut impl FnMut(Rule, String)) {
    let key = condition.key();
    let Some((prefix, name)) = key.rsplit_once(':') else {
        add(
            Rule::UnknownKey,
            format!("`{key}` is not a condition key: it needs a service or an issuer before a colon"),
        );
        return;
    };
    // A tag's key may have a colon in it.
    let (prefix, name) = match key.split_once(':') {
        Some((service @ ("aws" | "s3" | "sts" | "iam"), rest)) => (service, rest),
        _ => (prefix, name),
    };
    let names = match prefix.to_lowercase().as_str() {
        "aws" => known::AWS_KEYS,
        "s3" => known::S3_KEYS,
        "sts" => known::STS_KEYS,
        "iam" => known::IAM_KEYS,
        "jwt" => return,
        "oidc" | "openid" => {
            add(
                Rule::UnknownKey,
                format!(
                    "`{key}` names no provider: write the issuer without `https://` in place of `{prefix}`, as in `idp.example/realms/x:{name}`"
                ),
            );
            return;
        }
        _ => return issuer(key, prefix, name, issuers, add),
    };
    let lower = name.to_lowercase();
    let fits = |known: &&str| match known.strip_suffix('/') {
        Some(_) => lower.len() > known.len() && lower.starts_with(&known.to_lowercase()),
        None => lower == known.to_lowercase(),
    };
    if !names.iter().any(fits) {
        let hint = nearest(name, names.iter().copied());
        let hint = hint.map(|name| format!(": is `{prefix}:{name}` meant?")).unwrap_or_default();
        add(Rule::UnknownKey, format!("there is no condition key `{key}`{hint}"));
    }
}

fn issuer(key: &str, prefix: &str, name: &str, issuers: Option<&[&str]>, add: &mut impl FnMut(Rule, String)) {
    if without_scheme(prefix) != prefix {
        add(
            Rule::UnknownIssuer,
            format!(
                "`{key}` never matches: write the issuer without its scheme, `{}:{name}`",
                without_scheme(prefix)
            ),
        );
        return;
    }
    if known::OPAQUE_ISSUERS.contains(&prefix.to_lowercase().as_str())
        && !known::OPAQUE_KEYS
            .iter()
            .any(|(issuer, key)| issuer.eq_ignore_ascii_case(prefix) && key.eq_ignore_ascii_case(name))
    {
        let of_issuer = known::OPAQUE_KEYS.iter().filter(|(issuer, _)| issuer.eq_ignore_ascii_case(prefix));
        let keys: Vec<String> = of_issuer.map(|(issuer, key)| format!("`{issuer}:{key}`")).collect();
        add(Rule::UnknownKey, format!("`{key}` is never there: this service has {}", keys.join(" and ")));
        return;
    }
    let Some(issuers) = issuers else { return };
    let mut standing = issuers.iter().map(|issuer| without_scheme(issuer));
    if !registered(issuers, prefix) {
        let bare = |text: &str| text.trim_end_matches('/').to_lowercase();
        let meant = standing
            .clone()
            .find(|issuer| bare(issuer) == bare(prefix))
            .or_else(|| nearest(prefix, &mut standing));
        let hint = meant.map(|issuer| format!(": is `{issuer}:{name}` meant?")).unwrap_or_default();
        add(Rule::UnknownIssuer, format!("`{key}`: no provider is registered as `{prefix}`{hint}"));
    }
}

fn operator(condition: &Condition, effect: Effect, add: &mut impl FnMut(Rule, String)) {
    let (operator, key) = (condition.operator(), condition.key());
    let lower = operator.to_lowercase();
    let plain = lower.rsplit(':').next().unwrap_or_default();
    let many =
        known::MANY_VALUED.contains(&key.to_lowercase().as_str()) || key.to_lowercase().ends_with(":amr");
    if many && !lower.contains(':') && lower != "null" {
        add(Rule::NoQuantifier, format!("`{key}` may have many values: write `ForAnyValue:{operator}`"));
    }
    if lower.starts_with("forallvalues:") && effect == Effect::Allow {
        add(
            Rule::HoldsWhenAbsent,
            format!(
                "`{operator}` on `{key}` also holds where the key is absent: add `\"Null\": {{\"{key}\": \"false\"}}`"
            ),
        );
    }
    let literal = matches!(
        plain.trim_end_matches("ifexists"),
        "stringequals" | "stringnotequals" | "stringequalsignorecase" | "stringnotequalsignorecase"
    );
    let wildcard = condition.values().iter().find(|value| value.contains('*') && !value.contains("${*}"));
    if let Some(value) = wildcard.filter(|_| literal) {
        let like = operator.replace("EqualsIgnoreCase", "Like").replace("Equals", "Like");
        add(
            Rule::LiteralWildcard,
            format!("`{operator}` takes the `*` of `{value}` literally: write `{like}`"),
        );
    }
}

fn trust(statement: &Statement, issuers: Option<&[&str]>, add: &mut impl FnMut(Rule, String)) {
    let Some(principals) = &statement.principals else { return };
    if principals.everyone() || principals.negated() {
        add(Rule::Everyone, "everyone is trusted: name the principals".to_owned());
    }
    let federated: Vec<String> = principals.federated().map(issuer_of).collect();
    if !statement.actions.cover("sts:AssumeRoleWithWebIdentity") {
        if let Some(issuer) = federated.first() {
            let message =
                format!("tokens of `{issuer}` come by `sts:AssumeRoleWithWebIdentity`: add this action");
            add(Rule::WrongAction, message);
        }
        return;
    }
    for condition in statement.conditions() {
        foreign_key(condition, &federated, add);
    }
    for issuer in federated {
        if issuers.is_some_and(|known| !registered(known, &issuer)) {
            let message =
                format!("no provider is registered as `{issuer}`: nobody comes in by this statement");
            add(Rule::UnknownIssuer, message);
        }
        let of_issuer = |condition: &Condition| {
            let (prefix, name) = condition.key().rsplit_once(':')?;
            prefix.eq_ignore_ascii_case(&issuer).then(|| name.to_lowercase())
        };
        let limits = |condition: &&Condition| {
            let operator = condition.operator().to_lowercase();
            !operator.contains("not")
                && !operator.contains("null")
                && !operator.ends_with("ifexists")
                && !condition.values().iter().any(|value| value == "*")
        };
        let named: Vec<String> = statement.conditions().iter().filter(limits).filter_map(of_issuer).collect();
        if !named.iter().any(|name| matches!(name.as_str(), "aud" | "oaud" | "app_id")) {
            let key = if known::OPAQUE_ISSUERS.contains(&issuer.as_str()) { "app_id" } else { "aud" };
            add(
                Rule::NoAudience,
                format!(
                    "a token for any audience is let in: add `\"StringEquals\": {{\"{issuer}:{key}\": \"CLIENT-ID\"}}`"
                ),
            );
        }
        if !named.iter().any(|name| !matches!(name.as_str(), "aud" | "oaud" | "app_id")) {
            let key = match issuer.as_str() {
                "www.amazon.com" => "user_id",
                "graph.facebook.com" => "id",
                _ => "sub",
            };
            add(
                Rule::EverySubject,
                format!(
                    "everyone with an account at the provider is let in: add a condition on `{issuer}:{key}` or on another claim, unless that is meant"
                ),
            );
        }
    }
}

/// What a federated principal is called in keys: the issuer without its scheme, or the name of a service.
fn issuer_of(provider: &str) -> String {
    let arn = provider.parse::<Arn>().ok();
    let named = arn.as_ref().and_then(|arn| arn.resource_of_type("oidc-provider"));
    named.unwrap_or(provider).to_owned()
}

fn registered(issuers: &[&str], name: &str) -> bool {
    issuers.iter().any(|issuer| without_scheme(issuer).eq_ignore_ascii_case(name))
}

/// A key of an issuer whose tokens the statement does not let in: none of them carries it.
fn foreign_key(condition: &Condition, federated: &[String], add: &mut impl FnMut(Rule, String)) {
    let key = condition.key();
    let service = |service: &str| matches!(service, "aws" | "s3" | "sts" | "iam" | "jwt" | "oidc" | "openid");
    if federated.is_empty() || key.split_once(':').is_some_and(|(prefix, _)| service(&prefix.to_lowercase()))
    {
        return;
    }
    let Some((prefix, _)) = key.rsplit_once(':') else { return };
    if without_scheme(prefix) == prefix && !federated.iter().any(|issuer| issuer.eq_ignore_ascii_case(prefix))
    {
        let issuers = federated.join("`, `");
        add(Rule::ForeignKey, format!("`{key}` is in no token of `{issuers}`"));
    }
}

/// The known word that differs in two letters at most.
fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let lower = word.to_lowercase();
    let near = names.map(|name| (distance(&lower, &name.to_lowercase()), name));
    near.filter(|(distance, _)| *distance <= 2).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters must be inserted, left out or exchanged (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (column, known) in other.iter().enumerate() {
            let above = row.get(column + 1).copied().unwrap_or(usize::MAX);
            left = (diagonal + usize::from(letter != *known)).min(above + 1).min(left + 1);
            diagonal = above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
