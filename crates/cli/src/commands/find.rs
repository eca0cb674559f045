//! `wigeon find`: objects by name, size, age, class, tags and metadata, printed as they are wanted.

use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use wigeon_client::filter::Wildcard;
use wigeon_client::s3::{Client, GetOptions, ObjectSummary};
use wigeon_client::transfer::Prefix;
use wigeon_core::s3::{BucketName, ObjectKey};

use super::objects::address::StorePlace;
use super::objects::filters::FilterArgs;
use super::objects::lines::Lines;
use super::objects::meant::Many;
use super::objects::store;
use super::objects::told::Told;
use crate::context::Context;
use crate::errors::{Failure, Kind};

mod format;

use self::format::Format;

/// How many objects are asked about at once, where the list does not say enough.
const AT_ONCE: usize = 32;

/// What the command line says. An object is found where all of it holds.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  wigeon find s3://team --name '*.csv' --min-size 100M
  wigeon find s3://team --tag project=x --storage-class STANDARD_IA --max-age 7d
  wigeon find s3://team --name '*.tmp' --format 'rm {address:q}' | wigeon run
  wigeon find s3://team --print0 --format '{key}' | xargs -0 -n1 echo")]
pub(crate) struct Args {
    /// s3://BUCKET/PREFIX, or PROFILE:BUCKET/PREFIX
    #[arg(value_name = "ADDRESS", required = true)]
    addresses: Vec<String>,

    /// Whose last part of the key matches; * is any text, ? any letter
    #[arg(long, value_name = "PATTERN")]
    name: Vec<String>,

    /// Whose whole key matches, slashes too
    #[arg(long, value_name = "PATTERN")]
    path: Vec<String>,

    /// Whose key has a part that matches this regular expression
    #[arg(long, value_name = "EXPRESSION")]
    regex: Option<String>,

    /// In this storage class
    #[arg(long, value_name = "CLASS")]
    storage_class: Vec<String>,

    /// With this tag; asks once for each object
    #[arg(long, value_name = "NAME[=VALUE]")]
    tag: Vec<String>,

    /// With this metadata; asks once for each object
    #[arg(long, value_name = "NAME[=VALUE]")]
    meta: Vec<String>,

    /// No more than so many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u64>,

    /// Print this for each: {address} {bucket} {key} {name} {folder} {size} {bytes} {time} {etag} {class}; {key:q} is
    /// quoted for a shell, and {{ is a brace
    #[arg(long, value_name = "TEXT", conflicts_with = "long")]
    format: Option<String>,

    /// End each with a NUL in place of a line's end
    #[arg(long, short = '0')]
    print0: bool,

    /// Print time and size, as ls does
    #[arg(long, short)]
    long: bool,

    #[command(flatten)]
    filters: FilterArgs,
}

/// Runs the command. With `--json` each line is one JSON object, as of `ls`.
pub(crate) async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let wanted = Wanted::of(&args)?;
    let format = args.format.as_deref().map(Format::parse).transpose()?;
    let mut printed = Printed { args: &args, format, lines: Lines::new(context), context, left: args.limit };
    for address in &args.addresses {
        let place = StorePlace::parse(address)?;
        let client = store::open(context, &place)?;
        let below = Prefix { bucket: place.bucket()?.clone(), prefix: place.key.clone() };
        let many = Many::beginning_with(below, args.filters.filter(context.clock.now())?);
        let mut found = many.objects(&client);
        let mut asked = FuturesOrdered::new();
        while printed.wants_more() {
            let Some(object) = found.next().await? else { break };
            if !wanted.in_list(&object) {
                continue;
            }
            if wanted.is_all_in_list() {
                printed.print(&place, &object)?;
                continue;
            }
            while asked.len() >= AT_ONCE {
                if let Some(answer) = asked.next().await {
                    printed.print_if(&place, answer)?;
                }
            }
            let question = beyond_list(client.clone(), many.below.bucket.clone(), wanted.clone(), object);
            // On its own, so that all of them are on their way while the list is read.
            asked.push_back(tokio::spawn(question).map(joined));
        }
        while printed.wants_more()
            && let Some(answer) = asked.next().await
        {
            printed.print_if(&place, answer)?;
        }
    }
    printed.lines.finish()
}

fn joined<T>(outcome: Result<Result<T, Failure>, tokio::task::JoinError>) -> Result<T, Failure> {
    outcome.map_err(|error| Failure::because(Kind::Error, &error))?
}

/// The object, where tags and metadata are as wanted.
async fn beyond_list(
    client: Client,
    bucket: BucketName,
    wanted: Wanted,
    object: ObjectSummary,
) -> Result<Option<ObjectSummary>, Failure> {
    let key = ObjectKey::parse(object.key.as_str()).map_err(|error| Failure::because(Kind::Error, &error))?;
    if !wanted.meta.is_empty() {
        let head = client.head_object(&bucket, &key, &GetOptions::default()).await?;
        let has = |(name, value): &Pair| {
            let lower = name.to_ascii_lowercase();
            head.metadata
                .iter()
                .any(|(other, text)| *other == lower && value.as_ref().is_none_or(|v| v == text))
        };
        if !wanted.meta.iter().all(has) {
            return Ok(None);
        }
    }
    if !wanted.tags.is_empty() {
        let tags = client.object_tags(&bucket, &key, None).await?;
        let has = |(name, value): &Pair| {
            tags.iter().any(|(other, text)| other == name && value.as_ref().is_none_or(|v| v == text))
        };
        if !wanted.tags.iter().all(has) {
            return Ok(None);
        }
    }
    Ok(Some(object))
}

/// A name, and the value if one is wanted.
type Pair = (String, Option<String>);

#[derive(Clone)]
struct Wanted {
    names: Vec<Pattern>,
    paths: Vec<Pattern>,
    regex: Option<regex::Regex>,
    classes: Vec<String>,
    tags: Vec<Pair>,
    meta: Vec<Pair>,
}

#[derive(Clone)]
enum Pattern {
    Text(String),
    Wildcard(Wildcard),
}

impl Pattern {
    fn parse(text: &str) -> Self {
        Wildcard::parse(text).map_or_else(|| Self::Text(text.to_owned()), Self::Wildcard)
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Text(text) => text == name,
            Self::Wildcard(wildcard) => wildcard.matches(name),
        }
    }
}

impl Wanted {
    fn of(args: &Args) -> Result<Self, Failure> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.clone(), None),
        };
        let regex = args.regex.as_deref().map(regex::Regex::new).transpose();
        Ok(Self {
            names: args.name.iter().map(|text| Pattern::parse(text)).collect(),
            paths: args.path.iter().map(|text| Pattern::parse(text)).collect(),
            regex: regex.map_err(|error| Failure::because(Kind::Usage, &error))?,
            classes: args.storage_class.clone(),
            tags: args.tag.iter().map(pair).collect(),
            meta: args.meta.iter().map(pair).collect(),
        })
    }

    fn is_all_in_list(&self) -> bool {
        self.tags.is_empty() && self.meta.is_empty()
    }

    fn in_list(&self, object: &ObjectSummary) -> bool {
        let name = object.key.rsplit('/').next().unwrap_or_default();
        let class = object.storage_class.as_deref().unwrap_or("STANDARD");
        let any = |patterns: &[Pattern], text: &str| {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
        };
        any(&self.names, name)
            && any(&self.paths, &object.key)
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(&object.key))
            && (self.classes.is_empty() || self.classes.iter().any(|other| other.eq_ignore_ascii_case(class)))
    }
}

struct Printed<'a> {
    args: &'a Args,
    format: Option<Format>,
    lines: Lines<'a>,
    context: &'a Context,
    left: Option<u64>,
}

impl Printed<'_> {
    fn wants_more(&self) -> bool {
        self.left != Some(0)
    }

    fn print_if(
        &mut self,
        place: &StorePlace,
        answer: Result<Option<ObjectSummary>, Failure>,
    ) -> Result<(), Failure> {
        match answer? {
            Some(object) if self.wants_more() => self.print(place, &object),
            _ => Ok(()),
        }
    }

    fn print(&mut self, place: &StorePlace, object: &ObjectSummary) -> Result<(), Failure> {
        self.left = self.left.map(|left| left - 1);
        let end: &[u8] = if self.args.print0 { b"\0" } else { b"\n" };
        if self.context.output.is_json() {
            return self.lines.item(&Told::object(object), |_| String::new());
        }
        let text = match &self.format {
            Some(format) => format.of(place, object),
            None if self.args.long => Told::object(object).line(false),
            // What has NULs at its ends is for programs, and as it is.
            None if self.args.print0 => format::address(place, &object.key),
            None => super::objects::human::name(&format::address(place, &object.key)),
        };
        self.lines.text(&text, end)
    }
}
