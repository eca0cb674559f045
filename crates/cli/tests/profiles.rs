//! The program as scripts see it: what it prints where, and its exit codes. Nothing here needs a network.

use assert_cmd::Command;
use tempfile::TempDir;

const PROFILE: &str = "protocol = 's3'\nvendor = 'lab'\nissuer = 'http://127.0.0.1:1'\noauth_client_id = 'c'\n\
                       oauth_client_secret = 'hunter2'\n[properties]\nrole_arn = 'arn:aws:iam::1:role/analyst'\n";

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn home() -> TempDir {
    let home = tempfile::tempdir().expect("a directory for a test");
    std::fs::write(home.path().join("lab.toml"), PROFILE).expect("a file in it");
    home
}

fn wigeon(home: &TempDir, arguments: &[&str]) -> Outcome {
    let output = Command::cargo_bin("wigeon")
        .expect("the program was built")
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("HOME", home.path())
        .output()
        .expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn a_profile_is_imported_shown_exported_and_removed() {
    let home = home();
    let imported = wigeon(&home, &["profile", "import", "lab.toml"]);
    assert_eq!((imported.code, imported.stdout.as_str()), (0, "Imported \"lab\" as lab.\n"));
    assert_eq!(wigeon(&home, &["profile", "import", "lab.toml"]).code, 1, "the name is taken");
    assert_eq!(wigeon(&home, &["profile", "import", "lab.toml", "--replace"]).code, 0);

    let shown = wigeon(&home, &["profile", "show"]);
    assert!(shown.stdout.contains("arn:aws:iam::1:role/analyst  (profile)"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("hunter2"), "a secret is shown");

    let plist = wigeon(&home, &["profile", "export", "lab", "--format", "plist"]).stdout;
    std::fs::write(home.path().join("again.cyberduckprofile"), &plist).unwrap();
    let again = wigeon(&home, &["profile", "import", "again.cyberduckprofile", "--name", "again"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    let toml = |name| wigeon(&home, &["profile", "export", name]).stdout;
    assert_eq!(toml("lab"), toml("again"));

    assert_eq!(wigeon(&home, &["profile", "remove", "again"]).code, 0);
    let gone = wigeon(&home, &["profile", "show", "again"]);
    assert_eq!(
        (gone.code, gone.stderr.as_str()),
        (1, "error: there is no profile `again`\n  hint: there are: lab\n")
    );
}

#[test]
fn who_has_not_signed_in_is_told_the_command() {
    let home = home();
    wigeon(&home, &["profile", "import", "lab.toml"]);
    for command in ["whoami", "credentials"] {
        let outcome = wigeon(&home, &[command]);
        assert_eq!(outcome.code, 4);
        assert_eq!(outcome.stderr, "Sign-in needed for profile \"lab\". Run: wigeon login lab\n");
        assert_eq!(outcome.stdout, "");
    }
    let json = wigeon(&home, &["whoami", "--json"]);
    assert!(json.stderr.starts_with(r#"{"error":{"kind":"sign-in-needed""#), "{}", json.stderr);
}

#[test]
fn exit_codes() {
    let home = home();
    assert_eq!(wigeon(&home, &["whoami"]).code, 1, "no profile yet");
    assert_eq!(wigeon(&home, &["frobnicate"]).code, 2);
    wigeon(&home, &["profile", "import", "lab.toml"]);
    wigeon(&home, &["profile", "import", "lab.toml", "--name", "other"]);
    assert_eq!(wigeon(&home, &["whoami"]).code, 2, "which one?");
    let unreachable = wigeon(&home, &["login", "lab", "--no-browser"]);
    assert_eq!(unreachable.code, 6, "{}", unreachable.stderr);
    assert!(unreachable.stderr.contains("cannot reach the provider"));
    assert_eq!(wigeon(&home, &["whoami", "-p", "../x"]).code, 2);
}

#[test]
fn a_bad_file_is_named_with_its_line() {
    let home = home();
    std::fs::write(
        home.path().join("bad.cyberduckprofile"),
        "<plist>\n<dict><key>Protocol</key><string>s3</string></dict></plist>",
    )
    .unwrap();
    let outcome = wigeon(&home, &["profile", "import", "bad.cyberduckprofile"]);
    assert_eq!(
        outcome.stderr,
        "error: `bad.cyberduckprofile`, line 2: a connection profile needs `Vendor`, and there is none\n"
    );
}
