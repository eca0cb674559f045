//! What is shipped beside the binary: the files of `dist/` say what the program and the repository have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may end where it is surprised")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wigeon_server::config::Config;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn both_configurations_are_ones() {
    for path in ["dist/serve.toml", "dist/container/serve.toml"] {
        let config = Config::read(&root().join(path)).unwrap();
        assert_eq!(config.data, Path::new("/var/lib/wigeon"), "{path}");
        assert!(config.metrics.is_some(), "the health check of {path} needs an address");
    }
}

/// Every instruction, with lines that go on joined.
fn instructions() -> Vec<(String, String)> {
    let joined = text("dist/container/Containerfile").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).unwrap()
        })
        .collect()
}

#[test]
fn the_image_copies_what_there_is_and_runs_without_rights() {
    let all = instructions();
    let of = |word: &str| {
        all.iter().filter(|(known, _)| known == word).map(|(_, rest)| rest.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("FROM").len(), 2, "what builds is not shipped");
    let ignored = text(".containerignore");
    for copy in of("COPY").iter().filter(|copy| !copy.starts_with("--from=")) {
        let mut words: Vec<&str> = copy.split_whitespace().collect();
        words.pop();
        for source in words {
            assert!(root().join(source).exists(), "{source} is not in the repository");
            let first = source.split('/').next().unwrap();
            assert!(
                ignored.lines().any(|line| line == format!("!{first}")),
                "{source} is kept out by .containerignore"
            );
        }
    }
    // Every member of the workspace is there, or cargo refuses the lock file.
    for member in ["crates", "xtask"] {
        assert!(of("COPY").iter().any(|copy| copy.split_whitespace().next() == Some(member)), "{member}");
    }
    let version = text("Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .replace('"', "");
    assert!(
        of("FROM")[0].contains(&format!("rust:{version}")),
        "the compiler is the one that the workspace names"
    );
    let user = of("USER").pop().unwrap();
    let uid: u32 =
        user.split(':').next().unwrap().parse().expect("a number, which needs no look into the image");
    assert!(uid > 0 && of("RUN").iter().any(|run| run.contains(&format!("--uid {uid}"))));
    for (command, with) in [("HEALTHCHECK", "--ready"), ("CMD", "serve"), ("ENTRYPOINT", "/usr/bin/wigeon")] {
        assert!(of(command).pop().unwrap().contains(with), "{command}");
    }
    assert!(of("COPY").iter().any(|copy| copy.ends_with("/usr/bin/wigeon")));
}

/// The settings of a unit, by name.
fn settings(path: &str) -> BTreeMap<String, String> {
    let lines =
        text(path).lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    lines
        .iter()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

#[test]
fn the_unit_runs_what_the_program_has() {
    let unit = settings("dist/systemd/wigeon.service");
    let mut words = unit["ExecStart"].split(' ');
    assert_eq!(words.next(), Some("/usr/bin/wigeon"));
    let help = Command::new(env!("CARGO_BIN_EXE_wigeon")).args(["serve", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for option in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(option), "{option}");
    }
    let config = Config::read(&root().join("dist/serve.toml")).unwrap();
    let stop: u64 = unit["TimeoutStopSec"].parse().unwrap();
    assert!(stop > (config.stop.notice + config.stop.grace).as_secs());
    let files: u64 = unit["LimitNOFILE"].parse().unwrap();
    assert!(files > config.limits.connections as u64);
    // Its user and folders are those that sysusers and tmpfiles make.
    assert!(text("dist/systemd/sysusers.conf").contains(&format!("u {} ", unit["User"])));
    let folders = text("dist/systemd/tmpfiles.conf");
    for folder in
        [format!("/var/lib/{}", unit["StateDirectory"]), format!("/var/log/{}", unit["LogsDirectory"])]
    {
        assert!(folders.contains(&folder), "{folder}");
        assert!(text("dist/serve.toml").contains(&folder), "{folder}");
    }
}

/// systemd's own judgement, where it is installed.
#[test]
fn systemd_takes_the_units() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["wigeon.service", "wigeon.socket"] {
        // Its binary is the one that was just built.
        let unit =
            text(&format!("dist/systemd/{name}")).replace("/usr/bin/wigeon", env!("CARGO_BIN_EXE_wigeon"));
        fs::write(folder.path().join(name), unit).unwrap();
    }
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .args(["wigeon.service", "wigeon.socket"].map(|name| folder.path().join(name)))
        .output();
    let Ok(verify) = verify else { return };
    let said = String::from_utf8_lossy(&verify.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("wigeon")).collect();
    assert!(verify.status.success() && ours.is_empty(), "{said}");
}
