//! Directory files: what they say, what is refused, and reloading.

use std::fs;

use rstest::rstest;
use wigeon_core::jwt::Algorithm;

use super::*;

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:oidc-provider/idp.example"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"idp.example:aud":"s3-cli"}}}]}"#;
const READ: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::shared/*"}]}"#;

fn full() -> String {
    format!(
        r#"
account = "000000000000"

[[provider]]
url = "https://idp.example"
client_ids = ["s3-cli", "s3-web"]
algorithms = ["RS256", "EdDSA"]
jwks_file = "keys.json"
thumbprints = ["0123456789abcdef0123456789abcdef01234567"]
revoked_before = "2026-11-01T00:00:00Z"

[[provider]]
url = "http://127.0.0.1:18300/realms/x"
client_ids = ["s3-cli"]

[[policy]]
name = "read"
document = '{READ}'

[[role]]
name = "reader"
path = "/team/"
max_session_duration = 7200
trust_file = "trust.json"
attached = ["read"]
boundary = "read"

[[role.policy]]
name = "inline"
document = '{READ}'

[[role]]
name = "plain"
trust = '{TRUST}'
"#
    )
}

fn folder(contents: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("keys.json"), r#"{"keys":[]}"#).unwrap();
    fs::write(folder.path().join("trust.json"), TRUST).unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, contents).unwrap();
    (folder, path)
}

#[test]
fn users_groups_tags_and_ended_sessions() {
    let text = format!(
        "account = '000000000000'\nrevoked_sessions = ['ASIAONE']\n[[group]]\nname = 'Staff'\n[[group.policy]]\nname = 'p'\n\
         document = '''{READ}'''\n[[user]]\nname = 'backup'\ngroups = ['staff']\ntags = {{ team = 'x' }}\n\
         access_key = [{{ id = 'AKIABACKUPBACKUP0001', secret_key_file = 'secret' }}]\n"
    );
    let (folder, path) = folder(&text);
    let secret = folder.path().join("secret");
    fs::write(&secret, "0123456789abcdef\n").unwrap();
    let mode =
        |mode| fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(file::load(&path).unwrap_err().to_string().contains("can be read by others"));
    mode(0o600);
    let snapshot = Snapshot::of(file::load(&path).unwrap().0, 0);
    let (key, user) = snapshot.access_key("AKIABACKUPBACKUP0001").unwrap();
    assert_eq!(key.plain_secret.as_ref().unwrap().expose(), "0123456789abcdef");
    assert!(!format!("{key:?}").contains("0123456789abcdef"));
    assert_eq!((user.policies.len(), user.tags.len()), (1, 1));
    assert!(snapshot.is_revoked("ASIAONE") && !snapshot.is_revoked("ASIATWO"));
    for (from, to, reason) in [
        ("groups = ['staff']", "groups = ['none']", "there is no group `none`"),
        ("AKIABACKUPBACKUP0001", "ASIABACKUPBACKUP0001", "`ASIA` is for sessions"),
        ("name = 'backup'", "name = 'back up'", "a name has 1 to 64 characters"),
        ("team = 'x'", "'te!am' = 'x'", "the tag `te!am` breaks the rules"),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        let error = file::load(&path).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn services_of_opaque_tokens() {
    let text =
        |more: &str| format!("account = '000000000000'\n[[built_in]]\nname = 'www.amazon.com'\n{more}\n");
    let (folder, path) = folder(&text("token_information = 'http://127.0.0.1:1/x'"));
    let (entries, _) = file::load(&path).unwrap();
    let snapshot = Snapshot::of(entries, 0);
    let amazon = snapshot.provider("https://www.amazon.com").unwrap();
    assert!(amazon.any_audience && !amazon.has_standard_keys());
    assert!(
        matches!(&amazon.keys, Keys::Opaque { address, .. } if address.as_str() == "http://127.0.0.1:1/x")
    );
    drop(folder);
    for more in [
        "jwks_url = 'https://x.example'",
        "token_information = 'http://198.51.100.7/x'",
        "token_information = 'nothing'",
    ] {
        let (_folder, path) = self::folder(&text(more));
        assert!(file::load(&path).is_err(), "{more}");
    }
    let google =
        text("token_information = 'https://x.example'").replace("www.amazon.com", "accounts.google.com");
    let (_folder, path) = self::folder(&google);
    assert!(file::load(&path).unwrap_err().to_string().contains("its tokens are signed"));
}

#[test]
fn everything_that_a_file_can_say() {
    let (_folder, path) = folder(&full());
    let snapshot = Directory::from_file(&path).unwrap().snapshot();
    assert_eq!(snapshot.account(), "000000000000");

    let provider = snapshot.provider("https://idp.example").unwrap();
    assert_eq!(provider.arn.as_str(), "arn:aws:iam::000000000000:oidc-provider/idp.example");
    assert!(matches!(provider.keys, Keys::Fixed(_)));
    assert!(
        provider.algorithms.contains(Algorithm::EdDSA) && !provider.algorithms.contains(Algorithm::ES256)
    );
    assert!(provider.revoked_before.is_some());
    assert!(snapshot.provider("https://idp.example/").is_none(), "issuers are compared as they are");
    assert!(snapshot.provider("http://idp.example").is_none());
    let local = snapshot.provider("http://127.0.0.1:18300/realms/x").unwrap();
    assert!(matches!(local.keys, Keys::Discovery) && local.algorithms.contains(Algorithm::ES512));

    let role = snapshot.role("arn:aws:iam::000000000000:role/team/reader").unwrap();
    assert_eq!((role.max_session_duration, role.policies.len(), role.boundary.is_some()), (7200, 2, true));
    assert!(role.id.starts_with("AROA") && role.id.len() == 21);
    let plain = snapshot.role("arn:aws:iam::000000000000:role/plain").unwrap();
    assert_eq!((plain.max_session_duration, plain.policies.len()), (3600, 0));
    assert!(snapshot.role("arn:aws:iam::000000000000:role/reader").is_none());
    assert!(snapshot.policy("arn:aws:iam::000000000000:policy/read").is_some());
}

/// What belongs to other services' ways has to be asked for.
#[test]
fn other_services_ways() {
    let plain = full();
    let (_folder, path) = folder(&plain);
    let snapshot = Directory::from_file(&path).unwrap().snapshot();
    assert!(!snapshot.is_ceph() && !snapshot.knows_minio());
    assert!(snapshot.provider("https://accounts.google.com").is_none());

    let minio = "algorithms = [\"RS256\", \"EdDSA\"]\nminio = { default_role = \"plain\", policy_claim = \"policy\" }";
    let switched = plain.replace("algorithms = [\"RS256\", \"EdDSA\"]", minio)
        + "\n[[built_in]]\nname = \"accounts.google.com\"\njwks_file = \"keys.json\"\n";
    let (_folder, path) = folder(&switched);
    let snapshot = Directory::from_file(&path).unwrap().snapshot();
    let minio = snapshot.provider("https://idp.example").unwrap().minio.clone().unwrap();
    assert_eq!(minio.default_role.unwrap().as_str(), "arn:aws:iam::000000000000:role/plain");
    let google = snapshot.provider("https://accounts.google.com").unwrap();
    assert!(google.any_audience && google.principal() == "accounts.google.com");

    let (_folder, path) = folder(&switched.replace("default_role = \"plain\"", "default_role = \"none\""));
    let error = Directory::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("its default role"), "{error}");
    let (_folder, path) = folder(&switched.replace("accounts.google.com", "accounts.example"));
    assert!(Directory::from_file(&path).unwrap_err().to_string().contains("there is no such provider"));

    let ceph = format!("ceph = true\n{}", plain.replace("client_ids = [\"s3-cli\"]", "client_ids = []"));
    let (_folder, path) = folder(&ceph);
    let snapshot = Directory::from_file(&path).unwrap().snapshot();
    assert!(snapshot.provider("http://127.0.0.1:18300/realms/x").unwrap().any_audience);
    assert!(!snapshot.provider("https://idp.example").unwrap().any_audience);
    let role = snapshot.role("arn:aws:iam:::role/plain").unwrap();
    assert_eq!(snapshot.role("arn:aws:iam::000000000000:role/plain").unwrap().id, role.id);
}

#[rstest]
#[case::syntax("account = ", "", "line 2")]
#[case::unknown_key("account", "acount", "unknown field `acount`")]
#[case::account("000000000000\"\n", "1\"\n", "account: `1` is not an account")]
#[case::plain_http(
    "https://idp.example\"",
    "http://idp.example\"",
    "provider `http://idp.example`: `http://idp.example` would be read unprotected"
)]
#[case::scheme("https://idp.example\"", "file:///etc/passwd\"", "has no host")]
#[case::reserved("https://idp.example\"", "https://aws\"", "provider `https://aws`: its condition keys")]
#[case::no_clients(r#"["s3-cli", "s3-web"]"#, "[]", "`client_ids` needs at least one")]
#[case::hmac("EdDSA", "HS256", "`HS256` is not a signature algorithm")]
#[case::none("EdDSA", "none", "`none` is not a signature algorithm")]
#[case::thumbprint("abcdef01234567\"", "x\"", "is not a thumbprint")]
#[case::time("2026-11-01T00:00:00Z", "yesterday", "`yesterday` is not a time")]
#[case::two_providers(
    "http://127.0.0.1:18300/realms/x",
    "https://idp.example",
    "provider `https://idp.example` is there twice"
)]
#[case::no_file("trust.json", "gone.json", "gone.json` cannot be read")]
#[case::no_policy(r#"attached = ["read"]"#, r#"attached = ["write"]"#, "there is no policy `write`")]
#[case::two_roles("\"plain\"", "\"Reader\"", "role `Reader` is there twice")]
#[case::duration("7200", "43201", "role `reader`: `max_session_duration` is 3600 to 43200")]
#[case::path("/team/", "team", "has to begin and end with `/`")]
#[case::name("\"plain\"", "\"pl ain\"", "role `pl ain`: a role's name")]
#[case::two_documents(
    "trust_file = ",
    "trust = '{}'\ntrust_file = ",
    "role `reader`, trust policy: the policy document is given twice"
)]
#[case::no_document(
    "trust_file = \"trust.json\"",
    "",
    "role `reader`, trust policy: the policy document is missing"
)]
#[case::bad_document(
    "\"Effect\":\"Allow\",\"Action\":\"s3:GetObject\"",
    "\"Effect\":\"Perhaps\",\"Action\":\"s3:GetObject\"",
    "policy `read`"
)]
fn faulty_files_say_where_and_why(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
    let text = full();
    assert!(text.contains(from), "the case changes something");
    let (_folder, path) = folder(&text.replacen(from, to, 1));
    let error = Directory::from_file(&path).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(error.contains("directory.toml") || error.contains("gone.json"), "{error}");
}

#[test]
fn a_change_acts_and_a_faulty_one_does_not() {
    let (folder, path) = folder(&full());
    let directory = Directory::from_file(&path).unwrap();
    assert!(!directory.reload_if_changed().unwrap());

    fs::write(&path, full().replace("plain", "renamed")).unwrap();
    assert!(directory.reload_if_changed().unwrap());
    let renamed = "arn:aws:iam::000000000000:role/renamed";
    assert!(directory.snapshot().role(renamed).is_some());

    fs::write(folder.path().join("trust.json"), "{").unwrap();
    let error = directory.reload_if_changed().unwrap_err().to_string();
    assert!(error.contains("trust.json"), "{error}");
    assert!(directory.snapshot().role(renamed).is_some(), "the old state stays");
    assert!(!directory.reload_if_changed().unwrap(), "one complaint per change");
    assert!(directory.reload().is_err());

    fs::write(folder.path().join("trust.json"), TRUST).unwrap();
    assert!(directory.reload_if_changed().unwrap());
}
