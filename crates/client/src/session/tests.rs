//! A session's life: warm, kept, renewed, ended, with a clock that is moved by hand.

use std::sync::Arc;

use rstest::rstest;
use serde_json::{Value, json};
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::sts::FaultCode;
use wigeon_core::time::{Clock as _, SignedDuration, Timestamp};

use super::*;
use crate::connect::ConnectOptions;
use crate::exchange::ExchangeError;
use crate::profile::{Bookmark, Configuration, Document, Settings, Stored};
use crate::secret_store::{MemoryStore, SecretStore as _};
use crate::sign_in;
use crate::surroundings::Surroundings;
use crate::testing::{Manners, OtherSide};

struct Lab {
    side: OtherSide,
    store: MemoryStore,
    role: &'static str,
}

impl Lab {
    async fn new(manners: Manners) -> Self {
        Self {
            side: OtherSide::start(manners).await,
            store: MemoryStore::default(),
            role: "arn:aws:iam::1:role/analyst",
        }
    }

    /// As another process would have it: nothing in memory, the same store.
    fn session(&self) -> Arc<Session> {
        let text = format!(
            "protocol='s3'\nvendor='lab'\nauthorization='PasswordGrant'\noauth_client_id='s3-cli'\noauth_client_secret=''\n\
             issuer='{}'\nsts_endpoint='{}sts'\n[properties]\nrole_arn='{}'\n",
            self.side.issuer, self.side.issuer, self.role
        );
        let Document::Profile(profile, _) = Document::parse(text.as_bytes(), "lab.toml").unwrap() else {
            panic!()
        };
        let stored = Stored { name: "lab".to_owned(), profile, bookmark: Bookmark::default() };
        let settings = Settings::new(stored, Configuration::default());
        let (store, clock) = (Arc::new(self.store.clone()), Arc::new(self.side.clock.clone()));
        Arc::new(Session::new(&settings, ConnectOptions::default(), store, clock).unwrap())
    }

    async fn signed_in(&self) -> Record {
        let session = self.session();
        let tokens =
            sign_in::with_password(session.sign_in().unwrap(), "ada", &Secret::new("right")).await.unwrap();
        session.begin(tokens).await.unwrap()
    }

    fn wait(&self, seconds: i64) {
        self.side.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn exchanges(&self) -> usize {
        self.side.forms("/sts").len()
    }

    /// Without the one of the sign-in.
    fn refreshes(&self) -> usize {
        self.side.forms("/token").len() - 1
    }
}

fn needs_sign_in(error: &SessionError) -> bool {
    matches!(error, SessionError::SignInNeeded { profile, .. } if profile == "lab")
}

#[tokio::test]
async fn nobody_has_signed_in() {
    let lab = Lab::new(Manners::default()).await;
    let error = lab.session().credentials().await.unwrap_err();
    assert!(needs_sign_in(&error));
    assert_eq!(error.to_string(), "sign-in needed for profile \"lab\"");
}

#[tokio::test]
async fn credentials_are_used_until_shortly_before_their_end() {
    let lab = Lab::new(Manners::default()).await;
    let record = lab.signed_in().await;
    assert_eq!(record.identity.user, "ada@example.org");
    let form = &lab.side.forms("/sts")[0];
    assert_eq!((form["RoleArn"].as_str(), form["RoleSessionName"].as_str()), (lab.role, "ada"));
    let session = lab.session();
    let first = session.credentials().await.unwrap();
    lab.wait(3600 - 1201);
    assert!(Arc::ptr_eq(&first, &session.credentials().await.unwrap()));
    assert_eq!((lab.exchanges(), lab.refreshes()), (1, 0));
    lab.wait(1);
    let second = session.credentials().await.unwrap();
    assert_ne!(first.access_key_id, second.access_key_id);
    assert_eq!((lab.exchanges(), lab.refreshes()), (2, 1), "the ID token was too old, so it was refreshed");
}

#[tokio::test]
async fn a_valid_id_token_is_exchanged_again_without_a_refresh() {
    let lab = Lab::new(Manners { id_token_ttl: 36_000, ..Manners::default() }).await;
    lab.signed_in().await;
    lab.wait(3500);
    lab.session().credentials().await.unwrap();
    assert_eq!((lab.exchanges(), lab.refreshes()), (2, 0));
}

#[tokio::test]
async fn short_sessions_are_renewed_at_two_thirds() {
    let lab = Lab::new(Manners { session_ttl: 20, ..Manners::default() }).await;
    lab.signed_in().await;
    let session = lab.session();
    lab.wait(13);
    session.credentials().await.unwrap();
    assert_eq!(lab.exchanges(), 1);
    lab.wait(1);
    session.credentials().await.unwrap();
    assert_eq!(lab.exchanges(), 2);
}

#[tokio::test]
async fn many_callers_in_many_processes_cause_one_renewal() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.wait(3500);
    let mut tasks = Vec::new();
    for _ in 0..10 {
        let session = lab.session();
        for _ in 0..10 {
            let session = Arc::clone(&session);
            tasks.push(tokio::spawn(
                async move { session.credentials().await.unwrap().access_key_id.clone() },
            ));
        }
    }
    let mut keys = Vec::new();
    for task in tasks {
        keys.push(task.await.unwrap());
    }
    keys.dedup();
    assert_eq!(keys.len(), 1);
    assert_eq!((lab.exchanges(), lab.refreshes()), (2, 1));
}

#[tokio::test]
async fn refresh_tokens_rotate() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    for round in 1..=3 {
        lab.wait(3500);
        lab.session().credentials().await.unwrap();
        assert_eq!(lab.refreshes(), round, "each time with the token that the last refresh gave");
    }
}

#[tokio::test]
async fn a_new_refresh_token_is_kept_even_if_the_rest_fails() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.wait(4000);
    lab.side.manners(|manners| manners.sts_refusal = Some((FaultCode::InternalFailure, String::new())));
    assert!(lab.session().credentials().await.is_err());
    lab.side.manners(|manners| manners.claims = json!({"sub": "bob"}).as_object().unwrap().clone());
    lab.wait(700);
    let error = lab.session().credentials().await.unwrap_err();
    assert!(matches!(&error, SessionError::Untrusted(_)), "{error}");
    lab.side.manners(|manners| {
        manners.claims.clear();
        manners.sts_refusal = None;
    });
    lab.session().credentials().await.unwrap();
}

/// OpenID Connect Core 1.0, section 12.2: what a refresh gives is held to the same, and to the same person.
#[rstest]
#[case::subject(json!({"sub": "bob"}))]
#[case::no_subject(json!({"sub": null}))]
#[case::issuer(json!({"iss": "https://other.example"}))]
#[case::audience(json!({"aud": "other-app"}))]
#[case::expired(json!({"exp": 1_000_000_000}))]
#[case::no_iat(json!({"iat": null}))]
#[case::future(json!({"iat": 4_000_000_000u64}))]
#[case::at_hash(json!({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}))]
#[case::authorized_party(json!({"azp": "b"}))]
#[case::signature(Value::Null)]
#[tokio::test]
async fn a_renewed_id_token_that_does_not_hold(#[case] claims: Value) {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.side.manners(|manners| match claims.as_object() {
        Some(claims) => manners.claims = claims.clone(),
        None => manners.wrong_key = true,
    });
    lab.wait(3600);
    let error = lab.session().credentials().await.unwrap_err();
    assert!(matches!(error, SessionError::Untrusted(_)), "{error}");
    assert_eq!(lab.exchanges(), 1, "it was not exchanged");
    // The refresh token that came with it is the one that works now, and was kept.
    lab.side.manners(|manners| *manners = Manners::default());
    lab.session().credentials().await.unwrap();
}

#[tokio::test]
async fn a_renewal_after_the_provider_has_changed_its_key() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.side.change_key();
    lab.wait(3600);
    lab.session().credentials().await.unwrap();
}

#[tokio::test]
async fn a_refresh_without_an_id_token_needs_a_person_in_the_end() {
    let lab =
        Lab::new(Manners { refresh_gives_id_token: false, id_token_ttl: 3700, ..Manners::default() }).await;
    lab.signed_in().await;
    lab.wait(3500);
    lab.session().credentials().await.unwrap();
    assert_eq!(lab.refreshes(), 0, "the old ID token still served");
    lab.wait(3600);
    let error = lab.session().credentials().await.unwrap_err();
    assert!(needs_sign_in(&error) && error.to_string().contains("gives no new one"), "{error}");
}

#[tokio::test]
async fn without_a_refresh_token_the_sign_in_ends() {
    let lab = Lab::new(Manners { refresh_token: false, ..Manners::default() }).await;
    // A password grant of the test provider always gives one; take it away.
    let mut record = lab.signed_in().await;
    record.refresh_token = None;
    lab.session().save(&record).unwrap();
    lab.wait(3700);
    let error = lab.session().credentials().await.unwrap_err();
    assert!(needs_sign_in(&error) && error.to_string().contains("no refresh token"), "{error}");
}

#[tokio::test]
async fn a_refresh_token_that_ends_with_idleness_is_used_before() {
    // As at Keycloak: half an hour, while the session lasts one and the ID token, too.
    let lab = Lab::new(Manners {
        id_token_ttl: 3600,
        refresh_expires_in: Some(json!("1800")),
        ..Manners::default()
    })
    .await;
    let record = lab.signed_in().await;
    let end = |record: &Record| record.refresh_token_ends_at().unwrap().duration_since(record.signed_in_at);
    assert_eq!(end(&record), SignedDuration::from_mins(30));
    lab.wait(20 * 60 - 1);
    lab.session().credentials().await.unwrap();
    assert_eq!(lab.refreshes(), 0);
    lab.wait(2);
    lab.session().credentials().await.unwrap();
    lab.session().credentials().await.unwrap();
    assert_eq!((lab.refreshes(), lab.exchanges()), (1, 2));
    let record = lab.session().record().unwrap().unwrap();
    assert_eq!(end(&record), SignedDuration::from_secs(50 * 60 + 1));
    // One that was not used in time: what there is works to its end, and then a person is asked.
    lab.side.manners(|manners| {
        manners.token_refusal = Some((400, json!({"error": "invalid_grant", "error_description": "idle"})));
    });
    lab.wait(31 * 60);
    lab.session().credentials().await.unwrap();
    lab.session().credentials().await.unwrap();
    assert_eq!(lab.refreshes(), 2, "it is not tried again");
    lab.wait(30 * 60);
    assert!(needs_sign_in(&lab.session().credentials().await.unwrap_err()));
}

#[tokio::test]
async fn a_refresh_token_whose_end_does_not_move_is_not_used_again_and_again() {
    let lab = Lab::new(Manners { refresh_expires_in: Some(json!(150)), ..Manners::default() }).await;
    lab.signed_in().await;
    for _ in 0..10 {
        lab.wait(14);
        lab.session().credentials().await.unwrap();
    }
    assert_eq!((lab.refreshes(), lab.exchanges()), (0, 1));
}

#[tokio::test]
async fn a_revoked_refresh_token_is_not_tried_again() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.wait(3700);
    lab.side.manners(|manners| {
        manners.token_refusal =
            Some((400, json!({"error": "invalid_grant", "error_description": "revoked"})));
    });
    let error = lab.session().credentials().await.unwrap_err();
    assert!(needs_sign_in(&error) && error.to_string().contains("invalid_grant (revoked)"), "{error}");
    assert!(needs_sign_in(&lab.session().credentials().await.unwrap_err()));
    assert_eq!(lab.refreshes(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_does_not_end_what_still_works() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.side.manners(|manners| manners.token_refusal = Some((503, json!("down"))));
    lab.wait(3400);
    let session = lab.session();
    session.credentials().await.unwrap();
    session.credentials().await.unwrap();
    assert_eq!(lab.refreshes(), 1, "the second caller does not try again at once");
    lab.wait(16);
    session.credentials().await.unwrap();
    assert_eq!(lab.refreshes(), 2);
    lab.wait(300);
    let error = session.credentials().await.unwrap_err();
    assert!(matches!(&error, SessionError::Renewal(source) if source.is_temporary()), "{error}");
    lab.side.manners(|manners| manners.token_refusal = None);
    let tries = lab.refreshes();
    let paused = lab.session().credentials().await.unwrap_err();
    assert!(
        matches!(&paused, SessionError::Paused { words, .. } if words.contains("status 503")),
        "{paused}"
    );
    assert_eq!(lab.refreshes(), tries, "another process does not try again at once, either");
    lab.wait(61);
    session.credentials().await.unwrap();
}

#[tokio::test]
async fn the_stss_words_and_the_tokens_facts() {
    let refusal =
        (FaultCode::AccessDenied, "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned());
    let lab = Lab::new(Manners { sts_refusal: Some(refusal), ..Manners::default() }).await;
    let session = lab.session();
    let tokens =
        sign_in::with_password(session.sign_in().unwrap(), "ada", &Secret::new("right")).await.unwrap();
    let token = tokens.id_token.as_ref().unwrap().expose().to_owned();
    let error = session.begin(tokens).await.unwrap_err();
    let text = error.to_string();
    for part in ["AccessDenied (Not authorized", lab.role, &lab.side.issuer_text(), "`s3-cli`", "`ada`"] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    assert!(!text.contains(&token) && !format!("{error:?}").contains(&token));
    let SessionError::Exchange(ExchangeError::Refused(refusal)) = error else { panic!() };
    assert!(refusal.hint().contains("trust policy"));
    assert_eq!(refusal.request_id.as_deref(), Some("request-7"));

    lab.side.manners(|manners| manners.sts_refusal = None);
    lab.session().credentials().await.unwrap();
    assert_eq!(lab.side.forms("/token").len(), 1, "the sign-in was kept: no second one for another try");
}

#[tokio::test]
async fn an_expired_token_at_the_sts_is_refreshed() {
    let lab = Lab::new(Manners { id_token_ttl: 36_000, ..Manners::default() }).await;
    lab.signed_in().await;
    lab.side.manners(|manners| manners.sts_refusal = Some((FaultCode::ExpiredTokenException, String::new())));
    lab.wait(3700);
    let error = lab.session().credentials().await.unwrap_err();
    assert!(matches!(error, SessionError::Exchange(_)));
    assert_eq!((lab.refreshes(), lab.exchanges()), (1, 3), "refreshed once, and no more than once");
}

#[tokio::test]
async fn credentials_that_the_store_refuses_are_replaced_once() {
    let lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    let session = lab.session();
    let refused = session.credentials().await.unwrap();
    let (one, two) = tokio::join!(session.instead_of(&refused), session.instead_of(&refused));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.access_key_id, two.access_key_id);
    assert_ne!(one.access_key_id, refused.access_key_id);
    assert_eq!(lab.exchanges(), 2);
    assert_eq!(lab.session().instead_of(&refused).await.unwrap().access_key_id, one.access_key_id);
    assert_eq!(lab.exchanges(), 2, "another process finds the new ones");
}

#[tokio::test]
async fn another_role_is_not_served_with_the_old_ones_credentials() {
    let mut lab = Lab::new(Manners::default()).await;
    lab.signed_in().await;
    lab.role = "arn:aws:iam::1:role/admin";
    lab.session().credentials().await.unwrap();
    assert_eq!(lab.side.forms("/sts")[1]["RoleArn"], lab.role);
}

#[tokio::test]
async fn signing_out_gives_the_tokens_back() {
    let lab = Lab::new(Manners::default()).await;
    let record = lab.signed_in().await;
    assert_eq!(lab.session().end().await.unwrap(), Some(true));
    let tokens: Vec<_> =
        lab.side.forms("/revoke").into_iter().map(|mut form| form.remove("token").unwrap()).collect();
    assert_eq!(tokens, [record.refresh_token.unwrap().expose(), "an-access-token"]);
    assert!(needs_sign_in(&lab.session().credentials().await.unwrap_err()));
    assert_eq!(lab.session().end().await.unwrap(), None);
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let lab = Lab::new(Manners::default()).await;
    let record = lab.signed_in().await;
    let account = record.account("lab");
    for text in ["", "{}", "null", &record.to_text().expose().replace("\"version\":1", "\"version\":2")] {
        lab.store.save(&account, &Secret::new(text)).unwrap();
        assert!(matches!(lab.session().credentials().await, Err(SessionError::Damaged { .. })), "{text}");
    }
    assert_eq!(lab.session().end().await.unwrap(), Some(false));
}

#[test]
fn renewal_is_ahead_of_the_end() {
    let obtained_at: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let of = |seconds: i64| {
        let session = AssumedSession {
            endpoint: "https://sts.example".parse().unwrap(),
            role: None,
            way: Vec::new(),
            arn: None,
            obtained_at,
            credentials: Credentials {
                access_key_id: String::new(),
                secret_key: Secret::new(""),
                session_token: None,
                expires_at: Some(obtained_at + SignedDuration::from_secs(seconds)),
            },
        };
        session.renew_from().duration_since(obtained_at).as_secs()
    };
    assert_eq!([of(20), of(900), of(3600), of(43_200)], [13, 600, 2400, 42_000]);
}

#[test]
fn debug_shows_no_secret() {
    let clock = wigeon_testkit::clock::FixedClock::at(Timestamp::UNIX_EPOCH);
    assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    let session = AssumedSession {
        endpoint: "https://sts.example".parse().unwrap(),
        role: None,
        way: Vec::new(),
        arn: None,
        obtained_at: clock.now(),
        credentials: Credentials {
            access_key_id: "ASIA".to_owned(),
            secret_key: Secret::new("hunter2"),
            session_token: Some(Secret::new("hunter3")),
            expires_at: None,
        },
    };
    assert!(!format!("{session:?}").contains("hunter"));
}

/// The session of a profile of one's own, in surroundings of one's own.
fn session_with(lab: &Lab, profile: &str, variables: &[(&str, &str)]) -> Session {
    let text = format!(
        "protocol='s3'\nvendor='lab'\nsts_endpoint='{}sts'\nissuer='{}'\n{profile}",
        lab.side.issuer, lab.side.issuer
    );
    let Document::Profile(profile, _) = Document::parse(text.as_bytes(), "lab.toml").unwrap() else {
        panic!()
    };
    let stored = Stored { name: "lab".to_owned(), profile, bookmark: Bookmark::default() };
    let settings = Settings::new(stored, Configuration::default());
    let (store, clock) = (Arc::new(lab.store.clone()), Arc::new(lab.side.clock.clone()));
    let around = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Session::new(&settings, ConnectOptions::default(), store, clock)
        .unwrap()
        .in_surroundings(Surroundings::new(around))
}

const ANALYST: &str = "[properties]\nrole_arn='arn:aws:iam::1:role/analyst'\n";

#[tokio::test]
async fn a_workloads_token_is_read_anew_at_each_renewal() {
    let lab = Lab::new(Manners::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "first\n").unwrap();
    let profile = format!("token='file:{}'\n{ANALYST}", file.display());
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    std::fs::write(&file, "second").unwrap();
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    assert_eq!(lab.exchanges(), 1, "another process finds the session");
    lab.wait(3500);
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    let tokens: Vec<_> = lab.side.forms("/sts").iter().map(|form| form["WebIdentityToken"].clone()).collect();
    assert_eq!(tokens, ["first", "second"]);

    std::fs::remove_file(&file).unwrap();
    lab.wait(4000);
    let error = session_with(&lab, &profile, &[]).credentials().await.unwrap_err();
    assert!(matches!(&error, SessionError::Workload(_)), "{error}");
}

#[tokio::test]
async fn tokens_of_variables_commands_and_clients() {
    let lab = Lab::new(Manners::default()).await;
    let client = "oauth_client_id='s3-cli'\noauth_client_secret='s'\n";
    let cases = [
        ("token='env:MY_TOKEN'\n".to_owned(), "from-variable"),
        ("token='gitlab'\n".to_owned(), "from-gitlab"),
        ("token=\"command:printf '%s' from-command\"\n".to_owned(), "from-command"),
        (format!("token='client-credentials'\n{client}"), "an-access-token"),
    ];
    for (profile, expected) in cases {
        let variables = [("MY_TOKEN", "from-variable"), ("GITLAB_OIDC_TOKEN", "from-gitlab")];
        lab.store.remove("lab").unwrap();
        session_with(&lab, &format!("{profile}{ANALYST}"), &variables).credentials().await.unwrap();
        assert_eq!(lab.side.forms("/sts").last().unwrap()["WebIdentityToken"], expected);
    }
    let form = lab.side.forms("/token").pop().unwrap();
    assert_eq!(form["grant_type"], "client_credentials");
    assert!(!form.contains_key("scope"), "`openid` is for people");
    lab.store.remove("lab").unwrap();
    let error =
        session_with(&lab, &format!("token='gitlab'\n{ANALYST}"), &[]).credentials().await.unwrap_err();
    assert_eq!(error.to_string(), "the variable `GITLAB_OIDC_TOKEN` is not set");
}

#[tokio::test]
async fn a_job_of_github_asks_for_its_token() {
    let lab = Lab::new(Manners::default()).await;
    let url = format!("{}github?api-version=2.0", lab.side.issuer);
    let variables =
        [("ACTIONS_ID_TOKEN_REQUEST_URL", url.as_str()), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-token")];
    let profile = format!("token='github-actions'\n{ANALYST}");
    session_with(&lab, &profile, &variables).credentials().await.unwrap();
    assert_eq!(lab.side.forms("/sts")[0]["WebIdentityToken"], "github-token-for-sts.amazonaws.com");
    lab.wait(3500);
    let with_audience = format!("audience='my-store'\n{profile}");
    session_with(&lab, &with_audience, &variables).credentials().await.unwrap();
    assert_eq!(lab.side.forms("/sts")[1]["WebIdentityToken"], "github-token-for-my-store");
    lab.wait(4000);
    let error = session_with(&lab, &profile, &variables[..1]).credentials().await.unwrap_err();
    assert!(error.to_string().contains("id-token: write"), "{error}");
    let elsewhere = [("ACTIONS_ID_TOKEN_REQUEST_URL", "http://pipelines.example/x"), variables[1]];
    let error = session_with(&lab, &profile, &elsewhere).credentials().await.unwrap_err();
    assert!(error.to_string().contains("not an https address"), "{error}");
    let wrong = [variables[0], ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hunter2")];
    let error = session_with(&lab, &profile, &wrong).credentials().await.unwrap_err();
    assert!(error.to_string().contains("status 401") && !error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test]
async fn roles_are_assumed_in_a_chain() {
    let lab = Lab::new(Manners::default()).await;
    let chain = "role_chain='arn:aws:iam::1:role/second arn:aws:iam::2:role/third'\n";
    let profile = format!("token='env:T'\n{chain}{ANALYST}external_id='e1'\n");
    let session = session_with(&lab, &profile, &[("T", "token")]);
    let third = session.credentials().await.unwrap();
    let forms = lab.side.forms("/sts");
    let asked: Vec<_> =
        forms.iter().map(|form| (form["Action"].as_str(), form["RoleArn"].as_str())).collect();
    assert_eq!(
        asked,
        [
            ("AssumeRoleWithWebIdentity", "arn:aws:iam::1:role/analyst"),
            ("AssumeRole", "arn:aws:iam::1:role/second"),
            ("AssumeRole", "arn:aws:iam::2:role/third"),
        ]
    );
    assert_eq!(forms[1]["ExternalId"], "e1");
    let signed = lab.side.authorizations("/sts");
    assert!(signed[0].is_none() && signed[1].as_ref().unwrap().contains("Credential=ASIA0000000000000001/"));
    assert!(signed[2].as_ref().unwrap().contains("Credential=ASIA0000000000000002/"));
    assert_eq!(third.access_key_id, "ASIA0000000000000003");
    assert_eq!(
        session.record().unwrap().unwrap().session.unwrap().role.unwrap(),
        "arn:aws:iam::2:role/third"
    );

    // The same profile with another chain does not get the old chain's credentials.
    let shorter = format!("token='env:T'\n{ANALYST}");
    session_with(&lab, &shorter, &[("T", "token")]).credentials().await.unwrap();
    assert_eq!(lab.exchanges(), 4);
}

fn long_lived() -> Credentials {
    let secret_key = Secret::new("long-lived-secret");
    Credentials { access_key_id: "AKIA1".to_owned(), secret_key, session_token: None, expires_at: None }
}

#[tokio::test]
async fn access_keys_that_a_person_gives() {
    let lab = Lab::new(Manners::default()).await;
    let session = session_with(&lab, "credentials='keys'\n", &[]);
    assert!(needs_sign_in(&session.credentials().await.unwrap_err()));
    session.begin_with_keys(long_lived(), None).await.unwrap();
    lab.wait(1_000_000);
    let found = session_with(&lab, "credentials='keys'\n", &[]).credentials().await.unwrap();
    assert_eq!((found.access_key_id.as_str(), lab.exchanges()), ("AKIA1", 0));

    // With a role they are only the way to it, and it is renewed with them.
    let profile = format!("credentials='keys'\n{ANALYST}");
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    lab.wait(3500);
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    let signed = lab.side.authorizations("/sts");
    assert!(signed.len() == 2 && signed.iter().all(|by| by.as_ref().unwrap().contains("Credential=AKIA1/")));
}

#[tokio::test]
async fn a_role_that_wants_a_code_asks_a_person_each_time() {
    let lab = Lab::new(Manners::default()).await;
    let profile = format!("credentials='keys'\n{ANALYST}mfa_serial='arn:aws:iam::1:mfa/ada'\n");
    let session = session_with(&lab, &profile, &[]);
    assert_eq!(session.mfa_serial().unwrap().as_deref(), Some("arn:aws:iam::1:mfa/ada"));
    session.begin_with_keys(long_lived(), Some(Secret::new("123456"))).await.unwrap();
    let form = &lab.side.forms("/sts")[0];
    assert_eq!(
        (form["SerialNumber"].as_str(), form["TokenCode"].as_str()),
        ("arn:aws:iam::1:mfa/ada", "123456")
    );
    session_with(&lab, &profile, &[]).credentials().await.unwrap();
    lab.wait(4000);
    let error = session_with(&lab, &profile, &[]).credentials().await.unwrap_err();
    assert!(needs_sign_in(&error) && error.to_string().contains("code of the device"), "{error}");
    assert_eq!(lab.exchanges(), 1, "nobody asks the STS without a code");
    session_with(&lab, &profile, &[]).begin_unattended(Some(Secret::new("654321"))).await.unwrap();
    assert_eq!(lab.exchanges(), 2, "the keys were kept: only the code is new");

    let refusal = (FaultCode::AccessDenied, "MultiFactorAuthentication failed".to_owned());
    lab.side.manners(|manners| manners.sts_refusal = Some(refusal));
    let error = session.begin_with_keys(long_lived(), Some(Secret::new("999999"))).await.unwrap_err();
    let SessionError::Exchange(ExchangeError::Refused(refusal)) = &error else { panic!("{error}") };
    assert!(refusal.hint().contains("the code was wrong"));
    assert!(!format!("{error} {error:?}").contains("999999") && error.to_string().contains("`AKIA1`"));
}

#[tokio::test]
async fn an_access_token_in_the_id_tokens_place() {
    let lab = Lab::new(Manners::default()).await;
    let profile = format!(
        "authorization='PasswordGrant'\noauth_client_id='s3-cli'\noauth_client_secret=''\nprovider_id='www.amazon.com'\n{ANALYST}"
    );
    let session = session_with(&lab, &profile, &[]);
    let tokens =
        sign_in::with_password(session.sign_in().unwrap(), "ada", &Secret::new("right")).await.unwrap();
    session.begin(tokens).await.unwrap();
    let form = &lab.side.forms("/sts")[0];
    let sent = (form["WebIdentityToken"].as_str(), form["ProviderId"].as_str());
    assert_eq!(sent, ("an-access-token", "www.amazon.com"));

    // And from a provider that has nothing else.
    lab.side.manners(|manners| manners.id_tokens = false);
    let session = session_with(&lab, &profile, &[]);
    let tokens =
        sign_in::with_password(session.sign_in().unwrap(), "ada", &Secret::new("right")).await.unwrap();
    assert!(tokens.id_token.is_none() && tokens.identity.subject == "unknown");
    session.begin(tokens).await.unwrap();
    let plain = session_with(&lab, &profile.replace("provider_id='www.amazon.com'", ""), &[]);
    let refused = sign_in::with_password(plain.sign_in().unwrap(), "ada", &Secret::new("right")).await;
    assert!(matches!(refused, Err(sign_in::SignInError::NoIdToken)));
}

#[tokio::test]
async fn a_profile_of_awss_files() {
    let lab = Lab::new(Manners::default()).await;
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let config = "[profile work]\nrole_arn = arn:aws:iam::1:role/work\nsource_profile = base\n\
                  [profile base]\naws_access_key_id = AKIA9\naws_secret_access_key = s\n";
    std::fs::write(home.path().join(".aws/config"), config).unwrap();
    let variables = [("HOME", home.path().to_str().unwrap())];
    session_with(&lab, "credentials='aws:work'\n", &variables).credentials().await.unwrap();
    assert_eq!(lab.side.forms("/sts")[0]["RoleArn"], "arn:aws:iam::1:role/work");
    assert!(lab.side.authorizations("/sts")[0].as_ref().unwrap().contains("Credential=AKIA9/"));
    let error = session_with(&lab, "credentials='aws:other'\n", &variables).credentials().await.unwrap_err();
    assert!(matches!(&error, SessionError::AwsConfig(_)), "{error}");
}
