//! `wigeon agent`: the process that holds the sessions of one person and serves them to other tools.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wigeon_client::broker::{Agent, AgentError, AgentOptions, Answer, Ask, Listeners, Standing};
use wigeon_client::durable;

use super::serve::interrupted;
use crate::brokered::Own;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;
use crate::wording::duration;

/// How long an agent may take to come up, or to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The agent holds sessions in memory, renews them ahead, and answers at a socket and at a loopback address.
`wigeon credentials` and `wigeon exec` use it where it runs; `wigeon env --renewing` starts it.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start the agent, unless it runs
    Start(Idle),
    /// End the agent
    Stop,
    /// Say whether the agent runs, and what it holds
    Status,
    /// Be the agent, in the foreground; listeners of systemd (LISTEN_FDS) are used
    Run {
        #[command(flatten)]
        idle: Idle,
        /// Leave the terminal's session
        #[arg(long, hide = true)]
        detached: bool,
    },
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Idle {
    /// End after so many seconds in which nobody asked; 0 for never
    #[arg(long, value_name = "SECONDS", default_value_t = 8 * 3600)]
    idle_exit: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.action {
        Action::Start(idle) => {
            let (standing, started) = start(context, idle).await?;
            context.output.result(&json!({ "running": true, "started": started, "agent": standing }), |_| {
                let verb = if started { "The agent has started" } else { "The agent runs already" };
                format!("{verb} (process {}).", standing.pid)
            })
        }
        Action::Stop => stop(context).await,
        Action::Status => status(context).await,
        Action::Run { idle, detached } => serve(context, idle, detached).await,
    }
}

/// Starts the agent on demand.
pub(crate) async fn started(context: &Context) -> Result<Standing, Failure> {
    start(context, Idle { idle_exit: 8 * 3600 }).await.map(|(standing, _)| standing)
}

async fn start(context: &Context, idle: Idle) -> Result<(Standing, bool), Failure> {
    match standing(context).await {
        Ok(standing) => return Ok((standing, false)),
        Err(AgentError::None) => {}
        Err(error) => return Err(unusable(&error)),
    }
    let log = dir(context)?.join("agent.log");
    durable::create_private_dir(&dir(context)?)
        .map_err(|error| failed("make the agent's directory", &error))?;
    let program = std::env::current_exe().map_err(|error| failed("find this program", &error))?;
    let mut command = std::process::Command::new(program);
    command.args(["agent", "run", "--detached", "--idle-exit", &idle.idle_exit.to_string()]);
    if let Some(file) = context.places()?.ca_file {
        command.arg("--ca-file").arg(file);
    }
    let log_file = log_file(&log).map_err(|error| failed("write the agent's log", &error))?;
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
    let mut child = command.spawn().map_err(|error| failed("start the agent", &error))?;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < PATIENCE {
        if let Ok(standing) = standing(context).await {
            return Ok((standing, true));
        }
        // Where two were started at once, one gives way to the other.
        if let Ok(Some(ended)) = child.try_wait()
            && !ended.success()
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let mut failure = Failure::error("the agent does not come up");
    failure.causes.extend(said.lines().last().map(str::to_owned));
    Err(failure.hint(format!("its log is {}", log.display())))
}

async fn stop(context: &Context) -> Result<(), Failure> {
    let was = standing(context).await;
    let ended = match &was {
        Ok(_) => {
            asked(context, Ask::Stop).await.map_err(|error| unusable(&error))?;
            let begun = tokio::time::Instant::now();
            // Under systemd's socket activation the socket stays, and asking again would start another one.
            let path = context.agent_address()?.socket;
            while begun.elapsed() < Duration::from_secs(3) && path.exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            true
        }
        Err(AgentError::None) => false,
        Err(error) => return Err(unusable(error)),
    };
    context.output.result(&json!({ "was_running": ended }), |_| {
        if ended { "The agent has ended." } else { "No agent was running." }.to_owned()
    })
}

async fn status(context: &Context) -> Result<(), Failure> {
    let standing = match standing(context).await {
        Ok(standing) => Some(standing),
        Err(AgentError::None) => None,
        Err(error) => return Err(unusable(&error)),
    };
    let now = context.clock.now();
    context.output.result(&json!({ "running": standing.is_some(), "agent": standing }), |_| match &standing {
        None => "No agent is running.".to_owned(),
        Some(standing) => {
            let age = duration(now.duration_since(standing.since));
            let mut text =
                format!("The agent runs (process {}) since {age}, at {}.", standing.pid, standing.endpoint);
            for held in &standing.sessions {
                let asked = duration(now.duration_since(held.asked_at));
                let valid = held
                    .expires_at
                    .map_or_else(String::new, |end| format!("valid {}, ", duration(end.duration_since(now))));
                text.push_str(&format!(
                    "\n  {}: {valid}last asked for {asked} ago",
                    printable(&held.profile)
                ));
            }
            text
        }
    })
}

/// Is the agent.
async fn serve(context: &Context, idle: Idle, detached: bool) -> Result<(), Failure> {
    if detached {
        // A process that leads its group already has left the terminal's.
        let _ = rustix::process::setsid();
    }
    let options = AgentOptions {
        socket: context.agent_address()?.socket,
        dir: dir(context)?,
        places: context.places()?,
        idle_exit: (idle.idle_exit > 0).then(|| Duration::from_secs(idle.idle_exit)),
    };
    let Some(agent) = sole(context, &options).await? else {
        return match detached {
            // Started twice at once: the other one serves.
            true => Ok(()),
            false => Err(Failure::error("an agent runs already").hint("end it with: wigeon agent stop")),
        };
    };
    let listeners = handed_over().map_err(|error| failed("take systemd's listeners", &error))?;
    let until = async {
        let _ = interrupted().await;
    };
    agent.run(listeners, until).await.map_err(|error| failed("run the agent", &error))
}

/// The lock of the only agent. `None` where another one serves; one that is about to end is waited for.
async fn sole(context: &Context, options: &AgentOptions) -> Result<Option<Agent<Own>>, Failure> {
    let begun = tokio::time::Instant::now();
    loop {
        let agent = Agent::new(options.clone(), Own::as_agent(context), Arc::clone(&context.clock))
            .map_err(|error| failed("take the agent's lock", &error))?;
        if agent.is_some() || begun.elapsed() > Duration::from_secs(4) || standing(context).await.is_ok() {
            return Ok(agent);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What systemd has opened for us, in any order.
fn handed_over() -> std::io::Result<Listeners> {
    let mut found = listenfd::ListenFd::from_env();
    let mut listeners = Listeners::default();
    for index in 0..found.len() {
        match found.take_unix_listener(index) {
            Ok(Some(socket)) => listeners.socket = Some(socket),
            _ => listeners.endpoint = found.take_tcp_listener(index)?,
        }
    }
    Ok(listeners)
}

async fn standing(context: &Context) -> Result<Standing, AgentError> {
    match asked(context, Ask::Standing).await? {
        Answer::Standing(standing) => Ok(standing),
        _ => Err(AgentError::Other("it says something else than asked".to_owned())),
    }
}

/// Asks the agent, whoever it serves.
pub(crate) async fn asked(context: &Context, ask: Ask) -> Result<Answer, AgentError> {
    let Ok(address) = context.agent_address() else { return Err(AgentError::None) };
    let answer = tokio::task::spawn_blocking(move || address.ask(ask, Duration::from_secs(5))).await;
    answer.unwrap_or_else(|error| Err(AgentError::Broken(std::io::Error::other(error))))
}

fn dir(context: &Context) -> Result<PathBuf, Failure> {
    Ok(context.environment.state_dir()?.join("agent"))
}

fn log_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(path)
}

pub(crate) fn unusable(error: &AgentError) -> Failure {
    Failure::because(Kind::Error, error)
        .hint("end it with: wigeon agent stop; or go without: WIGEON_AGENT=none")
}

fn failed(what: &str, error: &std::io::Error) -> Failure {
    let mut failure = Failure::error(format!("cannot {what}"));
    failure.causes.push(error.to_string());
    failure
}
