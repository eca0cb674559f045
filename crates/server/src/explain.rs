//! The way of a token, walked for a person: form → signature → issuer → audience → trust → session, and what to
//! change where it ends.
//!
//! Enters: a token's text, a directory, the role that is wanted. Leaves: [`Step`]s; the last one that is not
//! good says what to do. Nothing is issued, and nothing that is said here holds the token.

use wigeon_core::jwt::UnverifiedToken;
use wigeon_core::policy::{Explanation, Obstacle, Source};
use wigeon_core::sts::IdentityError;

use crate::chain::chain;
use crate::directory::Snapshot;
use crate::trust::{Circumstances, TrustError, assume, explain_trust};
use crate::verify::{Verifier, VerifyError};

/// One step of the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// `token`, `issuer`, `signature`, `claims`, `role`, `trust`, `session`.
    pub name: &'static str,
    /// Whether the way goes on.
    pub good: bool,
    /// What was found.
    pub found: String,
    /// What to change, where it does not go on.
    pub advice: Option<String>,
}

impl Step {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, good: true, found: found.into(), advice: None }
    }

    fn bad(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, good: false, found: found.into(), advice: Some(advice.into()) }
    }
}

/// Walks a token's way to a role; without a role, to somebody's identity. The provider's keys are fetched
/// where the directory does not hold them.
pub async fn token(
    snapshot: &Snapshot,
    verifier: &Verifier,
    text: &str,
    role_arn: Option<&str>,
    session_name: &str,
    circumstances: &Circumstances<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    // 1. The form.
    match UnverifiedToken::parse(text) {
        Ok(token) => {
            let key = token.kid().unwrap_or("none");
            steps.push(Step::good("token", format!("signed with {}, key id `{key}`", token.algorithm())));
        }
        Err(error) => {
            steps.push(Step::bad("token", chain(&error), "ask the provider for a signed ID token (a JWT)"));
            return steps;
        }
    }
    // 2. Issuer, signature, claims.
    let identity = match verifier.verify(snapshot, text).await {
        Ok(identity) => identity,
        Err(error) => {
            steps.push(unverified(&error, snapshot));
            return steps;
        }
    };
    let (provider, token) = (identity.provider(), identity.token());
    steps.push(Step::good(
        "issuer",
        format!("`{}` is registered as `{}`", provider.url, provider.principal()),
    ));
    steps.push(Step::good("signature", "it holds under the provider's keys"));
    steps.push(Step::good(
        "claims",
        format!("subject `{}`, audience `{}`", token.subject(), token.audience()),
    ));
    // 3. The role.
    let Some(role_arn) = role_arn else { return steps };
    if let Some(role) = snapshot.role(role_arn) {
        steps.push(Step::good("role", format!("`{}` is there", role.arn)));
    }
    // 4. Its trust policy.
    let explained = explain_trust(snapshot, &identity, role_arn, session_name, circumstances);
    match assume(snapshot, identity, role_arn, session_name.to_owned(), circumstances) {
        Ok(assumed) => {
            let by = explained.into_iter().next().map(|explanation| explanation.to_string());
            steps.push(Step::good("trust", by.unwrap_or_else(|| "allowed".to_owned())));
            let found = format!("up to {} seconds", assumed.role().max_session_duration);
            steps.push(Step::good("session", found));
        }
        Err(error) => steps.push(refused(&error, &explained)),
    }
    steps
}

fn unverified(error: &VerifyError, snapshot: &Snapshot) -> Step {
    match error {
        VerifyError::UnknownIssuer(issuer) => {
            let mut known: Vec<&str> = snapshot.providers().map(|provider| provider.url.as_str()).collect();
            known.sort_unstable();
            let found = format!("no provider is registered for `{issuer}`");
            let bare = |text: &str| text.trim_end_matches('/').to_lowercase();
            let advice = match known.iter().find(|url| bare(url) == bare(issuer)) {
                Some(url) => {
                    format!("the directory says `{url}`: write it character by character as `{issuer}`")
                }
                None => format!("register a provider with `url = \"{issuer}\"`; there are {}", list(&known)),
            };
            Step::bad("issuer", found, advice)
        }
        VerifyError::Provider { .. } => {
            let advice = "make the provider reachable from here, or name its key set with `jwks_file`";
            Step::bad("signature", chain(error), advice)
        }
        VerifyError::Token(_) => {
            let advice =
                "compare the token's `kid` and `alg` with the provider's key set, and its algorithms";
            Step::bad("signature", chain(error), advice)
        }
        VerifyError::Identity(cause) => {
            let advice = match cause {
                IdentityError::Audience | IdentityError::ManyAudiences => {
                    "add the token's audience (`azp` where it has one) to the provider's `client_ids`"
                }
                IdentityError::Expired { .. } => "take a fresh token",
                IdentityError::IssuedInFuture { .. } | IdentityError::NotYetValid { .. } => {
                    "set the clocks of the provider and of this machine"
                }
                _ => "change what the provider puts into its tokens",
            };
            Step::bad("claims", cause.to_string(), advice)
        }
    }
}

fn refused(error: &TrustError, explained: &[Explanation]) -> Step {
    match error {
        TrustError::UnknownRole(role) => Step::bad(
            "role",
            error.to_string(),
            format!("add the role, or ask for one that is there: `{role}` is not"),
        ),
        TrustError::Refused { .. } => {
            let denied = explained.iter().find(|explanation| !explanation.decision.is_allowed());
            let advice = denied.map_or_else(|| "see the trust policy".to_owned(), advice);
            Step::bad("trust", error.to_string(), advice)
        }
        _ => Step::bad("trust", error.to_string(), "let the provider's roles claim list the role"),
    }
}

/// One line that says what to change so that a denied request is allowed.
#[must_use]
pub fn advice(explanation: &Explanation) -> String {
    let Explanation { action, resource, by, nearest, .. } = explanation;
    if let Some(Source { policy, statement, .. }) = by {
        return format!("take `{action}` out of the deny in `{statement}` of `{policy}`, if that is meant");
    }
    let Some(nearest) = nearest else {
        return format!("add a statement that allows `{action}` on `{resource}`");
    };
    let at = format!("in `{}` of `{}`", nearest.source.statement, nearest.source.policy);
    match nearest.obstacles.first() {
        Some(Obstacle::Action { .. }) => {
            format!("add a statement that allows `{action}`, or the action {at}")
        }
        Some(Obstacle::Resource { .. }) => format!("add `{resource}` to the resources {at}"),
        Some(Obstacle::Principal) => format!("name `{}` as a principal {at}", explanation.principal),
        Some(Obstacle::Condition { operator, needs_quantifier: true, key, .. }) => {
            format!("write `ForAnyValue:{operator}` for `{key}` {at}")
        }
        Some(Obstacle::Condition { key, actual: None, .. }) => {
            format!("let the token or request carry `{key}`, or drop the condition {at}")
        }
        Some(Obstacle::Condition { key, actual: Some(actual), .. }) => {
            format!("allow {} for `{key}` {at}", list(actual))
        }
        None => format!("look at the statement {at}"),
    }
}

fn list(texts: &[impl AsRef<str>]) -> String {
    match texts {
        [] => "none".to_owned(),
        texts => texts.iter().map(|text| format!("`{}`", text.as_ref())).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use wigeon_core::time::Clock;

    use super::*;
    use crate::trust::fixture::{ISSUER, ROLE, TestClock, any_aud, circumstances, snapshot, trust};

    fn walked(trust: &Value, claims: Value, role: &str) -> Vec<Step> {
        let clock = TestClock::new();
        let snapshot = snapshot(trust);
        let verifier = Verifier::new(std::sync::Arc::clone(&clock) as std::sync::Arc<dyn Clock>);
        let text = crate::trust::fixture::token(&clock, claims);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let circumstances = circumstances(&clock);
        runtime.block_on(token(&snapshot, &verifier, &text, Some(role), "explain", &circumstances))
    }

    #[test]
    fn a_good_token_arrives() {
        let steps = walked(&any_aud(), json!({}), ROLE);
        assert!(steps.iter().all(|step| step.good), "{steps:?}");
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        assert_eq!(names, ["token", "issuer", "signature", "claims", "role", "trust", "session"]);
    }

    #[rstest]
    #[case::issuer(json!({"iss": format!("{ISSUER}/")}), ROLE, "issuer", "character by character")]
    #[case::audience(json!({"aud": "other"}), ROLE, "claims", "`client_ids`")]
    #[case::expired(json!({"exp": 1}), ROLE, "claims", "take a fresh token")]
    #[case::role(json!({}), "arn:aws:iam::000000000000:role/none", "role", "add the role")]
    #[case::roles_claim(json!({"https://aws.amazon.com/roles": []}), ROLE, "trust", "roles claim")]
    fn where_it_ends(#[case] claims: Value, #[case] role: &str, #[case] step: &str, #[case] advice: &str) {
        let steps = walked(&any_aud(), claims, role);
        let last = steps.last().unwrap();
        assert_eq!((last.name, last.good), (step, false), "{steps:?}");
        assert!(last.advice.as_ref().unwrap().contains(advice), "{last:?}");
    }

    #[rstest]
    #[case::value(json!({"StringEquals": {"idp.example/realms/x:sub": "bob"}}), "allow `alice` for `idp.example/realms/x:sub`")]
    #[case::absent(json!({"StringEquals": {"idp.example/realms/x:team": "x"}}), "carry `idp.example/realms/x:team`")]
    fn the_trust_policy_condition_by_condition(#[case] condition: Value, #[case] advice: &str) {
        let steps = walked(&trust(&["sts:AssumeRoleWithWebIdentity"], condition), json!({}), ROLE);
        let last = steps.last().unwrap();
        assert_eq!((last.name, last.good), ("trust", false));
        assert!(last.advice.as_ref().unwrap().contains(advice), "{last:?}");
    }
}
