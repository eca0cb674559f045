//! The service as a whole: forms in, XML out, with fixed keys and a clock that the test moves.

mod chaining;

mod dialects;

mod opaque;

use rstest::rstest;
use serde_json::{Value, json};
use wigeon_core::policy::{Document, Kind, Policy};
use wigeon_core::secret::Secret;
use wigeon_core::sts::{AssumedRole, CallerIdentity, Fault, Parameters};

use super::*;
use crate::issue::KeyRing;
use crate::session::Caller;
use crate::trust::fixture::*;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
const LIMIT: &str = "arn:aws:iam::000000000000:policy/limit";

struct Bench {
    clock: Arc<TestClock>,
    directory: Arc<Directory>,
    sealer: Arc<Sealer>,
    service: StsService,
}

impl Bench {
    fn new() -> Self {
        let mut role = role("reader", &any_aud());
        role.max_session_duration = 7200;
        let mut snapshot = snapshot_with(provider(), role);
        let limit: Policy = Document::parse(POLICY, Kind::Identity).unwrap().named("limit");
        snapshot.add_policy(&LIMIT.parse().unwrap(), Arc::new(limit)).unwrap();
        let clock = TestClock::new();
        let directory = Arc::new(Directory::fixed(snapshot));
        let sealer = Arc::new(Sealer::new(KeyRing::generate(clock.now()).unwrap()));
        let verifier = Arc::new(Verifier::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let service = StsService::new(
            Arc::clone(&directory),
            verifier,
            Arc::clone(&sealer),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        Self { clock, directory, sealer, service }
    }

    fn request(&self, claims: Value) -> AssumeRoleWithWebIdentity {
        AssumeRoleWithWebIdentity {
            role_arn: Some(ROLE.to_owned()),
            role_session_name: "alice@laptop".to_owned(),
            web_identity_token: Secret::new(token(&self.clock, claims)),
            provider_id: None,
            policy: None,
            policy_arns: Vec::new(),
            duration_seconds: None,
            minimum_session_token_size: None,
        }
    }

    fn send(&self, query: &str, body: &str, caller: Option<&Caller>) -> StsResponse {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let parameters = match Parameters::parse(query, body) {
            Ok(parameters) => parameters,
            Err(error) => return StsService::refuse(&error, "rid"),
        };
        let call = StsCall {
            parameters: &parameters,
            caller,
            access_key_id: caller.map(|caller| match caller {
                Caller::Root => "AKIAROOT",
                Caller::RootSession(session) => &session.access_key_id,
                Caller::Session(session) => &session.access_key_id,
                Caller::User(_) => "AKIAUSER",
                Caller::UserSession(session) => &session.access_key_id,
                Caller::Anonymous => "",
            }),
            source_ip: None,
            user_agent: None,
            secure_transport: true,
            region: None,
            request_id: "rid",
        };
        runtime.block_on(self.service.handle(call))
    }

    fn exchange(&self, request: &AssumeRoleWithWebIdentity) -> Result<AssumedRole, (u16, String, String)> {
        let response = self.send("", request.to_form().expose(), None);
        if response.status == 200 {
            assert!(matches!(response.outcome, Outcome::Exchanged { .. }));
            return Ok(AssumedRole::from_xml(&response.xml.0).unwrap());
        }
        let fault = Fault::from_xml(&response.xml.0).unwrap();
        assert_eq!(fault.request_id.as_deref(), Some("rid"));
        Err((response.status, fault.code, fault.message))
    }

    fn caller(&self, role: &AssumedRole) -> Caller {
        let credentials = &role.credentials;
        let token = credentials.session_token.as_ref().unwrap().expose();
        let unsealed = self.sealer.unseal(token, &credentials.access_key_id, self.clock.now()).unwrap();
        unsealed.caller.clone()
    }
}

#[test]
fn an_exchange() {
    let bench = Bench::new();
    let role =
        bench.exchange(&bench.request(json!({"https://aws.amazon.com/source_identity": "alice"}))).unwrap();
    assert_eq!(role.arn.as_deref(), Some("arn:aws:sts::000000000000:assumed-role/reader/alice@laptop"));
    assert!(
        role.assumed_role_id
            .as_deref()
            .is_some_and(|id| id.starts_with("AROA") && id.ends_with(":alice@laptop"))
    );
    assert_eq!(role.provider.as_deref(), Some(PROVIDER));
    assert_eq!((role.subject.as_deref(), role.audience.as_deref()), (Some("alice"), Some("s3-cli")));
    assert_eq!(role.source_identity.as_deref(), Some("alice"));
    assert_eq!(role.packed_policy_size, None);
    assert_eq!(role.request_id.as_deref(), Some("rid"));
    assert_eq!(role.credentials.expires_at.unwrap().to_string(), "2026-11-23T13:00:00Z");
}

#[test]
fn the_query_string_will_do() {
    let bench = Bench::new();
    let form = bench.request(json!({})).to_form();
    assert_eq!(bench.send(form.expose(), "", None).status, 200);
}

/// docs/sts.md: "a token with 60 s left, DurationSeconds 7200: a full 7200 s session".
#[test]
fn a_session_outlives_its_token_by_default_and_never_the_roles_limit() {
    let bench = Bench::new();
    let mut request = bench.request(json!({}));
    request.duration_seconds = Some(7200);
    let role = bench.exchange(&request).unwrap();
    assert_eq!(role.credentials.expires_at.unwrap().to_string(), "2026-11-23T14:00:00Z");
    request.duration_seconds = Some(7201);
    let (status, code, message) = bench.exchange(&request).unwrap_err();
    assert_eq!((status, code.as_str()), (400, "ValidationError"));
    assert_eq!(message, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
}

#[test]
fn session_policies() {
    let bench = Bench::new();
    let mut request =
        bench.request(json!({"https://aws.amazon.com/tags": {"principal_tags": {"team": ["x"]}}}));
    request.policy = Some(POLICY.to_owned());
    request.policy_arns = vec![LIMIT.to_owned()];
    let role = bench.exchange(&request).unwrap();
    assert_eq!(role.packed_policy_size, Some(4));
    let Caller::Session(session) = bench.caller(&role) else { panic!() };
    assert_eq!(session.policies(&bench.directory.snapshot()).unwrap().len(), 2);

    request.policy = Some(r#"{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}"#.to_owned());
    let (status, code, _) = bench.exchange(&request).unwrap_err();
    assert_eq!((status, code.as_str()), (400, "MalformedPolicyDocument"));
    request.policy = None;
    request.policy_arns = vec![LIMIT.replace("limit", "none")];
    assert_eq!(bench.exchange(&request).unwrap_err().1, "MalformedPolicyDocument");
    request.policy_arns = vec![LIMIT.to_owned(); 10];
    request.policy = Some(POLICY.replace("\"s3:GetObject\"", &format!("\"s3:{}\"", "x".repeat(1800))));
    let (status, code, message) = bench.exchange(&request).unwrap_err();
    assert_eq!((status, code.as_str()), (400, "PackedPolicyTooLarge"));
    assert!(message.contains('%'), "{message}");
}

#[rstest]
#[case::expired(json!({"exp": 1}), 400, "ExpiredTokenException")]
#[case::audience(json!({"aud": "other-app"}), 400, "InvalidIdentityToken")]
#[case::issuer(json!({"iss": "https://other.example"}), 400, "InvalidIdentityToken")]
#[case::null_time(json!({"nbf": "x"}), 400, "InvalidIdentityToken")]
#[case::tags(json!({"https://aws.amazon.com/tags": {"principal_tags": {"a": "b"}}}), 400, "InvalidIdentityToken")]
fn tokens_that_are_refused(#[case] claims: Value, #[case] status: u16, #[case] code: &str) {
    let bench = Bench::new();
    let request = bench.request(claims);
    let refused = bench.exchange(&request).unwrap_err();
    assert_eq!((refused.0, refused.1.as_str()), (status, code));
    // With a bad token, a role that exists and one that does not read alike.
    let mut unknown_role = request.clone();
    unknown_role.role_arn = Some("arn:aws:iam::000000000000:role/none".to_owned());
    assert_eq!(bench.exchange(&unknown_role).unwrap_err(), refused);
}

#[test]
fn roles_cannot_be_guessed() {
    let bench = Bench::new();
    let mut answers = Vec::new();
    for arn in [
        "arn:aws:iam::000000000000:role/none",
        "arn:aws:iam::999999999999:role/reader",
        "arn:aws:iam::000000000000:user/reader",
        "arn:aws:iam::000000000000:role/READER",
        "this is no ARN at all, but long enough",
    ] {
        let mut request = bench.request(json!({}));
        request.role_arn = Some(arn.to_owned());
        // What depends on the role is not looked at before the role has let the token in.
        request.duration_seconds = Some(43_200);
        request.policy_arns = vec![LIMIT.replace("limit", "none")];
        answers.push(bench.exchange(&request).unwrap_err());
    }
    let refusing = Bench::new();
    refusing.directory.replace(snapshot(&trust(&["sts:AssumeRole"], json!({}))));
    let mut request = refusing.request(json!({}));
    request.duration_seconds = Some(43_200);
    answers.push(refusing.exchange(&request).unwrap_err());
    answers.dedup();
    let message = "Not authorized to perform sts:AssumeRoleWithWebIdentity".to_owned();
    assert_eq!(answers, [(403, "AccessDenied".to_owned(), message)]);
}

#[rstest]
#[case("www.amazon.com", 400, "InvalidIdentityToken")]
#[case("graph.facebook.com", 403, "IDPRejectedClaim")]
#[case("example.com", 403, "AccessDenied")]
fn provider_ids(#[case] id: &str, #[case] status: u16, #[case] code: &str) {
    let bench = Bench::new();
    let mut request = bench.request(json!({}));
    request.provider_id = Some(id.to_owned());
    let refused = bench.exchange(&request).unwrap_err();
    assert_eq!((refused.0, refused.1.as_str()), (status, code));
}

#[test]
fn a_changed_directory_acts_at_once() {
    let bench = Bench::new();
    let role = bench.exchange(&bench.request(json!({}))).unwrap();
    let caller = bench.caller(&role);
    let whoami =
        |caller: &Caller| bench.send("", "Action=GetCallerIdentity&Version=2011-06-15", Some(caller));
    assert_eq!(whoami(&caller).status, 200);
    bench.directory.replace(snapshot_with(provider(), self::role("other", &any_aud())));
    assert_eq!(bench.exchange(&bench.request(json!({}))).unwrap_err().1, "AccessDenied");
    let ended = whoami(&caller);
    assert_eq!(
        (ended.status, Fault::from_xml(&ended.xml.0).unwrap().code.as_str()),
        (403, "InvalidClientTokenId")
    );
}

#[test]
fn caller_identity() {
    let bench = Bench::new();
    let role = bench.exchange(&bench.request(json!({}))).unwrap();
    let form = "Action=GetCallerIdentity&Version=2011-06-15";
    let response = bench.send("", form, Some(&bench.caller(&role)));
    let identity = CallerIdentity::from_xml(&response.xml.0).unwrap();
    assert_eq!((Some(identity.arn), Some(identity.user_id)), (role.arn, role.assumed_role_id));
    assert_eq!(identity.account, ACCOUNT);
    let root = CallerIdentity::from_xml(&bench.send("", form, Some(&Caller::Root)).xml.0).unwrap();
    assert_eq!((root.arn.as_str(), root.user_id.as_str()), ("arn:aws:iam::000000000000:root", ACCOUNT));
    let unsigned = bench.send("", form, None);
    assert_eq!(unsigned.status, 403);
    assert_eq!(Fault::from_xml(&unsigned.xml.0).unwrap().code, "MissingAuthenticationToken");
}

#[rstest]
#[case(
    "Action=AssumeRoleWithSAML&Version=2011-06-15",
    "Could not find operation AssumeRoleWithSAML for version 2011-06-15"
)]
#[case(
    "Action=assumerolewithwebidentity",
    "Could not find operation assumerolewithwebidentity for version 2011-06-15"
)]
#[case(
    "Action=GetCallerIdentity&Version=2010-05-08",
    "Could not find operation GetCallerIdentity for version 2010-05-08"
)]
#[case("", "Could not find operation  for version 2011-06-15")]
fn unknown_operations(#[case] form: &str, #[case] message: &str) {
    let response = Bench::new().send("", form, Some(&Caller::Root));
    let fault = Fault::from_xml(&response.xml.0).unwrap();
    assert_eq!(
        (response.status, fault.code.as_str(), fault.message.as_str()),
        (400, "InvalidAction", message)
    );
}

#[test]
fn secrets_stay_out_of_answers_and_diagnostics() {
    let bench = Bench::new();
    let request = bench.request(json!({"aud": "other-app"}));
    let token = request.web_identity_token.expose().to_owned();
    let refused = bench.send("", request.to_form().expose(), None);
    let signature = token.rsplit('.').next().unwrap();
    assert!(!format!("{} {refused:?}", refused.xml.0).contains(signature));
    let granted = bench.send("", bench.request(json!({})).to_form().expose(), None);
    let role = AssumedRole::from_xml(&granted.xml.0).unwrap();
    let shown = format!("{granted:?}");
    assert!(!shown.contains(role.credentials.secret_key.expose()), "{shown}");
    assert!(!shown.contains(role.credentials.session_token.unwrap().expose()), "{shown}");
}
