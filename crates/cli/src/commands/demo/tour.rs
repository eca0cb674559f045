//! What the demonstration shows: real buckets, real files, and one refusal with its reason.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use bytes::Bytes;
use tokio::process::Command;
use wigeon_client::s3::{Client, ErrorKind, PutOptions};
use wigeon_core::s3::{BucketName, ObjectKey};

use super::place::PROFILE;
use crate::context::Context;
use crate::errors::{Failure, Kind};
use crate::output::printable;

const WELCOME: &str =
    "Everyone who is signed in can read this; nobody but the administrator can write here.\n";

const COLORS: &str = "color,hex\nteal,#008080\nbuff,#f0dc82\nchestnut,#954535\n";

/// The administrator's part: two buckets, and something to read.
pub(super) async fn furnish(client: &Client) -> Result<(), Failure> {
    for bucket in ["shared", "home"] {
        match client.create_bucket(&name(bucket)?).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    for (path, text) in [("welcome.txt", WELCOME), ("data/colors.csv", COLORS)] {
        client
            .put_object(
                &name("shared")?,
                &key(path)?,
                Bytes::from_static(text.as_bytes()),
                &PutOptions::default(),
            )
            .await?;
    }
    Ok(())
}

/// The user's part: the commands themselves, in a folder with something to upload.
pub(super) async fn show(context: &Context, wigeon: &Path, folder: &Path, user: &str) -> Result<(), Failure> {
    std::fs::write(folder.join("hello.txt"), format!("Hello from {user}.\n"))
        .map_err(|error| Failure::because(Kind::Error, &error))?;
    let other = if user == "alice" { "bob" } else { "alice" };
    let denied = i32::from(Kind::Denied.exit_code());
    for (line, expected) in [
        ("ls --recursive s3://shared".to_owned(), 0),
        (format!("cp hello.txt s3://home/{user}/hello.txt"), 0),
        (format!("cat s3://home/{user}/hello.txt"), 0),
        (format!("cp hello.txt s3://home/{other}/hello.txt"), denied),
    ] {
        context.output.note(&format!("\n$ wigeon {line}"));
        let mut command = Command::new(wigeon);
        command.args(line.split(' ')).env("WIGEON_PROFILE", PROFILE).current_dir(folder);
        let done = command
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| Failure::because(Kind::Error, &error))?;
        for said in [&done.stdout, &done.stderr] {
            let said = printable(String::from_utf8_lossy(said).trim_end());
            if !said.is_empty() {
                context.output.note(&said);
            }
        }
        if done.status.code() != Some(expected) {
            return Err(Failure::error(format!("`wigeon {line}` ended with {}", done.status)));
        }
    }
    Ok(())
}

/// What to try next, and how to point other tools here.
pub(super) fn next_steps(wigeon: &Path, user: &str, server: SocketAddr, aws_config: &Path) -> String {
    let wigeon = wigeon.display();
    let config = aws_config.display();
    let mut text = String::new();
    let _ = write!(
        text,
        "\nTry next, in another terminal:\n\
         \x20 {wigeon} --profile {PROFILE} ls s3://shared\n\
         \x20 {wigeon} --profile {PROFILE} cp README.md s3://home/{user}/\n\
         \x20 {wigeon} --profile {PROFILE} whoami\n\
         \nOther tools, with the same sign-in:\n\
         \x20 aws      export AWS_CONFIG_FILE={config} AWS_PROFILE=wigeon-{PROFILE}\n\
         \x20          aws s3 ls s3://shared\n\
         \x20 boto3    the same two variables; boto3.client(\"s3\").list_objects_v2(Bucket=\"shared\")\n\
         \x20 rclone   the same two variables; rclone lsf \":s3,provider=Other,env_auth=true,endpoint='http://{server}':shared\""
    );
    text
}

fn name(bucket: &str) -> Result<BucketName, Failure> {
    BucketName::parse(bucket).map_err(|error| Failure::error(error.to_string()))
}

fn key(path: &str) -> Result<ObjectKey, Failure> {
    ObjectKey::parse(path).map_err(|error| Failure::error(error.to_string()))
}
