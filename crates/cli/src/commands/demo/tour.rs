//! What the demonstration shows: real buckets, real files, and one refusal with its reason.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use futures_util::TryStreamExt;
use wigeon_client::s3::{Client, Entry, ErrorKind, GetOptions, ListQuery, PutOptions};
use wigeon_core::s3::{BucketName, ObjectKey};

use super::place::PROFILE;
use crate::commands::objects::store;
use crate::context::Context;
use crate::errors::Failure;
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

/// The user's part.
pub(super) async fn show(context: &Context, user: &str) -> Result<(), Failure> {
    let client = store::of_profile(context, Some(PROFILE))?;
    let say = |text: &str| context.output.note(text);
    let (shared, home) = (name("shared")?, name("home")?);

    say("\n$ wigeon ls --recursive s3://shared");
    let mut entries = client.list(&shared, ListQuery::default());
    while let Some(entry) = entries.try_next().await? {
        if let Entry::Object(object) = entry {
            say(&format!("{:>9}  {}", object.size, printable(&object.key)));
        }
    }

    let mine = key(&format!("{user}/hello.txt"))?;
    let text = format!("Hello from {user}.\n");
    say(&format!("\n$ wigeon cp hello.txt s3://home/{mine}"));
    client.put_object(&home, &mine, Bytes::from(text.clone()), &PutOptions::default()).await?;
    say(&format!("uploaded {} bytes", text.len()));

    say(&format!("\n$ wigeon cat s3://home/{mine}"));
    let read = whole(&client, &home, &mine).await?;
    say(String::from_utf8_lossy(&read).trim_end());
    if read != text.as_bytes() {
        return Err(Failure::error("what came back is not what was uploaded"));
    }

    let other = if user == "alice" { "bob" } else { "alice" };
    let theirs = key(&format!("{other}/hello.txt"))?;
    say(&format!("\n$ wigeon cp hello.txt s3://home/{theirs}"));
    match client.put_object(&home, &theirs, Bytes::from(text), &PutOptions::default()).await {
        Err(error) if error.kind() == ErrorKind::Denied => say(&format!("refused: {error}")),
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(Failure::error("the server let the user write into another's folder")),
    }
    Ok(())
}

async fn whole(client: &Client, bucket: &BucketName, key: &ObjectKey) -> Result<Vec<u8>, Failure> {
    let mut body = client.get_object(bucket, key, &GetOptions::default()).await?.body;
    let mut bytes = Vec::new();
    while let Some(piece) = body.try_next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
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
