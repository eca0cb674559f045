//! A session's life: warm, kept, renewed, ended, with a clock that is moved by hand.

use serde_json::json;
use wigeon_core::sts::FaultCode;
use wigeon_core::time::Clock as _;

use super::*;
use crate::profile::{Bookmark, Configuration, Document, Stored};
use crate::secret_store::MemoryStore;
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
    let token = tokens.id_token.expose().to_owned();
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
            arn: None,
            obtained_at,
            credentials: Credentials {
                access_key_id: String::new(),
                secret_key: Secret::new(""),
                session_token: None,
                expires_at: Some(obtained_at + SignedDuration::from_secs(seconds)),
            },
        };
        renew_at(&session).duration_since(obtained_at).as_secs()
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
