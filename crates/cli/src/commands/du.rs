//! `wigeon du`: what objects take up, summed by folder while they are listed. Keys come in order, so only the folders
//! that are open have to be remembered.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wigeon_client::s3::Client;
use wigeon_client::transfer::Prefix;

use super::objects::address::StorePlace;
use super::objects::filters::FilterArgs;
use super::objects::lines::Lines;
use super::objects::meant::Many;
use super::objects::{human, store};
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon du s3://team                       one sum
  wigeon du --depth 1 s3://team             one more for each folder
  wigeon du --versions --by-class s3://team what older versions cost, and in which class
  wigeon du s3://                           every bucket")]
pub(crate) struct Args {
    /// s3://BUCKET/PREFIX, or PROFILE:BUCKET/PREFIX; s3:// for all buckets
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// Sums for folders, too, down to so many levels
    #[arg(long, short, value_name = "LEVELS", default_value_t = 0)]
    depth: usize,

    /// Count older versions and delete markers, too
    #[arg(long)]
    versions: bool,

    /// Sums for each storage class
    #[arg(long)]
    by_class: bool,

    /// Print sizes in bytes
    #[arg(long)]
    bytes: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command. With `--json` each line is one JSON object.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut lines = Lines::new(context);
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let client = store::open(context, &place)?;
        if place.bucket.is_some() {
            add_up(&args, context, &client, &place, &mut lines).await?;
            continue;
        }
        for bucket in client.list_buckets().await? {
            let name = match &place.profile {
                Some(profile) => format!("{profile}:{}", bucket.name),
                None => format!("s3://{}", bucket.name),
            };
            add_up(&args, context, &client, &StorePlace::parse(&name)?, &mut lines).await?;
        }
    }
    lines.finish()
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sum {
    objects: u64,
    bytes: u64,
    older: u64,
    older_bytes: u64,
    markers: u64,
    classes: BTreeMap<String, (u64, u64)>,
}

/// One thing to count.
struct Counted<'a> {
    bytes: u64,
    class: &'a str,
    is_latest: bool,
    is_marker: bool,
}

impl Sum {
    fn count(&mut self, one: &Counted<'_>) {
        if one.is_marker {
            self.markers += 1;
            return;
        }
        let class = match self.classes.get_mut(one.class) {
            Some(class) => class,
            None => self.classes.entry(one.class.to_owned()).or_default(),
        };
        class.0 += 1;
        class.1 += one.bytes;
        if one.is_latest {
            self.objects += 1;
            self.bytes += one.bytes;
        } else {
            self.older += 1;
            self.older_bytes += one.bytes;
        }
    }

    fn add(&mut self, other: &Self) {
        self.objects += other.objects;
        self.bytes += other.bytes;
        self.older += other.older;
        self.older_bytes += other.older_bytes;
        self.markers += other.markers;
        for (name, (objects, bytes)) in &other.classes {
            let class = self.classes.entry(name.clone()).or_default();
            class.0 += objects;
            class.1 += bytes;
        }
    }
}

async fn add_up(
    args: &Args,
    context: &Context,
    client: &Client,
    place: &StorePlace,
    lines: &mut Lines<'_>,
) -> Result<(), Failure> {
    let below = Prefix { bucket: place.bucket()?.clone(), prefix: place.key.clone() };
    let many = Many::beginning_with(below, args.filters.filter(context.clock.now())?);
    let mut folders = Folders::new(args, place);
    if args.versions {
        let mut found = many.versions(client);
        while let Some(version) = found.next().await? {
            let one = Counted {
                bytes: version.size,
                class: version.storage_class.as_deref().unwrap_or("STANDARD"),
                is_latest: version.is_latest,
                is_marker: version.is_delete_marker,
            };
            folders.count(&version.key, &one, lines)?;
        }
    } else {
        let mut found = many.objects(client);
        while let Some(object) = found.next().await? {
            let class = object.storage_class.as_deref().unwrap_or("STANDARD");
            let one = Counted { bytes: object.size, class, is_latest: true, is_marker: false };
            folders.count(&object.key, &one, lines)?;
        }
    }
    folders.finish(lines)
}

/// The sums of the folders that are open, the outermost first, which is the address itself.
struct Folders<'a> {
    args: &'a Args,
    place: &'a StorePlace,
    /// Where the names below the address begin.
    root: usize,
    open: Vec<(String, Sum)>,
}

impl<'a> Folders<'a> {
    fn new(args: &'a Args, place: &'a StorePlace) -> Self {
        let root = place.key.rfind('/').map_or(0, |slash| slash + 1);
        Self { args, place, root, open: vec![(String::new(), Sum::default())] }
    }

    fn count(&mut self, key: &str, one: &Counted<'_>, lines: &mut Lines<'_>) -> Result<(), Failure> {
        let below = key.get(self.root..).unwrap_or_default();
        let mut folders: Vec<&str> = below.split('/').collect();
        folders.pop();
        folders.truncate(self.args.depth);
        let open = self.open.iter().skip(1);
        let same = open.zip(&folders).take_while(|((name, _), folder)| name == *folder).count();
        self.close_down_to(same + 1, lines)?;
        for folder in folders.iter().skip(same) {
            self.open.push(((*folder).to_owned(), Sum::default()));
        }
        if let Some((_, innermost)) = self.open.last_mut() {
            innermost.count(one);
        }
        Ok(())
    }

    /// Shows those that are closed; each one's sum goes into the one around it.
    fn close_down_to(&mut self, level: usize, lines: &mut Lines<'_>) -> Result<(), Failure> {
        while self.open.len() > level {
            let name: String = self.open.iter().skip(1).map(|(name, _)| format!("{name}/")).collect();
            let Some((_, sum)) = self.open.pop() else { break };
            let folder = self.place.key.get(..self.root).unwrap_or_default();
            self.show(&format!("{folder}{name}"), &sum, lines)?;
            if let Some((_, outer)) = self.open.last_mut() {
                outer.add(&sum);
            }
        }
        Ok(())
    }

    fn finish(mut self, lines: &mut Lines<'_>) -> Result<(), Failure> {
        self.close_down_to(1, lines)?;
        let sum = self.open.pop().map(|(_, sum)| sum).unwrap_or_default();
        self.show(&self.place.key.clone(), &sum, lines)
    }

    fn show(&self, prefix: &str, sum: &Sum, lines: &mut Lines<'_>) -> Result<(), Failure> {
        let bucket = self.place.bucket()?;
        let mut data = json!({
            "bucket": bucket, "prefix": prefix, "objects": sum.objects, "bytes": sum.bytes,
        });
        if let Some(data) = data.as_object_mut() {
            if self.args.versions {
                data.insert("older_versions".to_owned(), sum.older.into());
                data.insert("older_bytes".to_owned(), sum.older_bytes.into());
                data.insert("delete_markers".to_owned(), sum.markers.into());
            }
            if self.args.by_class {
                let classes = sum.classes.iter().map(|(name, (objects, bytes))| {
                    (name.clone(), json!({"objects": objects, "bytes": bytes}))
                });
                data.insert("classes".to_owned(), Value::Object(classes.collect()));
            }
        }
        let size = |bytes: u64| if self.args.bytes { bytes.to_string() } else { human::size(bytes) };
        lines.item(&data, |_| {
            let mut text = format!(
                "{:>10}  {:>12}  {bucket}/{}",
                size(sum.bytes),
                human::count(sum.objects, "object", "objects"),
                human::name(prefix)
            );
            if self.args.versions && sum.older + sum.markers > 0 {
                text.push_str(&format!(
                    "\n{:>10}  {:>12}  in older versions, {}",
                    size(sum.older_bytes),
                    sum.older,
                    human::count(sum.markers, "delete marker", "delete markers")
                ));
            }
            if self.args.by_class {
                for (name, (objects, bytes)) in &sum.classes {
                    text.push_str(&format!(
                        "\n{:>10}  {objects:>12}  in {}",
                        size(*bytes),
                        human::name(name)
                    ));
                }
            }
            text
        })
    }
}
