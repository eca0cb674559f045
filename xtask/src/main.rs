//! The project's tasks. `cargo xtask` lists them; `cargo xtask test` is the one that has to pass.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A task: its name, what it does, and the doing.
struct Task {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace) -> Outcome,
}

/// What went wrong, in a sentence.
type Outcome = Result<(), String>;

const TASKS: [Task; 9] = [
    Task {
        name: "test",
        about: "everything that must pass: the tasks from format to e2e, in this order",
        run: test,
    },
    Task { name: "format", about: "the code is formatted", run: format },
    Task { name: "lint", about: "clippy, warnings denied", run: lint },
    Task { name: "unit", about: "unit, property and layering tests", run: unit },
    Task { name: "docs", about: "the documentation builds without a warning", run: docs },
    Task { name: "benches", about: "the benchmarks compile", run: benches },
    Task {
        name: "e2e",
        about: "the binary against real tools and real peers (pytest; further arguments go to it)",
        run: e2e,
    },
    Task {
        name: "fuzz",
        about: "each fuzz target for a minute, or the seconds given (needs cargo-fuzz)",
        run: fuzz,
    },
    Task {
        name: "deny",
        about: "licences, sources and duplicate versions of dependencies (needs cargo-deny)",
        run: deny,
    },
];

struct Workspace {
    root: PathBuf,
    cargo: String,
    arguments: Vec<String>,
}

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let workspace = Workspace { root, cargo, arguments: arguments.collect() };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        say("usage: cargo xtask TASK");
        for task in &TASKS {
            say(&format!("  {:8} {}", task.name, task.about));
        }
        return ExitCode::from(2);
    };
    match (task.run)(&workspace) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            say(&format!("{name}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

fn test(workspace: &Workspace) -> Outcome {
    for task in [format, lint, unit, docs, benches, e2e] {
        task(workspace)?;
    }
    Ok(())
}

fn format(workspace: &Workspace) -> Outcome {
    workspace.cargo(&["fmt", "--all", "--check"])
}

fn lint(workspace: &Workspace) -> Outcome {
    workspace.cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])
}

fn unit(workspace: &Workspace) -> Outcome {
    install_postgresql(workspace);
    workspace.cargo(&["test", "--workspace", "--locked"])
}

/// The directory's tests run a PostgreSQL of their own. Where it is missing, root on Debian gets it; without it
/// those tests are skipped, and fail where `CI` is set.
fn install_postgresql(workspace: &Workspace) {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if Path::new("/usr/lib/postgresql").exists() || !is_root || !Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    for arguments in
        [&["update", "-qq"][..], &["install", "-y", "-qq", "--no-install-recommends", "postgresql"]]
    {
        let mut command = workspace.command("apt-get");
        // No cluster of the system's is started.
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
        if let Err(reason) = run(command) {
            say(&reason);
        }
    }
}

fn docs(workspace: &Workspace) -> Outcome {
    let mut command = workspace.command(&workspace.cargo);
    command.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings");
    run(command)
}

fn benches(workspace: &Workspace) -> Outcome {
    workspace.cargo(&["bench", "--package", "wigeon-core", "--benches", "--no-run", "--locked"])
}

fn e2e(workspace: &Workspace) -> Outcome {
    workspace.cargo(&["build", "--package", "wigeon-cli", "--locked"])?;
    let mut command = workspace.command(&workspace.root.join("tests/e2e/run").display().to_string());
    command.args(&workspace.arguments);
    run(command)
}

/// The targets of `fuzz/Cargo.toml`.
const FUZZ_TARGETS: [&str; 7] = ["jwt", "policy", "form", "xml", "session_token", "request", "chunked"];

fn fuzz(workspace: &Workspace) -> Outcome {
    let seconds = workspace.arguments.first().map_or("60", String::as_str);
    for target in FUZZ_TARGETS {
        // What is found is kept beside the seeds, which stay as they are.
        let corpus = format!("fuzz/corpus/{target}");
        std::fs::create_dir_all(workspace.root.join(&corpus)).map_err(|error| error.to_string())?;
        let mut command = workspace.command(&workspace.cargo);
        command.args(["fuzz", "run", target, &corpus, &format!("fuzz/seeds/{target}"), "--"]);
        command.args([
            format!("-max_total_time={seconds}"),
            "-max_len=8192".to_owned(),
            "-rss_limit_mb=4096".to_owned(),
        ]);
        // The sanitizers' flags are not stable yet; this lets the stable compiler take them.
        command.env("RUSTC_BOOTSTRAP", "1");
        run(command)?;
    }
    Ok(())
}

fn deny(workspace: &Workspace) -> Outcome {
    workspace.cargo(&["deny", "check", "licenses", "bans", "sources"])
}

impl Workspace {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    fn cargo(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command(&self.cargo);
        command.args(arguments);
        run(command)
    }
}

fn run(mut command: Command) -> Outcome {
    let shown = format!("{} {}", command.get_program().display(), shown_arguments(&command));
    say(&format!("$ {shown}"));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` ended with {status}")),
        Err(error) => Err(format!("`{shown}` could not be started: {error}")),
    }
}

fn shown_arguments(command: &Command) -> String {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    arguments.join(" ")
}

#[expect(clippy::print_stderr, reason = "a task speaks to the person who runs it")]
fn say(text: &str) {
    eprintln!("{text}");
}
