//! A request that was recorded, decided anew: what would become of it now.
//!
//! Enters: its audit record, the directory, what the bucket says. Leaves: [`Step`]s. What a record does not hold
//! (session policies, tags, most headers) can be said beside it; where a decision hangs on such a key, the advice names
//! it. Exchanges are not decided anew: a record holds no token.

use serde::Deserialize;
use wigeon_core::arn::Arn;
use wigeon_core::policy::{Context, Explanation, Obstacle};
use wigeon_core::s3::operation::{Need, TABLE};
use wigeon_core::time::Timestamp;

use super::standing::{Asked, Standing};
use super::step::{Step, advice, judged};
use crate::bucket::BucketAccess;
use crate::directory::Snapshot;

/// What an audit record says that a decision depends on.
#[derive(Debug, Clone, Deserialize)]
pub struct Recorded {
    time: String,
    service: String,
    source_ip: String,
    user_agent: Option<String>,
    who: Option<RecordedWho>,
    operation: String,
    resource: String,
    bucket: Option<String>,
    version_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct RecordedWho {
    principal: String,
    role: Option<String>,
    session: Option<String>,
    issuer: Option<String>,
    subject: Option<String>,
    name: Option<String>,
    by: Option<String>,
    access_key_id: Option<String>,
}

impl Recorded {
    /// The bucket that it was about.
    #[must_use]
    pub fn bucket(&self) -> Option<&str> {
        self.bucket.as_deref()
    }

    /// The actions that the operation needs, each on its resource, as far as the record tells.
    fn asked(&self, snapshot: &Snapshot) -> Vec<(String, String)> {
        if self.service == "iam" {
            return vec![(format!("iam:{}", self.operation), self.subject(snapshot))];
        }
        let row = TABLE.iter().find(|row| row.operation.name() == self.operation);
        let versioned = self.version_id.is_some();
        let chosen = |plain: &str, of_version: &str| (if versioned { of_version } else { plain }).to_owned();
        let asked = |need: &Need| match *need {
            Need::OnService(action) => Some((action.to_owned(), "*".to_owned())),
            Need::OnTarget(plain, of_version) | Need::BodyTags(plain, of_version) => {
                Some((chosen(plain, of_version), self.resource.clone()))
            }
            Need::BodyLock(action) => Some((action.to_owned(), self.resource.clone())),
            Need::FormKey => Some(("s3:PutObject".to_owned(), self.resource.clone())),
            Need::EachKey => Some(("s3:DeleteObject".to_owned(), format!("{}/*", self.resource))),
            // What only headers ask for, the record does not tell.
            Need::CopySource | Need::WrittenAttributes | Need::BypassedGovernance | Need::BucketLock => None,
        };
        row.map(|row| row.needs.iter().filter_map(asked).collect()).unwrap_or_default()
    }

    /// The ARN of what a request to IAM was about: records have the name that the request had.
    fn subject(&self, snapshot: &Snapshot) -> String {
        let (name, account, entries) =
            (self.resource.as_str(), snapshot.account_in_arns(), snapshot.entries());
        let new = |kind: &str| format!("arn:aws:iam::{account}:{kind}/{name}");
        let of = |kind: &str| self.operation.contains(kind);
        match name {
            "" => "*".to_owned(),
            arn if arn.starts_with("arn:") => arn.to_owned(),
            url if url.contains("://") => Arn::oidc_provider(account, url).to_string(),
            _ if of("Role") => entries.role(name).map_or_else(|| new("role"), |role| role.arn(account)),
            _ if of("Group") => entries.group(name).map_or_else(|| new("group"), |group| group.arn(account)),
            _ => entries.user(name).map_or_else(|| new("user"), |user| user.arn(account)),
        }
    }
}

/// Decides a recorded request with the directory as it is now. `keys` are condition keys that the record does not hold.
#[must_use]
pub fn request(
    snapshot: &Snapshot,
    recorded: &Recorded,
    access: Option<&BucketAccess>,
    keys: &[(&str, &str)],
    now: Timestamp,
) -> Vec<Step> {
    let Some(who) = &recorded.who else {
        let found = "nobody's: the request was not authenticated";
        return vec![Step::bad("who", found, "look at the recorded reason, and at the client's credentials")];
    };
    if recorded.service == "sts" {
        let advice = "walk the token itself: wigeon explain token FILE --role ROLE";
        return vec![Step::bad("who", "an exchange, and records hold no tokens", advice)];
    }
    let standing = match standing(snapshot, who) {
        Ok(standing) => standing,
        Err(step) => return vec![step],
    };
    let mut steps = vec![Step::good("who", format!("`{}`", who.principal))];
    if let Some(ended) = ended(snapshot, who, &standing, &recorded.time) {
        steps.push(ended);
        return steps;
    }
    let mut context = Context::new();
    context.set("aws:CurrentTime", now);
    context.set("aws:EpochTime", now.as_second());
    context.set("aws:ResourceAccount", snapshot.account());
    context.set("s3:ResourceAccount", snapshot.account());
    context.set("aws:SourceIp", recorded.source_ip.as_str());
    if let Some(agent) = &recorded.user_agent {
        context.set("aws:UserAgent", agent.as_str());
    }
    if let Some(version) = &recorded.version_id {
        context.set("s3:VersionId", version.as_str());
    }
    standing.enter_keys(snapshot.account(), &mut context);
    for (key, value) in keys {
        context.set(*key, *value);
    }
    let asked = recorded.asked(snapshot);
    if asked.is_empty() {
        let found = format!("`{}` needs nothing that the record tells", recorded.operation);
        steps.push(Step::good("policies", found));
    }
    for (action, resource) in &asked {
        let asked = Asked { action, resource, access };
        let explanation = standing.explain(snapshot.account(), &asked, &context);
        steps.push(match unrecorded(&explanation) {
            Some(key) => Step::bad(
                "policies",
                explanation.to_string(),
                format!(
                    "the record does not hold `{key}`: say it with --key {key}=VALUE; or {}",
                    advice(&explanation)
                ),
            ),
            None => judged(&explanation),
        });
    }
    steps
}

/// Whose policies count.
fn standing<'a>(snapshot: &'a Snapshot, who: &'a RecordedWho) -> Result<Standing<'a>, Step> {
    let gone = |what: String| {
        let advice = "what came of it ended with it: make it again, or sign in with another";
        Err(Step::bad("who", what, advice))
    };
    if let Some(arn) = &who.role {
        let Some(role) = snapshot.role(arn) else { return gone(format!("the role `{arn}` is gone")) };
        let provider = match &who.issuer {
            None => None,
            Some(issuer) => match snapshot.provider(issuer) {
                None => return gone(format!("the provider `{issuer}` is gone")),
                found => found,
            },
        };
        return Ok(Standing::Session {
            role,
            name: who.session.as_deref().unwrap_or_default(),
            provider: provider.map(|provider| &**provider),
            subject: who.subject.as_deref(),
        });
    }
    match who.principal.as_str() {
        "root" => return Ok(Standing::Account),
        "anonymous" => return Ok(Standing::Public),
        _ => {}
    }
    let by_key = who.by.as_deref().and_then(|key| snapshot.access_key(key)).map(|(_, user)| user);
    let by_name = || who.name.as_deref().and_then(|name| snapshot.user(name));
    let by_id = || snapshot.users().find(|user| user.id == who.principal);
    match by_key.or_else(by_name).or_else(by_id) {
        Some(user) => Ok(Standing::User(user)),
        None => gone(format!("the user `{}` is gone", who.principal)),
    }
}

/// Whether the session that asked is over.
fn ended(snapshot: &Snapshot, who: &RecordedWho, standing: &Standing<'_>, asked_at: &str) -> Option<Step> {
    let over = |found: String| Some(Step::bad("session", found, "sign in again, for a new session"));
    if let Some(id) = who.access_key_id.as_deref().filter(|id| snapshot.is_revoked(id)) {
        return over(format!("the session `{id}` was ended"));
    }
    let asked_at: Timestamp = asked_at.parse().ok()?;
    let Standing::Session { role, provider, .. } = standing else { return None };
    let revoked = [role.revoked_before, provider.and_then(|provider| provider.revoked_before)];
    let until = revoked.into_iter().flatten().max().filter(|until| *until > asked_at)?;
    over(format!("sessions that began before {until} are over, and the request is from {asked_at}"))
}

/// The key that a denial hangs on and that the record may only lack.
fn unrecorded(explanation: &Explanation) -> Option<&str> {
    let nearest = explanation.nearest.as_ref()?;
    let only_conditions =
        nearest.obstacles.iter().all(|obstacle| matches!(obstacle, Obstacle::Condition { .. }));
    nearest.obstacles.iter().filter(|_| only_conditions).find_map(|obstacle| match obstacle {
        Obstacle::Condition { key, actual: None, .. } => Some(key.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rstest::rstest;
    use serde_json::{Value, json};
    use wigeon_core::policy::{Document, Kind};
    use wigeon_core::s3::BucketName;

    use super::*;
    use crate::bucket::{BucketPolicy, PublicAccessBlock};
    use crate::trust::fixture::{ISSUER, ROLE, any_aud, provider, role, snapshot_with};

    const MAY: &str = r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"Own","Effect":"Allow","Action":"s3:*Object*","Resource":"arn:aws:s3:::home/${idp.example/realms/x:sub}/*"},
        {"Sid":"Team","Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::team/*",
         "Condition":{"StringEquals":{"idp.example/realms/x:groups":"team"}}},
        {"Sid":"Roles","Effect":"Allow","Action":"iam:GetRole","Resource":"arn:aws:iam::000000000000:role/r*"}]}"#;

    fn snapshot() -> Snapshot {
        let mut entry = role("reader", &any_aud());
        entry.policies = vec![Arc::new(Document::parse(MAY, Kind::Identity).unwrap().named("may"))];
        snapshot_with(provider(), entry)
    }

    fn recorded(changes: &Value) -> Recorded {
        let mut record = json!({"time": "2026-11-23T12:00:00.000Z", "request_id": "1", "service": "s3",
            "source_ip": "192.0.2.7", "operation": "GetObject", "resource": "arn:aws:s3:::home/alice/a",
            "bucket": "home", "key": "alice/a", "status": 200,
            "who": {"principal": "arn:aws:sts::000000000000:assumed-role/reader/s", "role": ROLE, "session": "s",
                    "issuer": ISSUER, "subject": "alice", "access_key_id": "ASIA1"}});
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        serde_json::from_value(record).unwrap()
    }

    fn decided(changes: &Value, access: Option<&BucketAccess>, keys: &[(&str, &str)]) -> Step {
        let now = "2026-11-23T13:00:00Z".parse().unwrap();
        request(&snapshot(), &recorded(changes), access, keys, now).pop().unwrap()
    }

    #[rstest]
    #[case::own(json!({}), &[], true, "allowed by `Own`")]
    #[case::anothers(json!({"resource": "arn:aws:s3:::home/bob/a"}), &[], false, "add `arn:aws:s3:::home/bob/a`")]
    #[case::a_claim(json!({"resource": "arn:aws:s3:::team/a"}), &[], false, "--key idp.example/realms/x:groups=VALUE")]
    #[case::a_claim_that_is_said(
        json!({"resource": "arn:aws:s3:::team/a"}), &[("idp.example/realms/x:groups", "team")], true, "allowed by `Team`"
    )]
    #[case::a_version(json!({"version_id": "v"}), &[], true, "allowed by `Own`")]
    #[case::a_listing(
        json!({"operation": "ListObjectsV2", "resource": "arn:aws:s3:::home"}), &[], false, "`s3:ListBucket`"
    )]
    #[case::iam(json!({"service": "iam", "operation": "GetRole", "resource": "reader"}), &[], true, "`Roles`")]
    #[case::iam_denied(
        json!({"service": "iam", "operation": "DeleteRole", "resource": "reader"}), &[], false, "`iam:DeleteRole`"
    )]
    #[case::an_exchange(json!({"service": "sts"}), &[], false, "wigeon explain token")]
    #[case::nobody(json!({"who": null}), &[], false, "recorded reason")]
    #[case::role_gone(
        json!({"who": {"principal": "p", "role": "arn:aws:iam::000000000000:role/none"}}), &[], false, "make it again"
    )]
    #[case::provider_gone(
        json!({"who": {"principal": "p", "role": ROLE, "issuer": "https://gone.example"}}), &[], false, "make it again"
    )]
    #[case::user_gone(json!({"who": {"principal": "arn:aws:iam::000000000000:user/x", "name": "x"}}), &[], false, "make it")]
    #[case::root(json!({"who": {"principal": "root"}}), &[], true, "owns the account")]
    fn what_would_become_of_it(
        #[case] changes: Value,
        #[case] keys: &[(&str, &str)],
        #[case] good: bool,
        #[case] says: &str,
    ) {
        let step = decided(&changes, None, keys);
        let text = format!("{} {}", step.found, step.advice.as_deref().unwrap_or_default());
        assert_eq!(step.good, good, "{step:?}");
        assert!(text.contains(says), "{text}");
    }

    #[test]
    fn what_the_bucket_says_counts() {
        let policy = |statement: &str| {
            let text = format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
            let policy = BucketPolicy::parse(&BucketName::parse("home").unwrap(), &text).unwrap();
            BucketAccess { policy: Some(Arc::new(policy)), block: PublicAccessBlock::NONE, tags: None }
        };
        let denies = policy(
            r#"{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::home/*"}"#,
        );
        let step = decided(&json!({}), Some(&denies), &[]);
        assert!(!step.good && step.found.contains("`Closed`"), "{step:?}");
        let public = policy(
            r#"{"Sid":"Open","Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::home/*"}"#,
        );
        let stranger = json!({"who": {"principal": "anonymous"}});
        assert!(decided(&stranger, Some(&public), &[]).good);
        let blocked = BucketAccess { block: PublicAccessBlock::ALL, ..public };
        assert!(!decided(&stranger, Some(&blocked), &[]).good);
    }

    #[test]
    fn sessions_that_are_over() {
        let mut ended = role("reader", &any_aud());
        ended.revoked_before = Some("2026-11-23T12:30:00Z".parse().unwrap());
        let snapshot = snapshot_with(provider(), ended);
        let now = "2026-11-23T13:00:00Z".parse().unwrap();
        let step = request(&snapshot, &recorded(&json!({})), None, &[], now).pop().unwrap();
        assert_eq!((step.name, step.good), ("session", false), "{step:?}");
        let later = json!({"time": "2026-11-23T12:45:00.000Z"});
        let step = request(&snapshot, &recorded(&later), None, &[], now).pop().unwrap();
        assert_eq!(step.name, "policies", "a session of after the revocation");
    }
}
