//! `wigeon head`: the beginning of an object; no more of it is fetched than is shown, as far as that can be known.

use futures_util::TryStreamExt as _;
use wigeon_client::s3::{ByteRange, ErrorKind, GetOptions};

use super::objects::address::StorePlace;
use super::objects::encryption::SourceKeyArgs;
use super::objects::store;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// s3://BUCKET/KEY, or PROFILE:BUCKET/KEY
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// So many lines
    #[arg(long, short = 'n', value_name = "LINES", default_value_t = 10, conflicts_with = "bytes")]
    lines: u64,

    /// So many bytes in place of lines
    #[arg(long, short = 'c', value_name = "BYTES")]
    bytes: Option<u64>,

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    version_id: Option<String>,

    #[command(flatten)]
    key: SourceKeyArgs,
}

/// Runs the command.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let (client, object) = (args.key.on(store::open(context, &place)?)?, place.object()?);
        let range = match args.bytes {
            Some(0) => continue,
            Some(bytes) => Some(ByteRange { first: 0, last: Some(bytes - 1) }),
            None => None,
        };
        let options = GetOptions { range, version_id: args.version_id.clone(), ..GetOptions::default() };
        let found = match client.get_object(&object.bucket, &object.key, &options).await {
            // No byte of an empty object can be asked for.
            Err(error) if error.kind() == ErrorKind::Range => continue,
            other => other?,
        };
        let mut body = found.body;
        let mut left = if args.bytes.is_some() { u64::MAX } else { args.lines };
        while left > 0
            && let Some(chunk) = body.try_next().await?
        {
            let shown = if args.bytes.is_some() { chunk.len() } else { lines_of(&chunk, &mut left) };
            context.output.bytes(chunk.get(..shown).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// How many bytes of a chunk belong to the lines that are left.
fn lines_of(chunk: &[u8], left: &mut u64) -> usize {
    for (at, _) in chunk.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        *left -= 1;
        if *left == 0 {
            return at + 1;
        }
    }
    chunk.len()
}

#[cfg(test)]
mod tests {
    use super::lines_of;

    #[test]
    fn lines_end_where_they_end() {
        for (chunk, lines, shown, left) in
            [("a\nb\nc", 2, 4, 0), ("a\nb", 2, 3, 1), ("a\n", 1, 2, 0), ("", 3, 0, 3), ("\n\n\n", 2, 2, 0)]
        {
            let mut remaining = lines;
            assert_eq!((lines_of(chunk.as_bytes(), &mut remaining), remaining), (shown, left), "{chunk:?}");
        }
    }
}
