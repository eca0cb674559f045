//! What buckets are configured with: one document per bucket and subject, read from memory.
//!
//! The index keeps the documents; a snapshot of all of them lies in memory, so that a request looks at its
//! bucket's settings without touching the disk. The writing thread reads them anew after each commit that
//! changed one, before it answers. A document is parsed by whoever knows its form, once ([`Document::parsed`]).

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use rusqlite::Connection;
use wigeon_core::s3::BucketName;

use super::error::StoreError;
use super::index::{self, BucketRow, all, one, run, unreadable};

/// The subject of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// The bucket's policy.
    Policy,
    /// Rules for requests of web pages.
    Cors,
    /// The bucket's own tags.
    Tagging,
    /// What public access is blocked.
    PublicAccessBlock,
    /// Who owns the objects.
    OwnershipControls,
    /// When objects expire.
    Lifecycle,
    /// Default retention.
    ObjectLock,
}

impl Setting {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Policy,
        Self::Cors,
        Self::Tagging,
        Self::PublicAccessBlock,
        Self::OwnershipControls,
        Self::Lifecycle,
        Self::ObjectLock,
    ];

    /// As the index writes it; never changed.
    fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Cors => "cors",
            Self::Tagging => "tagging",
            Self::PublicAccessBlock => "public-access-block",
            Self::OwnershipControls => "ownership-controls",
            Self::Lifecycle => "lifecycle",
            Self::ObjectLock => "object-lock",
        }
    }
}

/// A setting's document, and what was made of it.
pub struct Document {
    text: Box<str>,
    parsed: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Document {
    fn new(text: String) -> Self {
        Self { text: text.into(), parsed: OnceLock::new() }
    }

    /// As it was set.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What `parse` makes of it: computed once in the document's life, so every caller gives the same `parse`.
    pub fn parsed<T: Send + Sync + 'static>(&self, parse: impl Fn(&str) -> T) -> Arc<T> {
        let known = self.parsed.get_or_init(|| Arc::new(parse(&self.text)));
        // Another type than was made first is made each time.
        Arc::clone(known).downcast().unwrap_or_else(|_| Arc::new(parse(&self.text)))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

/// The settings of one bucket.
pub type BucketSettings = BTreeMap<Setting, Arc<Document>>;

type Snapshot = HashMap<BucketName, Arc<BucketSettings>>;

/// The settings of all buckets that have any.
#[derive(Debug)]
pub(super) struct Settings {
    snapshot: ArcSwap<Snapshot>,
}

impl Settings {
    /// Reads them from the index.
    pub(super) fn load(index: &Connection) -> Result<Self, StoreError> {
        let snapshot = read(index, &Snapshot::new())?;
        Ok(Self { snapshot: ArcSwap::from_pointee(snapshot) })
    }

    /// Reads them again; documents that are as they were stay parsed.
    pub(super) fn reload(&self, index: &Connection) -> Result<(), StoreError> {
        let snapshot = read(index, &self.snapshot.load())?;
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// Those of a bucket.
    pub(super) fn of(&self, bucket: &BucketName) -> Arc<BucketSettings> {
        self.snapshot.load().get(bucket).cloned().unwrap_or_default()
    }

    /// One of a bucket.
    pub(super) fn document(&self, bucket: &BucketName, setting: Setting) -> Option<Arc<Document>> {
        self.snapshot.load().get(bucket)?.get(&setting).cloned()
    }
}

fn read(index: &Connection, before: &Snapshot) -> Result<Snapshot, StoreError> {
    let sql = "SELECT bucket.name, setting.name, setting.document FROM setting \
               JOIN bucket ON bucket.id = setting.bucket";
    let mut snapshot: HashMap<BucketName, BucketSettings> = HashMap::new();
    all(index, sql, &[], |row| {
        let bucket = BucketName::parse_existing(&row.get::<_, String>(0)?)
            .map_err(|_| unreadable("a bucket's name"))?;
        let (name, text): (String, String) = (row.get(1)?, row.get(2)?);
        let setting = Setting::ALL.into_iter().find(|setting| setting.name() == name);
        let setting = setting.ok_or_else(|| unreadable("a setting"))?;
        let known = before.get(&bucket).and_then(|settings| settings.get(&setting));
        let document = match known.filter(|known| known.text() == text) {
            Some(known) => Arc::clone(known),
            None => Arc::new(Document::new(text)),
        };
        snapshot.entry(bucket).or_default().insert(setting, document);
        Ok(())
    })?;
    Ok(snapshot.into_iter().map(|(bucket, settings)| (bucket, Arc::new(settings))).collect())
}

/// One of a bucket's settings, as the writing transaction has it.
pub(super) fn read_one(
    index: &Connection,
    bucket: BucketRow,
    setting: Setting,
) -> Result<Option<String>, StoreError> {
    let sql = "SELECT document FROM setting WHERE bucket = ?1 AND name = ?2";
    one(index, sql, &[&bucket.id, &setting.name()], |row| Ok(row.get(0)?))
}

/// Changes a setting within the writing transaction; `None` removes it.
pub(super) fn set(
    index: &Connection,
    bucket: &BucketName,
    setting: Setting,
    document: Option<&str>,
) -> Result<(), StoreError> {
    let bucket = index::bucket(index, bucket)?;
    let name = setting.name();
    match document {
        Some(document) => run(
            index,
            "INSERT OR REPLACE INTO setting (bucket, name, document) VALUES (?1, ?2, ?3)",
            &[&bucket.id, &name, &document],
        ),
        None => run(index, "DELETE FROM setting WHERE bucket = ?1 AND name = ?2", &[&bucket.id, &name]),
    }?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_parsed_once() {
        let document = Document::new("42".to_owned());
        let first = document.parsed(|text| text.parse::<i32>());
        assert_eq!(*first, Ok(42));
        assert!(Arc::ptr_eq(&first, &document.parsed(|_| "no".parse::<i32>())));
        assert_eq!(*document.parsed(str::len), 2);
    }
}
