//! `wigeon stat`: what is known of an object or a bucket.

use serde_json::{Map, Value, json};
use wigeon_client::s3::GetOptions;

use super::objects::address::StorePlace;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    address: String,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    let client = store::open(context, &place)?;
    if place.key.is_empty() {
        let bucket = place.bucket()?;
        let region = client.head_bucket(bucket).await?;
        let region = region.as_deref().unwrap_or_else(|| client.endpoint().region());
        let data = json!({"bucket": bucket, "region": region, "endpoint": client.endpoint().origin()});
        return context.output.result(&data, table);
    }
    let object = place.object()?;
    let head = client.head_object(&object.bucket, &object.key, &GetOptions::default()).await?;
    let metadata: Map<String, Value> =
        head.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    let mut data = json!({
        "bucket": object.bucket,
        "key": object.key,
        "size": head.size,
        "last_modified": head.last_modified,
        "content_type": head.content_type,
        "etag": head.etag.as_ref().map(ToString::to_string),
        "checksum": head.checksum.map(|sum| format!("{} {}", sum.algorithm.name(), sum.base64())),
        "version_id": head.version_id,
        "storage_class": head.storage_class,
        "encryption": head.encryption,
        "metadata": metadata,
    });
    if let Some(data) = data.as_object_mut() {
        for (name, value) in &head.content_headers {
            data.insert(name.replace('-', "_"), value.as_str().into());
        }
    }
    context.output.result(&data, table)
}

/// One line for each thing that is known.
fn table(data: &Value) -> String {
    let mut lines = Vec::new();
    for (name, value) in data.as_object().into_iter().flatten() {
        let label = name.replace('_', " ");
        match value {
            Value::Null => {}
            Value::Object(members) => {
                for (member, value) in members {
                    lines.push((format!("{label} {member}"), text(value)));
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

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_leave_out_what_is_not_known() {
        let data = json!({"key": "a\nb", "size": 2048, "etag": null, "metadata": {"who": "ada"}});
        assert_eq!(
            table(&data),
            "key           a\\nb\nsize          2.0 KiB (2048 bytes)\nmetadata who  ada"
        );
    }
}
