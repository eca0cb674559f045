//! Sealed sessions and key rings: what survives, what is refused, what is shown.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;
use wigeon_core::credentials::Credentials;
use wigeon_core::policy::{Context, Document, Kind};
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock, SignedDuration, Timestamp, parse_iso8601};

use super::*;
use crate::directory::Snapshot;
use crate::session::{Caller, Session, SessionEnded};
use crate::trust::AssumedRole;
use crate::trust::fixture::*;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

fn sealer() -> Sealer {
    Sealer::new(KeyRing::generate(Timestamp::UNIX_EPOCH).unwrap())
}

fn grant() -> Grant {
    Grant { duration: 900, ..Grant::default() }
}

fn rich(clock: &Arc<TestClock>) -> (Snapshot, AssumedRole) {
    let snapshot = snapshot(&any_aud());
    let assumed = assumed(
        &snapshot,
        clock,
        json!({
            "amr": ["pwd"], "preferred_username": "alice", "groups": ["s3-admins"], "nonce": "n-1",
            "address": {"country": "x"}, "at_hash": "h",
            "https://aws.amazon.com/source_identity": "alice",
            "https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}, "transitive_tag_keys": ["team"]},
        }),
    )
    .unwrap();
    (snapshot, assumed)
}

fn token_of(credentials: &Credentials) -> &str {
    credentials.session_token.as_ref().map(Secret::expose).unwrap()
}

fn session_of(unsealed: &Unsealed) -> &Session {
    match &unsealed.caller {
        Caller::Session(session) => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_session_survives_its_token() {
    let clock = TestClock::new();
    let (snapshot, assumed) = rich(&clock);
    let sealer = sealer();
    let document = Document::parse(POLICY, Kind::Session).unwrap();
    let grant = Grant { policy: Some(document), ..grant() };
    let issued = sealer.issue(assumed.clone(), grant, clock.now()).unwrap();
    let credentials = &issued.credentials;
    assert!(credentials.access_key_id.starts_with("ASIA") && credentials.access_key_id.len() == 20);
    assert_eq!(credentials.secret_key.expose().len(), 40);
    assert_eq!(credentials.expires_at, parse_iso8601("2026-11-23T12:15:00Z"));

    // Twice: once opened, once from memory.
    for _ in 0..2 {
        let unsealed = sealer.unseal(token_of(credentials), &credentials.access_key_id, clock.now()).unwrap();
        assert_eq!(unsealed.secret_key.expose(), credentials.secret_key.expose());
        let session = session_of(&unsealed);
        let origin = session.web_identity().unwrap();
        assert_eq!(session.arn().as_str(), "arn:aws:sts::000000000000:assumed-role/reader/alice@laptop");
        assert_eq!(session.user_id(), format!("{}:alice@laptop", session.role_id));
        assert_eq!((origin.subject.as_str(), origin.audience.as_str()), ("alice", "s3-cli"));
        assert_eq!((origin.provider.issuer.as_str(), origin.provider.principal.as_str()), (ISSUER, PROVIDER));
        assert_eq!(session.principal_tags, [("team".to_owned(), "x".to_owned())]);
        assert_eq!((session.display_name(), session.source_identity.as_deref()), ("alice", Some("alice")));
        assert_eq!(session.policy.as_deref(), Some(POLICY));
        assert_eq!(session.policies(&snapshot).unwrap().len(), 1);
        let kept: Vec<&str> = origin.claims.iter().map(|(name, _)| name).collect();
        assert_eq!(kept, ["preferred_username", "groups"]);
        assert_eq!(session.issued_at, parse_iso8601("2026-11-23T12:00:00Z").unwrap());
    }
}

#[test]
fn expiry_is_told_apart_and_to_the_second() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let sealer = sealer();
    let credentials = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    let unseal = || sealer.unseal(token_of(&credentials), &credentials.access_key_id, clock.now());
    clock.advance(899);
    assert!(unseal().is_ok());
    clock.advance(1);
    let at = parse_iso8601("2026-11-23T12:15:00Z").unwrap();
    assert_eq!(unseal().unwrap_err(), UnsealError::Expired { at });
}

#[test]
fn a_token_under_another_access_key_is_refused() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let sealer = sealer();
    let one = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    let other = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    assert_ne!(one.access_key_id, other.access_key_id);
    assert_ne!(one.secret_key, other.secret_key);
    let crossed = sealer.unseal(token_of(&one), &other.access_key_id, clock.now());
    assert_eq!(crossed.unwrap_err(), UnsealError::OtherAccessKey);
}

#[test]
fn tokens_of_another_ring_self_made_ones_and_changed_ones_are_refused() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let (sealer, other) = (sealer(), sealer());
    let issued = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap();
    let (token, id) = (token_of(&issued.credentials), issued.credentials.access_key_id.as_str());
    let refused = |sealer: &Sealer, token: &str| {
        assert_eq!(sealer.unseal(token, id, clock.now()).unwrap_err(), UnsealError::Invalid, "{token:.40}");
    };
    refused(&other, token);
    let plain = serde_json::to_string(&issued.session).unwrap();
    refused(&sealer, &plain);
    refused(&sealer, &URL_SAFE_NO_PAD.encode(&plain));
    // A JWT signed by someone, and nothing at all.
    for text in ["", "e30.e30.e30", "AQ", &"A".repeat(20_000)] {
        refused(&sealer, text);
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    for index in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[index] ^= 1;
        refused(&sealer, &URL_SAFE_NO_PAD.encode(&changed));
    }
    for length in [0, 4, 16, 17, 32, bytes.len() - 1] {
        refused(&sealer, &URL_SAFE_NO_PAD.encode(&bytes[..length]));
    }
    assert!(sealer.unseal(token, id, clock.now()).is_ok());
}

/// Tokens that were sealed before sessions could come from other sessions.
#[test]
fn tokens_of_the_version_before_are_read() {
    let clock = TestClock::new();
    let (snapshot, _) = rich(&clock);
    let role_id = &snapshot.role(ROLE).unwrap().id;
    let ring = KeyRing::generate(clock.now()).unwrap();
    let key = ring.newest();
    let plain = json!({"k": "ASIAOLD", "a": ACCOUNT, "r": ROLE, "ri": role_id, "rn": "reader", "n": "alice",
        "i": ISSUER, "p": PROVIDER, "s": "alice", "u": "s3-cli", "c": {"groups": ["x"]},
        "f": clock.now().as_second(), "e": clock.now().as_second() + 900});
    let token = envelope::seal(1, key.id, &key.sealing, plain.to_string().into_bytes()).unwrap();
    let unknown = envelope::seal(3, key.id, &key.sealing, plain.to_string().into_bytes()).unwrap();
    let sealer = Sealer::new(ring);
    let unsealed = sealer.unseal(&token, "ASIAOLD", clock.now()).unwrap();
    let session = session_of(&unsealed);
    assert_eq!(session.web_identity().unwrap().subject, "alice");
    assert!(session.role(&snapshot).is_ok());
    assert_eq!(sealer.unseal(&unknown, "ASIAOLD", clock.now()).unwrap_err(), UnsealError::Invalid);
}

#[test]
fn messages_are_for_this_ring_and_for_a_day() {
    let clock = TestClock::new();
    let (one, other) = (sealer(), sealer());
    let message = one.seal_message("{\"allowed\":false}", clock.now()).unwrap();
    assert_eq!(one.open_message(&message, clock.now()).as_deref(), Some("{\"allowed\":false}"));
    assert_eq!(one.seal_message("{}", clock.now()).unwrap().len(), message.len(), "the length tells nothing");
    assert_eq!(other.open_message(&message, clock.now()), None);
    // Neither is a session token a message, nor a message a session token.
    let (_, assumed) = rich(&clock);
    let issued = one.issue(assumed.clone(), grant(), clock.now()).unwrap();
    assert_eq!(one.open_message(token_of(&issued.credentials), clock.now()), None);
    assert_eq!(one.unseal(&message, "ASIA", clock.now()).unwrap_err(), UnsealError::Invalid);
    clock.advance(24 * 3600 + 1);
    assert_eq!(one.open_message(&message, clock.now()), None);
}

/// The secret key cannot be computed from anything that is public: two rings give two secrets for one
/// access key id, and the token shows neither the secret nor the session.
#[test]
fn nothing_public_makes_the_secret() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let (one, other) = (KeyRing::generate(clock.now()).unwrap(), KeyRing::generate(clock.now()).unwrap());
    assert_ne!(one.newest().secret_key("ASIAX"), other.newest().secret_key("ASIAX"));
    assert_eq!(one.newest().secret_key("ASIAX"), one.newest().secret_key("ASIAX"));
    let sealer = Sealer::new(one);
    let credentials = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    let bytes = URL_SAFE_NO_PAD.decode(token_of(&credentials)).unwrap();
    for hidden in ["alice", credentials.access_key_id.as_str(), credentials.secret_key.expose()] {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden.as_bytes()), "{hidden}");
    }
}

#[test]
fn a_session_may_end_with_its_token() {
    let clock = TestClock::new();
    let mut provider = provider();
    provider.sessions_end_with_token = true;
    let snapshot = snapshot_with(provider, role("reader", &any_aud()));
    let with_exp = |exp: i64| {
        let exp = clock.now().as_second() + exp;
        let assumed = assumed(&snapshot, &clock, json!({ "exp": exp })).unwrap();
        sealer().issue(assumed.clone(), grant(), clock.now())
    };
    assert_eq!(with_exp(60).unwrap().session.expires_at, parse_iso8601("2026-11-23T12:01:00Z").unwrap());
    assert_eq!(with_exp(-10).unwrap_err(), IssueError::TokenExpired);
}

#[test]
fn token_sizes() {
    let clock = TestClock::new();
    let snapshot = snapshot(&any_aud());
    let sealer = sealer();
    let small = assumed(&snapshot, &clock, json!({})).unwrap();
    for minimum in [0, 1000, 4095, 4096] {
        let grant = Grant { minimum_token_len: minimum, ..grant() };
        let credentials = sealer.issue(small.clone(), grant, clock.now()).unwrap().credentials;
        let length = token_of(&credentials).len();
        assert!(length >= minimum && length <= minimum.max(1000) + 4, "{length} for {minimum}");
        assert!(sealer.unseal(token_of(&credentials), &credentials.access_key_id, clock.now()).is_ok());
    }
    let groups: Vec<String> = (0..500).map(|n| format!("group-{n:015}")).collect();
    let large = assumed(&snapshot, &clock, json!({ "groups": groups })).unwrap();
    assert!(matches!(sealer.issue(large, grant(), clock.now()), Err(IssueError::TooLarge(_))));
}

#[test]
fn a_session_does_not_outlive_its_role_its_provider_a_revocation_or_its_policies() {
    let clock = TestClock::new();
    let (snapshot, assumed) = rich(&clock);
    let managed = "arn:aws:iam::000000000000:policy/limit".to_owned();
    let grant = Grant { policy_arns: vec![managed.clone()], ..grant() };
    let session = sealer().issue(assumed.clone(), grant, clock.now()).unwrap().session;
    assert!(session.role(&snapshot).is_ok());
    assert_eq!(session.policies(&snapshot).unwrap_err(), SessionEnded::PolicyGone(managed));

    let ended = |provider, role| session.role(&snapshot_with(provider, role)).unwrap_err();
    let reader = || role("reader", &any_aud());
    assert!(matches!(ended(provider(), role("other", &any_aud())), SessionEnded::RoleGone(_)));
    let mut another = reader();
    another.id = "AROAOTHER".to_owned();
    assert!(matches!(ended(provider(), another), SessionEnded::RoleGone(_)));
    let mut elsewhere = provider();
    elsewhere.url = "https://idp.example/realms/y".to_owned();
    assert!(matches!(ended(elsewhere, reader()), SessionEnded::ProviderGone(_)));

    let just_after = parse_iso8601("2026-11-23T12:00:01Z");
    let mut revoked = reader();
    revoked.revoked_before = just_after;
    assert!(matches!(ended(provider(), revoked), SessionEnded::RoleRevoked { .. }));
    let mut revoked = provider();
    revoked.revoked_before = just_after;
    assert!(matches!(ended(revoked, reader()), SessionEnded::ProviderRevoked { .. }));
    let mut earlier = reader();
    earlier.revoked_before = parse_iso8601("2026-11-23T12:00:00Z");
    assert!(session.role(&snapshot_with(provider(), earlier)).is_ok());
}

#[test]
fn condition_keys_of_a_session() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let session = sealer().issue(assumed.clone(), grant(), clock.now()).unwrap().session;
    let mut context = Context::new();
    context.set("aws:PrincipalType", "as the server says");
    session.enter_keys(&mut context);
    let texts = |key: &str| context.value(key).map(|value| value.texts()).unwrap_or_default();
    assert_eq!(texts("aws:PrincipalType"), ["as the server says"]);
    assert_eq!(texts("aws:userid"), [session.user_id()]);
    assert_eq!(texts("aws:PrincipalArn"), [ROLE]);
    assert_eq!(texts("aws:FederatedProvider"), [PROVIDER]);
    assert_eq!(texts("aws:TokenIssueTime"), ["2026-11-23T12:00:00Z"]);
    assert_eq!(texts("aws:PrincipalTag/team"), ["x"]);
    assert_eq!(texts("aws:SourceIdentity"), ["alice"]);
    let prefix = "idp.example/realms/x";
    assert_eq!(texts(&format!("{prefix}:sub")), ["alice"]);
    assert_eq!(texts(&format!("{prefix}:aud")), ["s3-cli"]);
    assert_eq!(texts(&format!("{prefix}:amr")), ["pwd"]);
    assert_eq!(texts(&format!("{prefix}:groups")), ["s3-admins"]);
    assert_eq!(texts(&format!("{prefix}:preferred_username")), ["alice"]);
    for other in ["jwt:sub", "jwt:iss", "jwt:groups", "idp.example/realms/x:app_id"] {
        assert!(texts(other).is_empty(), "{other} is another service's way");
    }
}

#[test]
fn debug_shows_no_secret() {
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let sealer = sealer();
    let issued = sealer.issue(assumed.clone(), grant(), clock.now()).unwrap();
    let unsealed =
        sealer.unseal(token_of(&issued.credentials), &issued.credentials.access_key_id, clock.now()).unwrap();
    let caller = unsealed.caller.clone();
    let shown = format!("{sealer:?} {issued:?} {unsealed:?} {caller:?} {assumed:?}");
    for hidden in
        [issued.credentials.secret_key.expose(), token_of(&issued.credentials), "s3-admins", "preferred"]
    {
        // A claim's name may be shown where the token is; its value and every secret may not.
        assert!(hidden == "preferred" || !shown.contains(hidden), "{shown}");
    }
}

#[test]
fn a_ring_is_created_once_private_and_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session-keys.json");
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let first = Sealer::new(KeyRing::open_or_create(&path, clock.now()).unwrap());
    let credentials = first.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    let second = Sealer::new(KeyRing::open_or_create(&path, clock.now()).unwrap());
    let unsealed = second.unseal(token_of(&credentials), &credentials.access_key_id, clock.now()).unwrap();
    assert_eq!(
        unsealed.secret_key.expose(),
        credentials.secret_key.expose(),
        "another node serves the session"
    );

    let mut ring = KeyRing::open_or_create(&path, clock.now()).unwrap();
    ring.rotate(&path, 2, clock.now(), SignedDuration::ZERO).unwrap();
    let rotated = Sealer::new(KeyRing::open_or_create(&path, clock.now()).unwrap());
    assert!(rotated.unseal(token_of(&credentials), &credentials.access_key_id, clock.now()).is_ok());
    let newer = rotated.issue(assumed.clone(), grant(), clock.now()).unwrap().credentials;
    assert_eq!(
        first.unseal(token_of(&newer), &newer.access_key_id, clock.now()).unwrap_err(),
        UnsealError::Invalid,
        "the newest key issues"
    );
    ring.rotate(&path, 2, clock.now(), SignedDuration::ZERO).unwrap();
    let last = Sealer::new(KeyRing::open_or_create(&path, clock.now()).unwrap());
    assert!(last.unseal(token_of(&credentials), &credentials.access_key_id, clock.now()).is_err());
    assert!(last.unseal(token_of(&newer), &newer.access_key_id, clock.now()).is_ok());
}

/// A key that waits is accepted everywhere before anyone issues with it.
#[test]
fn a_ring_is_rotated_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("session-keys.json");
    let clock = TestClock::new();
    let (_, assumed) = rich(&clock);
    let (now, later) = (clock.now(), clock.now() + SignedDuration::from_secs(60));
    let (one, other) =
        (RingFile::open(path.clone(), now).unwrap(), RingFile::open(path.clone(), now).unwrap());
    let old = one.sealer().issue(assumed.clone(), grant(), now).unwrap().credentials;
    let mut ring = KeyRing::open(&path, now).unwrap();
    ring.rotate(&path, 3, now, SignedDuration::from_secs(60)).unwrap();
    assert_eq!(ring.entries().map(|entry| entry.issues).collect::<Vec<_>>(), [true, false]);
    assert!(one.refresh(now).unwrap());
    assert!(!one.refresh(now).unwrap(), "nothing new");
    let still_old = one.sealer().issue(assumed.clone(), grant(), now).unwrap().credentials;
    assert!(other.sealer().unseal(token_of(&still_old), &still_old.access_key_id, now).is_ok());
    assert!(one.refresh(later).unwrap(), "its time has come");
    let new = one.sealer().issue(assumed.clone(), grant(), later).unwrap().credentials;
    assert!(
        other.sealer().unseal(token_of(&new), &new.access_key_id, now).is_err(),
        "it has not read it yet"
    );
    assert!(other.refresh(now).unwrap());
    for credentials in [&old, &still_old, &new] {
        let opened = other.sealer().unseal(token_of(credentials), &credentials.access_key_id, now).unwrap();
        assert_eq!(opened.secret_key.expose(), credentials.secret_key.expose());
    }
    // The key that issues is never the one that goes.
    ring.rotate(&path, 1, now, SignedDuration::from_secs(60)).unwrap();
    assert!(other.refresh(now).unwrap());
    assert!(other.sealer().unseal(token_of(&old), &old.access_key_id, now).is_ok());
    ring.rotate(&path, 1, later, SignedDuration::ZERO).unwrap();
    assert!(other.refresh(later).unwrap());
    assert!(other.sealer().unseal(token_of(&old), &old.access_key_id, now).is_err());
    // A file that is none changes nothing, and is complained about once.
    fs::write(&path, "{}").unwrap();
    assert!(other.refresh(later).is_err());
    assert!(!other.refresh(later).unwrap());
    assert!(other.sealer().issue(assumed.clone(), grant(), later).is_ok());
}

#[cfg(unix)]
#[test]
fn rings_that_others_may_read_and_rings_that_are_none() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    KeyRing::open_or_create(&path, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = KeyRing::open_or_create(&path, Timestamp::UNIX_EPOCH).unwrap_err();
    assert!(matches!(error, KeyRingError::Permissions { .. }));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    for bad in ["", "{}", r#"{"keys":[]}"#, &good.replace("\"key\": \"", "\"key\": \"AAAA")] {
        fs::write(&path, bad).unwrap();
        let error = KeyRing::open_or_create(&path, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(matches!(error, KeyRingError::Contents { .. }), "{bad:.20}");
        assert!(!format!("{error:?}").contains("AAAA"));
    }
}

proptest! {
    #[test]
    fn any_text_as_a_session_token_ends_without_a_panic(text in "\\PC{0,200}") {
        let sealer = sealer();
        prop_assert!(sealer.unseal(&text, "ASIA", Timestamp::UNIX_EPOCH).is_err());
    }
}
