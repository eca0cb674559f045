//! `SimulatePrincipalPolicy`, `SimulateCustomPolicy` and the context keys that policies ask for: the evaluation
//! of real requests, over policies and keys that somebody wants to try.

use std::collections::BTreeSet;
use std::sync::Arc;

use wigeon_core::policy::{
    Context, Decision, Document, Explanation, Kind, Layer, Policies, Policy, Principal, Request, Value,
    explain,
};
use wigeon_core::time::parse_iso8601;

use super::action::{Action, Answer, On, Reading, Work};
use super::fault::Fault;
use super::page::Page;
use super::xml::Xml;
use crate::directory::Snapshot;

pub(super) const ACTIONS: &[Action] = &[
    Action { name: "SimulatePrincipalPolicy", on: On::Source, work: Work::Read(principal_policy) },
    Action { name: "SimulateCustomPolicy", on: On::Account, work: Work::Read(custom_policy) },
    Action { name: "GetContextKeysForCustomPolicy", on: On::Account, work: Work::Read(keys_of_custom) },
    Action { name: "GetContextKeysForPrincipalPolicy", on: On::Source, work: Work::Read(keys_of_principal) },
];

/// The most decisions of one request.
const MOST_DECISIONS: usize = 1_000;

/// What is being tried.
struct Trial {
    identity: Vec<Arc<Policy>>,
    boundary: Option<Arc<Policy>>,
    resource: Option<Policy>,
    /// The ARN of who asks.
    caller: String,
    /// The condition keys that the source itself brings.
    own_keys: Vec<(String, String)>,
}

fn custom_policy(of: &Reading<'_>) -> Answer {
    let mut trial = Trial::of_input(of)?;
    if trial.identity.is_empty() {
        return Err(Fault::invalid("PolicyInputList has no policy."));
    }
    if trial.caller.is_empty() {
        trial.caller = format!("arn:aws:iam::{}:user/simulated", of.snapshot.account_in_arns());
    }
    simulate(of, &trial)
}

fn principal_policy(of: &Reading<'_>) -> Answer {
    let source = of.input.arn("PolicySourceArn")?;
    let mut trial = Trial::of_input(of)?;
    let found = source_of(of.snapshot, source)?;
    trial.identity.splice(0..0, found.identity);
    trial.boundary = trial.boundary.or(found.boundary);
    trial.own_keys = found.own_keys;
    if trial.caller.is_empty() {
        source.clone_into(&mut trial.caller);
    }
    simulate(of, &trial)
}

impl Trial {
    fn of_input(of: &Reading<'_>) -> Result<Self, Fault> {
        let boundaries = parsed(of, "PermissionsBoundaryPolicyInputList", Kind::Identity)?;
        if boundaries.len() > 1 {
            return Err(Fault::invalid("There is at most one permissions boundary."));
        }
        let resource = match of.input.optional("ResourcePolicy") {
            None => None,
            Some(_) => {
                let text = of.input.document("ResourcePolicy")?;
                Some(parse(text, Kind::Resource)?.named("ResourcePolicy"))
            }
        };
        Ok(Self {
            identity: parsed(of, "PolicyInputList", Kind::Identity)?,
            boundary: boundaries.into_iter().next(),
            resource,
            caller: of.input.optional("CallerArn").unwrap_or_default().to_owned(),
            own_keys: Vec::new(),
        })
    }
}

/// The policies of a role, user or group.
fn source_of(snapshot: &Snapshot, arn: &str) -> Result<Trial, Fault> {
    let missing = || Fault::no_such_entity(format!("The entity {arn} cannot be found."));
    let name = arn.rsplit('/').next().unwrap_or_default();
    let (identity, boundary, mut own_keys, tags) = if let Some(role) = snapshot.role(arn) {
        let keys = vec![("aws:PrincipalArn".to_owned(), arn.to_owned())];
        (role.policies.clone(), role.boundary.clone(), keys, role.tags.clone())
    } else if let Some(user) = snapshot.user(name).filter(|user| user.arn.as_str() == arn) {
        let keys = [("aws:PrincipalArn", arn), ("aws:username", &user.name), ("aws:userid", &user.id)];
        let keys = keys.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        (user.policies.clone(), user.boundary.clone(), keys, user.tags.clone())
    } else {
        let group = snapshot.entries().group(name);
        let group = group.filter(|group| group.arn(snapshot.account_in_arns()) == arn).ok_or_else(missing)?;
        let inline = group
            .policies
            .inline
            .iter()
            .map(|(name, text)| Ok(Arc::new(parse(text, Kind::Identity)?.named(name.clone()))));
        let managed = group.policies.attached.iter();
        let managed = managed.map(|arn| snapshot.policy(arn).cloned().ok_or_else(missing));
        (inline.chain(managed).collect::<Result<_, Fault>>()?, None, Vec::new(), Vec::new())
    };
    own_keys.extend(tags.into_iter().map(|(key, value)| (format!("aws:PrincipalTag/{key}"), value)));
    Ok(Trial { identity, boundary, resource: None, caller: arn.to_owned(), own_keys })
}

fn parse(text: &str, kind: Kind) -> Result<Document, Fault> {
    Document::parse(text, kind)
        .map_err(|error| Fault::invalid(format!("The policy is not in order: {error}")))
}

fn parsed(of: &Reading<'_>, name: &str, kind: Kind) -> Result<Vec<Arc<Policy>>, Fault> {
    let documents = of.input.documents(name)?;
    let named = |(index, text): (usize, &str)| {
        Ok(Arc::new(parse(text, kind)?.named(format!("{name}.{}", index + 1))))
    };
    documents.into_iter().enumerate().map(named).collect()
}

/// `ContextEntries`, typed as they say.
fn context_entries(of: &Reading<'_>) -> Result<Vec<(String, Value<'static>)>, Fault> {
    let mut entries = Vec::new();
    for member in of.input.0.numbered("ContextEntries") {
        let key = member.get("ContextKeyName").copied().unwrap_or_default();
        let kind = member.get("ContextKeyType").copied().unwrap_or("string");
        let mut values: Vec<(u32, String)> = member
            .iter()
            .filter_map(|(rest, value)| {
                let number = rest.strip_prefix("ContextKeyValues.member.")?.parse().ok()?;
                Some((number, (*value).to_owned()))
            })
            .collect();
        values.sort();
        let mut values: Vec<String> = values.into_iter().map(|(_, value)| value).collect();
        let invalid = || Fault::invalid(format!("Invalid Context Entry {key}: it is not a {kind}"));
        let value = if kind.ends_with("List") {
            Value::from(values)
        } else {
            let Some(value) = values.pop().filter(|_| values.is_empty()) else { return Err(invalid()) };
            match kind {
                "boolean" => Value::Bool(value.parse().map_err(|_| invalid())?),
                "date" => Value::Time(parse_iso8601(&value).ok_or_else(invalid)?),
                "ip" => value.parse().map_or_else(|_| Value::from(value), Value::Address),
                "string" | "numeric" | "binary" => Value::from(value),
                _ => return Err(invalid()),
            }
        };
        if key.is_empty() {
            return Err(invalid());
        }
        entries.push((key.to_owned(), value));
    }
    Ok(entries)
}

/// One action on one resource.
struct Outcome {
    explanation: Explanation,
    missing: Vec<String>,
}

fn simulate(of: &Reading<'_>, trial: &Trial) -> Answer {
    let actions = of.input.list("ActionNames");
    let resources = match of.input.list("ResourceArns") {
        none if none.is_empty() => vec!["*"],
        resources => resources,
    };
    if actions.is_empty() || actions.iter().any(|action| !action.contains(':')) {
        return Err(Fault::invalid("ActionNames needs actions such as s3:GetObject."));
    }
    if actions.len() * resources.len() > MOST_DECISIONS {
        return Err(Fault::invalid(format!("A simulation has at most {MOST_DECISIONS} decisions.")));
    }
    let entries = context_entries(of)?;
    let pairs = actions.iter().flat_map(|action| resources.iter().map(move |resource| (*action, *resource)));
    let outcomes: Vec<(String, Outcome)> = pairs
        .enumerate()
        .map(|(index, (action, resource))| {
            (format!("{index:06}"), outcome(of, trial, &entries, action, resource))
        })
        .collect();
    let page = Page::of(&of.input, outcomes.iter().map(|(key, outcome)| (key.as_str(), outcome)))?;
    let mut xml = Xml::default();
    xml.list("EvaluationResults", &page.items, |xml, outcome| write(xml, outcome));
    page.write(&mut xml);
    Ok(xml)
}

fn outcome(
    of: &Reading<'_>,
    trial: &Trial,
    entries: &[(String, Value<'static>)],
    action: &str,
    resource: &str,
) -> Outcome {
    let account = of.snapshot.account_in_arns();
    let mut context = Context::new();
    for (key, value) in entries {
        context.set(key.as_str(), value.borrowed());
    }
    for (key, value) in &trial.own_keys {
        context.set(key.as_str(), value.as_str());
    }
    context.set("aws:CurrentTime", of.at);
    context.set("aws:EpochTime", of.at.as_second());
    let policies = Policies {
        resource: trial.resource.as_ref(),
        identity: &trial.identity,
        boundary: trial.boundary.as_deref(),
        session: &[],
    };
    // The account of the caller, as its ARN says it.
    let own = trial.caller.split(':').nth(4).filter(|own| !own.is_empty()).unwrap_or(account);
    let principal = Principal::User { account: own, arn: &trial.caller };
    let owner = of.input.optional("ResourceOwner").and_then(|arn| arn.split(':').nth(4)).unwrap_or(own);
    let request = Request { principal, action, resource, account: owner, context: &context };
    let missing = keys(trial).into_iter().filter(|key| context.value(key).is_none()).collect();
    Outcome { explanation: explain(&policies, &request), missing }
}

fn write(xml: &mut Xml, outcome: &Outcome) {
    let Outcome { explanation, missing } = outcome;
    xml.leaf("EvalActionName", &explanation.action);
    xml.leaf("EvalResourceName", &explanation.resource);
    xml.leaf(
        "EvalDecision",
        match explanation.decision {
            Decision::Allow(_) => "allowed",
            Decision::ExplicitDeny(_) => "explicitDeny",
            Decision::ImplicitDeny(_) => "implicitDeny",
        },
    );
    xml.list("MatchedStatements", &explanation.by, |xml, by| {
        xml.leaf("SourcePolicyId", &by.policy);
        let kind = match by.layer {
            Layer::Resource | Layer::Trust => "resource",
            Layer::Identity | Layer::Boundary | Layer::Session => "IAM Policy",
        };
        xml.leaf("SourcePolicyType", kind);
    });
    xml.texts("MissingContextValues", missing.iter().map(String::as_str));
    if explanation.decision == Decision::ImplicitDeny(Layer::Boundary) {
        xml.within("PermissionsBoundaryDecisionDetail", |xml| {
            xml.flag("AllowedByPermissionsBoundary", false)
        });
    }
}

/// The condition keys that a trial's policies ask for.
fn keys(trial: &Trial) -> BTreeSet<String> {
    let policies = trial.identity.iter().chain(&trial.boundary).map(|policy| &**policy);
    let statements = policies.chain(&trial.resource).flat_map(|policy| policy.document.statements());
    let conditions = statements.flat_map(|statement| statement.conditions());
    conditions.map(|condition| condition.key().to_owned()).collect()
}

fn keys_of_custom(of: &Reading<'_>) -> Answer {
    Ok(write_keys(&keys(&Trial::of_input(of)?)))
}

fn keys_of_principal(of: &Reading<'_>) -> Answer {
    let mut trial = source_of(of.snapshot, of.input.arn("PolicySourceArn")?)?;
    trial.identity.extend(Trial::of_input(of)?.identity);
    Ok(write_keys(&keys(&trial)))
}

fn write_keys(keys: &BTreeSet<String>) -> Xml {
    let mut xml = Xml::default();
    xml.texts("ContextKeyNames", keys.iter().map(String::as_str));
    xml
}
