//! For tests of this module and those below: a provider with fixed keys, its tokens, and a clock.

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::jwt::{Algorithm, KeySet};
use wigeon_core::policy::{Document, Kind};
use wigeon_core::time::{Clock, SignedDuration, Timestamp};

use super::{AssumedRole, Circumstances, TrustError, assume};
use crate::directory::{Keys, Provider, Role, Snapshot};
use crate::verify::{Verifier, WebIdentity};

pub(crate) const ACCOUNT: &str = "000000000000";
pub(crate) const ISSUER: &str = "https://idp.example/realms/x";
pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/reader";
pub(crate) const PROVIDER: &str = "arn:aws:iam::000000000000:oidc-provider/idp.example/realms/x";

/// A clock that a test moves; it begins at 2026-11-23T12:00:00Z, and half a second.
pub(crate) struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-23T12:00:00.5Z".parse().unwrap())))
    }

    pub(crate) fn advance(&self, seconds: i64) {
        *self.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// The provider's key; one for all tests, since generating is slow and the key is never the question.
pub(crate) fn key() -> &'static SigningKey {
    static KEY: std::sync::OnceLock<SigningKey> = std::sync::OnceLock::new();
    KEY.get_or_init(|| SigningKey::generate(Algorithm::ES256).unwrap())
}

/// A good token's claims at the clock's time, with changes; a `null` removes.
pub(crate) fn token(clock: &TestClock, changes: Value) -> String {
    let now = clock.now().as_second();
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "aud": "s3-cli", "iat": now, "exp": now + 60});
    let claims = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.remove(name)),
            value => drop(claims.insert(name.clone(), value.clone())),
        }
    }
    key().sign(&Map::new(), claims).unwrap()
}

pub(crate) fn provider() -> Provider {
    let keys = json!({"keys": [key().public_jwk()]}).to_string();
    let mut provider = Provider::new(ACCOUNT, ISSUER, vec!["s3-cli".to_owned(), "s3-web".to_owned()]);
    provider.keys = Keys::Fixed(Arc::new(KeySet::parse(keys.as_bytes()).unwrap()));
    provider
}

/// A trust policy of one statement: the provider, the actions and the condition.
pub(crate) fn trust(actions: &[&str], condition: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": actions, "Condition": condition}]})
}

pub(crate) fn role(name: &str, trust: &Value) -> Role {
    let document = Document::parse(&trust.to_string(), Kind::Trust).unwrap();
    Role::new(ACCOUNT, "/", name, document.named(name))
}

/// A directory with the provider and the role `reader`.
pub(crate) fn snapshot_with(provider: Provider, role: Role) -> Snapshot {
    let mut snapshot = Snapshot::new(ACCOUNT);
    snapshot.add_provider(provider).unwrap();
    snapshot.add_role(role).unwrap();
    snapshot
}

pub(crate) fn snapshot(trust: &Value) -> Snapshot {
    snapshot_with(provider(), role("reader", trust))
}

pub(crate) fn any_aud() -> Value {
    trust(
        &["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
        json!({"StringEquals": {"idp.example/realms/x:aud": ["s3-cli", "s3-web"]}}),
    )
}

pub(crate) fn identity(snapshot: &Snapshot, clock: &Arc<TestClock>, changes: Value) -> WebIdentity {
    let verifier = Verifier::new(Arc::clone(clock) as Arc<dyn Clock>);
    let text = token(clock, changes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(verifier.verify(snapshot, &text)).unwrap()
}

pub(crate) fn circumstances(clock: &TestClock) -> Circumstances<'static> {
    Circumstances {
        now: clock.now(),
        source_ip: Some("192.0.2.7".parse().unwrap()),
        user_agent: Some("aws-cli/2"),
        secure_transport: true,
        region: Some("us-east-1"),
    }
}

pub(crate) fn assumed(
    snapshot: &Snapshot,
    clock: &Arc<TestClock>,
    changes: Value,
) -> Result<AssumedRole, TrustError> {
    let identity = identity(snapshot, clock, changes);
    assume(snapshot, identity, ROLE, "alice@laptop".to_owned(), &circumstances(clock))
}
