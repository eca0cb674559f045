//! `wigeon ssh`: a shell or a command on another machine, with credentials that renew from here.
//!
//! The endpoint of this process is forwarded to a port of the other machine's loopback; nothing is installed there, and
//! no key leaves this machine but inside the session's own credentials. The token goes through the encrypted
//! connection into a file of mode 0600, never into arguments, which others could read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::exec::{code_of, waited_for};
use super::lent::Lent;
use super::quoting::Shell;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon ssh cluster.example.org                          a shell there
  wigeon --profile lab ssh ada@node7 -- aws s3 ls
  wigeon ssh -o Port=2222 node7")]
pub(crate) struct Args {
    /// The host, as ssh takes it
    #[arg(value_name = "HOST")]
    host: String,

    /// An option for ssh
    #[arg(long = "option", short = 'o', value_name = "KEY=VALUE")]
    options: Vec<String>,

    /// A configuration file for ssh
    #[arg(long, short = 'F', value_name = "FILE")]
    ssh_config: Option<PathBuf>,

    /// What to run there, as ssh takes it; by default a login shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs the command; the process ends with the exit code of what ran there.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if args.host.starts_with('-') {
        return Err(Failure::usage(format!("`{}` is not a host", args.host)));
    }
    let lent = Lent::of(context, None).await?;
    let connection = Connection::open(&args, context).await?;
    let outcome = session(&args, &lent, &connection, context).await;
    connection.close().await;
    drop(lent);
    match outcome {
        Ok(code) => std::process::exit(code),
        Err(failure) => Err(failure),
    }
}

async fn session(
    args: &Args,
    lent: &Lent,
    connection: &Connection,
    context: &Context,
) -> Result<i32, Failure> {
    let port = connection.forward(lent.port).await?;
    let place = connection.stage(&variables(lent, port)?).await?;
    let then = if args.command.is_empty() {
        "exec \"${SHELL:-/bin/sh}\" -l".to_owned()
    } else {
        // As ssh does: the words make a command line for the other machine's shell.
        format!("exec \"${{SHELL:-/bin/sh}}\" -c {}", Shell::Sh.quoted(&args.command.join(" ")))
    };
    let script = format!(
        "umask 077; export WIGEON_LOAN={place}; . \"$WIGEON_LOAN/env\"; {then}",
        place = Shell::Sh.quoted(&place)
    );
    // The terminal is asked for where there is one here, so that a shell there is one for a person.
    let terminal = context.environment.stdin_is_terminal && args.command.is_empty();
    let mut command = connection.ssh();
    if terminal {
        command.arg("-t");
    }
    command.arg("--").arg(&connection.host).arg(format!("exec /bin/sh -c {}", Shell::Sh.quoted(&script)));
    let mut child = command.spawn().map_err(|error| cannot("run ssh", &error))?;
    let status = waited_for(&mut child).await.map_err(|error| cannot("wait for ssh", &error))?;
    connection.remove(&place).await;
    Ok(code_of(status))
}

/// What the tools there are told. The token's file is written by the script itself.
fn variables(lent: &Lent, port: u16) -> Result<String, Failure> {
    let shell = Shell::Sh;
    let mut text = String::new();
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_ROLE_ARN",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    ] {
        text.push_str(&shell.unset(name));
    }
    for (name, value) in lent.surroundings.places().into_iter().chain(lent.surroundings.rclone_remote()) {
        text.push_str(&shell.set(name, &value)?);
    }
    let path = lent.access.url.splitn(4, '/').nth(3).unwrap_or_default();
    text.push_str(
        &shell.set("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://127.0.0.1:{port}/{path}"))?,
    );
    text.push_str(&shell.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", lent.access.token.expose())?);
    text.push_str(&shell.set("AWS_EC2_METADATA_DISABLED", "true")?);
    text.push_str(
        "export AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=\"$WIGEON_LOAN/token\"\n\
         printf %s \"$AWS_CONTAINER_AUTHORIZATION_TOKEN\" > \"$WIGEON_LOAN/token\"\n\
         export AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_CONFIG_FILE=\"$WIGEON_LOAN/config\"\n",
    );
    let config = lent.surroundings.aws_section("default", &[]);
    text.push_str(&format!("printf %s {} > \"$WIGEON_LOAN/config\"\n", shell.quoted(&config)));
    Ok(text)
}

/// One connection for all that is done: the person signs in at the host once.
struct Connection {
    options: Vec<OsString>,
    host: String,
    #[expect(dead_code, reason = "the socket's directory goes when it is dropped")]
    dir: tempfile::TempDir,
}

impl Connection {
    async fn open(args: &Args, context: &Context) -> Result<Self, Failure> {
        // Sockets have short names: not below the state directory.
        let dir = tempfile::Builder::new()
            .prefix("wigeon-")
            .tempdir()
            .map_err(|error| cannot("make a directory", &error))?;
        let mut options: Vec<OsString> = Vec::new();
        if let Some(file) = &args.ssh_config {
            options.extend(["-F".into(), file.into()]);
        }
        for option in &args.options {
            options.extend(["-o".into(), option.into()]);
        }
        options.extend(["-S".into(), socket(dir.path()).into()]);
        let connection = Self { options, host: args.host.clone(), dir };
        let mut master = connection.ssh();
        // It goes to the background when the person is signed in, and ends with `close`.
        master.args(["-M", "-f", "-N", "-o", "ControlPersist=no", "-o", "ExitOnForwardFailure=yes", "--"]);
        master.arg(&connection.host).stdout(Stdio::null());
        let status = master.status().await.map_err(|error| {
            let failure = cannot("run ssh", &error);
            if error.kind() == std::io::ErrorKind::NotFound {
                failure.hint("install OpenSSH's client")
            } else {
                failure
            }
        })?;
        if status.success() {
            tracing::debug!(host = connection.host, color = context.environment.color(), "connected");
            return Ok(connection);
        }
        Err(Failure::error(format!("ssh cannot connect to `{}`", connection.host)))
    }

    fn ssh(&self) -> Command {
        let mut command = Command::new("ssh");
        command.args(&self.options);
        command
    }

    /// A port of the other machine's loopback that leads to ours.
    async fn forward(&self, port: u16) -> Result<u16, Failure> {
        let mut command = self.ssh();
        let way = format!("127.0.0.1:0:127.0.0.1:{port}");
        command.args(["-O", "forward", "-R", &way, "--"]).arg(&self.host);
        let done = self.output(command, None).await?;
        let given =
            String::from_utf8_lossy(&done.stdout).trim().parse().ok().filter(|_| done.status.success());
        given.ok_or_else(|| {
            said(&done, format!("`{}` does not forward a port", self.host))
                .hint("its sshd needs `AllowTcpForwarding remote` or `yes`")
        })
    }

    /// A directory there with the script, which nobody else may read.
    async fn stage(&self, script: &str) -> Result<String, Failure> {
        let mut command = self.ssh();
        let make = "umask 077 && d=$(mktemp -d \"${XDG_RUNTIME_DIR:-${TMPDIR:-/tmp}}/wigeon.XXXXXXXX\") && cat > \"$d/env\" && printf %s \"$d\"";
        command.arg("--").arg(&self.host).arg(format!("exec /bin/sh -c {}", Shell::Sh.quoted(make)));
        let done = self.output(command, Some(script)).await?;
        let place = String::from_utf8_lossy(&done.stdout).into_owned();
        // What a start-up file of the shell there prints comes first.
        let place = place.lines().last().unwrap_or_default().to_owned();
        if done.status.success() && place.starts_with('/') {
            return Ok(place);
        }
        Err(said(&done, format!("cannot make a directory on `{}`", self.host)))
    }

    async fn remove(&self, place: &str) {
        let mut command = self.ssh();
        command.arg("--").arg(&self.host).arg(format!("exec rm -rf -- {}", Shell::Sh.quoted(place)));
        let _ = self.output(command, None).await;
    }

    async fn close(&self) {
        let mut command = self.ssh();
        command.args(["-O", "exit", "--"]).arg(&self.host);
        let _ = self.output(command, None).await;
    }

    async fn output(&self, mut command: Command, input: Option<&str>) -> Result<Output, Failure> {
        let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| cannot("run ssh", &error))?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes()).await.map_err(|error| cannot("write to ssh", &error))?;
        }
        child.wait_with_output().await.map_err(|error| cannot("wait for ssh", &error))
    }
}

fn socket(dir: &Path) -> PathBuf {
    dir.join("s")
}

fn said(done: &Output, message: String) -> Failure {
    let mut failure = Failure::error(message);
    let words = String::from_utf8_lossy(&done.stderr);
    failure.causes.extend(words.lines().last().map(str::to_owned));
    failure
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    let mut failure = Failure::error(format!("cannot {what}"));
    failure.causes.push(error.to_string());
    failure
}
