//! How many tokens a second of the server's CPU time exchanges, against how many RSA-2048 signatures the same
//! time verifies; and how long a directory of 10,000 roles takes to load.
//!
//! ```text
//! cargo run --release -p wigeon-server --example exchange_speed -- [SECONDS]
//! cargo run --release -p wigeon-server --example exchange_speed -- serve FOLDER   # to load it otherwise
//! ```
//!
//! The server runs in a process of its own, with an audit file, as it is served; the load comes over keep-alive
//! connections on loopback with tokens that all differ (RS256, the keys known). CPU time is the kernel's word
//! (`/proc`), so whatever else the machine does weighs little.
#![expect(clippy::print_stdout, reason = "it reports to a person")]

use std::env;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::signature::{self, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use wigeon_core::jwt::Algorithm;
use wigeon_core::jwt::signing::SigningKey;
use wigeon_core::time::{Clock, Timestamp};
use wigeon_server::config::{AuditConfig, Config, DirectoryConfig, Listen};
use wigeon_server::directory::Directory;
use wigeon_server::serve;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ISSUER: &str = "https://idp.example";
const TOKENS: usize = 2000;

struct System;

impl Clock for System {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["child", folder, roles] => {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(serve_folder(Path::new(folder), roles.parse()?))
        }
        ["serve", folder] => {
            let folder = PathBuf::from(folder);
            let forms = prepare(&folder, 1)?;
            for (index, form) in forms.iter().enumerate().take(100) {
                fs::write(folder.join(format!("form-{index}")), form)?;
            }
            tokio::runtime::Runtime::new()?.block_on(serve_folder(&folder, 1))
        }
        [] => measure(Duration::from_secs(8)),
        [seconds] => measure(Duration::from_secs(seconds.parse()?)),
        _ => Err("usage: exchange_speed [SECONDS] | serve FOLDER".into()),
    }
}

fn measure(lasting: Duration) -> Outcome<()> {
    let verifications = verifications_per_second()?;
    println!("RSA-2048 verifications per CPU second: {verifications:.0}");
    for roles in [1, 10_000] {
        let folder = tempfile::tempdir()?;
        let forms = Arc::new(prepare(folder.path(), roles)?);
        let started = Instant::now();
        Directory::from_file(&folder.path().join("directory.toml"))?;
        println!("{roles} roles: loaded in {:.0} ms", started.elapsed().as_secs_f64() * 1e3);
        let server = Server::start(folder.path(), roles)?;
        for connections in [8, 64] {
            load(&server, &forms, connections, Duration::from_secs(1))?;
            let before = server.cpu_seconds()?;
            let started = Instant::now();
            let exchanges = load(&server, &forms, connections, lasting)?;
            let (wall, cpu) = (started.elapsed().as_secs_f64(), server.cpu_seconds()? - before);
            let (rate, per_cpu) = (exchanges as f64 / wall, exchanges as f64 / cpu);
            let share = 100.0 * per_cpu / verifications;
            println!(
                "{roles} roles, {connections} connections: {rate:.0} exchanges/s, {per_cpu:.0} per CPU second \
                 of the server, {share:.0} % of the verifications"
            );
        }
    }
    Ok(())
}

/// What one core does when it does nothing else.
fn verifications_per_second() -> Outcome<f64> {
    let key = SigningKey::generate(Algorithm::RS256)?;
    let token = key.sign(&Map::new(), json!({"sub": "alice"}).as_object().ok_or("an object")?)?;
    let (input, signature) = token.rsplit_once('.').ok_or("a token")?;
    let signature = URL_SAFE_NO_PAD.decode(signature)?;
    let jwk = key.public_jwk();
    let part = |name: &str| -> Outcome<Vec<u8>> {
        Ok(URL_SAFE_NO_PAD.decode(jwk.get(name).and_then(|value| value.as_str()).ok_or("a JWK")?)?)
    };
    let components = aws_lc_rs::rsa::PublicKeyComponents { n: part("n")?, e: part("e")? };
    let der: aws_lc_rs::rsa::PublicEncryptingKey = components.try_into().map_err(|_| "a key")?;
    let der = aws_lc_rs::encoding::AsDer::as_der(&der).map_err(|_| "an encoding")?;
    let der: aws_lc_rs::encoding::PublicKeyX509Der<'_> = der;
    let key =
        ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, der.as_ref()).map_err(|_| "a key")?;
    let before = thread_cpu_seconds()?;
    let (started, mut count) = (Instant::now(), 0_u32);
    while started.elapsed() < Duration::from_secs(2) {
        for _ in 0..256 {
            key.verify_sig(input.as_bytes(), &signature).map_err(|_| "a signature that holds")?;
        }
        count += 256;
    }
    Ok(f64::from(count) / (thread_cpu_seconds()? - before))
}

fn thread_cpu_seconds() -> Outcome<f64> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().ok_or("schedstat")?.parse::<f64>()? / 1e9)
}

/// Writes a server's files; gives the bodies of exchanges.
fn prepare(folder: &Path, roles: usize) -> Outcome<Vec<String>> {
    let key = SigningKey::generate(Algorithm::RS256)?;
    fs::write(folder.join("jwks.json"), json!({"keys": [key.public_jwk()]}).to_string())?;
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"Federated": "arn:aws:iam::000000000000:oidc-provider/idp.example"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {"idp.example:aud": "s3-cli"}, "StringLike": {"idp.example:sub": "user-*"},
                      "ForAnyValue:StringEquals": {"idp.example:groups": ["s3-admins", "s3-readers"]}}}]});
    let may = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": ["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]},
        {"Effect": "Allow", "Action": "s3:*Object", "Resource": "arn:aws:s3:::home/${idp.example:sub}/*"}]});
    let mut directory = format!(
        "account = '000000000000'\n[[provider]]\nurl = '{ISSUER}'\nclient_ids = ['s3-cli']\njwks_file = 'jwks.json'\n"
    );
    for role in 0..roles {
        directory.push_str(&format!(
            "[[role]]\nname = 'role-{role}'\ntrust = '''{trust}'''\n[[role.policy]]\nname = 'a'\ndocument = '''{may}'''\n"
        ));
    }
    fs::write(folder.join("directory.toml"), directory)?;

    let now = Timestamp::now().as_second();
    let form = |user: usize| -> Outcome<String> {
        let claims = json!({"iss": ISSUER, "sub": format!("user-{user}"), "aud": "s3-cli", "iat": now,
            "exp": now + 3600, "nonce": format!("n-{user}"), "email": format!("user-{user}@example.org"),
            "preferred_username": format!("user-{user}"), "groups": ["s3-admins", "engineering"]});
        let token = key.sign(&Map::new(), claims.as_object().ok_or("an object")?)?;
        Ok(format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=user-{user}\
             &RoleArn=arn%3Aaws%3Aiam%3A%3A000000000000%3Arole%2Frole-{}&WebIdentityToken={token}",
            user % roles
        ))
    };
    (0..TOKENS).map(form).collect()
}

async fn serve_folder(folder: &Path, roles: usize) -> Outcome<()> {
    let directory = DirectoryConfig::file(folder.join("directory.toml"));
    let config = Config {
        listen: vec![Listen::at(SocketAddr::from(([127, 0, 0, 1], 0)))],
        audit: AuditConfig::file(folder.join("audit.jsonl")),
        ..Config::new(folder.join(format!("data-{roles}")), directory)
    };
    let running = serve::start(&config, Arc::new(System)).await?;
    println!("{}", running.address());
    std::future::pending::<()>().await;
    Ok(())
}

/// The server, in a process of its own.
struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &Path, roles: usize) -> Outcome<Self> {
        let mut process = Command::new(env::current_exe()?)
            .arg("child")
            .arg(folder)
            .arg(roles.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line)?;
        Ok(Self { process, address: line.trim().parse()? })
    }

    /// Of all its threads: user and system time, in ticks of a hundredth of a second.
    fn cpu_seconds(&self) -> Outcome<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let (_, fields) = text.rsplit_once(") ").ok_or("stat")?;
        let ticks: f64 =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Exchanges over so many connections for a while; gives how many it were.
fn load(server: &Server, forms: &Arc<Vec<String>>, connections: usize, lasting: Duration) -> Outcome<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
                let (forms, address) = (Arc::clone(forms), server.address);
                tokio::spawn(async move { exchange(address, &forms, worker, &stop, &count).await })
            })
            .collect();
        tokio::time::sleep(lasting).await;
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.await??;
        }
        Ok(count.load(Ordering::Relaxed))
    })
}

async fn exchange(
    address: SocketAddr,
    forms: &[String],
    worker: usize,
    stop: &AtomicBool,
    count: &AtomicU64,
) -> Outcome<()> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.get_ref().set_nodelay(true)?;
    for form in forms.iter().cycle().skip(worker * 31) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let request = format!(
            "POST / HTTP/1.1\r\nHost: sts\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        stream.get_mut().write_all(request.as_bytes()).await?;
        let (mut line, mut length) = (String::new(), 0);
        stream.read_line(&mut line).await?;
        let granted = line.contains(" 200 ");
        loop {
            line.clear();
            stream.read_line(&mut line).await?;
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        if !granted {
            return Err(String::from_utf8_lossy(&body).into_owned().into());
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
