//! The way of a token, walked for a person: form → signature → issuer → audience → trust → session → policies, and
//! what to change where it ends.
//!
//! Enters: a token's text, a directory, the role that is wanted. Leaves: [`Step`]s; the last one that is not
//! good says what to do. Nothing is issued, and nothing that is said here holds the token.
//! Below: what policies say to a request that nobody sends, and to one that was recorded.

mod step;

pub mod standing;

pub mod request;

use std::sync::Arc;

use wigeon_core::jwt::UnverifiedToken;
use wigeon_core::policy::{Context, Document, Explanation, Kind};
use wigeon_core::sts::{IdentityError, issuer_of};

pub use step::{Step, advice, judged};

use crate::chain::chain;
use crate::directory::{BuiltIn, Provider, Snapshot};
use crate::issue::{Grant, KeyRing, Sealer};
use crate::rights::Rights;
use crate::session::Caller;
use crate::trust::{AssumedRole, Circumstances, TrustError, assume, explain_trust};
use crate::verify::{OpaqueError, Verifier, VerifyError};
use step::list;

/// What is asked beside the token.
#[derive(Debug, Clone, Copy, Default)]
pub struct Question<'a> {
    /// The service of an opaque access token.
    pub provider_id: Option<&'a str>,
    /// The role that is wanted.
    pub role_arn: Option<&'a str>,
    /// The session's name.
    pub session_name: &'a str,
    /// A session policy that would be handed in.
    pub session_policy: Option<&'a str>,
    /// What the session would do, such as `s3:GetObject`.
    pub action: Option<&'a str>,
    /// With what: an ARN, or `*`.
    pub resource: &'a str,
    /// Condition keys of that request.
    pub keys: &'a [(&'a str, &'a str)],
}

/// Walks a token's way to a role, and on to an action; without a role, to somebody's identity. The provider's keys are fetched
/// where the directory does not hold them.
pub async fn token(
    snapshot: &Snapshot,
    verifier: &Verifier,
    text: &str,
    question: &Question<'_>,
    circumstances: &Circumstances<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    // 1. The form.
    match (question.provider_id, UnverifiedToken::parse(text)) {
        (Some(service), _) => steps.push(Step::good("token", format!("opaque, of `{service}`"))),
        (None, Ok(token)) => {
            let key = token.kid().unwrap_or("none");
            steps.push(Step::good("token", format!("signed with {}, key id `{key}`", token.algorithm())));
        }
        (None, Err(error)) => {
            let advice = "ask the provider for a signed ID token (a JWT); an access token of Login with Amazon or \
                          Facebook needs the provider id";
            steps.push(Step::bad("token", chain(&error), advice));
            return steps;
        }
    }
    // 2. Issuer, signature, claims.
    let verified = match question.provider_id {
        Some(service) => verifier.verify_opaque(snapshot, service, text).await,
        None => verifier.verify(snapshot, text).await,
    };
    let identity = match verified {
        Ok(identity) => identity,
        Err(error) => {
            // Claims are looked at last: what comes before them was in order.
            let claimed = matches!(error, VerifyError::Identity(_));
            let provider = claimed.then(|| provider_of(snapshot, text)).flatten();
            steps.extend(provider.into_iter().flat_map(|provider| vouched(provider, question)));
            steps.push(unverified(&error, snapshot));
            return steps;
        }
    };
    let (provider, token) = (identity.provider(), identity.token());
    steps.extend(vouched(provider, question));
    steps.push(Step::good(
        "claims",
        format!("subject `{}`, audience `{}`", token.subject(), token.audience()),
    ));
    // 3. The role.
    let Some(role_arn) = question.role_arn else { return steps };
    let session_name = question.session_name;
    if let Some(role) = snapshot.role(role_arn) {
        steps.push(Step::good("role", format!("`{}` is there", role.arn)));
    }
    // 4. Its trust policy.
    let explained = explain_trust(snapshot, &identity, role_arn, session_name, circumstances);
    match assume(snapshot, identity, role_arn, session_name.to_owned(), circumstances) {
        Ok(assumed) => {
            let by = explained.into_iter().next().map(|explanation| explanation.to_string());
            steps.push(Step::good("trust", by.unwrap_or_else(|| "allowed".to_owned())));
            // 5. The session, and what it may do.
            steps.extend(in_session(snapshot, &assumed, question, circumstances));
        }
        Err(error) => steps.push(refused(&error, &explained)),
    }
    steps
}

/// The provider that a signed token names.
fn provider_of<'s>(snapshot: &'s Snapshot, text: &str) -> Option<&'s Arc<Provider>> {
    let token = UnverifiedToken::parse(text).ok()?;
    snapshot.provider(issuer_of(&token).ok()?)
}

/// A provider is known, and vouches for the token.
fn vouched(provider: &Provider, question: &Question<'_>) -> [Step; 2] {
    let issuer = format!("`{}` is registered as `{}`", provider.url, provider.principal());
    let how = match question.provider_id {
        Some(_) => "the service vouches for the token",
        None => "it holds under the provider's keys",
    };
    [Step::good("issuer", issuer), Step::good("signature", how)]
}

/// The session that the role would give, and whether its policies allow what is asked.
fn in_session(
    snapshot: &Snapshot,
    assumed: &AssumedRole,
    question: &Question<'_>,
    circumstances: &Circumstances<'_>,
) -> Vec<Step> {
    let policy = question.session_policy.map(|text| Document::parse(text, Kind::Session)).transpose();
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return vec![Step::bad("session", error.to_string(), "write the session policy anew")],
    };
    let now = circumstances.now;
    // The session never leaves this function: a key ring of its own will do.
    let grant = Grant { duration: 900, policy, ..Grant::default() };
    let issued = KeyRing::generate(now).ok().map(|ring| Sealer::new(ring).issue(assumed.clone(), grant, now));
    let session = match issued {
        Some(Ok(issued)) => issued.session,
        Some(Err(error)) => {
            return vec![Step::bad("session", error.to_string(), "take a fresh, smaller token")];
        }
        None => return vec![Step::bad("session", "no session key could be generated", "try again")],
    };
    let seconds = assumed.role().max_session_duration;
    let mut steps = vec![Step::good("session", format!("`{}`, up to {seconds} seconds", session.arn()))];
    let rights = match Rights::of(&Caller::Session(Arc::new(session)), snapshot) {
        Ok(rights) => rights,
        Err(ended) => {
            let advice =
                "a revocation in the directory ends sessions that begin before it: see `revoked_before`";
            steps.push(Step::bad("session", ended.to_string(), advice));
            return steps;
        }
    };
    if let Some(action) = question.action {
        let mut context = Context::new();
        circumstances.enter_keys(&mut context);
        rights.enter_keys(&mut context);
        for (key, value) in question.keys {
            context.set(*key, *value);
        }
        steps.push(judged(&rights.explain(action, question.resource, &context)));
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
        VerifyError::UnknownService(name) => {
            let advice = match BuiltIn::of(name) {
                Some(service) => {
                    format!("switch it on in the directory: `[[built_in]]`, `name = \"{}\"`", service.name())
                }
                None => "services of opaque tokens are `www.amazon.com` and `graph.facebook.com`".to_owned(),
            };
            Step::bad("issuer", error.to_string(), advice)
        }
        VerifyError::Opaque { source: OpaqueError::Fetch(_), .. } => {
            Step::bad("signature", chain(error), "make the service's token information reachable from here")
        }
        VerifyError::Opaque { .. } => {
            Step::bad("signature", chain(error), "take a fresh access token of the service")
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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};
    use wigeon_core::time::Clock;

    use super::*;
    use crate::trust::fixture::{
        ISSUER, ROLE, TestClock, any_aud, circumstances, provider, snapshot_with, trust,
    };

    fn walked(trust: &Value, claims: Value, role: &str) -> Vec<Step> {
        walked_on(trust, claims, role, Question::default())
    }

    fn walked_on(trust: &Value, claims: Value, role: &str, asked: Question<'_>) -> Vec<Step> {
        let clock = TestClock::new();
        let mut role_entry = crate::trust::fixture::role("reader", trust);
        let may = r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"}]}"#;
        role_entry.policies = vec![Arc::new(Document::parse(may, Kind::Identity).unwrap().named("may"))];
        let snapshot = snapshot_with(provider(), role_entry);
        let verifier = Verifier::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let text = crate::trust::fixture::token(&clock, claims);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let circumstances = circumstances(&clock);
        let question = Question { role_arn: Some(role), session_name: "explain", ..asked };
        runtime.block_on(token(&snapshot, &verifier, &text, &question, &circumstances))
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
        // Everything before was in order, and is said.
        let order = ["token", "issuer", "signature", "claims", "role", "trust"];
        let names: Vec<&str> = steps.iter().map(|step| step.name).filter(|name| *name != "role").collect();
        let until = order.iter().position(|name| *name == step).unwrap();
        let expected = order.iter().take(until + 1).filter(|name| **name != "role");
        assert!(step == "role" || names.iter().eq(expected), "{steps:?}");
        assert!(steps.iter().rev().skip(1).all(|step| step.good));
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

    #[rstest]
    #[case::granted(None, "arn:aws:s3:::shared/a", None)]
    #[case::session_policy(
        Some(r#"{"Statement":[{"Effect":"Allow","Action":"s3:PutObject","Resource":"*"}]}"#),
        "arn:aws:s3:::shared/a",
        Some(
            "add a statement that allows `s3:GetObject`, or the action in `Statement[0]` of `session policy`"
        )
    )]
    #[case::permission(
        None,
        "arn:aws:s3:::other/a",
        Some("add `arn:aws:s3:::other/a` to the resources in `Statement[0]` of `may`")
    )]
    fn the_policies_of_the_session(
        #[case] session_policy: Option<&str>,
        #[case] resource: &str,
        #[case] advice: Option<&str>,
    ) {
        let asked =
            Question { session_policy, action: Some("s3:GetObject"), resource, ..Question::default() };
        let steps = walked_on(&any_aud(), json!({}), ROLE, asked);
        let last = steps.last().unwrap();
        assert_eq!((last.name, last.advice.as_deref()), ("policies", advice), "{steps:?}");
        assert_eq!(steps.iter().filter(|step| !step.good).count(), usize::from(advice.is_some()));
    }

    #[test]
    fn a_session_policy_that_cannot_be_read() {
        let asked = Question { session_policy: Some("{"), ..Question::default() };
        let steps = walked_on(&any_aud(), json!({}), ROLE, asked);
        assert_eq!((steps.last().unwrap().name, steps.last().unwrap().good), ("session", false));
    }

    #[test]
    fn a_service_that_is_not_switched_on() {
        let asked = Question { provider_id: Some("www.amazon.com"), ..Question::default() };
        let steps = walked_on(&any_aud(), json!({}), ROLE, asked);
        let last = steps.last().unwrap();
        assert!(
            last.advice.as_ref().unwrap().contains("`[[built_in]]`, `name = \"www.amazon.com\"`"),
            "{last:?}"
        );
    }
}
