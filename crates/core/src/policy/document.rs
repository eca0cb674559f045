//! Policy documents: JSON in, compiled statements out.
//!
//! Refuses whatever is not exactly the policy language, with the line, the column and the path of the
//! fault: unknown elements, elements that are missing or that this kind of document must not have, values of
//! the wrong type, keys given twice, operators that do not exist, values that an operator cannot read. The
//! text itself is kept, to be returned byte for byte.
//!
//! Source: AWS IAM User Guide, "Grammar of the IAM JSON policy language".

use std::fmt;
use std::sync::Arc;

use super::arn_pattern::ArnPattern;
use super::condition::{Condition, Operator};
use super::index::Index;
use super::json::{Fault, Node, Shape};
use super::kind::{Effect, Kind};
use super::pattern::{Pattern, Syntax};
use super::principal::Principals;
use super::statement::{Actions, Resources, Statement};

/// A policy document: its text, and what it says, compiled.
#[derive(Debug, Clone)]
pub struct Document {
    text: String,
    kind: Kind,
    statements: Box<[Statement]>,
    index: Index,
    reads_object_tags: bool,
    /// The condition keys that a decision depends on; `None` where a variable may name any.
    keys: Option<Box<[Box<str>]>>,
}

/// A document under a name: what is attached, and what a decision's reasons refer to.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The name of the policy, as explanations show it.
    pub name: String,
    /// What it says; policies of the same text may share it.
    pub document: Arc<Document>,
}

/// Why a text is not a policy document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct DocumentError {
    /// The line of the fault, from 1.
    pub line: usize,
    /// The column of the fault in characters, from 1.
    pub column: usize,
    /// The way to the fault, such as `Statement[1].Condition.StringLike`; empty for the whole document.
    pub path: String,
    /// What is wrong, and what to do.
    pub reason: String,
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {}", self.reason, self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, ", at `{}`", self.path)?;
        }
        f.write_str(")")
    }
}

impl From<Fault> for DocumentError {
    fn from(Fault { line, column, path, reason }: Fault) -> Self {
        Self { line, column, path, reason }
    }
}

impl Document {
    /// Parses and compiles a document. Done once per document: it is decisions that are fast.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, DocumentError> {
        let statements = document(&Node::root(text)?, kind)?;
        let index = Index::new(&statements);
        let reads_object_tags = statements.iter().any(Statement::reads_object_tags);
        let keys = keys(&statements);
        let statements = statements.into();
        Ok(Self { text: text.to_owned(), kind, statements, index, reads_object_tags, keys })
    }

    /// The text that was parsed, byte for byte.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it was parsed as.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The statements, in the order of the text.
    #[must_use]
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Whether a decision may depend on the tags of the object that is asked for: whether a condition or a variable
    /// names `s3:ExistingObjectTag/…` or, at Ceph RGW, `s3:ResourceTag/…`. Who decides without having looked at them decides wrongly then.
    #[must_use]
    pub fn reads_object_tags(&self) -> bool {
        self.reads_object_tags
    }

    /// Whether a decision may depend on the condition key `SERVICE:NAME`. Who knows many keys, and asks one document
    /// about them, need not enter those that it does not read.
    #[must_use]
    pub fn may_read(&self, service: &str, name: &str) -> bool {
        // Names differ sooner than services do.
        let is_it = |key: &str| {
            key.len() == service.len() + 1 + name.len()
                && key.split_at_checked(service.len()).is_some_and(|(before, after)| {
                    after.strip_prefix(':').is_some_and(|after| after.eq_ignore_ascii_case(name))
                        && before.eq_ignore_ascii_case(service)
                })
        };
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| is_it(key)))
    }

    /// The characters that count against AWS's size limits: all but white space.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.chars().filter(|char| !char.is_whitespace()).count()
    }

    /// Gives the document the name that decisions are explained with.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Policy {
        Policy { name: name.into(), document: Arc::new(self) }
    }

    /// The statements with this effect that may speak of the action on the resource, in no order.
    pub(super) fn candidates<'d>(
        &'d self,
        effect: Effect,
        action: &'d str,
        resource: &'d str,
    ) -> impl Iterator<Item = &'d Statement> {
        self.index.candidates(effect, action, resource).filter_map(|number| self.statements.get(number))
    }
}

fn keys(statements: &[Statement]) -> Option<Box<[Box<str>]>> {
    if statements.iter().any(Statement::may_have_variables) {
        return None;
    }
    let conditions = statements.iter().flat_map(Statement::conditions);
    let mut keys: Vec<Box<str>> = conditions.map(|condition| condition.key().into()).collect();
    keys.sort_unstable();
    keys.dedup();
    Some(keys.into())
}

fn document(root: &Node<'_>, kind: Kind) -> Result<Vec<Statement>, Fault> {
    let (mut version, mut statement) = (None, None);
    for (key, node) in
        object(root, "a policy is an object: `{\"Version\": \"2012-10-17\", \"Statement\": […]}`")?
    {
        match key.as_str() {
            "Version" => version = Some(node),
            "Id" => drop(text(&node)?),
            "Statement" => statement = Some(node),
            other => return Err(unknown(&node, other, "`Version`, `Id` and `Statement`")),
        }
    }
    let variables = match version {
        None => false,
        Some(node) => match text(&node)?.as_str() {
            "2012-10-17" => true,
            // The language before policy variables: `${` is text in it.
            "2008-10-17" => false,
            other => {
                let reason = "is not a version of the policy language: write `2012-10-17`";
                return Err(node.fault(format!("`{other}` {reason}")));
            }
        },
    };
    let statement = statement.ok_or_else(|| root.fault("`Statement` is missing"))?;
    let nodes = match statement.shape()? {
        Shape::Object(_) => vec![statement.clone()],
        Shape::Array(nodes) if !nodes.is_empty() => nodes,
        _ => return Err(statement.fault("needs one statement, or a list of at least one")),
    };
    let mut statements: Vec<Statement> = vec![];
    for node in &nodes {
        let next = Reader { kind, variables }.statement(node, statements.len())?;
        if let Some(sid) = &next.sid
            && statements.iter().any(|known| known.sid.as_ref() == Some(sid))
        {
            return Err(node.fault(format!("`{sid}` is the Sid of an earlier statement: give each its own")));
        }
        statements.push(next);
    }
    Ok(statements)
}

struct Reader {
    kind: Kind,
    variables: bool,
}

impl Reader {
    fn statement(&self, node: &Node<'_>, index: usize) -> Result<Statement, Fault> {
        let (mut sid, mut effect, mut principals, mut actions, mut resources) =
            (None, None, None, None, None);
        let mut conditions = vec![];
        let twice = |element: &Node<'_>, name: &str| {
            element.fault(format!("a statement has either `{name}` or `Not{name}`, not both"))
        };
        for (key, element) in object(node, "a statement is an object")? {
            match key.as_str() {
                "Sid" => sid = self.sid(&element)?,
                "Effect" => effect = Some(self.effect(&element)?),
                "Principal" | "NotPrincipal" if !self.kind.has_principals() => {
                    let reason = "does not belong here: the policy speaks of whom it is attached to";
                    return Err(element.fault(format!("`{key}` {reason}")));
                }
                "Principal" | "NotPrincipal" if principals.is_some() => {
                    return Err(twice(&element, "Principal"));
                }
                "Principal" => principals = Some((self.principals(&element, false)?, element)),
                "NotPrincipal" => principals = Some((self.principals(&element, true)?, element)),
                "Action" | "NotAction" if actions.is_some() => return Err(twice(&element, "Action")),
                "Action" => actions = Some(self.actions(&element, false)?),
                "NotAction" => actions = Some(self.actions(&element, true)?),
                "Resource" | "NotResource" if !self.kind.has_resources() => {
                    let reason =
                        "does not belong into a trust policy: it speaks of the role it is attached to";
                    return Err(element.fault(format!("`{key}` {reason}")));
                }
                "Resource" | "NotResource" if resources.is_some() => return Err(twice(&element, "Resource")),
                "Resource" => resources = Some(self.resources(&element, false)?),
                "NotResource" => resources = Some(self.resources(&element, true)?),
                "Condition" => conditions = self.conditions(&element)?,
                other => {
                    let known = "`Sid`, `Effect`, `Principal`, `Action`, `Resource` and `Condition`";
                    return Err(unknown(&element, other, known));
                }
            }
        }
        let missing = |name: &str| node.fault(format!("`{name}` is missing"));
        let effect = effect.ok_or_else(|| missing("Effect"))?;
        let actions = actions.ok_or_else(|| missing("Action"))?;
        if self.kind.has_principals() && principals.is_none() {
            return Err(missing("Principal"));
        }
        if self.kind.has_resources() && resources.is_none() {
            return Err(missing("Resource"));
        }
        if let Some((principals, element)) = &principals
            && self.kind == Kind::Trust
            && principals.negated()
            && effect == Effect::Allow
        {
            return Err(
                element.fault("would let in everyone else: name in `Principal` who may assume the role")
            );
        }
        let principals = principals.map(|(principals, _)| principals);
        Ok(Statement { index, sid, effect, principals, actions, resources, conditions: conditions.into() })
    }

    /// IAM takes letters and digits, S3 any text. An empty Sid is none.
    fn sid(&self, node: &Node<'_>) -> Result<Option<String>, Fault> {
        let sid = text(node)?;
        if self.kind != Kind::Resource && !sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(node.fault(format!("`{sid}` is not a Sid: use letters and digits only")));
        }
        Ok(Some(sid).filter(|sid| !sid.is_empty()))
    }

    fn effect(&self, node: &Node<'_>) -> Result<Effect, Fault> {
        match text(node)?.as_str() {
            "Allow" => Ok(Effect::Allow),
            "Deny" => Ok(Effect::Deny),
            other => Err(node.fault(format!("`{other}` is not an effect: write `Allow` or `Deny`"))),
        }
    }

    fn principals(&self, node: &Node<'_>, negated: bool) -> Result<Principals, Fault> {
        let mut principals = Principals::new(negated);
        match node.shape()? {
            Shape::Text(all) if all == "*" => principals.add_everyone(),
            Shape::Object(kinds) if !kinds.is_empty() => {
                for (kind, values) in kinds {
                    for (value, at) in texts(&values)? {
                        principals.add(&kind, &value).map_err(|error| at.fault(error.to_string()))?;
                    }
                }
            }
            _ => return Err(node.fault("write `\"*\"`, or an object such as `{\"AWS\": \"…\"}`")),
        }
        Ok(principals)
    }

    fn actions(&self, node: &Node<'_>, negated: bool) -> Result<Actions, Fault> {
        let syntax = Syntax { wildcards: true, variables: false };
        let mut patterns = vec![];
        for (action, at) in texts(node)? {
            let service =
                action.split_once(':').filter(|(_, name)| !name.is_empty()).map(|(service, _)| service);
            let well_formed = action == "*"
                || service.is_some_and(|service| {
                    !service.is_empty() && !action.contains(char::is_whitespace) && action.is_ascii()
                });
            if !well_formed {
                let reason = "is not an action: write `SERVICE:NAME`, such as `s3:GetObject`, or `*`";
                return Err(at.fault(format!("`{action}` {reason}")));
            }
            if self.kind == Kind::Trust && !service.is_some_and(|service| service.eq_ignore_ascii_case("sts"))
            {
                let reason = "does not belong into a trust policy: it speaks of `sts:` actions only";
                return Err(at.fault(format!("`{action}` {reason}")));
            }
            patterns.push(Pattern::parse(&action, syntax).map_err(|error| at.fault(error.to_string()))?);
        }
        Ok(Actions { negated, patterns: patterns.into() })
    }

    fn resources(&self, node: &Node<'_>, negated: bool) -> Result<Resources, Fault> {
        let complete = self.kind != Kind::Resource;
        let mut patterns = vec![];
        for (resource, at) in texts(node)? {
            let pattern = ArnPattern::resource(&resource, self.variables, complete);
            patterns.push(pattern.map_err(|error| at.fault(error.to_string()))?);
        }
        Ok(Resources { negated, patterns: patterns.into() })
    }

    fn conditions(&self, node: &Node<'_>) -> Result<Vec<Condition>, Fault> {
        let mut conditions = vec![];
        for (name, keys) in object(node, "conditions are an object: `{\"OPERATOR\": {\"KEY\": \"VALUE\"}}`")?
        {
            let operator = Operator::parse(&name)
                .ok_or_else(|| keys.fault(format!("`{name}` is not a condition operator")))?;
            for (key, values) in object(&keys, "an operator holds an object: `{\"KEY\": \"VALUE\"}`")? {
                if key.is_empty() || key.contains(char::is_whitespace) {
                    return Err(values.fault(format!("`{key}` is not a condition key")));
                }
                let condition = Condition::parse(operator.clone(), &key, scalars(&values)?, self.variables);
                conditions.push(condition.map_err(|error| values.fault(error.to_string()))?);
            }
        }
        Ok(conditions)
    }
}

fn unknown(node: &Node<'_>, key: &str, known: &str) -> Fault {
    node.fault(format!("`{key}` is not an element: there are {known}, written exactly so"))
}

fn object<'t>(node: &Node<'t>, wanted: &str) -> Result<Vec<(String, Node<'t>)>, Fault> {
    match node.shape()? {
        Shape::Object(members) => Ok(members),
        _ => Err(node.fault(wanted)),
    }
}

fn text(node: &Node<'_>) -> Result<String, Fault> {
    match node.shape()? {
        Shape::Text(text) => Ok(text),
        _ => Err(node.fault("needs a text")),
    }
}

/// One text, or a list of at least one; each with its place.
fn texts<'t>(node: &Node<'t>) -> Result<Vec<(String, Node<'t>)>, Fault> {
    match node.shape()? {
        Shape::Text(text) => Ok(vec![(text, node.clone())]),
        Shape::Array(items) if !items.is_empty() => {
            items.into_iter().map(|item| Ok((text(&item)?, item))).collect()
        }
        _ => Err(node.fault("needs a text, or a list of at least one")),
    }
}

/// The values of a condition: texts, numbers and truth values, or a list of them.
fn scalars(node: &Node<'_>) -> Result<Vec<String>, Fault> {
    let scalar = |shape| match shape {
        Shape::Text(text) => Some(text),
        Shape::Scalar(written) => Some(written.to_owned()),
        Shape::Object(_) | Shape::Array(_) | Shape::Null => None,
    };
    let wanted = "needs a text, a number or a truth value, or a list of them";
    match node.shape()? {
        Shape::Array(items) => {
            items.iter().map(|item| scalar(item.shape()?).ok_or_else(|| item.fault(wanted))).collect()
        }
        shape => Ok(vec![scalar(shape).ok_or_else(|| node.fault(wanted))?]),
    }
}

#[cfg(test)]
mod tests;
