//! Versions: random operations on the store and on lists that are obviously right, then every page of both.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::backend::local::request::{CompletedPart, Completion, ListQuery, NewUpload, Source, VersionQuery};
use crate::backend::local::version::{VersionId, Versioning};

#[derive(Debug, Clone)]
enum Operation {
    Put { key: String, size: usize, condition: u8 },
    Upload { key: String, size: usize },
    Copy { from: String, which: Option<usize>, to: String },
    Delete { key: String },
    DeleteVersion { key: String, which: usize },
    DeleteNull { key: String },
    Tag { key: String, which: Option<usize> },
    Versioning(bool),
    Reopen,
}

fn keys() -> impl Strategy<Value = String> {
    "[ab/]{1,3}"
}

fn operations() -> impl Strategy<Value = Operation> {
    let size = prop_oneof![0..40_usize, 1000..2000_usize];
    let which = proptest::option::of(any::<usize>());
    prop_oneof![
        8 => (keys(), size.clone(), 0..4_u8).prop_map(|(key, size, condition)| Operation::Put { key, size, condition }),
        1 => (keys(), size).prop_map(|(key, size)| Operation::Upload { key, size }),
        2 => (keys(), which.clone(), keys()).prop_map(|(from, which, to)| Operation::Copy { from, which, to }),
        4 => keys().prop_map(|key| Operation::Delete { key }),
        4 => (keys(), any::<usize>()).prop_map(|(key, which)| Operation::DeleteVersion { key, which }),
        1 => keys().prop_map(|key| Operation::DeleteNull { key }),
        2 => (keys(), which).prop_map(|(key, which)| Operation::Tag { key, which }),
        2 => any::<bool>().prop_map(Operation::Versioning),
        1 => Just(Operation::Reopen),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Version {
    id: VersionId,
    /// `None`: a delete marker.
    content: Option<Vec<u8>>,
    tag: Option<String>,
}

struct Both {
    directory: tempfile::TempDir,
    store: Option<Store>,
    home: BucketName,
    versioning: Versioning,
    /// Oldest first.
    versions: BTreeMap<String, Vec<Version>>,
    seed: u64,
}

impl Both {
    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        self.seed += 1;
        bytes(self.seed, size)
    }

    fn of(&self, name: &str) -> &[Version] {
        self.versions.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    fn current(&self, name: &str) -> Option<&Version> {
        self.of(name).last().filter(|version| version.content.is_some())
    }

    /// The definition: a write adds a version, takes the place of the `null` version, or of everything.
    fn add(&mut self, name: &str, made: Option<VersionId>, content: Option<Vec<u8>>, tag: Option<String>) {
        let versions = self.versions.entry(name.to_owned()).or_default();
        match self.versioning {
            Versioning::Never => {
                assert_eq!(made, None);
                versions.clear();
                if content.is_none() {
                    return;
                }
            }
            Versioning::Enabled => assert!(matches!(made, Some(VersionId::Made { .. }))),
            Versioning::Suspended => {
                assert_eq!(made, Some(VersionId::Null));
                versions.retain(|version| version.id != VersionId::Null);
            }
        }
        versions.push(Version { id: made.unwrap_or(VersionId::Null), content, tag });
    }

    fn pick(&self, name: &str, which: usize) -> Option<Version> {
        let versions = self.of(name);
        (!versions.is_empty()).then(|| versions[which % versions.len()].clone())
    }

    async fn apply(&mut self, operation: Operation) {
        let (store, home) = (self.store(), self.home.clone());
        match operation {
            Operation::Put { key: name, size, condition } => {
                let content = self.content(size);
                let present = self.current(&name).is_some();
                let (condition, allowed) = match condition {
                    1 => (PutCondition::IfAbsent, !present),
                    2 => (PutCondition::IfPresent, present),
                    _ => (PutCondition::Always, true),
                };
                let outcome = put_if(&store, &home, &name, &content, condition).await;
                assert_eq!(outcome.is_ok(), allowed, "{outcome:?}");
                if let Ok(info) = outcome {
                    self.add(&name, info.version, Some(content), None);
                }
            }
            Operation::Upload { key: name, size } => {
                let content = self.content(size);
                let id = store.create_upload(&home, &key(&name), NewUpload::default()).await.unwrap().id;
                let staged = stage(&store, &content).await;
                let part =
                    store.put_part(&home, &key(&name), &id, 1, staged, Default::default()).await.unwrap();
                let parts = vec![CompletedPart { number: 1, etag: part.etag, checksum: None }];
                let completion = Completion { parts, ..Completion::default() };
                let made = store.complete_upload(&home, &key(&name), &id, completion).await.unwrap();
                self.add(&name, made.version, Some(content), None);
            }
            Operation::Copy { from, which, to } => {
                let named = which.and_then(|which| self.pick(&from, which));
                let expected = named.clone().or_else(|| self.current(&from).cloned());
                let version = named.map(|version| version.id);
                let source = Source { bucket: home.clone(), key: key(&from), version };
                let request = copying(source, (home, key(&to)));
                match (store.copy(request).await, expected) {
                    (Ok(copied), Some(Version { content: Some(content), tag, id })) => {
                        let source = (self.versioning != Versioning::Never).then_some(id);
                        assert_eq!(copied.source_version, source);
                        self.add(&to, copied.object.version, Some(content), tag);
                    }
                    (Err(StoreError::IsDeleteMarker(_)), Some(Version { content: None, .. })) => {}
                    (Err(StoreError::Deleted(_) | StoreError::NoSuchKey(_)), None) => {}
                    (found, expected) => panic!("{found:?} {expected:?}"),
                }
            }
            Operation::Delete { key: name } => {
                let deleted = store.delete(&home, Deletion::of(key(&name))).await.unwrap();
                assert_eq!(deleted.marker, self.versioning != Versioning::Never);
                self.add(&name, deleted.version, None, None);
            }
            Operation::DeleteVersion { key: name, which } => {
                let Some(version) = self.pick(&name, which) else { return };
                self.delete(&name, version.id).await;
            }
            Operation::DeleteNull { key: name } => self.delete(&name, VersionId::Null).await,
            Operation::Tag { key: name, which } => {
                let named = which.and_then(|which| self.pick(&name, which));
                let version = named.as_ref().map(|version| version.id);
                self.seed += 1;
                let tag = self.seed.to_string();
                let tags = BTreeMap::from([("t".to_owned(), tag.clone())]);
                let outcome = store.set_tags(&home, &key(&name), version, tags).await;
                let expected =
                    named.or_else(|| self.current(&name).cloned()).filter(|found| found.content.is_some());
                assert_eq!(outcome.is_ok(), expected.is_some(), "{outcome:?}");
                if let Some(expected) = expected {
                    let versions = self.versions.get_mut(&name).unwrap();
                    versions.iter_mut().find(|version| version.id == expected.id).unwrap().tag = Some(tag);
                }
            }
            Operation::Versioning(enabled) => {
                store.set_versioning(&home, enabled).await.unwrap();
                self.versioning = if enabled { Versioning::Enabled } else { Versioning::Suspended };
                assert_eq!(store.bucket(&home).await.unwrap().versioning, self.versioning);
            }
            Operation::Reopen => {
                drop(store);
                self.store = None;
                self.store = Some(open(self.directory.path()));
            }
        }
    }

    async fn delete(&mut self, name: &str, version: VersionId) {
        let deletion = Deletion { version: Some(version), ..Deletion::of(key(name)) };
        let deleted = self.store().delete(&self.home, deletion).await.unwrap();
        let versions = self.versions.entry(name.to_owned()).or_default();
        let before = versions.len();
        let marker = versions.iter().any(|found| found.id == version && found.content.is_none());
        versions.retain(|found| found.id != version);
        assert_eq!((deleted.existed, deleted.marker), (before != versions.len(), marker));
    }

    async fn compare(&self) {
        let store = self.store();
        for (name, versions) in &self.versions {
            let current = store.head(&self.home, &key(name), None).await;
            match versions.last() {
                None => assert!(matches!(current, Err(StoreError::NoSuchKey(_))), "{current:?}"),
                Some(Version { content: None, id, .. }) => {
                    let Err(StoreError::Deleted(marker)) = current else { panic!("{current:?}") };
                    assert_eq!(marker.version, *id);
                }
                Some(Version { content: Some(content), .. }) => {
                    assert_eq!(read(&store, &self.home, name).await.unwrap(), *content);
                }
            }
            for version in versions {
                let found = store.get(&self.home, &key(name), Some(version.id)).await;
                match &version.content {
                    Some(expected) => {
                        let (info, content) = found.unwrap();
                        assert_eq!(info.tags.get("t"), version.tag.as_ref());
                        assert_eq!(collect(content.read(0..info.size).unwrap()).await.unwrap(), *expected);
                    }
                    None => assert!(matches!(found, Err(StoreError::IsDeleteMarker(_))), "{found:?}"),
                }
            }
        }
        for prefix in ["", "a", "b/"] {
            for delimiter in ["", "/"] {
                self.compare_listing(prefix, delimiter).await;
            }
        }
        let query = ListQuery { max_keys: 1000, ..ListQuery::default() };
        let listed: Vec<_> = store
            .list(&self.home, query)
            .await
            .unwrap()
            .objects
            .into_iter()
            .map(|object| object.key.to_string())
            .collect();
        let present: Vec<_> =
            self.versions.keys().filter(|name| self.current(name).is_some()).cloned().collect();
        assert_eq!(listed, present);
        check(&store).await;
    }

    async fn compare_listing(&self, prefix: &str, delimiter: &str) {
        let expected = listing(&self.versions, prefix, delimiter);
        for max_keys in 1..=expected.len() + 1 {
            let mut found = Vec::new();
            let mut query = VersionQuery {
                prefix: prefix.to_owned(),
                delimiter: delimiter.to_owned(),
                max_keys,
                ..VersionQuery::default()
            };
            loop {
                let page = self.store().list_versions(&self.home, query.clone()).await.unwrap();
                let held = page.versions.len() + page.common_prefixes.len();
                assert!(held <= max_keys && (page.next.is_none() || held == max_keys));
                let mut page_entries: Vec<_> =
                    page.common_prefixes.into_iter().map(|prefix| (prefix, None)).collect();
                for version in page.versions {
                    let entry =
                        (version.version, version.is_latest, version.object.map(|object| object.size));
                    page_entries.push((version.key.to_string(), Some(entry)));
                }
                page_entries.sort_by(|a, b| a.0.cmp(&b.0));
                found.extend(page_entries);
                let Some((after_key, after_version)) = page.next else { break };
                query = VersionQuery { after_key, after_version, ..query };
            }
            assert_eq!(found, expected, "{prefix:?} {delimiter:?} {max_keys}");
        }
    }
}

type Entry = (String, Option<(VersionId, bool, Option<u64>)>);

/// The definition: filter, roll up, latest first.
fn listing(versions: &BTreeMap<String, Vec<Version>>, prefix: &str, delimiter: &str) -> Vec<Entry> {
    let mut listed: Vec<Entry> = Vec::new();
    for (name, versions) in versions.iter().filter(|(name, _)| name.starts_with(prefix)) {
        let rolled = name[prefix.len()..].find(delimiter).filter(|_| !delimiter.is_empty());
        for (at, version) in versions.iter().enumerate().rev() {
            match rolled {
                Some(at) => {
                    let common = (name[..prefix.len() + at + delimiter.len()].to_owned(), None);
                    if listed.last() != Some(&common) {
                        listed.push(common);
                    }
                }
                None => {
                    let size = version.content.as_ref().map(|content| content.len() as u64);
                    listed.push((name.clone(), Some((version.id, at + 1 == versions.len(), size))));
                }
            }
        }
    }
    listed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn versions_are_what_the_model_says(script in proptest::collection::vec(operations(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let store = open(directory.path());
            let home = bucket("home");
            store.create_bucket(&home).await.unwrap();
            let mut both = Both {
                directory, store: Some(store), home, versioning: Versioning::Never, versions: BTreeMap::new(), seed: 0,
            };
            for operation in script {
                both.apply(operation).await;
            }
            both.compare().await;
            // While a version remains, the bucket does; when all is deleted, nothing is left.
            let all: Vec<_> = both
                .versions
                .iter()
                .flat_map(|(name, versions)| versions.iter().map(|version| (name.clone(), version.id)))
                .collect();
            for (name, version) in all {
                let refused = both.store().delete_bucket(&both.home).await;
                assert!(matches!(refused, Err(StoreError::BucketNotEmpty(_))));
                both.delete(&name, version).await;
            }
            let store = both.store.take().unwrap();
            store.delete_bucket(&both.home).await.unwrap();
            assert_eq!(check(&store).await.contents, 0);
            drop(store);
            assert_eq!(files(both.directory.path()), 0);
        });
    }
}

#[tokio::test]
async fn conditions_are_about_the_current_version() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    store.set_versioning(&home, true).await.unwrap();
    let first = put(&store, &home, "k", b"1").await.unwrap();
    let second = put(&store, &home, "k", b"2").await.unwrap();
    let of_first = |condition| Deletion { version: first.version, condition, ..Deletion::of(key("k")) };
    let refused = store.delete(&home, of_first(PutCondition::IfMatches(first.etag))).await;
    assert!(matches!(refused, Err(StoreError::PreconditionFailed)), "{refused:?}");
    assert!(store.delete(&home, of_first(PutCondition::IfMatches(second.etag))).await.unwrap().existed);
    // A key whose latest version is a delete marker is not there.
    store.delete(&home, Deletion::of(key("k"))).await.unwrap();
    let refused = put_if(&store, &home, "k", b"3", PutCondition::IfPresent).await;
    assert!(matches!(refused, Err(StoreError::NoSuchKey(_))), "{refused:?}");
    put_if(&store, &home, "k", b"3", PutCondition::IfAbsent).await.unwrap();
}

#[tokio::test]
async fn a_page_of_versions_costs_what_it_holds() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let home = bucket("home");
    store.create_bucket(&home).await.unwrap();
    store.set_versioning(&home, true).await.unwrap();
    let index = rusqlite::Connection::open(directory.path().join("index.sqlite")).unwrap();
    // 100,000 keys in 200 directories, each with two older versions.
    for (table, seqs) in [("object", "3"), ("version", "1"), ("version", "2")] {
        let sql = format!(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) \
             INSERT INTO {table} (bucket, key, seq, token, size, etag, modified, storage_class, content) \
             SELECT 1, CAST(printf('dir%03d/file%04d', i / 500, i % 500) AS BLOB), {seqs}, 7, 1, zeroblob(16), 0, 0, 0 FROM n"
        );
        index.execute(&sql, []).unwrap();
    }
    let list = async |query| store.list_versions_with_cost(&home, query).await.unwrap();
    let query = VersionQuery { max_keys: 1000, ..VersionQuery::default() };
    let (page, cost) = list(VersionQuery { delimiter: "/".to_owned(), ..query.clone() }).await;
    assert_eq!(page.common_prefixes.len(), 200);
    assert!(cost.rows <= 201 && cost.seeks <= 202, "{cost:?}");
    let after = VersionQuery {
        after_key: "dir100/file0001".to_owned(),
        after_version: Some(VersionId::Made { seq: 2, token: 7 }),
        ..query
    };
    let (page, cost) = list(after).await;
    assert_eq!(page.versions[0].version, VersionId::Made { seq: 1, token: 7 });
    assert_eq!((page.versions.len(), cost.seeks, cost.rows), (1000, 1, 1001));
    // Nothing is sorted: the two tables are merged as they lie.
    let plan: Vec<String> = index
        .prepare(&format!("EXPLAIN QUERY PLAN {}", crate::backend::local::listing::VERSION_ROWS))
        .unwrap()
        .query_map((1, "a", "b", 1), |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
}
