//! `wigeon explain` and `wigeon policy lint` over a directory file, offline.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may end where it is surprised")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use serde_json::{Map, Value, json};
use wigeon_core::jwt::Algorithm;
use wigeon_core::jwt::signing::SigningKey;

const ISSUER: &str = "https://idp.example";
const PROVIDER: &str = "arn:aws:iam::000000000000:oidc-provider/idp.example";

fn folder(condition: &Value) -> (tempfile::TempDir, SigningKey) {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate(Algorithm::ES256).unwrap();
    fs::write(folder.path().join("jwks.json"), json!({"keys": [key.public_jwk()]}).to_string()).unwrap();
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": PROVIDER},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": condition}]});
    let may = json!({"Version": "2012-10-17", "Statement": [{"Sid": "Read", "Effect": "Allow", "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::shared/*"}]});
    let directory = format!(
        "account = '000000000000'\n[[provider]]\nurl = '{ISSUER}'\nclient_ids = ['app']\njwks_file = 'jwks.json'\n\
         [[role]]\nname = 'reader'\ntrust = '''{trust}'''\n[[role.policy]]\nname = 'shared'\ndocument = '''{may}'''\n"
    );
    fs::write(folder.path().join("directory.toml"), directory).unwrap();
    (folder, key)
}

fn good() -> Value {
    json!({"StringEquals": {"idp.example:aud": "app", "idp.example:sub": "alice"}})
}

fn token(key: &SigningKey, changes: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut claims = json!({"iss": ISSUER, "sub": "alice", "aud": "app", "iat": now, "exp": now + 600});
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    key.sign(&Map::new(), claims.as_object().unwrap()).unwrap()
}

fn run(folder: &Path, arguments: &[&str], input: &str, code: i32) -> (String, String) {
    let mut command = Command::cargo_bin("wigeon").unwrap();
    command.current_dir(folder).env_clear().env("HOME", folder).env("NO_COLOR", "1").args(arguments);
    let output = command.write_stdin(input.to_owned()).assert().code(code).get_output().clone();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

const TOKEN: [&str; 7] = ["explain", "token", "-", "--directory", "directory.toml", "--role", "reader"];

#[test]
fn a_token_that_arrives() {
    let (folder, key) = folder(&good());
    let (output, _) = run(folder.path(), &TOKEN, &token(&key, &json!({})), 0);
    assert_eq!(output.lines().count(), 7, "{output}");
    assert!(output.lines().all(|line| line.starts_with("ok ")), "{output}");
}

#[test]
fn a_token_that_does_not_says_what_to_change() {
    let (folder, key) = folder(&good());
    for (claims, step, advice) in [
        (json!({"sub": "bob"}), "trust", "allow `bob` for `idp.example:sub`"),
        (json!({"aud": "other"}), "claims", "client_ids"),
        (json!({"iss": "https://idp.example/"}), "issuer", "character by character"),
    ] {
        let text = token(&key, &claims);
        let (output, message) = run(folder.path(), &TOKEN, &text, 5);
        assert!(output.lines().last().unwrap().starts_with(&format!("no  {step}")), "{output}");
        assert!(message.contains(advice), "{message}");
        let signature = text.rsplit('.').next().unwrap();
        assert!(!output.contains(signature) && !message.contains(signature));
    }
    let other = SigningKey::generate(Algorithm::ES256).unwrap();
    let (output, _) = run(folder.path(), &TOKEN, &token(&other, &json!({})), 5);
    assert!(output.contains("no  signature"), "{output}");
}

#[test]
fn a_policy_is_asked() {
    let (folder, _) = folder(&good());
    let ask = |resource: &str, code| {
        let arguments = [
            "explain",
            "policy",
            "--directory",
            "directory.toml",
            "--role",
            "reader",
            "--action",
            "s3:GetObject",
            "--resource",
            resource,
        ];
        run(folder.path(), &arguments, "", code)
    };
    assert!(ask("arn:aws:s3:::shared/x", 0).0.contains("allowed by `Read`"));
    let (_, message) = ask("arn:aws:s3:::other/x", 5);
    assert!(message.contains("add `arn:aws:s3:::other/x` to the resources in `Read`"), "{message}");
}

#[test]
fn what_a_bucket_says_counts_too() {
    let (folder, _) = folder(&good());
    let statement = |effect: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Sid": "Bucket", "Effect": effect, "Principal": "*",
            "Action": "s3:GetObject", "Resource": "arn:aws:s3:::shared/*"}]})
    };
    let ask = |effect: &str, who: &[&str], code| {
        fs::write(folder.path().join("bucket.json"), statement(effect).to_string()).unwrap();
        let mut arguments =
            vec!["explain", "policy", "--directory", "directory.toml", "--bucket-policy", "bucket.json"];
        arguments.extend(["--action", "s3:GetObject", "--resource", "arn:aws:s3:::shared/x"]);
        arguments.extend(who);
        run(folder.path(), &arguments, "", code)
    };
    let (output, message) = ask("Deny", &["--role", "reader"], 5);
    assert!(output.contains("`Bucket` of the bucket policy"), "{output}");
    assert!(message.contains("out of the deny in `Bucket`"), "{message}");
    ask("Allow", &["--role", "reader"], 0);
    assert!(ask("Allow", &["--anonymous"], 0).0.contains("`Bucket`"));
    ask("Deny", &["--anonymous"], 5);
    ask("Allow", &[], 2);
}

#[test]
fn a_request_is_decided_anew() {
    let (folder, _) = folder(&good());
    let record = |resource: &str| {
        json!({"time": "2026-11-23T12:00:00.000Z", "request_id": "AB12", "service": "s3", "source_ip": "192.0.2.7",
            "who": {"principal": "arn:aws:sts::000000000000:assumed-role/reader/s", "session": "s",
                "role": "arn:aws:iam::000000000000:role/reader", "issuer": ISSUER, "subject": "alice"},
            "operation": "GetObject", "resource": resource, "status": 403, "code": "AccessDenied"})
    };
    let explained = |resource: &str| {
        let audit = folder.path().join("audit.jsonl");
        // Put aside since.
        fs::write(&audit, "").unwrap();
        fs::write(folder.path().join("audit.jsonl.1"), format!("{}\n", record(resource))).unwrap();
        let arguments =
            ["explain", "request", "AB12", "--audit", "audit.jsonl", "--directory", "directory.toml"];
        run(folder.path(), &arguments, "", 0).0
    };
    let output = explained("arn:aws:s3:::shared/x");
    assert!(output.contains("403 AccessDenied") && output.contains("allowed by `Read`"), "{output}");
    let output = explained("arn:aws:s3:::other/x");
    assert!(output.contains("add `arn:aws:s3:::other/x` to the resources in `Read`"), "{output}");
}

#[test]
fn a_request_is_found_by_its_id() {
    let (folder, _) = folder(&good());
    let record = json!({"time": "t", "request_id": "AB12", "service": "s3", "source_ip": "192.0.2.7",
        "who": {"principal": "arn:aws:sts::1:assumed-role/r/s"}, "operation": "GetObject", "resource": "b/k",
        "status": 403, "code": "AccessDenied", "reason": "no statement allows it", "micros": 7});
    fs::write(folder.path().join("audit.jsonl"), format!("{{broken\n{record}\n")).unwrap();
    let (output, _) = run(folder.path(), &["explain", "request", "AB12", "--audit", "audit.jsonl"], "", 0);
    assert!(output.contains("403 AccessDenied") && output.contains("no statement allows it"), "{output}");
    let (_, message) = run(folder.path(), &["explain", "request", "AB1", "--audit", "audit.jsonl"], "", 1);
    assert!(message.contains("there is no request `AB1`"), "{message}");
}

#[test]
fn lint_looks_through_a_directory_and_files() {
    let (good_folder, _) = folder(&good());
    run(good_folder.path(), &["policy", "lint", "--directory", "directory.toml"], "", 0);
    let (bad_folder, _) = folder(&json!({"StringEquals": {"oidc:sub": "alice"}}));
    let (output, _) = run(bad_folder.path(), &["policy", "lint", "--directory", "directory.toml"], "", 1);
    for rule in ["unknown-key", "no-audience", "every-subject"] {
        assert!(output.contains(rule), "{output}");
    }
    // Whoever has a policy, and those that nobody has.
    let odd = r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObjekt","Resource":"*"}]}"#;
    let more = format!(
        "[[policy]]\nname = 'unused'\ndocument = '''{odd}'''\n[[policy]]\nname = 'used'\ndocument = '''{odd}'''\n\
         [[group]]\nname = 'staff'\nattached = ['used']\n[[user]]\nname = 'backup'\ngroups = ['staff']\n"
    );
    let path = good_folder.path().join("directory.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap() + &more).unwrap();
    let (output, _) = run(good_folder.path(), &["policy", "lint", "--directory", "directory.toml"], "", 1);
    assert_eq!(output.lines().count(), 2, "{output}");
    assert!(
        output.contains("user `backup`, policy `used`") && output.contains("policy `unused`"),
        "{output}"
    );
    let policy =
        r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObjekt","Resource":"*"}}"#;
    fs::write(bad_folder.path().join("p.json"), policy).unwrap();
    let (output, _) = run(bad_folder.path(), &["policy", "lint", "p.json", "--json"], "", 1);
    let findings: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(findings[0]["rule"], "unknown-action");
}
