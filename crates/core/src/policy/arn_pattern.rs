//! Patterns of ARNs: each of the six components is matched on its own, so that a wildcard never reaches
//! over a colon before the resource.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy elements: Resource" and "Amazon Resource Name (ARN)
//! condition operators".

use super::context::Keys;
use super::pattern::{Case, Pattern, PatternError, Syntax, literal_prefix};

/// A compiled pattern of ARNs.
#[derive(Debug, Clone)]
pub(super) struct ArnPattern {
    text: Box<str>,
    /// What every text that matches begins with.
    prefix: Box<str>,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    /// `*`: any resource, also one that is not an ARN.
    Anything,
    /// The first five components are plain text, so one pattern matches the whole as the six would.
    Whole(Pattern),
    Components(Box<[Pattern; 6]>),
    /// Not an ARN: never matches.
    Nothing,
}

/// Why a text is not a pattern of resources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ArnPatternError {
    #[error(
        "`{0}` is not a resource: write an ARN (`arn:aws:s3:::BUCKET/KEY`, with `*` and `?` as wildcards) or `*`"
    )]
    NotArn(String),
    #[error("`{0}` has a variable before its fifth colon: variables belong into the last part of an ARN")]
    EarlyVariable(String),
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl ArnPattern {
    /// A value of Resource or NotResource: `*` or an ARN. With `complete`, components that are missing at
    /// the end are taken as `*`, as IAM does in identity policies.
    pub(super) fn resource(text: &str, variables: bool, complete: bool) -> Result<Self, ArnPatternError> {
        let syntax = Syntax { wildcards: true, variables };
        if !text.is_empty() && text.bytes().all(|byte| byte == b'*') {
            return Ok(Self { text: text.into(), prefix: "".into(), form: Form::Anything });
        }
        let mut components = components(text, variables);
        if components.first() != Some(&"arn") {
            return Err(ArnPatternError::NotArn(text.to_owned()));
        }
        if components.len() < 6 && (complete || text.contains('*')) {
            components.resize(6, "*");
        }
        let components: [&str; 6] =
            components.try_into().map_err(|_| ArnPatternError::NotArn(text.to_owned()))?;
        let [leading @ .., resource] = &components;
        if resource.is_empty() {
            return Err(ArnPatternError::NotArn(text.to_owned()));
        }
        if variables && leading.iter().any(|component| component.contains("${")) {
            return Err(ArnPatternError::EarlyVariable(text.to_owned()));
        }
        Ok(Self::compile(text, &components, syntax)?)
    }

    /// A value of an ARN operator. What is not an ARN never matches.
    pub(super) fn condition(text: &str, variables: bool) -> Result<Self, PatternError> {
        let syntax = Syntax { wildcards: true, variables };
        match <[&str; 6]>::try_from(components(text, variables)) {
            Ok(components) => Self::compile(text, &components, syntax),
            Err(_) => Pattern::parse(text, syntax).map(|_| Self {
                text: text.into(),
                prefix: "".into(),
                form: Form::Nothing,
            }),
        }
    }

    fn compile(text: &str, components: &[&str; 6], syntax: Syntax) -> Result<Self, PatternError> {
        let whole = components.join(":");
        let [leading @ .., _] = components;
        let plain = leading.iter().all(|component| literal_prefix(component, syntax) == *component);
        let form = if plain {
            Form::Whole(Pattern::parse(&whole, syntax)?)
        } else {
            let mut patterns = vec![];
            for component in components {
                patterns.push(Pattern::parse(component, syntax)?);
            }
            Form::Components(patterns.try_into().expect("six components give six patterns"))
        };
        Ok(Self { text: text.into(), prefix: literal_prefix(&whole, syntax).into(), form })
    }

    /// The pattern as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// What every text that matches begins with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the ARN matches; `None` if a variable has no value.
    pub(super) fn matches(&self, arn: &str, context: &dyn Keys) -> Option<bool> {
        match &self.form {
            Form::Anything => Some(true),
            Form::Nothing => None,
            Form::Whole(pattern) => pattern.matches(arn, Case::Exact, context),
            Form::Components(patterns) => {
                let mut given = arn.splitn(6, ':');
                let mut all = true;
                for pattern in patterns.iter() {
                    // Every component is looked at: a variable without a value in any of them counts.
                    all &= match given.next() {
                        Some(component) => pattern.matches(component, Case::Exact, context)?,
                        None => false,
                    };
                }
                Some(all)
            }
        }
    }
}

/// The components of an ARN pattern, at most six. A colon within a variable separates nothing.
fn components(text: &str, variables: bool) -> Vec<&str> {
    let mut components = vec![];
    let mut start = 0;
    let mut at = 0;
    while components.len() < 5 && at < text.len() {
        let rest = text.get(at..).unwrap_or_default();
        if variables && rest.starts_with("${") {
            at += rest.find('}').map_or(rest.len(), |end| end + 1);
        } else {
            if rest.starts_with(':') {
                components.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    components.push(text.get(start..).unwrap_or_default());
    components
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::context::Context;
    use super::*;

    fn context() -> Context<'static> {
        let mut context = Context::new();
        context.set("account", "1:2");
        context.set("aws:PrincipalAccount", "123");
        context
    }

    #[rstest]
    #[case("*", "arn:aws:s3:::b", true)]
    #[case("*", "*", true)]
    #[case("arn:aws:s3:::*", "*", false)]
    #[case("arn:aws:s3:::b/*", "arn:aws:s3:::b/k:1", true)]
    #[case("arn:aws:s3:::b/*", "arn:aws:s3:::B/k", false)]
    #[case("arn:aws:s3:*:*:b", "arn:aws:s3:::b", true)]
    #[case("arn:aws:s3:*:*:b", "arn:aws:s3:::a:b", false)]
    #[case("arn:aws:s3:*:*:b", "arn:aws:s3:::x:::b", false)]
    #[case("arn:*:s3:::b", "arn:aws-cn:s3:::b", true)]
    #[case("arn:*:s3:::b", "arn:aws", false)]
    #[case("arn:aws:s3", "arn:aws:s3:::b", true)]
    #[case("arn:aws:s*", "arn:aws:s3:::b", true)]
    #[case("arn:aws:s*", "arn:aws:iam::1:role/s", false)]
    #[case("arn:aws:s3:::${account}", "arn:aws:s3:::1:2", true)]
    fn resources(#[case] pattern: &str, #[case] arn: &str, #[case] expected: bool) {
        let pattern = ArnPattern::resource(pattern, true, true).unwrap();
        assert_eq!(pattern.matches(arn, &context()), Some(expected));
        assert!(!expected || arn.starts_with(pattern.prefix()));
    }

    #[rstest]
    #[case("arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::123:role/a", Some(true))]
    #[case("arn:aws:iam::${aws:PrincipalAccount}:role/*", "arn:aws:iam::124:role/a", Some(false))]
    #[case("arn:aws:iam::${missing}:role/*", "arn:aws:s3::1:role/a", None)]
    #[case("arn:aws:iam::${account}:x", "arn:aws:iam::1:2:x", Some(false))]
    #[case("*", "arn:aws:s3:::b", None)]
    #[case("arn:aws:s3", "arn:aws:s3:::b", None)]
    #[case("*:*:*:*:*:*", "arn:aws:s3:::b", Some(true))]
    #[case("*:*:*:*:*:*", "text", Some(false))]
    fn conditions(#[case] pattern: &str, #[case] arn: &str, #[case] expected: Option<bool>) {
        assert_eq!(ArnPattern::condition(pattern, true).unwrap().matches(arn, &context()), expected);
    }

    #[test]
    fn what_is_not_a_resource_is_refused() {
        let refuse = |text: &str| ArnPattern::resource(text, true, false).unwrap_err();
        for text in ["", "bucket/*", "b*", "arn:aws:s3", "arn:aws:s3:::", "urn:aws:s3:::b", "${x}"] {
            assert_eq!(refuse(text), ArnPatternError::NotArn(text.into()));
        }
        let early = "arn:aws:iam::${aws:PrincipalAccount}:role/x";
        assert_eq!(refuse(early), ArnPatternError::EarlyVariable(early.into()));
        assert!(ArnPattern::resource("arn:aws:s3:::${x", true, false).is_err());
    }
}
