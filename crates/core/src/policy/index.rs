//! Finding the statements that may apply to a request, without looking at the others.
//!
//! Each statement is filed under what its resource patterns begin with, and there under what its action
//! patterns begin with. A request's resource and action are then looked up by their prefixes: what is found
//! may apply, what is not found cannot. So a decision takes about as long in a document of ten thousand
//! statements as in one of ten.

use std::cmp::Ordering;

use super::kind::Effect;
use super::statement::Statement;

/// Above this many pairs of prefixes, a statement is filed under fewer and shorter ones.
const MAX_PAIRS: usize = 512;

/// The statements of a document, by effect, resource and action.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    allow: PrefixMap<PrefixMap<Vec<u32>>>,
    deny: PrefixMap<PrefixMap<Vec<u32>>>,
}

impl Index {
    pub(super) fn new(statements: &[Statement]) -> Self {
        let mut filed = (vec![], vec![]);
        for (number, statement) in (0..).zip(statements) {
            let entries = match statement.effect {
                Effect::Allow => &mut filed.0,
                Effect::Deny => &mut filed.1,
            };
            let (resources, actions) = prefixes(statement);
            for resource in &resources {
                entries.extend(actions.iter().map(|action| (resource.clone(), (action.clone(), number))));
            }
        }
        let build =
            |entries| PrefixMap::group(entries, |actions| PrefixMap::group(actions, |numbers| numbers));
        Self { allow: build(filed.0), deny: build(filed.1) }
    }

    /// The numbers of the statements with this effect that may speak of the action on the resource. A
    /// statement may come more than once.
    pub(super) fn candidates<'i>(
        &'i self,
        effect: Effect,
        action: &'i str,
        resource: &'i str,
    ) -> impl Iterator<Item = usize> + 'i {
        let by_resource = match effect {
            Effect::Allow => &self.allow,
            Effect::Deny => &self.deny,
        };
        by_resource
            .covering(
                |prefix| resource.as_bytes().cmp(prefix.as_bytes()),
                |prefix| resource.starts_with(prefix),
            )
            .flat_map(move |by_action| {
                by_action.covering(
                    |prefix| folded(action).cmp(prefix.bytes()),
                    |prefix| {
                        action.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
                    },
                )
            })
            .flatten()
            .map(|number| *number as usize)
    }
}

fn folded(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().map(|byte| byte.to_ascii_lowercase())
}

/// The prefixes of resources and of actions (in lower case) that a statement is filed under.
fn prefixes(statement: &Statement) -> (Vec<Box<str>>, Vec<Box<str>>) {
    let everything = || vec![Box::from("")];
    let resources = match &statement.resources {
        Some(resources) if !resources.negated => {
            shortest(resources.patterns.iter().map(|pattern| pattern.prefix().into()).collect())
        }
        _ => everything(),
    };
    let actions = if statement.actions.negated {
        everything()
    } else {
        let lowered = statement.actions.patterns.iter().map(|pattern| {
            let text = pattern.text();
            let end = text.find(['*', '?']).unwrap_or(text.len());
            text.get(..end).unwrap_or_default().to_ascii_lowercase().into_boxed_str()
        });
        shortest(lowered.collect())
    };
    if resources.len() * actions.len() <= MAX_PAIRS {
        return (resources, actions);
    }
    if resources.len() <= MAX_PAIRS { (resources, everything()) } else { (everything(), actions) }
}

/// The prefixes that do not begin with another one of them: whatever begins with a longer one begins with
/// its shorter one too.
fn shortest(mut prefixes: Vec<Box<str>>) -> Vec<Box<str>> {
    prefixes.sort_unstable();
    prefixes.dedup_by(|longer, shorter| longer.starts_with(&**shorter));
    prefixes
}

/// Values filed under prefixes, to be found by any text that begins with one.
///
/// The prefixes are sorted, and each knows the longest other one that it begins with. Of all prefixes that
/// are not greater than a text, the greatest one and those that it begins with include all that the text
/// begins with: one binary search and a short walk find them.
#[derive(Debug, Clone)]
struct PrefixMap<T> {
    entries: Box<[Entry<T>]>,
}

#[derive(Debug, Clone)]
struct Entry<T> {
    prefix: Box<str>,
    parent: Option<u32>,
    value: T,
}

impl<T> Default for PrefixMap<T> {
    fn default() -> Self {
        Self { entries: Box::default() }
    }
}

impl<T> PrefixMap<T> {
    fn group<V>(mut filed: Vec<(Box<str>, V)>, build: impl Fn(Vec<V>) -> T) -> Self {
        filed.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut groups: Vec<(Box<str>, Vec<V>)> = vec![];
        for (prefix, value) in filed {
            match groups.last_mut() {
                Some((last, values)) if *last == prefix => values.push(value),
                _ => groups.push((prefix, vec![value])),
            }
        }
        let mut entries: Vec<Entry<T>> = Vec::with_capacity(groups.len());
        let mut open: Vec<u32> = vec![];
        for (number, (prefix, values)) in (0..).zip(groups) {
            let begins = |number: u32| {
                entries.get(number as usize).is_some_and(|entry| prefix.starts_with(&*entry.prefix))
            };
            while open.pop_if(|last| !begins(*last)).is_some() {}
            let parent = open.last().copied();
            open.push(number);
            entries.push(Entry { prefix, parent, value: build(values) });
        }
        Self { entries: entries.into() }
    }

    /// The values under every prefix of a text, longest first. `compare` gives the order of the text
    /// relative to a prefix, `begins` whether it begins with it.
    fn covering(
        &self,
        compare: impl Fn(&str) -> Ordering,
        begins: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = &T> {
        let not_greater = self.entries.partition_point(|entry| compare(&entry.prefix).is_ge());
        let mut next = not_greater.checked_sub(1).and_then(|last| self.entries.get(last));
        let mut found = false;
        std::iter::from_fn(move || {
            loop {
                let entry = next?;
                next = entry.parent.and_then(|parent| self.entries.get(parent as usize));
                // Once one fits, so do all that it begins with.
                found = found || begins(&entry.prefix);
                if found {
                    return Some(&entry.value);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(prefixes: &[&str]) -> PrefixMap<Vec<usize>> {
        let filed =
            prefixes.iter().enumerate().map(|(number, prefix)| (Box::from(*prefix), number)).collect();
        PrefixMap::group(filed, |numbers| numbers)
    }

    fn find(map: &PrefixMap<Vec<usize>>, text: &str) -> Vec<usize> {
        let found = map.covering(|prefix| text.cmp(prefix), |prefix| text.starts_with(prefix));
        let mut found: Vec<usize> = found.flatten().copied().collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn finds_every_prefix_and_nothing_else() {
        let map = map(&["", "a", "ab", "abc", "b", "ab", "abd"]);
        assert_eq!(find(&map, ""), [0]);
        assert_eq!(find(&map, "a"), [0, 1]);
        assert_eq!(find(&map, "abce"), [0, 1, 2, 3, 5]);
        assert_eq!(find(&map, "abz"), [0, 1, 2, 5]);
        assert_eq!(find(&map, "zzz"), [0]);
        assert!(find(&PrefixMap::default(), "a").is_empty());
    }

    #[test]
    fn a_prefix_of_a_prefix_is_enough() {
        let prefixes = shortest(["b", "ab", "abc", "b", "ba"].map(Box::from).into());
        assert_eq!(prefixes, ["ab", "b"].map(Box::from));
    }

    proptest! {
        #[test]
        fn agrees_with_looking_at_each(
            prefixes in prop::collection::vec("[ab/]{0,4}", 0..12),
            text in "[ab/]{0,6}",
        ) {
            let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
            let expected: Vec<usize> =
                (0..prefixes.len()).filter(|number| text.starts_with(prefixes[*number])).collect();
            prop_assert_eq!(find(&map(&prefixes), &text), expected);
        }
    }
}
