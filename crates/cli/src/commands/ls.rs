//! `wigeon ls`: buckets, or what is in one: a level, everything below, as a tree, with versions, in another order.

use futures_util::{Stream, TryStreamExt as _};
use serde_json::json;
use wigeon_client::filter::{Filter, Wildcard};
use wigeon_client::s3::{Client, Entry, ErrorKind, ListQuery, S3Error};

use super::objects::address::StorePlace;
use super::objects::filters::FilterArgs;
use super::objects::lines::Lines;
use super::objects::told::{Tell, Told};
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

mod order;

mod tree;

use self::order::{Kept, SortBy};
use self::tree::Tree;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon ls s3://team/2026/                 one level
  wigeon ls -r --sort size --reverse s3://team
  wigeon ls --tree --depth 2 s3://team
  wigeon ls 's3://team/logs/*.gz'           * and ? match any text and any letter")]
pub(crate) struct Args {
    /// s3://BUCKET/PREFIX, or PROFILE:BUCKET/PREFIX; nothing for the profile's Default Path or, without one, the
    /// buckets (s3:// for the buckets in any case)
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,

    /// List everything below, not one level
    #[arg(long, short)]
    recursive: bool,

    /// Show everything below as a tree
    #[arg(long, conflicts_with_all = ["versions", "sort"])]
    tree: bool,

    /// How many levels of the tree to show
    #[arg(long, value_name = "LEVELS", requires = "tree")]
    depth: Option<usize>,

    /// List all versions, the newest first, and the marks of what was removed
    #[arg(long)]
    versions: bool,

    /// Print sizes in bytes
    #[arg(long)]
    bytes: bool,

    /// Print the sum at the end
    #[arg(long)]
    total: bool,

    /// Order by this; the whole list is held in memory for it
    #[arg(long, value_enum, value_name = "BY")]
    sort: Option<SortBy>,

    /// Order the other way round
    #[arg(long, requires = "sort")]
    reverse: bool,

    /// Take * and ? in the address as they are
    #[arg(long)]
    literal: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command. With `--json` each line is one JSON object.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let place = match &args.address {
        Some(address) => StorePlace::parse(address)?,
        None => beginning(context)?,
    };
    let client = store::open(context, &place)?;
    if place.bucket.is_none() {
        return buckets(&client, context).await;
    }
    let (bucket, asked) = (place.bucket()?, Asked::of(&args, &place, context)?);
    let any = if args.versions {
        show(client.list_versions(bucket, asked.query.clone()), &asked, Shown::new(&args, context)).await?
    } else {
        show(client.list(bucket, asked.query.clone()), &asked, Shown::new(&args, context)).await?
    };
    if any || place.key.is_empty() {
        return Ok(());
    }
    Err(Failure::error(format!("nothing begins with `{place}`")))
}

/// Who may not list the buckets begins in the one that the profile names.
fn beginning(context: &Context) -> Result<StorePlace, Failure> {
    let path = context.settings_of(context.stored(None)?)?.default_path();
    let path = path.map(|path| path.value.trim_start_matches('/').to_owned()).unwrap_or_default();
    StorePlace::parse(&format!("s3://{path}"))
}

async fn buckets(client: &Client, context: &Context) -> Result<(), Failure> {
    let buckets = client.list_buckets().await.map_err(|error| {
        let denied = error.kind() == ErrorKind::Denied;
        let failure = Failure::from(error);
        if denied {
            failure.hint("a bucket that you know can be listed: wigeon ls s3://BUCKET")
        } else {
            failure
        }
    })?;
    for bucket in &buckets {
        let data = json!({"type": "bucket", "name": bucket.name, "created_at": bucket.created_at});
        context.output.item(&data, |_| {
            format!("{:<19}  {}", human::time(bucket.created_at), human::name(&bucket.name))
        })?;
    }
    Ok(())
}

/// What is asked for, and what of what comes is shown.
struct Asked {
    query: ListQuery,
    wildcard: Option<Wildcard>,
    filter: Filter,
    /// Rules see names from below the folder on.
    root: usize,
}

impl Asked {
    fn of(args: &Args, place: &StorePlace, context: &Context) -> Result<Self, Failure> {
        let wildcard = if args.literal { None } else { Wildcard::parse(&place.key) };
        let prefix = wildcard.as_ref().map_or(place.key.as_str(), Wildcard::prefix);
        let deep = args.recursive || args.tree || wildcard.is_some();
        let query = ListQuery {
            prefix: prefix.to_owned(),
            delimiter: (!deep).then(|| "/".to_owned()),
            ..ListQuery::default()
        };
        let root = prefix.rfind('/').map_or(0, |slash| slash + 1);
        let filter = args.filters.filter(context.clock.now())?;
        Ok(Self { query, wildcard, filter, root })
    }
}

/// Shows what is meant of a list; says whether anything had the name, whatever the filters.
async fn show<T: Tell>(
    mut entries: impl Stream<Item = Result<Entry<T>, S3Error>> + Unpin,
    asked: &Asked,
    mut shown: Shown<'_, T>,
) -> Result<bool, Failure> {
    let mut cursor = asked.filter.cursor();
    let mut any = false;
    while let Some(entry) = entries.try_next().await? {
        if asked.wildcard.as_ref().is_some_and(|wildcard| !wildcard.matches(entry.name())) {
            continue;
        }
        any = true;
        let below = entry.name().get(asked.root..).unwrap_or_default();
        let meant = match &entry {
            Entry::Prefix(_) => cursor.enters(below.trim_end_matches('/')),
            Entry::Item(item) => cursor.admits(below, item.size(), item.last_modified()),
        };
        if meant {
            shown.take(entry, asked.root)?;
        }
    }
    shown.finish()?;
    Ok(any)
}

/// What has been listed: shown as it comes, or kept until it is sorted.
struct Shown<'a, T> {
    lines: Lines<'a>,
    context: &'a Context,
    bytes: bool,
    tree: Option<Tree>,
    kept: Option<Kept<T>>,
    total: Option<(u64, u64)>,
}

impl<'a, T: Tell> Shown<'a, T> {
    fn new(args: &Args, context: &'a Context) -> Self {
        let is_json = context.output.is_json();
        Self {
            lines: Lines::new(context),
            context,
            bytes: args.bytes,
            tree: args.tree.then(|| Tree::new(args.depth, args.bytes)).filter(|_| !is_json),
            kept: args.sort.map(|by| Kept::new(by, args.reverse)),
            total: args.total.then_some((0, 0)),
        }
    }

    fn take(&mut self, entry: Entry<T>, root: usize) -> Result<(), Failure> {
        if let (Some((items, bytes)), Entry::Item(item)) = (&mut self.total, &entry) {
            *items += 1;
            *bytes += item.size();
        }
        if let (Some(tree), Entry::Item(item)) = (&mut self.tree, &entry) {
            return tree.item(item, root, &mut self.lines);
        }
        match &mut self.kept {
            Some(kept) => {
                kept.take(entry);
                Ok(())
            }
            None => self.lines.item(&Told::entry(&entry), |told| told.line(self.bytes)),
        }
    }

    fn finish(mut self) -> Result<(), Failure> {
        if let Some(kept) = self.kept.take() {
            kept.show(&mut self.lines, self.bytes)?;
        }
        if let Some((objects, bytes)) = self.total {
            let data = json!({"type": "total", "objects": objects, "bytes": bytes});
            let size = if self.bytes { format!("{bytes} bytes") } else { human::size(bytes) };
            let text = format!("{}, {size}", human::count(objects, "object", "objects"));
            if self.context.output.is_json() {
                self.lines.item(&data, |_| String::new())?;
            } else {
                self.lines.text(&text, b"\n")?;
            }
        }
        self.lines.finish()
    }
}
