//! The commands, one module each: `Args`, what the command line says, and `run`, what is done.

pub(crate) mod objects;

mod profile;

pub(crate) mod findings;

mod serve;

mod agent;

mod login;

mod redirect;

mod switch;

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

mod sync;

mod watch;

mod diff;

mod check;

mod cat;

mod rm;

mod head;

mod du;

mod find;

mod tag;

mod meta;

mod acl;

mod storage_class;

mod encrypt;

mod restore;

mod versions;

mod lock;

mod bucket;

mod stat;

mod mb;

mod rb;

mod presign;

mod exec;

mod env;

mod ssh;

mod console;

mod completions;

mod manual;

mod setup;

mod status;

mod doctor;

mod token;

mod keys;

mod store;

mod quota;

mod explain;

mod policy;

mod revoke;

mod demo;

use clap::Subcommand;

pub(crate) use credentials::Args as CredentialsArgs;

use crate::context::Context;
use crate::errors::Failure;

/// What `wigeon` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Import, install, list, show, check and export connection profiles
    Profile(profile::Args),
    /// Sign in at a profile's identity provider
    Login(Box<login::Args>),
    /// Take an address of a custom scheme to the sign-in that waits for it: for the desktop to call
    #[command(hide = true)]
    Redirect(redirect::Args),
    /// Use another account of the profile, of those that have signed in
    Switch(switch::Args),
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
    /// Make one side like the other: a folder, a prefix, another store
    Sync(Box<sync::Args>),
    /// Keep one side in step with the other, as long as it runs
    Watch(Box<watch::Args>),
    /// Show what differs between two sides
    Diff(Box<diff::Args>),
    /// Check that two sides hold the same bytes
    Check(Box<check::Args>),
    /// Print objects
    Cat(cat::Args),
    /// Print the beginning of objects
    Head(head::Args),
    /// Remove objects
    Rm(rm::Args),
    /// Sum up what objects take up
    Du(du::Args),
    /// Find objects by name, size, age, class, tags and metadata
    Find(Box<find::Args>),
    /// Make a bucket
    Mb(mb::Args),
    /// Remove a bucket
    Rb(rb::Args),
    /// Show what is known of an object or a bucket
    Stat(stat::Args),
    /// Show and change tags of objects and buckets
    Tag(tag::Args),
    /// Show and change metadata of objects
    Meta(meta::Args),
    /// List, bring back and purge versions of objects
    Versions(versions::Args),
    /// Show and set access control lists
    Acl(acl::Args),
    /// Move objects to another storage class
    StorageClass(storage_class::Args),
    /// Bring archived objects back
    Restore(restore::Args),
    /// Encrypt objects otherwise than they are
    Encrypt(encrypt::Args),
    /// Keep objects from being removed
    Lock(lock::Args),
    /// Show and change what a bucket is set to
    Bucket(bucket::Args),
    /// Make a link that works without signing in, for a time
    Presign(presign::Args),
    /// Run the server: STS and S3 with roles
    Serve(serve::Args),
    /// List and rotate the keys that seal sessions
    Keys(keys::Args),
    /// Check and repair the server's local store
    Store(store::Args),
    /// Show and set the most that a bucket of a Wigeon server may hold
    Quota(quota::Args),
    /// Say why a token, a request or a policy is refused, and what to change
    Explain(explain::Args),
    /// Look through policies for what can hardly be meant
    Policy(policy::Args),
    /// Print what a shell needs to complete profiles, buckets and keys
    Completions(completions::Args),
    /// Write man pages
    Manual(manual::Args),
    /// End sessions before their time, as an administrator of a Wigeon server
    Revoke(revoke::Args),
    /// Try everything on this machine: provider, server and client
    Demo(demo::Args),
}

/// Runs the command; `program` makes the whole command line.
pub(crate) async fn run(
    command: Command,
    program: fn() -> clap::Command,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        Command::Profile(args) => profile::run(args, context).await,
        Command::Login(args) => login::run(*args, context).await,
        Command::Redirect(args) => redirect::run(args, context).await,
        Command::Switch(args) => switch::run(args, context).await,
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
        Command::Sync(args) => sync::run(*args, context).await,
        Command::Watch(args) => watch::run(*args, context).await,
        Command::Diff(args) => diff::run(*args, context).await,
        Command::Check(args) => check::run(*args, context).await,
        Command::Cat(args) => cat::run(args, context).await,
        Command::Head(args) => head::run(args, context).await,
        Command::Rm(args) => rm::run(args, context).await,
        Command::Du(args) => du::run(args, context).await,
        Command::Find(args) => find::run(*args, context).await,
        Command::Mb(args) => mb::run(args, context).await,
        Command::Rb(args) => rb::run(args, context).await,
        Command::Stat(args) => stat::run(args, context).await,
        Command::Tag(args) => tag::run(args, context).await,
        Command::Meta(args) => meta::run(args, context).await,
        Command::Versions(args) => versions::run(args, context).await,
        Command::Acl(args) => acl::run(args, context).await,
        Command::StorageClass(args) => storage_class::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Encrypt(args) => encrypt::run(args, context).await,
        Command::Lock(args) => lock::run(args, context).await,
        Command::Bucket(args) => bucket::run(args, context).await,
        Command::Presign(args) => presign::run(args, context).await,
        Command::Serve(args) => serve::run(args, context).await,
        Command::Keys(args) => keys::run(&args, context),
        Command::Store(args) => store::run(args, context).await,
        Command::Quota(args) => quota::run(args, context).await,
        Command::Explain(args) => explain::run(args, context).await,
        Command::Policy(args) => policy::run(args, context).await,
        Command::Manual(args) => manual::run(&args, program(), context),
        Command::Revoke(args) => revoke::run(args, context).await,
        Command::Demo(args) => demo::run(args, context).await,
    }
}
