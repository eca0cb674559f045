//! The endpoint and the agent over real sockets, with a provider and an STS in this process.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wigeon_core::credentials::Credentials;
use wigeon_core::secret::Secret;
use wigeon_core::time::{Clock as _, SignedDuration};

use super::holder::Source;
use super::*;
use crate::connect::ConnectOptions;
use crate::profile::{Bookmark, Configuration, Document, Settings, Stored};
use crate::secret_store::{
    Account, MemoryStore, NoPassphrase, Options, Place, Protection, SealedStore, SecretStore as _, StoreError,
};
use crate::session::{Session, SessionError};
use crate::sign_in;
use crate::testing::{Manners, OtherSide};

#[derive(Clone)]
struct Lab {
    side: OtherSide,
    store: MemoryStore,
    role: Arc<std::sync::Mutex<&'static str>>,
}

fn not_issued(error: &SessionError) -> NotIssued {
    let reason = match error {
        SessionError::SignInNeeded { .. } => Reason::SignInNeeded,
        _ => Reason::Failed,
    };
    NotIssued { reason, message: error.to_string() }
}

impl Source for Lab {
    fn settings(&self, profile: &str) -> Result<Settings, NotIssued> {
        if profile != "lab" && profile != "lab2" {
            let message = format!("there is no profile `{profile}`");
            return Err(NotIssued { reason: Reason::UnknownProfile, message });
        }
        let text = format!(
            "protocol='s3'\nvendor='lab'\nauthorization='PasswordGrant'\noauth_client_id='s3-cli'\noauth_client_secret=''\n\
             issuer='{}'\nsts_endpoint='{}sts'\n[properties]\nrole_arn='{}'\n",
            self.side.issuer,
            self.side.issuer,
            self.role.lock().unwrap()
        );
        let Document::Profile(profile_document, _) = Document::parse(text.as_bytes(), "lab.toml").unwrap()
        else {
            panic!()
        };
        let stored =
            Stored { name: profile.to_owned(), profile: profile_document, bookmark: Bookmark::default() };
        Ok(Settings::new(stored, Configuration::default()))
    }

    fn open(&self, settings: &Settings) -> Result<Arc<Session>, NotIssued> {
        let (store, clock) = (Arc::new(self.store.clone()), Arc::new(self.side.clock.clone()));
        Ok(Arc::new(Session::new(settings, ConnectOptions::default(), store, clock).unwrap()))
    }

    fn memory(&self) -> &MemoryStore {
        &self.store
    }

    fn unlock(&self, _passphrase: Secret) {}

    async fn credentials(&self, session: &Session) -> Result<Arc<Credentials>, NotIssued> {
        session.credentials().await.map_err(|error| not_issued(&error))
    }
}

impl Lab {
    async fn new(manners: Manners) -> Self {
        let role = Arc::new(std::sync::Mutex::new("arn:aws:iam::1:role/analyst"));
        Self { side: OtherSide::start(manners).await, store: MemoryStore::default(), role }
    }

    async fn sign_in(&self, profile: &str) {
        let session = self.open(&self.settings(profile).unwrap()).unwrap();
        let tokens =
            sign_in::with_password(session.sign_in().unwrap(), "ada", &Secret::new("right")).await.unwrap();
        session.begin(tokens).await.unwrap();
    }

    fn sessions(&self) -> Sessions<Self> {
        Sessions::new(self.clone(), Arc::new(self.side.clock.clone()))
    }

    fn exchanges(&self) -> usize {
        self.side.forms("/sts").len()
    }
}

// ---- the endpoint ------------------------------------------------------------------------------------------

async fn fetched(url: &str, headers: &[(&str, &str)]) -> (u16, Value) {
    let mut request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
}

#[tokio::test]
async fn the_endpoint_serves_those_who_may_ask() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let endpoint = Endpoint::bind(0, TokenKey::random()).await.unwrap();
    let (access, other, missing) = (endpoint.access("lab"), endpoint.access("lab2"), endpoint.access("x"));
    let clock = Arc::new(lab.side.clock.clone());
    tokio::spawn(endpoint.serve(lab.sessions(), clock, std::future::pending()));

    let token = access.token.expose();
    let (status, document) = fetched(&access.url, &[("authorization", token)]).await;
    assert_eq!((status, document["Token"].as_str()), (200, Some("session")));
    assert!(document["AccessKeyId"].as_str().unwrap().starts_with("ASIA"));
    assert_eq!(document["Expiration"], "2026-11-23T12:55:00Z", "five minutes before the true end");

    for (headers, expected) in [
        (vec![], 401),
        (vec![("authorization", other.token.expose())], 401),
        (vec![("authorization", token), ("host", "rebound.example")], 403),
        (vec![("authorization", token), ("origin", "https://evil.example")], 403),
    ] {
        let (status, document) = fetched(&access.url, &headers).await;
        assert_eq!(status, expected);
        assert_eq!(document["AccessKeyId"], Value::Null);
    }
    let (status, document) = fetched(&other.url, &[("authorization", other.token.expose())]).await;
    assert_eq!((status, document["code"].as_str()), (409, Some("SignInNeeded")));
    let (status, _) = fetched(&missing.url, &[("authorization", missing.token.expose())]).await;
    assert_eq!(status, 404);
    let put = reqwest::Client::builder().no_proxy().build().unwrap().put(&access.url);
    assert_eq!(put.header("authorization", token).send().await.unwrap().status().as_u16(), 405);
}

#[tokio::test]
async fn a_hundred_callers_at_once_cause_one_exchange() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    lab.side.clock.advance(SignedDuration::from_secs(3000));
    let before = lab.exchanges();
    let sessions = Arc::new(lab.sessions());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let sessions = Arc::clone(&sessions);
            tokio::spawn(async move { sessions.credentials("lab").await.unwrap().access_key_id.clone() })
        })
        .collect();
    let mut keys = std::collections::BTreeSet::new();
    for caller in callers {
        keys.insert(caller.await.unwrap());
    }
    assert_eq!((keys.len(), lab.exchanges()), (1, before + 1));
}

#[tokio::test]
async fn at_least_fifteen_minutes_are_handed_out() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let sessions = lab.sessions();
    for _ in 0..30 {
        lab.side.clock.advance(SignedDuration::from_secs(397));
        let credentials = sessions.credentials("lab").await.unwrap();
        let now = lab.side.clock.now();
        let told = Issued::new(&credentials, now).told_end().unwrap().duration_since(now);
        assert!(told >= SignedDuration::from_mins(15), "{told:?}");
    }
}

#[tokio::test]
async fn a_changed_profile_has_a_new_session() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let sessions = lab.sessions();
    let first = sessions.credentials("lab").await.unwrap();
    *lab.role.lock().unwrap() = "arn:aws:iam::1:role/other";
    let second = sessions.credentials("lab").await.unwrap();
    assert_ne!(first.access_key_id, second.access_key_id);
    assert_eq!(lab.side.forms("/sts").last().unwrap()["RoleArn"], "arn:aws:iam::1:role/other");
}

// ---- the agent ---------------------------------------------------------------------------------------------

struct Running {
    _dir: tempfile::TempDir,
    options: AgentOptions,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn options(dir: &std::path::Path) -> AgentOptions {
        let places =
            Places { config: PathBuf::from("/config"), state: PathBuf::from("/state"), ca_file: None };
        let socket = dir.join("run/agent.sock");
        AgentOptions { socket, dir: dir.join("state"), places, idle_exit: None }
    }

    async fn start(lab: &Lab) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Self::options(dir.path());
        let task = Self::spawn(lab, &options).await;
        Self { _dir: dir, options, task }
    }

    async fn spawn(lab: &Lab, options: &AgentOptions) -> tokio::task::JoinHandle<std::io::Result<()>> {
        let clock = Arc::new(lab.side.clock.clone());
        let agent = Agent::new(options.clone(), lab.clone(), clock).unwrap().expect("no agent runs yet");
        let task = tokio::spawn(agent.run(Listeners::default(), std::future::pending()));
        let address = AgentAddress { socket: options.socket.clone(), places: options.places.clone() };
        for _ in 0..500 {
            if ask(&address, Ask::Standing).await.is_ok() {
                return task;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the agent does not come up");
    }

    fn address(&self) -> AgentAddress {
        AgentAddress { socket: self.options.socket.clone(), places: self.options.places.clone() }
    }
}

async fn ask(address: &AgentAddress, ask: Ask) -> Result<Answer, AgentError> {
    let address = address.clone();
    tokio::task::spawn_blocking(move || address.ask(ask, Duration::from_secs(20))).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agent_answers_its_own_person() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let running = Running::start(&lab).await;
    let address = running.address();
    let mode = std::fs::metadata(&address.socket).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    let Answer::Credentials(given) = ask(&address, Ask::Credentials("lab".to_owned())).await.unwrap() else {
        panic!()
    };
    assert_eq!(given.session_token, Some(Secret::new("session")));
    let Answer::NotIssued(none) = ask(&address, Ask::Credentials("lab2".to_owned())).await.unwrap() else {
        panic!()
    };
    assert_eq!(none.reason, Reason::SignInNeeded);
    let Answer::Access { url, token } = ask(&address, Ask::Access("lab".to_owned())).await.unwrap() else {
        panic!()
    };
    let (status, document) = fetched(&url, &[("authorization", token.expose())]).await;
    assert_eq!((status, document["AccessKeyId"].as_str()), (200, Some(given.access_key_id.as_str())));
    let Answer::Standing(standing) = ask(&address, Ask::Standing).await.unwrap() else { panic!() };
    assert_eq!(
        standing.sessions.iter().map(|held| held.profile.as_str()).collect::<Vec<_>>(),
        ["lab", "lab2"]
    );
    assert_eq!(standing.sessions[0].expires_at, given.expires_at);

    let elsewhere = AgentAddress {
        places: Places { config: PathBuf::from("/other"), ..address.places.clone() },
        ..address.clone()
    };
    let refused = ask(&elsewhere, Ask::Credentials("lab".to_owned())).await.unwrap_err();
    assert!(matches!(refused, AgentError::Other(_)), "{refused}");

    // The one agent: a second one does not begin.
    let clock = Arc::new(lab.side.clock.clone());
    assert!(Agent::new(running.options.clone(), lab.clone(), clock).unwrap().is_none());

    assert!(matches!(ask(&address, Ask::Stop).await.unwrap(), Answer::Done));
    running.task.await.unwrap().unwrap();
    assert!(!address.socket.exists());
    assert!(matches!(ask(&address, Ask::Standing).await.unwrap_err(), AgentError::None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forgotten_is_asked_of_the_store_again() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let running = Running::start(&lab).await;
    let address = running.address();
    let credentials = || Ask::Credentials("lab".to_owned());
    assert!(matches!(ask(&address, credentials()).await.unwrap(), Answer::Credentials(_)));
    lab.open(&lab.settings("lab").unwrap()).unwrap().end().await.unwrap();
    assert!(matches!(ask(&address, Ask::Forget(Some("lab".to_owned()))).await.unwrap(), Answer::Done));
    assert!(matches!(ask(&address, credentials()).await.unwrap(), Answer::NotIssued(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_agents_socket_is_no_hindrance_and_its_tokens_come_back() {
    let lab = Lab::new(Manners::default()).await;
    lab.sign_in("lab").await;
    let running = Running::start(&lab).await;
    let address = running.address();
    let way = |answer| match answer {
        Answer::Access { url, token } => (url, token),
        _ => panic!(),
    };
    let before = way(ask(&address, Ask::Access("lab".to_owned())).await.unwrap());
    // As if it had been killed: the file stays.
    running.task.abort();
    let _ = running.task.await;
    assert!(address.socket.exists());
    assert!(matches!(
        ask(&address, Ask::Standing).await.unwrap_err(),
        AgentError::None | AgentError::Broken(_)
    ));
    // The listening sockets are closed when the runtime has dropped their tasks.
    for _ in 0..200 {
        if reqwest::Client::builder().no_proxy().build().unwrap().get(&before.0).send().await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let task = Running::spawn(&lab, &running.options).await;
    assert!(matches!(
        ask(&address, Ask::Credentials("lab".to_owned())).await.unwrap(),
        Answer::Credentials(_)
    ));
    let after = way(ask(&address, Ask::Access("lab".to_owned())).await.unwrap());
    assert_eq!(after.0.is_empty(), before.0.is_empty());
    assert_eq!(after.0 == before.0, after.1 == before.1, "port and tokens change together");
    task.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_agent_ends() {
    let lab = Lab::new(Manners::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let mut options = Running::options(dir.path());
    options.idle_exit = Some(Duration::from_secs(3600));
    let task = Running::spawn(&lab, &options).await;
    lab.side.clock.advance(SignedDuration::from_secs(3601));
    tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap().unwrap();
    assert!(!options.socket.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_that_are_none_end_the_conversation() {
    use std::io::{Read as _, Write as _};
    let lab = Lab::new(Manners::default()).await;
    let running = Running::start(&lab).await;
    let socket = running.options.socket.clone();
    let answers = tokio::task::spawn_blocking(move || {
        let mut answers = Vec::new();
        for line in [
            &b"hello\n"[..],
            b"\xff\xfe\n",
            b"{}\n",
            br#"{"version":2,"places":{"config":"/","state":"/"},"ask":"stop"}"#,
        ] {
            let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
            stream.write_all(line).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answers.push(answer);
        }
        answers
    })
    .await
    .unwrap();
    assert!(answers.iter().all(|answer| answer.is_empty() || answer.contains("other")), "{answers:?}");
    assert!(matches!(ask(&running.address(), Ask::Standing).await.unwrap(), Answer::Standing(_)));
}

#[test]
fn a_socket_in_a_directory_that_others_write_to_is_not_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let places = Places { config: PathBuf::new(), state: PathBuf::new(), ca_file: None };
    let address = AgentAddress { socket, places };
    assert!(matches!(address.ask(Ask::Standing, Duration::from_secs(1)), Err(AgentError::Foreign(_))));
}

// ---- the agent's memory as a place of sign-ins -------------------------------------------------------------

fn layered(dir: &std::path::Path, memory: Memory, wanted: Wanted, moving: bool) -> LayeredStore {
    let options = Options {
        keychain: false,
        machine_id: String::new(),
        passphrases: Arc::new(NoPassphrase),
        chosen: None,
        moving,
    };
    LayeredStore::new(SealedStore::new(dir.join("sessions"), options), memory, wanted, moving)
}

#[tokio::test]
async fn the_agents_memory_is_a_place_and_can_be_left() {
    let lab = Lab::new(Manners::default()).await;
    let running = Running::start(&lab).await;
    let (address, dir) = (running.address(), tempfile::tempdir().unwrap());
    let account = Account {
        profile: "own".to_owned(),
        issuer: "https://i".to_owned(),
        client_id: "c".to_owned(),
        subject: "ada".to_owned(),
    };
    tokio::task::spawn_blocking(move || {
        let agent = || Memory::Agent(address.clone());
        let at = |memory, wanted, moving| layered(dir.path(), memory, wanted, moving);
        let (large, newer) = (Secret::new("x".repeat(300_000)), Secret::new("newer"));

        let signing_in = at(agent(), Wanted::Memory, true);
        assert_eq!(signing_in.prepare("own").unwrap().place, Place::Memory);
        signing_in.save(&account, &large).unwrap();
        let later = at(agent(), Wanted::Best, false);
        assert_eq!(later.load("own").unwrap(), Some(large.clone()));
        assert_eq!(
            (later.place("own").unwrap(), later.profiles().unwrap()),
            (Some(Place::Memory), vec!["own".to_owned()])
        );
        later.save(&account, &newer).unwrap();
        assert_eq!(later.place("own").unwrap(), Some(Place::Memory), "a renewal leaves it there");

        // A second account beside the first: both are there to go back to.
        let bob = Account { subject: "bob".to_owned(), ..account.clone() };
        later.save(&bob, &large).unwrap();
        let mut both = later.accounts("own").unwrap();
        both.sort_by_key(|secret| secret.expose().len());
        assert_eq!((both, later.load("own").unwrap()), (vec![newer.clone(), large.clone()], Some(large)));
        later.save(&account, &newer).unwrap();
        assert_eq!(later.load("own").unwrap(), Some(newer.clone()));

        // Of another home, the agent says nothing; and without one there is no such place.
        let elsewhere = AgentAddress {
            places: Places { config: PathBuf::from("/x"), ..address.places.clone() },
            ..address.clone()
        };
        assert_eq!(at(Memory::Agent(elsewhere), Wanted::Best, false).load("own").unwrap(), None);
        for memory in
            [Memory::None, Memory::Agent(AgentAddress { socket: dir.path().join("no"), ..address.clone() })]
        {
            assert!(matches!(at(memory, Wanted::Memory, true).prepare("own"), Err(StoreError::NoAgent(_))));
        }

        let moving = at(agent(), Wanted::Sealed(Protection::File), true);
        assert_eq!(moving.prepare("own").unwrap().place, Place::Sealed(Protection::File));
        moving.save(&account, &newer).unwrap();
        assert_eq!(at(agent(), Wanted::Best, false).load("own").unwrap(), Some(newer.clone()));
        assert_eq!(at(Memory::None, Wanted::Best, false).load("own").unwrap(), Some(newer.clone()));
        at(agent(), Wanted::Memory, true).save(&account, &newer).unwrap();
        assert_eq!(at(Memory::None, Wanted::Best, false).load("own").unwrap(), None, "the file has gone");
        assert!(at(agent(), Wanted::Best, false).remove("own").unwrap());
        assert_eq!(at(agent(), Wanted::Best, false).load("own").unwrap(), None);
    })
    .await
    .unwrap();
}
