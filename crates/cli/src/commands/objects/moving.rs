//! What `cp`, `mv` and `run` share: their options, and the plan that they make of a source and a target.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use wigeon_client::s3::{Client, GetOptions};
use wigeon_client::transfer::{
    Address, Item, Links, Meant, Place as ObjectPlace, Planned, Step, TransferError, local_path, plan_copy,
    plan_download, plan_upload,
};

use super::address::{Place, StorePlace};
use super::encryption::EncryptionArgs;
use super::filters::FilterArgs;
use super::store::Stores;
use super::written::WrittenArgs;
use crate::context::Context;
use crate::errors::{Failure, Kind};

/// What is to be done, as it becomes known.
pub(crate) type Plan<'a> = BoxStream<'a, Result<Planned, TransferError>>;

/// How files and objects are copied and moved.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct MoveOptions {
    /// Everything below the source
    #[arg(long, short)]
    pub(crate) recursive: bool,

    /// What to do with symbolic links: leave them out, take what they point at, or store their targets as rclone
    /// does (KEY.rclonelink)
    #[arg(long, value_enum, default_value_t = LinkOption::Skip, value_name = "HOW")]
    pub(crate) links: LinkOption,

    #[command(flatten)]
    pub(crate) written: WrittenArgs,

    #[command(flatten)]
    pub(crate) encryption: EncryptionArgs,

    #[command(flatten)]
    pub(crate) filters: FilterArgs,
}

/// What is done with symbolic links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LinkOption {
    /// Leave them out
    Skip,
    /// Take what they point at
    Follow,
    /// Store their targets, and make links of such objects
    Store,
}

impl From<LinkOption> for Links {
    fn from(option: LinkOption) -> Self {
        match option {
            LinkOption::Skip => Self::Skip,
            LinkOption::Follow => Self::Follow,
            LinkOption::Store => Self::Store,
        }
    }
}

impl MoveOptions {
    /// What is meant below a source. One that is named itself is meant whatever the filters.
    fn meant(&self, context: &Context) -> Result<Meant, Failure> {
        let filter = Arc::new(self.filters.filter(context.clock.now())?);
        Ok(Meant { filter, links: self.links.into() })
    }
}

/// Plans what brings a source to a target; neither is a stream.
pub(crate) async fn plan(
    source: &Place,
    target: &Place,
    options: &MoveOptions,
    stores: &Stores,
    context: &Context,
) -> Result<Plan<'static>, Failure> {
    match (source, target) {
        (Place::Local(from), Place::Store(to)) => up(from, to, options, stores, context).await,
        (Place::Store(from), Place::Local(to)) => down(from, to, options, stores, context).await,
        (Place::Store(from), Place::Store(to)) => across(from, to, options, stores, context).await,
        (Place::Stream, _) | (_, Place::Stream) => Err(Failure::usage("`-` cannot be used here")),
        (Place::Local(_), Place::Local(_)) => {
            Err(Failure::usage("neither the source nor the target is in a store")
                .hint("write s3://BUCKET/KEY, or PROFILE:BUCKET/KEY"))
        }
    }
}

async fn up(
    from: &Path,
    to: &StorePlace,
    options: &MoveOptions,
    stores: &Stores,
    context: &Context,
) -> Result<Plan<'static>, Failure> {
    to.bucket()?;
    let metadata = std::fs::metadata(from).map_err(|error| Failure {
        causes: vec![error.to_string()],
        ..Failure::error(format!("cannot read `{}`", from.display()))
    })?;
    if metadata.is_dir() && !options.recursive {
        return Err(Failure::usage(format!("`{}` is a folder", from.display())).hint("add --recursive"));
    }
    let client = options.encryption.on(stores.open(context, to)?)?;
    if metadata.is_dir() {
        let plan = plan_upload(from, &client, &to.folder()?, &options.written.put(), options.meant(context)?)
            .await?;
        return Ok(plan.boxed());
    }
    let address = if to.is_folder() {
        let name = from.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Failure::usage(format!("`{}` has no name to keep", from.display())))?;
        to.object_of(&format!("{}{name}", to.key))?
    } else {
        to.object()?
    };
    let to = ObjectPlace { client, address };
    let step = Step::Upload { from: from.to_owned(), to, options: Arc::new(options.written.put()) };
    Ok(one(Item::new(from.display().to_string(), metadata.len(), step)))
}

async fn down(
    from: &StorePlace,
    to: &Path,
    options: &MoveOptions,
    stores: &Stores,
    context: &Context,
) -> Result<Plan<'static>, Failure> {
    from.bucket()?;
    options.written.for_files()?;
    let client = options.encryption.on(stores.open(context, from)?)?;
    if options.recursive {
        return Ok(plan_download(&client, &from.folder()?, to, options.meant(context)?).boxed());
    }
    let object = from.object()?;
    let to = target_file(to, &object)?;
    let size = size_of(&client, &object).await?;
    let name = object.key.to_string();
    let step = Step::Download { from: ObjectPlace { client, address: object }, to, within: None };
    Ok(one(Item::new(name, size, step)))
}

/// A folder takes the object under its own name.
fn target_file(to: &Path, object: &Address) -> Result<PathBuf, Failure> {
    let ends_in_slash = to.as_os_str().to_string_lossy().ends_with(std::path::MAIN_SEPARATOR);
    if !ends_in_slash && !to.is_dir() {
        return Ok(to.to_owned());
    }
    let name = object.key.as_str().rsplit('/').next().unwrap_or_default();
    local_path(to, name).map_err(|error| Failure::because(Kind::Usage, &error).hint("name the file to write"))
}

async fn size_of(client: &Client, object: &Address) -> Result<u64, Failure> {
    Ok(client.head_object(&object.bucket, &object.key, &GetOptions::default()).await?.size)
}

async fn across(
    from: &StorePlace,
    to: &StorePlace,
    options: &MoveOptions,
    stores: &Stores,
    context: &Context,
) -> Result<Plan<'static>, Failure> {
    from.bucket()?;
    to.bucket()?;
    let (client, other) = (
        options.encryption.on(stores.open(context, from)?)?,
        options.encryption.on(stores.open(context, to)?)?,
    );
    let same_store = client.is_same(&other);
    if options.recursive {
        let (source, target) = (from.folder()?, to.folder()?);
        if same_store && source.bucket == target.bucket && target.prefix.starts_with(&source.prefix) {
            return Err(Failure::usage("the target lies in the source"));
        }
        let (filter, put) = (options.meant(context)?.filter, options.written.put());
        return Ok(plan_copy(&client, &source, &other, &target, &filter, &put).boxed());
    }
    let source = from.object()?;
    let target = if to.is_folder() {
        let name = source.key.as_str().rsplit('/').next().unwrap_or_default();
        to.object_of(&format!("{}{name}", to.key))?
    } else {
        to.object()?
    };
    if same_store && source == target {
        return Err(Failure::usage("the source is the target"));
    }
    let (name, size) = (source.key.to_string(), size_of(&client, &source).await?);
    let step = Step::Copy {
        from: ObjectPlace { client, address: source },
        to: ObjectPlace { client: other, address: target },
        options: Arc::new(options.written.put()),
    };
    Ok(one(Item::new(name, size, step)))
}

fn one(item: Item) -> Plan<'static> {
    stream::iter([Ok(Planned::item(item))]).boxed()
}

/// The same plan, whose sources are removed once they have arrived, and with them folders that are empty then.
pub(crate) fn moving(plan: Plan<'static>, source: &Place) -> Plan<'static> {
    let root: Option<Arc<Path>> = match source {
        Place::Local(path) if path.is_dir() => Some(Arc::from(path.as_path())),
        Place::Local(_) | Place::Store(_) | Place::Stream => None,
    };
    plan.map(move |planned| {
        planned.map(|planned| match planned {
            Planned::Item(item) => Planned::item(match &root {
                Some(root) => item.moving_out_of(Arc::clone(root)),
                None => item.moving(),
            }),
            other => other,
        })
    })
    .boxed()
}
