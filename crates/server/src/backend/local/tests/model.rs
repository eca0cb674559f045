//! Random operations on the store and on a map that is obviously right; then every listing of both.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::backend::local::conditions::ReadConditions;
use crate::backend::local::etag::ETag;
use crate::backend::local::object::{PartInfo, UploadId};
use crate::backend::local::request::{
    CompletedPart, Completion, ListQuery, NewUpload, PartCopyRequest, Source,
};
use md5::{Digest, Md5};

#[derive(Debug, Clone)]
enum Operation {
    Put { key: String, size: usize, condition: u8 },
    Delete { key: String },
    DeleteMany { keys: Vec<String> },
    Copy { from: String, to: String },
    Begin { key: String },
    Part { upload: usize, number: u32, size: usize },
    PartCopy { upload: usize, number: u32, from: String, range: (u16, u16) },
    Complete { upload: usize, skip: u32 },
    Abort { upload: usize },
    Reopen,
}

/// Few characters, so that keys collide, nest and share prefixes; the bytes of `é` sort after all of ASCII.
fn keys() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab/é]{1,4}", 1 => Just("..".to_owned()), 1 => Just("a/../b".to_owned())]
}

fn operations() -> impl Strategy<Value = Operation> {
    let size = prop_oneof![0..40_usize, 1000..3000_usize];
    let number = 1..5_u32;
    prop_oneof![
        6 => (keys(), size.clone(), 0..4_u8).prop_map(|(key, size, condition)| Operation::Put { key, size, condition }),
        2 => keys().prop_map(|key| Operation::Delete { key }),
        1 => proptest::collection::vec(keys(), 0..4).prop_map(|keys| Operation::DeleteMany { keys }),
        2 => (keys(), keys()).prop_map(|(from, to)| Operation::Copy { from, to }),
        2 => keys().prop_map(|key| Operation::Begin { key }),
        4 => (any::<usize>(), number.clone(), size)
            .prop_map(|(upload, number, size)| Operation::Part { upload, number, size }),
        2 => (any::<usize>(), number.clone(), keys(), any::<(u16, u16)>())
            .prop_map(|(upload, number, from, range)| Operation::PartCopy { upload, number, from, range }),
        2 => (any::<usize>(), number).prop_map(|(upload, skip)| Operation::Complete { upload, skip }),
        1 => any::<usize>().prop_map(|upload| Operation::Abort { upload }),
        1 => Just(Operation::Reopen),
    ]
}

#[derive(Clone, PartialEq, Debug)]
struct Object {
    content: Vec<u8>,
    etag: String,
}

struct Upload {
    key: String,
    id: UploadId,
    parts: BTreeMap<u32, (Vec<u8>, PartInfo)>,
}

struct Both {
    directory: tempfile::TempDir,
    store: Option<Store>,
    home: BucketName,
    objects: BTreeMap<String, Object>,
    uploads: Vec<Upload>,
    seed: u64,
}

fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Both {
    fn store(&self) -> Store {
        self.store.clone().unwrap()
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        self.seed += 1;
        bytes(self.seed, size)
    }

    fn pick(&self, upload: usize) -> Option<usize> {
        (!self.uploads.is_empty()).then(|| upload % self.uploads.len())
    }

    async fn apply(&mut self, operation: Operation) {
        let (store, home) = (self.store(), self.home.clone());
        match operation {
            Operation::Put { key, size, condition } => self.put(&key, size, condition).await,
            Operation::Delete { key: name } => {
                let deleted = store.delete(&home, Deletion::of(key(&name))).await.unwrap();
                assert_eq!(deleted.existed, self.objects.remove(&name).is_some());
            }
            Operation::DeleteMany { keys } => {
                let asked = keys.iter().map(|name| Deletion::of(key(name))).collect();
                let answers = store.delete_many(&home, asked).await.unwrap();
                let expected: Vec<_> = keys.iter().map(|name| self.objects.remove(name).is_some()).collect();
                let existed: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().existed).collect();
                assert_eq!(existed, expected);
            }
            Operation::Copy { from, to } => {
                let source = Source { bucket: home.clone(), key: key(&from), version: None };
                let request = copying(source, (home, key(&to)));
                match (store.copy(request).await, self.objects.get(&from).cloned()) {
                    (Ok(copied), Some(object)) => {
                        // The copy is in one piece, whatever its source was uploaded as.
                        let etag = md5_hex(&object.content);
                        assert_eq!(copied.object.etag.to_string(), etag);
                        self.objects.insert(to, Object { etag, ..object });
                    }
                    (Err(StoreError::NoSuchKey(_)), None) => {}
                    (found, expected) => panic!("{found:?} {expected:?}"),
                }
            }
            Operation::Begin { key: name } => {
                let id = store.create_upload(&home, &key(&name), NewUpload::default()).await.unwrap().id;
                self.uploads.push(Upload { key: name, id, parts: BTreeMap::new() });
            }
            Operation::Part { upload, number, size } => {
                let Some(at) = self.pick(upload) else { return };
                let content = self.content(size);
                let staged = stage(&store, &content).await;
                let Upload { key: name, id, parts } = &mut self.uploads[at];
                let part =
                    store.put_part(&home, &key(name), id, number, staged, Default::default()).await.unwrap();
                assert_eq!(part.etag.to_string(), md5_hex(&content));
                parts.insert(number, (content, part));
            }
            Operation::PartCopy { upload, number, from, range } => {
                self.copy_part(upload, number, &from, range).await
            }
            Operation::Complete { upload, skip } => self.complete(upload, skip).await,
            Operation::Abort { upload } => {
                let Some(at) = self.pick(upload) else { return };
                let upload = self.uploads.swap_remove(at);
                store.abort_upload(&home, &key(&upload.key), &upload.id).await.unwrap();
            }
            Operation::Reopen => {
                drop(store);
                self.store = None;
                self.store = Some(open(self.directory.path()));
            }
        }
    }

    async fn put(&mut self, name: &str, size: usize, condition: u8) {
        let content = self.content(size);
        let before = self.objects.get(name);
        let (condition, allowed) = match (condition, before) {
            (1, _) => (PutCondition::IfAbsent, before.is_none()),
            (2, _) => (PutCondition::IfPresent, before.is_some()),
            (3, Some(object)) => (PutCondition::IfMatches(object.etag.parse().unwrap()), true),
            (3, None) => (PutCondition::IfMatches(ETag::of_md5([7; 16])), false),
            _ => (PutCondition::Always, true),
        };
        let told = self.store().before_put(&self.home, &key(name), condition).await;
        assert_eq!(told.is_ok(), allowed, "{told:?}");
        let outcome = put_if(&self.store(), &self.home, name, &content, condition).await;
        assert_eq!(outcome.is_ok(), allowed, "{outcome:?}");
        if allowed {
            let etag = md5_hex(&content);
            self.objects.insert(name.to_owned(), Object { content, etag });
        }
    }

    async fn copy_part(&mut self, upload: usize, number: u32, from: &str, range: (u16, u16)) {
        let Some(at) = self.pick(upload) else { return };
        let source = self.objects.get(from).map(|object| object.content.clone());
        let size = source.as_ref().map_or(0, Vec::len);
        let mut ends = [usize::from(range.0) % (size + 1), usize::from(range.1) % (size + 1)];
        ends.sort_unstable();
        let [start, end] = ends;
        let upload = &mut self.uploads[at];
        let request = PartCopyRequest {
            source: Source { bucket: self.home.clone(), key: key(from), version: None },
            source_conditions: ReadConditions::default(),
            range: (!range.0.is_multiple_of(3)).then_some(start as u64..end as u64),
            target: (self.home.clone(), key(&upload.key)),
            upload: upload.id.clone(),
            number,
        };
        let whole = request.range.is_none();
        match (self.store.as_ref().unwrap().copy_part(request).await, source) {
            (Ok(part), Some(source)) => {
                let content = if whole { source } else { source[start..end].to_vec() };
                assert_eq!(part.etag.to_string(), md5_hex(&content));
                upload.parts.insert(number, (content, part));
            }
            (Err(StoreError::NoSuchKey(_)), None) => {}
            (found, expected) => panic!("{found:?} {expected:?}"),
        }
    }

    async fn complete(&mut self, upload: usize, skip: u32) {
        let Some(at) = self.pick(upload) else { return };
        let Upload { key: name, id, parts } = &self.uploads[at];
        let chosen: Vec<_> =
            parts.iter().filter(|(number, _)| **number != skip).map(|(_, part)| part).collect();
        let named = chosen.iter().map(|(_, part)| CompletedPart {
            number: part.number,
            etag: part.etag,
            checksum: None,
        });
        let completion = Completion { parts: named.collect(), ..Completion::default() };
        let outcome = self.store().complete_upload(&self.home, &key(name), id, completion).await;
        let too_small = chosen.iter().rev().skip(1).any(|(content, _)| content.len() < 8);
        match outcome {
            Err(StoreError::NoParts) => assert!(chosen.is_empty()),
            Err(StoreError::PartTooSmall { .. }) => assert!(too_small),
            Ok(info) => {
                assert!(!chosen.is_empty() && !too_small);
                let content = chosen.iter().flat_map(|(content, _)| content.clone()).collect();
                let digests: Vec<u8> = chosen.iter().flat_map(|(content, _)| Md5::digest(content)).collect();
                let etag = format!("{}-{}", md5_hex(&digests), chosen.len());
                assert_eq!(info.etag.to_string(), etag);
                self.objects.insert(name.clone(), Object { content, etag });
                self.uploads.swap_remove(at);
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Everything that can be read is what the model says.
    async fn compare(&self) {
        let store = self.store();
        for (name, object) in &self.objects {
            let (info, content) = store.get(&self.home, &key(name), None).await.unwrap();
            assert_eq!(info.etag.to_string(), object.etag);
            assert_eq!(collect(content.read(0..info.size).unwrap()).await.unwrap(), object.content);
        }
        for prefix in ["", "a", "a/", "é", "zz"] {
            for delimiter in ["", "/", "b", "/a"] {
                for after in ["", "a", "a/", "a/b", "b/", "é"] {
                    self.compare_listing(prefix, delimiter, after).await;
                }
            }
        }
        check(&store).await;
    }

    async fn compare_listing(&self, prefix: &str, delimiter: &str, after: &str) {
        let expected = listing(&self.objects, prefix, delimiter, after);
        for max_keys in 1..=expected.len() + 1 {
            let mut found = BTreeSet::new();
            let mut query = ListQuery {
                prefix: prefix.to_owned(),
                delimiter: delimiter.to_owned(),
                after: after.to_owned(),
                max_keys,
            };
            loop {
                let page = self.store().list(&self.home, query.clone()).await.unwrap();
                let held = page.objects.len() + page.common_prefixes.len();
                assert!(held <= max_keys && (page.next.is_none() || held == max_keys));
                for object in page.objects {
                    assert_eq!(object.etag.to_string(), self.objects[object.key.as_str()].etag);
                    assert!(found.insert(object.key.to_string()), "listed twice");
                }
                for common in page.common_prefixes {
                    assert!(found.insert(common), "listed twice");
                }
                let Some(next) = page.next else { break };
                assert_eq!(found.last(), Some(&next));
                query.after = next;
            }
            assert_eq!(found, expected, "{prefix:?} {delimiter:?} {after:?} {max_keys}");
        }
    }
}

/// The definition, word for word: filter, roll up, leave out what `after` covers.
fn listing(
    objects: &BTreeMap<String, Object>,
    prefix: &str,
    delimiter: &str,
    after: &str,
) -> BTreeSet<String> {
    let roll_up = |key: &str| match key[prefix.len()..].find(delimiter) {
        Some(at) if !delimiter.is_empty() => key[..prefix.len() + at + delimiter.len()].to_owned(),
        _ => key.to_owned(),
    };
    objects
        .keys()
        .filter(|key| key.starts_with(prefix) && key.as_str() > after)
        .map(|key| roll_up(key))
        .filter(|rolled| rolled != after)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_the_model_does(script in proptest::collection::vec(operations(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let directory = tempfile::tempdir().unwrap();
            let store = open(directory.path());
            let home = bucket("home");
            store.create_bucket(&home).await.unwrap();
            let mut both = Both {
                directory, store: Some(store), home, objects: BTreeMap::new(), uploads: Vec::new(), seed: 0,
            };
            for operation in script {
                both.apply(operation).await;
            }
            both.compare().await;
            // When all is deleted, nothing is left.
            let store = both.store.take().unwrap();
            for name in both.objects.keys() {
                store.delete(&both.home, Deletion::of(key(name))).await.unwrap();
            }
            store.delete_bucket(&both.home).await.unwrap();
            assert_eq!(check(&store).await.contents, 0);
            drop(store);
            assert_eq!(files(both.directory.path()), 0);
        });
    }
}
