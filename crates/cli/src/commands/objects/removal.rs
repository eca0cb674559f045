//! Everything below a prefix removed, a thousand keys at a time, while the list goes on.

use std::mem;

use futures_util::TryStreamExt;
use tokio::task::{JoinError, JoinSet};
use wigeon_client::s3::{Client, Entry, ErrorKind, ListQuery, NotDeleted};
use wigeon_client::transfer::Prefix;
use wigeon_core::s3::ObjectKey;

use crate::errors::{Failure, Kind};

/// Requests on their way: the list is read meanwhile.
const AT_ONCE: usize = 8;

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

    fn count(&mut self, ended: Option<Result<Result<Answered, Failure>, JoinError>>) -> Result<(), Failure> {
        let Some(ended) = ended else { return Ok(()) };
        let (asked, kept) = ended.map_err(|error| Failure::because(Kind::Error, &error))??;
        self.removed += asked.saturating_sub(kept.len() as u64);
        self.keep(kept);
        Ok(())
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
    let mut requests = JoinSet::new();
    while let Some(entry) = entries.try_next().await? {
        let Entry::Object(object) = entry else { continue };
        if let Some(tell) = &mut dry {
            tell(&object.key)?;
            removal.removed += 1;
            continue;
        }
        batch.push(ObjectKey::parse(object.key).map_err(|error| Failure::because(Kind::Error, &error))?);
        if batch.len() == Client::MOST_DELETED {
            while requests.len() >= AT_ONCE {
                removal.count(requests.join_next().await)?;
            }
            let full = mem::replace(&mut batch, Vec::with_capacity(Client::MOST_DELETED));
            requests.spawn(remove(client.clone(), from.clone(), full));
        }
    }
    if !batch.is_empty() {
        requests.spawn(remove(client.clone(), from.clone(), batch));
    }
    while !requests.is_empty() {
        removal.count(requests.join_next().await)?;
    }
    Ok(removal)
}

/// How many were asked for, and those that the store kept.
type Answered = (u64, Vec<NotDeleted>);

async fn remove(client: Client, from: Prefix, keys: Vec<ObjectKey>) -> Result<Answered, Failure> {
    let kept = match client.delete_objects(&from.bucket, &keys).await {
        // A store without DeleteObjects removes them one by one.
        Err(error) if error.kind() == ErrorKind::NotSupported => {
            for key in &keys {
                client.delete_object(&from.bucket, key).await?;
            }
            Vec::new()
        }
        other => other?,
    };
    Ok((keys.len() as u64, kept))
}
