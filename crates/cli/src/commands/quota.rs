//! `wigeon quota`: how full a bucket of a Wigeon server is, and the most that it may hold.

use serde_json::json;

use super::objects::address::StorePlace;
use super::objects::human::size;
use super::objects::store;
use crate::context::Context;
use crate::errors::Failure;

/// Show and set the most that a bucket may hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET, or PROFILE:BUCKET
    #[arg(value_name = "ADDRESS")]
    address: String,

    /// The most bytes, as `500000`, `10GiB` or `2TB`
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    bytes: Option<u64>,

    /// The most objects, each version counted
    #[arg(long, value_name = "NUMBER")]
    objects: Option<u64>,

    /// Lift the limits that are not given
    #[arg(long)]
    unlimited: bool,
}

/// Sets what is given, and shows what holds.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = StorePlace::parse(&args.address)?;
    if !place.key.is_empty() {
        return Err(Failure::usage(format!("`{place}` names an object, not a bucket")));
    }
    let bucket = place.bucket()?.clone();
    let client = store::open(context, &place)?;
    let mut quota = client.quota(&bucket).await?;
    if args.unlimited || args.bytes.is_some() || args.objects.is_some() {
        let kept =
            |given: Option<u64>, before: Option<u64>| if args.unlimited { given } else { given.or(before) };
        let (max_bytes, max_objects) =
            (kept(args.bytes, quota.max_bytes), kept(args.objects, quota.max_objects));
        client.set_quota(&bucket, max_bytes, max_objects).await?;
        quota = client.quota(&bucket).await?;
    }
    let data = json!({
        "bucket": bucket,
        "used_bytes": quota.used_bytes,
        "used_objects": quota.used_objects,
        "max_bytes": quota.max_bytes,
        "max_objects": quota.max_objects,
    });
    context.output.result(&data, |_| {
        let of = |limit: Option<String>| limit.map_or(String::new(), |limit| format!(" of {limit}"));
        format!(
            "{bucket}: {}{}, {} objects{}",
            size(quota.used_bytes),
            of(quota.max_bytes.map(size)),
            quota.used_objects,
            of(quota.max_objects.map(|objects| objects.to_string()))
        )
    })
}

/// Reads a number of bytes with an optional unit.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("PiB", 1 << 50),
        ("KB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
        ("PB", 1_000_000_000_000_000),
    ];
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit));
    let (number, factor) = match unit {
        Some((unit, factor)) => (text.trim_end_matches(unit).trim(), *factor),
        None => (text, 1),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    bytes.ok_or_else(|| "not a number of bytes, such as 500000, 10GiB or 2TB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("10GiB"), Ok(10 << 30));
        assert_eq!(bytes("2 TB"), Ok(2_000_000_000_000));
        for text in ["", "GiB", "-1", "1.5GiB", "1gib", "99999999PiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
