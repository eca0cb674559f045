//! The commands, one module each: `Args`, what the command line says, and `run`, what is done.

pub(crate) mod objects;

mod profile;

mod login;

mod logout;

mod whoami;

mod quoting;

mod credentials;

mod surroundings;

mod lent;

mod ls;

mod cp;

mod mv;

mod run;

mod uploads;

mod cat;

mod rm;

mod mb;

mod rb;

mod stat;

mod presign;

mod serve;

mod agent;

mod exec;

mod env;

mod ssh;

mod console;

mod completions;

mod setup;

mod status;

mod doctor;

mod token;

mod keys;

mod explain;

mod policy;

mod revoke;

mod demo;

use clap::Subcommand;

use crate::context::Context;
use crate::errors::Failure;

/// What `wigeon` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import, install, list, show, check and export connection profiles
    Profile(profile::Args),
    /// Sign in at a profile's identity provider
    Login(Box<login::Args>),
    /// Forget a sign-in, and revoke it where the provider can
    Logout(logout::Args),
    /// Show who is signed in, as which role, until when
    Whoami(whoami::Args),
    /// Show every profile's sign-in: who, which role, how long
    Status(status::Args),
    /// Find out why a profile does not work, and what to do
    Doctor(doctor::Args),
    /// Show what the ID token says
    Token(token::Args),
    /// Print the temporary credentials for other tools
    Credentials(credentials::Args),
    /// Run a program with credentials that renew as long as it runs
    Exec(exec::Args),
    /// Print variables for a shell
    Env(env::Args),
    /// Open a shell on another machine, with credentials that renew from here
    Ssh(ssh::Args),
    /// Open the store's web console, where it has one
    Console(console::Args),
    /// Write the configuration of other tools, or take it back
    Setup(setup::Args),
    /// Hold sessions in memory and serve them to other tools
    Agent(agent::Args),
    /// List buckets or objects
    Ls(ls::Args),
    /// Copy files and objects
    Cp(cp::Args),
    /// Move files and objects
    Mv(mv::Args),
    /// Carry out many cp, mv and rm from a file or standard input
    Run(run::Args),
    /// List or give up uploads that are not finished
    Uploads(uploads::Args),
    /// Print objects
    Cat(cat::Args),
    /// Remove objects
    Rm(rm::Args),
    /// Make a bucket
    Mb(mb::Args),
    /// Remove a bucket
    Rb(rb::Args),
    /// Show what is known of an object or a bucket
    Stat(stat::Args),
    /// Make a link that works without signing in, for a time
    Presign(presign::Args),
    /// Run the server: STS and S3 with roles
    Serve(serve::Args),
    /// List and rotate the keys that seal sessions
    Keys(keys::Args),
    /// Say why a token, a request or a policy is refused, and what to change
    Explain(explain::Args),
    /// Look through policies for what can hardly be meant
    Policy(policy::Args),
    /// Print what a shell needs to complete profiles, buckets and keys
    Completions(completions::Args),
    /// End sessions before their time, as an administrator of a Wigeon server
    Revoke(revoke::Args),
    /// Try everything on this machine: provider, server and client
    Demo(demo::Args),
}

/// Runs the command.
pub(crate) async fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Profile(args) => profile::run(args, context).await,
        Command::Login(args) => login::run(*args, context).await,
        Command::Logout(args) => logout::run(args, context).await,
        Command::Whoami(args) => whoami::run(args, context).await,
        Command::Status(args) => status::run(args, context).await,
        Command::Doctor(args) => doctor::run(args, context).await,
        Command::Token(args) => token::run(args, context).await,
        Command::Credentials(args) => credentials::run(args, context).await,
        Command::Exec(args) => exec::run(args, context).await,
        Command::Env(args) => env::run(args, context).await,
        Command::Ssh(args) => ssh::run(args, context).await,
        Command::Console(args) => console::run(args, context).await,
        Command::Completions(args) => completions::run(args, context).await,
        Command::Setup(args) => setup::run(args, context).await,
        Command::Agent(args) => agent::run(args, context).await,
        Command::Ls(args) => ls::run(args, context).await,
        Command::Cp(args) => cp::run(args, context).await,
        Command::Mv(args) => mv::run(args, context).await,
        Command::Run(args) => run::run(args, context).await,
        Command::Uploads(args) => uploads::run(args, context).await,
        Command::Cat(args) => cat::run(args, context).await,
        Command::Rm(args) => rm::run(args, context).await,
        Command::Mb(args) => mb::run(args, context).await,
        Command::Rb(args) => rb::run(args, context).await,
        Command::Stat(args) => stat::run(args, context).await,
        Command::Presign(args) => presign::run(args, context).await,
        Command::Serve(args) => serve::run(args, context).await,
        Command::Keys(args) => keys::run(&args, context),
        Command::Explain(args) => explain::run(args, context).await,
        Command::Policy(args) => policy::run(args, context).await,
        Command::Revoke(args) => revoke::run(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
    }
}
