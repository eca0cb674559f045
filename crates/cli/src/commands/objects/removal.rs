//! Everything below a prefix removed, a thousand keys at a time.

use futures_util::TryStreamExt;
use wigeon_client::s3::{Client, Entry, ErrorKind, ListQuery, NotDeleted};
use wigeon_client::transfer::Prefix;
use wigeon_core::s3::ObjectKey;

use crate::errors::{Failure, Kind};

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    pub(crate) removed: u64,
    /// Those that the store kept, in its words; the first thousand.
    pub(crate) kept: Vec<NotDeleted>,
    pub(crate) kept_count: u64,
}

impl Removal {
    /// The exit code for it: all kept is the store's no, some kept is partly done.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let Some(first) = self.kept.first() else { return Ok(()) };
        let kind = match (self.removed, first.code.as_str()) {
            (0, "AccessDenied") => Kind::Denied,
            (0, _) => Kind::Error,
            _ => Kind::Partial,
        };
        Err(Failure::new(
            kind,
            format!("{} of {} were not removed", self.kept_count, self.kept_count + self.removed),
        ))
    }

    fn keep(&mut self, kept: Vec<NotDeleted>) {
        self.kept_count += kept.len() as u64;
        let room = Client::MOST_DELETED.saturating_sub(self.kept.len());
        self.kept.extend(kept.into_iter().take(room));
    }
}

/// Is told of each key in place of its removal.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(&str) -> Result<(), Failure> + Send);

/// Removes all objects whose keys begin with the prefix. `dry` tells of each key and removes nothing.
pub(crate) async fn remove_all(
    client: &Client,
    from: &Prefix,
    mut dry: Option<Tell<'_>>,
) -> Result<Removal, Failure> {
    let query = ListQuery { prefix: from.prefix.clone(), ..ListQuery::default() };
    let mut entries = client.list(&from.bucket, query);
    let mut removal = Removal::default();
    let mut batch = Vec::with_capacity(Client::MOST_DELETED);
    while let Some(entry) = entries.try_next().await? {
        let Entry::Object(object) = entry else { continue };
        if let Some(tell) = &mut dry {
            tell(&object.key)?;
            removal.removed += 1;
            continue;
        }
        batch.push(ObjectKey::parse(object.key).map_err(|error| Failure::because(Kind::Error, &error))?);
        if batch.len() == Client::MOST_DELETED {
            remove(client, from, &mut batch, &mut removal).await?;
        }
    }
    remove(client, from, &mut batch, &mut removal).await?;
    Ok(removal)
}

async fn remove(
    client: &Client,
    from: &Prefix,
    batch: &mut Vec<ObjectKey>,
    removal: &mut Removal,
) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let asked = batch.len() as u64;
    let kept = match client.delete_objects(&from.bucket, batch).await {
        // A store without DeleteObjects removes them one by one.
        Err(error) if error.kind() == ErrorKind::NotSupported => {
            for key in batch.iter() {
                client.delete_object(&from.bucket, key).await?;
            }
            Vec::new()
        }
        other => other?,
    };
    removal.removed += asked.saturating_sub(kept.len() as u64);
    removal.keep(kept);
    batch.clear();
    Ok(())
}
