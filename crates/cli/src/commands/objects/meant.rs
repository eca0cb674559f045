//! Which objects a command is about: one, those that a wildcard matches, or everything below a folder, as far as the
//! filters let them through. What is listed is walked through once, in the order of keys, a page at a time.

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use wigeon_client::filter::{Cursor, Filter, Wildcard};
use wigeon_client::s3::{Client, Entry, ListQuery, Listed, ObjectSummary, S3Error, VersionSummary};
use wigeon_client::transfer::{Address, Prefix};

use super::address::StorePlace;
use super::filters::FilterArgs;
use crate::context::Context;
use crate::errors::Failure;

/// What the command line says of which objects are meant.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MeantArgs {
    /// Everything below the address, as below a folder
    #[arg(long, short)]
    pub(crate) recursive: bool,

    /// Take * and ? in the address as they are
    #[arg(long)]
    pub(crate) literal: bool,

    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// What the command line says of an object or a bucket whose state is shown.
#[derive(Debug, clap::Args)]
pub(crate) struct ShownArgs {
    /// s3://BUCKET/KEY or s3://BUCKET, also with PROFILE: in place of s3://
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: String,

    /// A version that is not the current one
    #[arg(long, value_name = "ID")]
    pub(crate) version_id: Option<String>,
}

/// The objects that an address means.
#[derive(Debug)]
pub(crate) enum Meant {
    /// This one; nothing has to be listed.
    One(Address),
    /// All of these.
    Many(Box<Many>),
}

/// Objects that have to be listed.
#[derive(Debug)]
pub(crate) struct Many {
    pub(crate) below: Prefix,
    /// Where the names that rules see begin in the key.
    root: usize,
    wildcard: Option<Wildcard>,
    filter: Filter,
}

impl MeantArgs {
    /// What an address means under these options. An object that is named by its key is meant whatever the filters.
    pub(crate) fn meant(&self, place: &StorePlace, context: &Context) -> Result<Meant, Failure> {
        match self.many(place, context)? {
            Some(many) => Ok(Meant::Many(Box::new(many))),
            None if place.key.is_empty() => Err(Failure::usage(format!("`{place}` names no object"))
                .hint("everything in it is meant with --recursive")),
            None => Ok(Meant::One(place.object()?)),
        }
    }

    /// The objects to be listed, where the address does not name one.
    pub(crate) fn many(&self, place: &StorePlace, context: &Context) -> Result<Option<Many>, Failure> {
        let wildcard = if self.literal { None } else { Wildcard::parse(&place.key) };
        if wildcard.is_none() && !self.recursive {
            return Ok(None);
        }
        let filter = self.filters.filter(context.clock.now())?;
        let bucket = place.bucket()?.clone();
        Ok(Some(match wildcard {
            Some(wildcard) => Many {
                root: wildcard.folder().len(),
                below: Prefix { bucket, prefix: wildcard.prefix().to_owned() },
                wildcard: Some(wildcard),
                filter,
            },
            None => {
                let below = place.folder()?;
                Many { root: below.prefix.len(), below, wildcard: None, filter }
            }
        }))
    }
}

impl Many {
    /// Everything that begins with a text, as far as the filter lets it through.
    pub(crate) fn beginning_with(below: Prefix, filter: Filter) -> Self {
        let root = below.prefix.rfind('/').map_or(0, |slash| slash + 1);
        Self { below, root, wildcard: None, filter }
    }

    /// The objects, in the order of their keys.
    pub(crate) fn objects(&self, client: &Client) -> Found<'_, ObjectSummary> {
        self.found(client.list(&self.below.bucket, self.query()).boxed())
    }

    /// Their versions, in the order of their keys and the newest first.
    pub(crate) fn versions(&self, client: &Client) -> Found<'_, VersionSummary> {
        self.found(client.list_versions(&self.below.bucket, self.query()).boxed())
    }

    fn query(&self) -> ListQuery {
        ListQuery { prefix: self.below.prefix.clone(), ..ListQuery::default() }
    }

    fn found<T>(&self, entries: BoxStream<'static, Result<Entry<T>, S3Error>>) -> Found<'_, T> {
        Found { many: self, cursor: self.filter.cursor(), entries }
    }

    /// Nothing was found.
    pub(crate) fn nothing(&self, place: &StorePlace) -> Failure {
        let what = if self.wildcard.is_some() { "nothing matches" } else { "there is nothing below" };
        Failure::error(format!("{what} `{place}`"))
    }

    /// Whether it is a whole bucket, which may well be empty.
    pub(crate) fn is_whole_bucket(&self) -> bool {
        self.below.prefix.is_empty() && self.wildcard.is_none()
    }

    fn is_named(&self, key: &str) -> bool {
        self.wildcard.as_ref().is_none_or(|wildcard| wildcard.matches(key))
    }
}

/// Objects, or versions, on their way.
pub(crate) struct Found<'a, T> {
    many: &'a Many,
    cursor: Cursor<'a>,
    entries: BoxStream<'static, Result<Entry<T>, S3Error>>,
}

impl<T: Listed> Found<'_, T> {
    /// The next one that is meant.
    pub(crate) async fn next(&mut self) -> Result<Option<T>, S3Error> {
        while let Some(entry) = self.entries.try_next().await? {
            let Entry::Item(item) = entry else { continue };
            let below = item.key().get(self.many.root..).unwrap_or_default();
            if self.many.is_named(item.key()) && self.cursor.admits(below, item.size(), item.last_modified())
            {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }
}

/// The versions of one object, the newest first.
pub(crate) fn versions_of(client: &Client, object: &Address) -> VersionsOfOne {
    let query = ListQuery { prefix: object.key.as_str().to_owned(), ..ListQuery::default() };
    VersionsOfOne {
        key: object.key.as_str().to_owned(),
        entries: client.list_versions(&object.bucket, query).boxed(),
    }
}

/// Versions of one object on their way.
pub(crate) struct VersionsOfOne {
    key: String,
    entries: BoxStream<'static, Result<Entry<VersionSummary>, S3Error>>,
}

impl VersionsOfOne {
    /// The next older one. The object's own key comes first among those that begin with it.
    pub(crate) async fn next(&mut self) -> Result<Option<VersionSummary>, S3Error> {
        match self.entries.try_next().await? {
            Some(Entry::Item(version)) if version.key == self.key => Ok(Some(version)),
            _ => Ok(None),
        }
    }
}
