//! `wigeon stat`: everything that is known of an object or a bucket.

use serde_json::{Map, Value, json};
use wigeon_client::s3::{Client, GetOptions, ObjectHead, S3Error, VersionSummary};
use wigeon_client::transfer::Address;

use super::objects::address::StorePlace;
use super::objects::encryption::SourceKeyArgs;
use super::objects::meant::versions_of;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

mod asking;

mod bucket;

use self::asking::known;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    /// Its versions, too
    #[arg(long)]
    versions: bool,

    #[command(flatten)]
    key: SourceKeyArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    if place.key.is_empty() {
        let data = bucket::known_of(&client, place.bucket()?).await?;
        return context.output.result(&data, table);
    }
    let (client, object) = (args.key.on(client)?, place.object()?);
    let options = GetOptions { version_id: args.version_id.clone(), ..GetOptions::default() };
    let head = client.head_object(&object.bucket, &object.key, &options).await?;
    let tags = tags(&client, &object, args.version_id.as_deref(), &head).await?;
    let mut data = of_object(&object, &head, tags);
    if args.versions
        && let Some(data) = data.as_object_mut()
    {
        let mut all = Vec::new();
        let mut versions = versions_of(&client, &object);
        while let Some(version) = versions.next().await? {
            all.push(of_version(&version));
        }
        data.insert("versions".to_owned(), all.into());
    }
    context.output.result(&data, table)
}

/// The tags, where there may be some and they may be read.
async fn tags(
    client: &Client,
    object: &Address,
    version: Option<&str>,
    head: &ObjectHead,
) -> Result<Value, S3Error> {
    if head.state.tags == Some(0) {
        return Ok(json!({}));
    }
    let tags = client.object_tags(&object.bucket, &object.key, version).await;
    Ok(known(tags)?.map_or(Value::Null, |tags| {
        Value::Object(tags.into_iter().map(|(name, value)| (name, value.into())).collect())
    }))
}

fn of_object(object: &Address, head: &ObjectHead, tags: Value) -> Value {
    let state = &head.state;
    let metadata: Map<String, Value> =
        head.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let checksums: Map<String, Value> = state
        .checksums
        .iter()
        .map(|sum| {
            let of_parts = if sum.is_of_parts { " (of parts)" } else { "" };
            (sum.algorithm.clone(), format!("{}{of_parts}", sum.value).into())
        })
        .collect();
    let mut data = json!({
        "bucket": object.bucket,
        "key": object.key,
        "size": head.size,
        "last_modified": head.last_modified,
        "content_type": head.content_type,
        "etag": head.etag.as_ref().map(ToString::to_string),
        "checksum": head.checksum.map(|sum| format!("{} {}", sum.algorithm.name(), sum.base64())),
        "checksums": checksums,
        "parts": state.parts,
        "version_id": head.version_id,
        "storage_class": head.storage_class,
        "restore": state.restore,
        "archive": state.archive,
        "expiration": state.expiration,
        "encryption": head.encryption,
        "kms_key_id": state.kms_key_id,
        "customer_key_md5": state.customer_key_md5,
        "lock_mode": state.retention_mode.map(|mode| mode.name()),
        "locked_until": state.retained_until,
        "legal_hold": state.legal_hold,
        "replication": state.replication,
        "redirect": state.redirect,
        "tags": tags,
        "metadata": metadata,
    });
    if let Some(data) = data.as_object_mut() {
        for (name, value) in &head.content_headers {
            data.insert(name.replace('-', "_"), value.as_str().into());
        }
    }
    data
}

fn of_version(version: &VersionSummary) -> Value {
    json!({
        "version_id": version.version_id,
        "is_latest": version.is_latest,
        "is_delete_marker": version.is_delete_marker,
        "size": version.size,
        "last_modified": version.last_modified,
    })
}

/// One line for each thing that is known.
fn table(data: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        let label = name.replace('_', " ");
        match value {
            Value::Null => {}
            Value::Object(members) => {
                // The one that is a line already.
                let single = name == "checksums" && members.len() == 1;
                for (member, value) in members.iter().filter(|_| !single) {
                    lines.push((format!("{label} {}", member.replace('_', " ")), text(value)));
                }
            }
            Value::Array(items) => {
                for item in items {
                    lines.push((label.clone(), item.as_object().map_or_else(|| text(item), on_one_line)));
                }
            }
            Value::Number(number) if name == "size" => {
                let bytes = number.as_u64().unwrap_or_default();
                let exact = if bytes < 1024 { String::new() } else { format!(" ({bytes} bytes)") };
                lines.push((label, format!("{}{exact}", human::size(bytes))));
            }
            value => lines.push((label, text(value))),
        }
    }
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or_default();
    let lines: Vec<_> = lines
        .into_iter()
        .map(|(label, value)| format!("{:<width$}  {}", human::name(&label), human::name(&value)))
        .collect();
    lines.join("\n")
}

fn on_one_line(members: &Map<String, Value>) -> String {
    let known = members.iter().filter(|(_, value)| !value.is_null());
    let pairs: Vec<_> =
        known.map(|(name, value)| format!("{} {}", name.replace('_', " "), text(value))).collect();
    pairs.join(", ")
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Object(members) => on_one_line(members),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_leave_out_what_is_not_known() {
        let data = json!({
            "key": "a\nb", "size": 2048, "etag": null, "metadata": {"who": "ada"}, "legal_hold": true,
            "versions": [{"version_id": "v", "size": 1, "last_modified": null}],
        });
        assert_eq!(
            table(&data),
            "key           a\\nb\nsize          2.0 KiB (2048 bytes)\nmetadata who  ada\nlegal hold    yes\n\
             versions      version id v, size 1"
        );
    }
}
