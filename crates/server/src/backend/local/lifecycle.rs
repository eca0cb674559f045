//! When objects expire: a bucket's rules, and what they say of a version.
//!
//! A rule that counts days acts at the midnight (UTC) after they have passed since the version was written or, of one that
//! is not current, since it was replaced. Of several rules that fit, the earliest acts. Source: Amazon S3 User Guide,
//! "Lifecycle configuration elements".

use serde::{Deserialize, Serialize};
use wigeon_core::time::Timestamp;

use super::attributes::Tags;

/// A day in milliseconds.
const DAY: i64 = 86_400_000;

/// The rules of a bucket, as the index keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Lifecycle(pub Vec<Rule>);

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its name, unique in its bucket.
    pub id: String,
    /// It acts.
    pub enabled: bool,
    /// What it is about.
    pub filter: Filter,
    /// When current versions expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<Expiration>,
    /// When other versions are deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noncurrent: Option<Noncurrent>,
    /// After how many days an upload that was not completed is aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abort_after_days: Option<u32>,
}

/// What a rule is about: all of these must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// How it was written; it means the same.
    pub form: FilterForm,
    /// Keys that begin so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Objects with all of these tags.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Objects of more bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub larger_than: Option<u64>,
    /// Objects of fewer bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smaller_than: Option<u64>,
}

/// How a filter was written, so that it can be given back so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FilterForm {
    /// `Filter` with at most one condition.
    #[default]
    One,
    /// `Filter` with `And`.
    And,
    /// A `Prefix` of the rule itself, as it was before there were filters.
    Rule,
}

/// When current versions expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expiration {
    /// So many days after they were written.
    Days(u32),
    /// From this midnight on; milliseconds since 1970.
    Date(i64),
    /// Never; but a delete marker goes once it is all that a key has.
    Markers,
}

/// When versions that are not current are deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noncurrent {
    /// So many days after they were replaced.
    pub days: u32,
    /// But so many of the newest stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newer: Option<u32>,
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The key.
    pub key: &'a str,
    /// Bytes and tags; `None` of a delete marker or an upload, which have neither.
    pub object: Option<(u64, &'a Tags)>,
}

impl Filter {
    fn fits(&self, subject: Subject<'_>) -> bool {
        let begins = self.prefix.as_deref().is_none_or(|prefix| subject.key.starts_with(prefix));
        let plain = self.tags.is_empty() && self.larger_than.is_none() && self.smaller_than.is_none();
        begins
            && match subject.object {
                None => plain,
                Some((size, tags)) => {
                    self.tags.iter().all(|(name, value)| tags.get(name) == Some(value))
                        && self.larger_than.is_none_or(|least| size > least)
                        && self.smaller_than.is_none_or(|most| size < most)
                }
            }
    }
}

/// The midnight after so many days have passed.
fn after_days(since: Timestamp, days: u32) -> i64 {
    let passed = since.as_millisecond().saturating_add(i64::from(days).saturating_mul(DAY));
    passed.div_euclid(DAY).saturating_add(1).saturating_mul(DAY)
}

impl Lifecycle {
    fn of(&self, subject: Subject<'_>) -> impl Iterator<Item = &Rule> {
        self.0.iter().filter(move |rule| rule.enabled && rule.filter.fits(subject))
    }

    /// Whether any rule could act on what is kept in each of the tables: current versions, others, uploads.
    pub(super) fn looks_at(&self) -> (bool, bool, bool) {
        let any = |what: fn(&Rule) -> bool| self.0.iter().any(|rule| rule.enabled && what(rule));
        (
            any(|rule| matches!(rule.expiration, Some(Expiration::Days(_) | Expiration::Date(_)))),
            any(|rule| rule.noncurrent.is_some() || rule.expiration.is_some()),
            any(|rule| rule.abort_after_days.is_some()),
        )
    }

    /// When a current version expires, and by which rule.
    #[must_use]
    pub fn expires(&self, subject: Subject<'_>, modified: Timestamp) -> Option<(Timestamp, &str)> {
        let each = self.of(subject).filter_map(|rule| match rule.expiration? {
            Expiration::Days(days) => Some((after_days(modified, days), rule.id.as_str())),
            Expiration::Date(date) => Some((date, rule.id.as_str())),
            Expiration::Markers => None,
        });
        let (at, rule) = each.min_by_key(|(at, _)| *at)?;
        Some((Timestamp::from_millisecond(at).ok()?, rule))
    }

    /// Whether a version that is not current is to be deleted. `rank`: how many that are not current are as new or newer.
    pub(super) fn discards(
        &self,
        subject: Subject<'_>,
        replaced: Timestamp,
        rank: u32,
        now: Timestamp,
    ) -> bool {
        self.of(subject).filter_map(|rule| rule.noncurrent).any(|noncurrent| {
            rank > noncurrent.newer.unwrap_or(0)
                && after_days(replaced, noncurrent.days) <= now.as_millisecond()
        })
    }

    /// Whether a delete marker that is all that its key has is to go: where a rule says so, or would expire an object of
    /// this age.
    pub(super) fn discards_marker(&self, key: &str, modified: Timestamp, now: Timestamp) -> bool {
        let subject = Subject { key, object: None };
        self.of(subject).filter_map(|rule| rule.expiration).any(|expiration| match expiration {
            Expiration::Markers => true,
            Expiration::Days(days) => after_days(modified, days) <= now.as_millisecond(),
            Expiration::Date(_) => false,
        })
    }

    /// Whether an upload is to be aborted.
    pub(super) fn aborts(&self, key: &str, initiated: Timestamp, now: Timestamp) -> bool {
        let subject = Subject { key, object: None };
        self.of(subject)
            .filter_map(|rule| rule.abort_after_days)
            .any(|days| after_days(initiated, days) <= now.as_millisecond())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rule(filter: Filter, days: u32) -> Rule {
        Rule {
            id: days.to_string(),
            enabled: true,
            filter,
            expiration: Some(Expiration::Days(days)),
            ..Rule::default()
        }
    }

    #[test]
    fn days_end_at_the_next_midnight() {
        let rules = Lifecycle(vec![rule(Filter::default(), 3)]);
        let tags = Tags::new();
        let subject = Subject { key: "k", object: Some((1, &tags)) };
        // The example of the User Guide.
        let expires = rules.expires(subject, at("2014-01-15T10:30:00Z"));
        assert_eq!(expires, Some((at("2014-01-19T00:00:00Z"), "3")));
    }

    #[test]
    fn the_earliest_rule_that_fits_acts() {
        let tag = Tags::from([("a".to_owned(), "1".to_owned())]);
        let rules = Lifecycle(vec![
            rule(Filter::default(), 9),
            rule(Filter { prefix: Some("logs/".to_owned()), ..Filter::default() }, 5),
            rule(Filter { tags: tag.clone(), larger_than: Some(10), ..Filter::default() }, 2),
            rule(Filter { smaller_than: Some(5), ..Filter::default() }, 4),
            Rule { enabled: false, ..rule(Filter::default(), 1) },
        ]);
        let none = Tags::new();
        let by = |key, size, tags| {
            let subject = Subject { key, object: Some((size, tags)) };
            rules.expires(subject, Timestamp::UNIX_EPOCH).map(|(_, rule)| rule.to_owned())
        };
        assert_eq!(by("x", 7, &none).as_deref(), Some("9"));
        assert_eq!(by("logs/x", 7, &none).as_deref(), Some("5"));
        assert_eq!(by("logs/x", 11, &tag).as_deref(), Some("2"));
        assert_eq!(by("x", 10, &tag).as_deref(), Some("9"));
        assert_eq!((by("x", 4, &none).as_deref(), by("x", 5, &none).as_deref()), (Some("4"), Some("9")));
    }

    #[test]
    fn documents_round_trip() {
        let rules = Lifecycle(vec![Rule {
            noncurrent: Some(Noncurrent { days: 1, newer: Some(2) }),
            abort_after_days: Some(3),
            ..rule(Filter { form: FilterForm::And, ..Filter::default() }, 1)
        }]);
        let text = serde_json::to_string(&rules).unwrap();
        assert_eq!(serde_json::from_str::<Lifecycle>(&text).unwrap(), rules);
    }
}
