//! Conditions: an operator, a key and the values it is held against.
//!
//! A comparison has three outcomes: it holds, it does not, or it cannot be made (a variable without a value,
//! a text that is not a number). What cannot be made never counts in favor of the condition, also where the
//! operator is negated. Refuses operators that do not exist and values that an operator cannot read.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for
//! multi-valued context keys".

use std::cmp::Ordering;
use std::net::IpAddr;

use super::arn_pattern::ArnPattern;
use super::context::{Keys, Single, Value};
use super::operand::{self, Network, Number};
use super::pattern::{Case, Pattern, PatternError, Syntax};
use crate::time::Timestamp;

/// One key of one operator: all of a statement's conditions must hold.
#[derive(Debug, Clone)]
pub struct Condition {
    operator: Operator,
    key: Box<str>,
    values: Box<[String]>,
    expected: Expected,
}

/// An operator as a policy names it.
#[derive(Debug, Clone)]
pub(super) struct Operator {
    written: Box<str>,
    base: Base,
    negated: bool,
    quantifier: Option<Quantifier>,
    if_exists: bool,
}

/// How a key with many values is held against the expected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    Every,
    Some,
}

/// An operator without its quantifier, its negation and `IfExists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Equals,
    EqualsIgnoreCase,
    Like,
    Arn,
    Number(Relation),
    Date(Relation),
    Flag,
    Binary,
    Address,
    Null,
}

/// What has to be true of the request's value, seen from the expected one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// Each operator's name in lower case, what it compares, and whether it is negated.
const OPERATORS: [(&str, Base, bool); 27] = [
    ("stringequals", Base::Equals, false),
    ("stringnotequals", Base::Equals, true),
    ("stringequalsignorecase", Base::EqualsIgnoreCase, false),
    ("stringnotequalsignorecase", Base::EqualsIgnoreCase, true),
    ("stringlike", Base::Like, false),
    ("stringnotlike", Base::Like, true),
    ("numericequals", Base::Number(Relation::Equal), false),
    ("numericnotequals", Base::Number(Relation::Equal), true),
    ("numericlessthan", Base::Number(Relation::Less), false),
    ("numericlessthanequals", Base::Number(Relation::LessOrEqual), false),
    ("numericgreaterthan", Base::Number(Relation::Greater), false),
    ("numericgreaterthanequals", Base::Number(Relation::GreaterOrEqual), false),
    ("dateequals", Base::Date(Relation::Equal), false),
    ("datenotequals", Base::Date(Relation::Equal), true),
    ("datelessthan", Base::Date(Relation::Less), false),
    ("datelessthanequals", Base::Date(Relation::LessOrEqual), false),
    ("dategreaterthan", Base::Date(Relation::Greater), false),
    ("dategreaterthanequals", Base::Date(Relation::GreaterOrEqual), false),
    ("bool", Base::Flag, false),
    ("binaryequals", Base::Binary, false),
    ("ipaddress", Base::Address, false),
    ("notipaddress", Base::Address, true),
    // AWS: ArnEquals and ArnLike behave identically.
    ("arnequals", Base::Arn, false),
    ("arnlike", Base::Arn, false),
    ("arnnotequals", Base::Arn, true),
    ("arnnotlike", Base::Arn, true),
    ("null", Base::Null, false),
];

impl Operator {
    /// Reads `ForAnyValue:StringLikeIfExists` and the like, in any case.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let (quantifier, rest) = match lower.split_once(':') {
            Some(("forallvalues", rest)) => (Some(Quantifier::Every), rest),
            Some(("foranyvalue", rest)) => (Some(Quantifier::Some), rest),
            Some(_) => return None,
            None => (None, lower.as_str()),
        };
        let (rest, if_exists) = match rest.strip_suffix("ifexists") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (_, base, negated) = *OPERATORS.iter().find(|(known, ..)| *known == rest)?;
        let decorated = quantifier.is_some() || if_exists;
        let operator = Self { written: name.into(), base, negated, quantifier, if_exists };
        (base != Base::Null || !decorated).then_some(operator)
    }
}

/// The expected values, each in the form that its operator compares.
#[derive(Debug, Clone)]
enum Expected {
    Equals(Box<[Pattern]>),
    EqualsIgnoreCase(Box<[Pattern]>),
    Like(Box<[Pattern]>),
    Arns(Box<[ArnPattern]>),
    Numbers(Relation, Box<[Number]>),
    Dates(Relation, Box<[Timestamp]>),
    Flags(Box<[bool]>),
    Binaries(Box<[Box<str>]>),
    Networks(Box<[Network]>),
    /// Whether the key must be absent.
    Absence(Box<[bool]>),
}

/// Why a value does not suit its operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConditionError {
    #[error("`{value}` is not {wanted}")]
    Value { value: String, wanted: &'static str },
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Condition {
    pub(super) fn parse(
        operator: Operator,
        key: &str,
        values: Vec<String>,
        variables: bool,
    ) -> Result<Self, ConditionError> {
        let text = Syntax { wildcards: false, variables };
        let like = Syntax { wildcards: true, variables };
        let patterns =
            |syntax| values.iter().map(|value| Pattern::parse(value, syntax)).collect::<Result<_, _>>();
        let expected = match operator.base {
            Base::Equals => Expected::Equals(patterns(text)?),
            Base::EqualsIgnoreCase => Expected::EqualsIgnoreCase(patterns(text)?),
            Base::Like => Expected::Like(patterns(like)?),
            Base::Arn => {
                let parse = |value: &String| ArnPattern::condition(value, variables);
                Expected::Arns(values.iter().map(parse).collect::<Result<_, _>>()?)
            }
            Base::Number(relation) => Expected::Numbers(relation, each(&values, Number::parse, "a number")?),
            Base::Date(relation) => {
                let wanted = "a date: write `2026-11-23T20:07:00Z`, or seconds since 1970";
                Expected::Dates(relation, each(&values, operand::date, wanted)?)
            }
            Base::Flag => Expected::Flags(each(&values, operand::flag, "`true` or `false`")?),
            Base::Binary => Expected::Binaries(each(&values, operand::binary, "base64")?),
            Base::Address => {
                let wanted = "an address or a range of addresses: write `203.0.113.0/24` or `2001:db8::/32`";
                Expected::Networks(each(&values, Network::parse, wanted)?)
            }
            Base::Null => Expected::Absence(each(&values, operand::flag, "`true` or `false`")?),
        };
        Ok(Self { operator, key: key.into(), values: values.into(), expected })
    }

    /// The operator as it was written.
    #[must_use]
    pub fn operator(&self) -> &str {
        &self.operator.written
    }

    /// The condition key as it was written.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values as they were written.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// Whether the condition holds for a request's keys.
    pub(super) fn holds(&self, context: &dyn Keys) -> bool {
        // A key with no values is an absent key.
        let value = context
            .value(&self.key)
            .filter(|value| !matches!(value, Value::Texts(texts) | Value::Any(texts) if texts.is_empty()));
        if let Expected::Absence(wanted) = &self.expected {
            return wanted.contains(&value.is_none());
        }
        let Some(value) = value else { return self.holds_for_absent_key() };
        match (self.operator.quantifier, value) {
            // A key with many values needs a quantifier, whatever the operator.
            (None, Value::Texts(_)) => false,
            (Some(Quantifier::Every), Value::Texts(texts) | Value::Any(texts)) => {
                texts.iter().all(|text| self.accepts(Single::Text(text), context))
            }
            (Some(Quantifier::Some), Value::Texts(texts) | Value::Any(texts)) => {
                texts.iter().any(|text| self.accepts(Single::Text(text), context))
            }
            (None, Value::Any(texts)) if self.operator.negated => {
                texts.iter().all(|text| self.accepts(Single::Text(text), context))
            }
            (None, Value::Any(texts)) => texts.iter().any(|text| self.accepts(Single::Text(text), context)),
            (_, single) => single.single().is_some_and(|single| self.accepts(single, context)),
        }
    }

    fn holds_for_absent_key(&self) -> bool {
        self.operator.if_exists
            || match self.operator.quantifier {
                None => self.operator.negated,
                Some(Quantifier::Every) => true,
                Some(Quantifier::Some) => false,
            }
    }

    /// Whether one value of the request passes: it compares with any expected value, or, negated, with none.
    fn accepts(&self, given: Single<'_>, context: &dyn Keys) -> bool {
        let negated = self.operator.negated;
        match &self.expected {
            Expected::Equals(patterns) | Expected::Like(patterns) => given.with_text(|text| {
                judge(negated, patterns, |pattern| pattern.matches(text, Case::Exact, context))
            }),
            Expected::EqualsIgnoreCase(patterns) => given.with_text(|text| {
                judge(negated, patterns, |pattern| pattern.equals_ignoring_case(text, context))
            }),
            Expected::Arns(arns) => given.with_text(|text| {
                let is_arn = text.bytes().filter(|byte| *byte == b':').count() >= 5;
                judge(negated, arns, |arn| is_arn.then(|| arn.matches(text, context))?)
            }),
            Expected::Numbers(relation, numbers) => {
                let given = number(given);
                judge(negated, numbers, |number| Some(relation.accepts(given?.compare(*number)?)))
            }
            Expected::Dates(relation, dates) => {
                let given = date(given);
                judge(negated, dates, |date| Some(relation.accepts(given?.cmp(date))))
            }
            Expected::Flags(flags) => {
                let given = given.with_text(operand::flag);
                judge(negated, flags, |flag| Some(given? == *flag))
            }
            Expected::Binaries(binaries) => given.with_text(|text| {
                let given = text.trim_end_matches('=');
                judge(negated, binaries, |binary| Some(**binary == *given))
            }),
            Expected::Networks(networks) => {
                let given = address(given);
                judge(negated, networks, |network| Some(network.contains(given?)))
            }
            Expected::Absence(_) => false,
        }
    }
}

/// A comparison that could not be made counts against the condition, negated or not.
fn judge<T>(negated: bool, expected: &[T], compare: impl Fn(&T) -> Option<bool>) -> bool {
    if negated {
        expected.iter().all(|value| compare(value) == Some(false))
    } else {
        expected.iter().any(|value| compare(value) == Some(true))
    }
}

fn each<T>(
    values: &[String],
    read: impl Fn(&str) -> Option<T>,
    wanted: &'static str,
) -> Result<Box<[T]>, ConditionError> {
    let read =
        |value: &String| read(value).ok_or_else(|| ConditionError::Value { value: value.clone(), wanted });
    values.iter().map(read).collect()
}

fn number(given: Single<'_>) -> Option<Number> {
    match given {
        Single::Number(number) => Some(Number::Whole(number)),
        Single::Text(text) => Number::parse(text),
        Single::Time(_) | Single::Address(_) => None,
    }
}

fn date(given: Single<'_>) -> Option<Timestamp> {
    match given {
        Single::Time(at) => Some(at),
        Single::Number(seconds) => Timestamp::from_second(seconds).ok(),
        Single::Text(text) => operand::date(text),
        Single::Address(_) => None,
    }
}

fn address(given: Single<'_>) -> Option<IpAddr> {
    match given {
        Single::Address(address) => Some(address),
        Single::Text(text) => text.parse().ok(),
        Single::Time(_) | Single::Number(_) => None,
    }
}

#[cfg(test)]
mod tests;
