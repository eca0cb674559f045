//! Patterns of actions, resources and condition values: text with `*`, `?` and policy variables.
//!
//! A pattern is split once; matching walks it without allocating. The value of a variable is compared as it
//! stands: a `*` in it is an asterisk, never a wildcard. Refuses variables that are not closed, empty, or
//! have a default that is not in single quotes.
//!
//! Source: AWS IAM User Guide, "IAM policy elements: Variables and tags", "… : Resource", "… : Action".

use super::context::{Keys, Single};

/// What counts as special in a pattern's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Syntax {
    /// `*` and `?`.
    pub(super) wildcards: bool,
    /// `${key}`, and with it the escapes `${*}`, `${?}` and `${$}`.
    pub(super) variables: bool,
}

/// Whether letters of the other case match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    Exact,
    /// For actions, which are ASCII.
    AsciiIgnored,
}

/// A compiled pattern. `runs` are what stands between the asterisks: the first is anchored at the start,
/// the last at the end.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: Box<str>,
    runs: Box<[Box<[Atom]>]>,
    has_variables: bool,
}

#[derive(Debug, Clone)]
enum Atom {
    Literal(Box<str>),
    AnyChar,
    Variable { key: Box<str>, default: Option<Box<str>> },
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PatternError {
    #[error("the variable that begins with `{0}` is not closed: end it with a brace")]
    Unclosed(String),
    #[error("`{0}` names no condition key: write `${{key}}`, or `${{$}}` for a dollar sign")]
    NoKey(String),
    #[error("the default of `{0}` must stand in single quotes, as in `${{key, 'default'}}`")]
    Default(String),
}

impl Pattern {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Self, PatternError> {
        let mut runs = vec![];
        let mut run = vec![];
        let mut literal = String::new();
        let mut has_variables = false;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            if syntax.variables && rest.starts_with("${") {
                let (variable, after) = variable(rest)?;
                match variable {
                    Atom::Literal(escaped) => literal.push_str(&escaped),
                    variable => {
                        flush(&mut literal, &mut run);
                        run.push(variable);
                        has_variables = true;
                    }
                }
                rest = after;
                continue;
            }
            match next {
                '*' if syntax.wildcards => {
                    flush(&mut literal, &mut run);
                    // Two asterisks in a row are one: the run between them is empty.
                    if !run.is_empty() || runs.is_empty() {
                        runs.push(std::mem::take(&mut run).into_boxed_slice());
                    }
                }
                '?' if syntax.wildcards => {
                    flush(&mut literal, &mut run);
                    run.push(Atom::AnyChar);
                }
                other => literal.push(other),
            }
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
        flush(&mut literal, &mut run);
        runs.push(run.into_boxed_slice());
        Ok(Self { text: text.into(), runs: runs.into(), has_variables })
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the text matches; `None` if a variable has no value, so that nothing can be said.
    pub(super) fn matches(&self, text: &str, case: Case, context: &dyn Keys) -> Option<bool> {
        if self.matches_resolved(text, case, context) {
            return Some(true);
        }
        self.is_resolved(context).then_some(false)
    }

    fn matches_resolved(&self, text: &str, case: Case, context: &dyn Keys) -> bool {
        let walk = Walk { case, context };
        match &*self.runs {
            [] => text.is_empty(),
            [only] => walk.strip_start(only, text).is_some_and(str::is_empty),
            [first, between @ .., last] => {
                let inner = walk.strip_start(first, text).and_then(|rest| walk.strip_end(last, rest));
                inner.is_some_and(|rest| walk.finds_in_order(between, rest))
            }
        }
    }

    /// Whether text and pattern agree but for the case of their letters. For patterns without wildcards.
    pub(super) fn equals_ignoring_case(&self, text: &str, context: &dyn Keys) -> Option<bool> {
        if !self.has_variables && text.is_ascii() && self.text.is_ascii() {
            return Some(self.literal().eq_ignore_ascii_case(text));
        }
        let mut given = text.chars().flat_map(char::to_lowercase);
        let mut agrees = |part: &str| {
            part.chars().flat_map(char::to_lowercase).all(|expected| given.next() == Some(expected))
        };
        let mut equal = true;
        for atom in self.runs.iter().flatten() {
            equal &= match atom {
                Atom::Literal(literal) => agrees(literal),
                Atom::AnyChar => false,
                Atom::Variable { key, default } => {
                    with_variable(key, default.as_deref(), context, &mut agrees)?
                }
            };
        }
        Some(equal && given.next().is_none())
    }

    /// The text of a pattern that is nothing but text; empty if it is more.
    fn literal(&self) -> &str {
        match &*self.runs {
            [run] => match &**run {
                [Atom::Literal(literal)] => literal,
                _ => "",
            },
            _ => "",
        }
    }

    fn is_resolved(&self, context: &dyn Keys) -> bool {
        !self.has_variables
            || self.runs.iter().flatten().all(|atom| match atom {
                Atom::Variable { key, default } => {
                    with_variable(key, default.as_deref(), context, |_| ()).is_some()
                }
                Atom::Literal(_) | Atom::AnyChar => true,
            })
    }
}

/// What a pattern's text begins with, up to the first thing that is not plain text. Whatever matches the
/// pattern begins with it.
pub(super) fn literal_prefix(text: &str, syntax: Syntax) -> &str {
    let wildcard = text.find(['*', '?']).filter(|_| syntax.wildcards).unwrap_or(text.len());
    let variable = text.find("${").filter(|_| syntax.variables).unwrap_or(text.len());
    text.get(..wildcard.min(variable)).unwrap_or_default()
}

/// Reads the variable or escape that a text begins with, and gives what follows it.
fn variable(text: &str) -> Result<(Atom, &str), PatternError> {
    let end = text.find('}').ok_or_else(|| PatternError::Unclosed(text.chars().take(24).collect()))?;
    let (whole, after) = text.split_at(end + 1);
    let inside = text.get(2..end).unwrap_or_default();
    if matches!(inside, "*" | "?" | "$") {
        return Ok((Atom::Literal(inside.into()), after));
    }
    let (key, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((key, default)) => {
            let quoted = default.trim().strip_prefix('\'').and_then(|rest| rest.strip_suffix('\''));
            (key, Some(quoted.ok_or_else(|| PatternError::Default(whole.to_owned()))?))
        }
    };
    let key = key.trim();
    if key.is_empty() || key.contains(['$', '{', '*', '?', ' ']) {
        return Err(PatternError::NoKey(whole.to_owned()));
    }
    Ok((Atom::Variable { key: key.into(), default: default.map(Into::into) }, after))
}

fn flush(literal: &mut String, run: &mut Vec<Atom>) {
    if !literal.is_empty() {
        run.push(Atom::Literal(std::mem::take(literal).into()));
    }
}

/// Lends the value of a variable: the key's one value, or the default if the key is absent. A key with many
/// values has none that could stand in a text.
fn with_variable<R>(
    key: &str,
    default: Option<&str>,
    context: &dyn Keys,
    read: impl FnOnce(&str) -> R,
) -> Option<R> {
    match context.value(key) {
        Some(value) => value.single().map(|single: Single<'_>| single.with_text(read)),
        None => default.map(read),
    }
}

struct Walk<'w> {
    case: Case,
    context: &'w dyn Keys,
}

impl Walk<'_> {
    /// What is left of the text when the run has been taken from its start.
    fn strip_start<'t>(&self, run: &[Atom], text: &'t str) -> Option<&'t str> {
        run.iter().try_fold(text, |rest, atom| match atom {
            Atom::Literal(literal) => self.strip_literal(literal, rest),
            Atom::AnyChar => rest
                .char_indices()
                .nth(1)
                .map_or_else(|| (!rest.is_empty()).then_some(""), |(second, _)| rest.get(second..)),
            Atom::Variable { key, default } => {
                with_variable(key, default.as_deref(), self.context, |value| {
                    self.strip_literal(value, rest).map(str::len)
                })
                .flatten()
                .and_then(|left| rest.get(rest.len() - left..))
            }
        })
    }

    fn strip_literal<'t>(&self, literal: &str, text: &'t str) -> Option<&'t str> {
        let (head, rest) = text.split_at_checked(literal.len())?;
        self.same(literal, head).then_some(rest)
    }

    /// What is left of the text when the run has been taken from its end.
    fn strip_end<'t>(&self, run: &[Atom], text: &'t str) -> Option<&'t str> {
        run.iter().rev().try_fold(text, |rest, atom| match atom {
            Atom::Literal(literal) => self.strip_literal_end(literal, rest),
            Atom::AnyChar => rest.char_indices().next_back().and_then(|(last, _)| rest.get(..last)),
            Atom::Variable { key, default } => {
                with_variable(key, default.as_deref(), self.context, |value| {
                    self.strip_literal_end(value, rest).map(str::len)
                })
                .flatten()
                .and_then(|left| rest.get(..left))
            }
        })
    }

    fn strip_literal_end<'t>(&self, literal: &str, text: &'t str) -> Option<&'t str> {
        let (rest, tail) = text.split_at_checked(text.len().checked_sub(literal.len())?)?;
        self.same(literal, tail).then_some(rest)
    }

    fn same(&self, literal: &str, text: &str) -> bool {
        match self.case {
            Case::Exact => literal == text,
            Case::AsciiIgnored => literal.eq_ignore_ascii_case(text),
        }
    }

    /// Whether the runs follow each other somewhere in the text. Taking each at its first place is enough,
    /// for what lies between them may be anything.
    fn finds_in_order(&self, runs: &[Box<[Atom]>], text: &str) -> bool {
        runs.iter().try_fold(text, |rest, run| self.find(run, rest)).is_some()
    }

    /// What follows the first place of the run in the text.
    fn find<'t>(&self, run: &[Atom], text: &'t str) -> Option<&'t str> {
        if let ([Atom::Literal(literal)], Case::Exact) = (run, self.case) {
            return text.split_once(&**literal).map(|(_, rest)| rest);
        }
        let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        starts.filter_map(|at| text.get(at..)).find_map(|rest| self.strip_start(run, rest))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::context::Context;
    use super::*;

    const GLOB: Syntax = Syntax { wildcards: true, variables: true };

    fn matches(pattern: &str, text: &str) -> Option<bool> {
        let mut context = Context::new();
        context.set("aws:username", "bob");
        context.set("star", "*");
        context.set("question", "b?b");
        context.set("empty", "");
        context.set("many", vec!["a"]);
        context.set("number", 42);
        Pattern::parse(pattern, GLOB).unwrap().matches(text, Case::Exact, &context)
    }

    #[rstest]
    #[case("", "", true)]
    #[case("", "a", false)]
    #[case("a", "a", true)]
    #[case("a", "A", false)]
    #[case("a", "ab", false)]
    #[case("*", "", true)]
    #[case("**", "anything", true)]
    #[case("a*", "a", true)]
    #[case("a*", "ba", false)]
    #[case("*a", "ba", true)]
    #[case("*a", "ab", false)]
    #[case("a*a", "a", false)]
    #[case("a*a", "aa", true)]
    #[case("a*b*c", "a-b-b-c", true)]
    #[case("a*b*c", "a-c-b", false)]
    #[case("*ab*ab*", "ab", false)]
    #[case("*ab*ab*", "abab", true)]
    #[case("?", "", false)]
    #[case("?", "é", true)]
    #[case("??", "é", false)]
    #[case("a?c", "abc", true)]
    #[case("*?", "x", true)]
    #[case("*?*?", "x", false)]
    #[case("*?b*", "ab", true)]
    #[case("*?b*", "b", false)]
    #[case("é*", "é", true)]
    #[case("*é", "è", false)]
    #[case("home/${aws:username}/*", "home/bob/x", true)]
    #[case("home/${AWS:UserName}/*", "home/bob/x", true)]
    #[case("home/${aws:username}/*", "home/alice/x", false)]
    #[case("${aws:username}${aws:username}", "bobbob", true)]
    #[case("*${aws:username}", "x/bob", true)]
    #[case("*/${aws:username}/*", "a/bo/bob/c", true)]
    #[case("${star}", "*", true)]
    #[case("${star}", "anything", false)]
    #[case("home/${star}/x", "home/bob/x", false)]
    #[case("*${question}*", "-bob-", false)]
    #[case("*${question}*", "-b?b-", true)]
    #[case("a${empty}b", "ab", true)]
    #[case("${number}", "42", true)]
    #[case("${missing, 'd'}", "d", true)]
    #[case("${missing,'*'}", "x", false)]
    #[case("${aws:username, 'd'}", "bob", true)]
    #[case("${*}${?}${$}", "*?$", true)]
    #[case("${*}", "x", false)]
    #[case("${$}{aws:username}", "${aws:username}", true)]
    #[case("$x{", "$x{", true)]
    fn globs(#[case] pattern: &str, #[case] text: &str, #[case] expected: bool) {
        assert_eq!(matches(pattern, text), Some(expected));
    }

    #[rstest]
    #[case("${missing}")]
    #[case("*${missing}*")]
    #[case("x${missing}")]
    #[case("${many}")]
    #[case("${many, 'a'}")]
    fn a_variable_without_one_value_matches_nothing(#[case] pattern: &str) {
        for text in ["", "a", "${missing}", "missing"] {
            assert_eq!(matches(pattern, text), None, "{text}");
        }
    }

    #[test]
    fn actions_ignore_case_and_wildcards_can_be_off() {
        let context = Context::new();
        let action = Pattern::parse("s3:get*Acl", GLOB).unwrap();
        assert_eq!(action.matches("S3:GETobjectACL", Case::AsciiIgnored, &context), Some(true));
        assert_eq!(action.matches("s3:GetObjectAcl", Case::Exact, &context), Some(false));
        let between = Pattern::parse("s3:*tac*l", GLOB).unwrap();
        assert_eq!(between.matches("s3:getobjecTACl", Case::AsciiIgnored, &context), Some(true));
        let plain = Pattern::parse("a*${x}", Syntax { wildcards: false, variables: false }).unwrap();
        assert_eq!(plain.matches("a*${x}", Case::Exact, &context), Some(true));
        assert_eq!(plain.matches("ab", Case::Exact, &context), Some(false));
    }

    #[test]
    fn equality_without_case() {
        let mut context = Context::new();
        context.set("name", "ÜNAL");
        let syntax = Syntax { wildcards: false, variables: true };
        let equals = |pattern: &str, text: &str| {
            Pattern::parse(pattern, syntax).unwrap().equals_ignoring_case(text, &context)
        };
        assert_eq!(equals("Abc", "aBC"), Some(true));
        assert_eq!(equals("Abc", "aBCd"), Some(false));
        assert_eq!(equals("", ""), Some(true));
        assert_eq!(equals("a", ""), Some(false));
        assert_eq!(equals("${name}-X", "ünal-x"), Some(true));
        assert_eq!(equals("${name}-X", "ünal-xy"), Some(false));
        assert_eq!(equals("${name}-X", "ünal"), Some(false));
        assert_eq!(equals("${missing}", "x"), None);
        assert_eq!(equals("a*", "a*"), Some(true));
    }

    #[rstest]
    #[case("${aws:username", PatternError::Unclosed("${aws:username".into()))]
    #[case("a${}b", PatternError::NoKey("${}".into()))]
    #[case("${ , 'x'}", PatternError::NoKey("${ , 'x'}".into()))]
    #[case("${a b}", PatternError::NoKey("${a b}".into()))]
    #[case("${${a}", PatternError::NoKey("${${a}".into()))]
    #[case("${a, b}", PatternError::Default("${a, b}".into()))]
    #[case("${a, 'b}", PatternError::Default("${a, 'b}".into()))]
    fn malformed_variables_are_refused(#[case] pattern: &str, #[case] error: PatternError) {
        assert_eq!(Pattern::parse(pattern, GLOB).unwrap_err(), error);
    }

    #[test]
    fn prefixes() {
        assert_eq!(literal_prefix("a/b*c", GLOB), "a/b");
        assert_eq!(literal_prefix("a/${x}*", GLOB), "a/");
        assert_eq!(literal_prefix("a?", GLOB), "a");
        assert_eq!(literal_prefix("a", GLOB), "a");
        assert_eq!(literal_prefix("a${x}", Syntax { wildcards: true, variables: false }), "a${x}");
    }
}
