//! Lists that come in pages: objects, and versions of them.
//!
//! Keys are asked for percent-encoded, so that those that XML cannot hold arrive too. The next page is on its way while
//! one is used. A store that would have us ask for the same page for ever is refused.

use std::collections::VecDeque;
use std::future::Future;

use futures_util::stream::{self, Stream};
use tokio::task::JoinHandle;
use wigeon_core::s3::uri::percent_decode;
use wigeon_core::time::Timestamp;

use super::client::Client;
use super::error::S3Error;

/// What a list is made of.
pub trait Listed {
    /// Its key.
    fn key(&self) -> &str;

    /// Its key, to be changed.
    fn key_mut(&mut self) -> &mut String;

    /// In bytes.
    fn size(&self) -> u64;

    /// When it was written.
    fn last_modified(&self) -> Option<Timestamp>;
}

/// One of them, or the common prefix of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<T> {
    /// An object, or a version.
    Item(T),
    /// Keys up to and including the delimiter.
    Prefix(String),
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T, M> {
    /// In the order of their names; several of one name in the store's.
    pub entries: Vec<Entry<T>>,
    /// To ask for the next page with; `None` at the end.
    pub next: Option<M>,
}

impl<T: Listed> Entry<T> {
    /// The key or the prefix.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Item(item) => item.key(),
            Self::Prefix(prefix) => prefix,
        }
    }

    fn name_mut(&mut self) -> &mut String {
        match self {
            Self::Item(item) => item.key_mut(),
            Self::Prefix(prefix) => prefix,
        }
    }
}

impl<T: Listed, M: PartialEq> Page<T, M> {
    /// What a store's answer says. `next` counts only where there is more.
    pub(crate) fn read(
        mut entries: Vec<Entry<T>>,
        is_encoded: bool,
        is_truncated: bool,
        next: Option<M>,
    ) -> Result<Self, String> {
        if is_encoded {
            entries.iter_mut().try_for_each(|entry| decode(entry.name_mut()))?;
        }
        // Prefixes come after the rest; keys are in order already, and a sort of what is sorted is a walk.
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        match next.filter(|_| is_truncated) {
            None if is_truncated => Err("there is more, and nothing to ask for it with".to_owned()),
            next => Ok(Self { entries, next }),
        }
    }

    /// The same, if it leads on.
    pub(crate) fn after(self, mark: Option<&M>) -> Result<Self, String> {
        if self.next.is_some() && self.next.as_ref() == mark {
            return Err("the next page would be the same page".to_owned());
        }
        Ok(self)
    }
}

/// Undoes `encoding-type=url`. Space is written as `+` by some stores, and a plus as `%2B` by all.
pub(crate) fn decode(text: &mut String) -> Result<(), String> {
    if text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        *text = percent_decode(&text.replace('+', " ")).ok_or("a key is not UTF-8")?.into_owned();
    }
    Ok(())
}

/// All entries of all pages, from this mark on. The next page is on its way while one is used, so whoever works on what
/// is listed hardly waits for the list, and never more than two pages are in memory.
pub(crate) fn entries<T, M, F>(
    client: Client,
    operation: &'static str,
    first: Option<M>,
    fetch: impl Fn(Client, Option<M>) -> F + Send + 'static,
) -> impl Stream<Item = Result<Entry<T>, S3Error>> + Send + Unpin + 'static
where
    T: Send + 'static,
    M: Send + 'static,
    F: Future<Output = Result<Page<T, M>, S3Error>> + Send + 'static,
{
    let paging = Paging { client, operation, fetch, at: At::Mark(first), entries: VecDeque::new() };
    Box::pin(stream::try_unfold(paging, Paging::step))
}

struct Paging<T, M, C> {
    client: Client,
    operation: &'static str,
    fetch: C,
    at: At<T, M>,
    entries: VecDeque<Entry<T>>,
}

/// Where the entries after these come from.
enum At<T, M> {
    /// The first page, which is fetched when somebody wants it.
    Mark(Option<M>),
    Ahead(PageAhead<T, M>),
    End,
}

/// A page that is being fetched, until nobody wants it any more.
struct PageAhead<T, M>(JoinHandle<Result<Page<T, M>, S3Error>>);

impl<T, M> Drop for PageAhead<T, M> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T, M, C, F> Paging<T, M, C>
where
    T: Send + 'static,
    M: Send + 'static,
    C: Fn(Client, Option<M>) -> F,
    F: Future<Output = Result<Page<T, M>, S3Error>> + Send + 'static,
{
    async fn step(mut self) -> Result<Option<(Entry<T>, Self)>, S3Error> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Ok(Some((entry, self)));
            }
            let page = match std::mem::replace(&mut self.at, At::End) {
                At::Mark(mark) => (self.fetch)(self.client.clone(), mark).await?,
                At::Ahead(mut ahead) => (&mut ahead.0)
                    .await
                    .map_err(|error| self.client.not_understood(self.operation, error))??,
                At::End => return Ok(None),
            };
            self.entries = page.entries.into();
            if let Some(mark) = page.next {
                self.at = At::Ahead(PageAhead(tokio::spawn((self.fetch)(self.client.clone(), Some(mark)))));
            }
        }
    }
}
