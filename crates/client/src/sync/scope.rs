//! Which names a run is about: all, or some, each with everything below it; less those that still change.
//!
//! A run about a few names reads no more than it has to: a folder only where one of them lies in it, and a prefix from
//! name to name ([`Onward`]), so that a change of one file among a million costs a request or two.

use std::collections::BTreeSet;

/// The longest key.
const LONGEST_KEY: usize = 1024;

/// The names that a run is about. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Files, and folders without the slash at their ends; `None` for all.
    only: Option<BTreeSet<String>>,
    /// Of those, what is left as it is on both sides.
    held: BTreeSet<String>,
}

/// Where the next name that is meant may stand.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Onward {
    /// Right behind.
    Here,
    /// Not before this one.
    At(String),
    /// There is none.
    Nowhere,
}

impl Scope {
    /// These names, and everything below each.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self { only: Some(names.into_iter().collect()), held: BTreeSet::new() }
    }

    /// The same without these names and what is below them.
    #[must_use]
    pub fn without(mut self, held: BTreeSet<String>) -> Self {
        self.held = held;
        self
    }

    /// What either is about.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let only = self.only.zip(other.only).map(|(mut one, mut more)| {
            one.append(&mut more);
            one
        });
        Self { only, held: BTreeSet::new() }
    }

    /// Whether it is about all names.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.only.is_none()
    }

    /// How many names it was made of; `None` for all.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        self.only.as_ref().map(BTreeSet::len)
    }

    /// Whether a run has nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Whether it is about this name.
    pub(crate) fn admits(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| has_or_above(only, name)) && !has_or_above(&self.held, name)
    }

    /// Whether a folder may hold such names; without the slash at its end.
    pub(crate) fn enters(&self, folder: &str) -> bool {
        let leads_to = |only: &BTreeSet<String>| {
            let below = format!("{folder}/");
            only.range(below.clone()..).next().is_some_and(|first| first.starts_with(&below))
        };
        self.only.as_ref().is_none_or(|only| has_or_above(only, folder) || leads_to(only))
            && !has_or_above(&self.held, folder)
    }

    /// Where to go on after this name; `None` before the first.
    pub(crate) fn onward(&self, last: Option<&str>) -> Onward {
        let Some(only) = &self.only else { return Onward::Here };
        let Some(last) = last else {
            return only.first().map_or(Onward::Nowhere, |first| Onward::At(first.clone()));
        };
        let mut next = only.range(last.to_owned()..).find(|name| name.as_str() > last).cloned();
        for (end, _) in last.char_indices().chain([(last.len(), ' ')]) {
            let Some(above) = last.get(..end).filter(|above| only.contains(*above)) else { continue };
            let below = format!("{above}/");
            if last.starts_with(&below) {
                return Onward::Here;
            }
            if below.as_str() > last && next.as_ref().is_none_or(|next| below < *next) {
                next = Some(below);
            }
        }
        next.map_or(Onward::Nowhere, Onward::At)
    }
}

/// Whether a set has the name or a folder that it lies in.
pub(crate) fn has_or_above(set: &BTreeSet<String>, name: &str) -> bool {
    !set.is_empty()
        && (set.contains(name)
            || name.match_indices('/').any(|(at, _)| name.get(..at).is_some_and(|above| set.contains(above))))
}

/// A key behind which this one comes, with hardly any between them; `None` where there is none.
pub(crate) fn just_before(key: &str) -> Option<String> {
    let mut before = key.to_owned();
    let last = before.pop()?;
    let previous = u32::from(last).checked_sub(1).map(|code| char::from_u32(code).unwrap_or('\u{d7ff}'));
    // Control characters have no place in every store's answers.
    if let Some(previous) = previous.filter(|previous| !previous.is_control())
        && before.len() + previous.len_utf8() + '\u{10ffff}'.len_utf8() <= LONGEST_KEY
    {
        before.extend([previous, '\u{10ffff}']);
    }
    (!before.is_empty()).then_some(before)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(names: &[&str]) -> Scope {
        Scope::of(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn names_and_what_is_below_them() {
        let scope = scope(&["a/b", "c"]).without(BTreeSet::from(["c/d".to_owned()]));
        for (name, admitted, entered) in [
            ("a", false, true),
            ("a/b", true, true),
            ("a/b/x", true, true),
            ("a/bc", false, false),
            ("a-", false, false),
            ("c", true, true),
            ("c/d", false, false),
            ("c/d/e", false, false),
            ("c/de", true, true),
        ] {
            assert_eq!((scope.admits(name), scope.enters(name)), (admitted, entered), "{name}");
        }
        assert!(Scope::default().admits("x") && Scope::default().enters("x"));
        assert!(!Scope::of([]).admits("x") && Scope::of([]).is_empty());
        assert!(scope.and(Scope::default()).is_everything());
    }

    proptest! {
        /// Going from name to name passes over none that is meant, and begins before each.
        #[test]
        fn onward_passes_over_nothing(
            keys in prop::collection::btree_set("[ab/-]{1,4}", 0..40),
            names in prop::collection::btree_set("[ab/-]{1,3}", 0..5),
            page in 1_usize..4,
        ) {
            let scope = Scope::of(names);
            let expected: Vec<&String> = keys.iter().filter(|key| scope.admits(key)).collect();
            let (mut seen, mut last): (Vec<&String>, Option<String>) = (Vec::new(), None);
            loop {
                let after = match scope.onward(last.as_deref()) {
                    Onward::Nowhere => break,
                    Onward::Here => last.clone(),
                    Onward::At(name) => {
                        let before = just_before(&name);
                        prop_assert!(before.as_ref().is_none_or(|before| *before < name));
                        before.max(last.clone())
                    }
                };
                let read: Vec<&String> =
                    keys.iter().filter(|key| after.as_ref().is_none_or(|after| *key > after)).take(page).collect();
                seen.extend(read.iter().filter(|key| scope.admits(key)));
                if read.len() < page {
                    break;
                }
                let end = read.last().map(|key| (*key).clone());
                prop_assert!(end > last, "no way forward");
                last = end;
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
