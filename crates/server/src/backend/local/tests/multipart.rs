//! Multipart uploads: order, sizes, tags, checksums, copies of ranges, pages.

use std::ops::Range;

use super::*;
use crate::backend::local::attributes::StorageClass;
use crate::backend::local::checksum::{Checksum, ChecksumAlgorithm, ChecksumKind, Checksums};
use crate::backend::local::conditions::ReadConditions;
use crate::backend::local::etag::ETag;
use crate::backend::local::object::{PartInfo, UploadId};
use crate::backend::local::object_lock::Lock;
use crate::backend::local::request::{
    Completed, CompletedPart, Completion, CopyRequest, NewUpload, PartCopyRequest, Source, UploadQuery,
    VersionQuery,
};

struct Upload {
    store: Store,
    home: BucketName,
    key: ObjectKey,
    id: UploadId,
    directory: tempfile::TempDir,
}

async fn begin(new: NewUpload) -> Upload {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let (home, key) = (bucket("home"), key("big"));
    store.create_bucket(&home).await.unwrap();
    let id = store.create_upload(&home, &key, new).await.unwrap().id;
    Upload { store, home, key, id, directory }
}

impl Upload {
    async fn part(&self, number: u32, content: &[u8]) -> Result<PartInfo, StoreError> {
        let algorithms: Vec<_> = self.info().await?.into_iter().collect();
        let mut writer = self.store.writer(&algorithms);
        writer.write(Bytes::copy_from_slice(content)).await?;
        let staged = writer.finish().await?;
        let checksums = staged.digests().checksums.clone();
        self.store.put_part(&self.home, &self.key, &self.id, number, staged, checksums).await
    }

    async fn info(&self) -> Result<Option<ChecksumAlgorithm>, StoreError> {
        let info = self.store.upload(&self.home, &self.key, &self.id).await?;
        Ok(info.checksum.map(|(algorithm, _)| algorithm))
    }

    async fn copy(&self, number: u32, name: &str, range: Option<Range<u64>>) -> Result<PartInfo, StoreError> {
        let request = PartCopyRequest {
            source: Source { bucket: self.home.clone(), key: key(name), version: None },
            source_conditions: ReadConditions::default(),
            range,
            target: (self.home.clone(), self.key.clone()),
            upload: self.id.clone(),
            number,
        };
        self.store.copy_part(request).await
    }

    async fn complete(&self, parts: &[&PartInfo]) -> Result<Completed, StoreError> {
        self.complete_as(Completion { parts: named(parts), ..Completion::default() }).await
    }

    async fn complete_as(&self, completion: Completion) -> Result<Completed, StoreError> {
        self.store.complete_upload(&self.home, &self.key, &self.id, completion).await
    }
}

fn named(parts: &[&PartInfo]) -> Vec<CompletedPart> {
    let each = |part: &&PartInfo| CompletedPart {
        number: part.number,
        etag: part.etag,
        checksum: part.checksums.iter().next().cloned(),
    };
    parts.iter().map(each).collect()
}

#[tokio::test]
async fn parts_become_an_object_without_being_rewritten() {
    let upload = begin(NewUpload::default()).await;
    let third = upload.part(30, b"end").await.unwrap();
    let first = upload.part(1, &bytes(1, 300_000)).await.unwrap();
    upload.part(2, &bytes(9, 50)).await.unwrap();
    let second = upload.part(2, &bytes(2, 70_000)).await.unwrap();
    upload.part(4, &bytes(4, 40)).await.unwrap();
    let object = upload.complete(&[&first, &second, &third]).await.unwrap();
    let whole = [bytes(1, 300_000), bytes(2, 70_000), b"end".to_vec()].concat();
    assert_eq!(object.size, whole.len() as u64);
    assert_eq!(object.etag, ETag::of_parts([&first.etag, &second.etag, &third.etag]));
    assert!(object.etag.to_string().ends_with("-3"));
    assert_eq!(read(&upload.store, &upload.home, "big").await.unwrap(), whole);
    let (_, content) = upload.store.get(&upload.home, &upload.key, None).await.unwrap();
    let across = collect(content.read(299_990..370_001).unwrap()).await.unwrap();
    assert_eq!(across, whole[299_990..370_001]);
    let parts = upload.store.object_parts(&upload.home, &upload.key, None).await.unwrap();
    let places: Vec<_> = parts.iter().map(|part| (part.number, part.start, part.size)).collect();
    assert_eq!(places, [(1, 0, 300_000), (2, 300_000, 70_000), (3, 370_000, 3)]);
    assert!(matches!(upload.info().await, Err(StoreError::NoSuchUpload(_))));
    check(&upload.store).await;
    drop(upload.store);
    assert_eq!(files(upload.directory.path()), 2);
}

#[tokio::test]
async fn wrong_completions_are_refused_and_the_upload_stays() {
    let upload = begin(NewUpload::default()).await;
    let first = upload.part(1, &bytes(1, 7)).await.unwrap();
    let second = upload.part(2, &bytes(2, 100)).await.unwrap();
    assert!(matches!(upload.complete(&[]).await, Err(StoreError::NoParts)));
    assert!(matches!(upload.complete(&[&second, &first]).await, Err(StoreError::InvalidPartOrder)));
    assert!(matches!(upload.complete(&[&second, &second]).await, Err(StoreError::InvalidPartOrder)));
    let small = upload.complete(&[&first, &second]).await;
    assert!(matches!(small, Err(StoreError::PartTooSmall { number: 1, size: 7, minimum: 8 })));
    let other = PartInfo { number: 3, ..second.clone() };
    assert!(matches!(upload.complete(&[&other]).await, Err(StoreError::InvalidPart(3))));
    let other = PartInfo { etag: first.etag, ..second.clone() };
    assert!(matches!(upload.complete(&[&other]).await, Err(StoreError::InvalidPart(2))));
    let parts = named(&[&second]);
    let wrong = Completion { parts: parts.clone(), size: Some(99), ..Completion::default() };
    assert!(matches!(upload.complete_as(wrong).await, Err(StoreError::DigestMismatch("size"))));
    let missing = Completion { parts, condition: PutCondition::IfPresent, ..Completion::default() };
    assert!(matches!(upload.complete_as(missing).await, Err(StoreError::NoSuchKey(_))));
    for number in [0, 10_001] {
        assert!(matches!(upload.part(number, b"x").await, Err(StoreError::PartNumberOutOfRange(_))));
    }
    assert_eq!(upload.complete(&[&second]).await.unwrap().size, 100);
    check(&upload.store).await;
}

#[tokio::test]
async fn a_completion_is_answered_again() {
    let upload = begin(NewUpload {
        checksum: Some((ChecksumAlgorithm::Crc32, ChecksumKind::Composite)),
        ..NewUpload::default()
    })
    .await;
    upload.store.set_versioning(&upload.home, true).await.unwrap();
    let first = upload.part(1, &bytes(1, 100)).await.unwrap();
    let second = upload.part(2, &bytes(2, 5)).await.unwrap();
    let made = upload.complete(&[&first, &second]).await.unwrap();
    assert_eq!(upload.complete(&[&first, &second]).await.unwrap(), made);
    // Also where it was replaced meanwhile, and under a condition that holds no more; no second version is made.
    put(&upload.store, &upload.home, "big", b"new").await.unwrap();
    let again = Completion {
        parts: named(&[&first, &second]),
        condition: PutCondition::IfAbsent,
        ..Completion::default()
    };
    assert_eq!(upload.complete_as(again).await.unwrap(), made);
    let query = VersionQuery { max_keys: 10, ..VersionQuery::default() };
    assert_eq!(upload.store.list_versions(&upload.home, query).await.unwrap().versions.len(), 2);
    // Other parts, another key, an aborted upload: no answer.
    assert!(matches!(upload.complete(&[&first]).await, Err(StoreError::NoSuchUpload(_))));
    let elsewhere = Completion { parts: named(&[&first, &second]), ..Completion::default() };
    let other = upload.store.complete_upload(&upload.home, &key("other"), &upload.id, elsewhere).await;
    assert!(matches!(other, Err(StoreError::NoSuchUpload(_))));
    let store = open_again(upload.store, upload.directory.path());
    let again = Completion { parts: named(&[&first, &second]), ..Completion::default() };
    let made_before = store.complete_upload(&upload.home, &upload.key, &upload.id, again).await.unwrap();
    assert_eq!(made_before, made);
}

fn open_again(store: Store, directory: &Path) -> Store {
    drop(store);
    open(directory)
}

#[tokio::test]
async fn a_copy_of_parts_is_in_one_piece() {
    let checksum = Some((ChecksumAlgorithm::Sha256, ChecksumKind::Composite));
    let upload = begin(NewUpload { checksum, ..NewUpload::default() }).await;
    let first = upload.part(1, &bytes(1, 1000)).await.unwrap();
    let second = upload.part(2, &bytes(2, 500)).await.unwrap();
    upload.complete(&[&first, &second]).await.unwrap();
    let request = CopyRequest {
        source: Source { bucket: upload.home.clone(), key: upload.key.clone(), version: None },
        source_conditions: ReadConditions::default(),
        target: (upload.home.clone(), key("copy")),
        condition: PutCondition::Always,
        attributes: None,
        tags: None,
        storage_class: StorageClass::Standard,
        checksum: None,
        lock: Lock::default(),
    };
    let copy = upload.store.copy(request).await.unwrap().object;
    let whole = [bytes(1, 1000), bytes(2, 500)].concat();
    assert_eq!(copy.etag, ETag::of_md5(<md5::Md5 as md5::Digest>::digest(&whole).into()));
    let expected = Checksum::of(ChecksumAlgorithm::Sha256, &whole);
    assert_eq!(copy.checksums.of(ChecksumAlgorithm::Sha256), Some(&expected));
    assert_eq!(upload.store.object_parts(&upload.home, &key("copy"), None).await.unwrap(), []);
    assert_eq!(files(upload.directory.path()), 2, "the bytes are shared");
}

#[tokio::test]
async fn an_abort_leaves_nothing() {
    let upload = begin(NewUpload::default()).await;
    upload.part(1, &bytes(1, 1000)).await.unwrap();
    upload.store.abort_upload(&upload.home, &upload.key, &upload.id).await.unwrap();
    let again = upload.store.abort_upload(&upload.home, &upload.key, &upload.id).await;
    assert!(matches!(again, Err(StoreError::NoSuchUpload(_))));
    assert!(matches!(upload.part(1, b"x").await, Err(StoreError::NoSuchUpload(_))));
    // A bucket takes its uploads with it.
    let id = upload.store.create_upload(&upload.home, &upload.key, NewUpload::default()).await.unwrap().id;
    let upload = Upload { id, ..upload };
    upload.part(1, &bytes(1, 1000)).await.unwrap();
    upload.store.delete_bucket(&upload.home).await.unwrap();
    check(&upload.store).await;
    drop(upload.store);
    assert_eq!(files(upload.directory.path()), 0);
}

#[tokio::test]
async fn checksums_of_the_whole_come_from_the_parts() {
    for (algorithm, kind) in [
        (ChecksumAlgorithm::Crc64Nvme, ChecksumKind::FullObject),
        (ChecksumAlgorithm::Crc32c, ChecksumKind::FullObject),
        (ChecksumAlgorithm::Sha256, ChecksumKind::Composite),
    ] {
        let upload = begin(NewUpload { checksum: Some((algorithm, kind)), ..NewUpload::default() }).await;
        let first = upload.part(1, &bytes(1, 1000)).await.unwrap();
        let second = upload.part(2, &bytes(2, 500)).await.unwrap();
        let each = [&first, &second].map(|part| (part.checksums.of(algorithm).unwrap().clone(), part.size));
        let expected = Checksum::of_parts(algorithm, kind, &each).unwrap();
        let parts = named(&[&first, &second]);
        let wrong = Checksum::full(algorithm, vec![0; algorithm.value_len()]);
        let refused = upload
            .complete_as(Completion { parts: parts.clone(), checksum: wrong, ..Completion::default() })
            .await;
        assert!(matches!(refused, Err(StoreError::DigestMismatch("checksum"))));
        let mut other = parts.clone();
        other[0].checksum.clone_from(&parts[1].checksum);
        let refused = upload.complete_as(Completion { parts: other, ..Completion::default() }).await;
        assert!(matches!(refused, Err(StoreError::InvalidPart(1))));
        let right = Completion { parts, checksum: Some(expected.clone()), ..Completion::default() };
        let object = upload.complete_as(right).await.unwrap();
        assert_eq!(object.checksums.of(algorithm), Some(&expected));
        if kind == ChecksumKind::FullObject {
            let mut writer = upload.store.writer(&[algorithm]);
            writer.write(Bytes::from([bytes(1, 1000), bytes(2, 500)].concat())).await.unwrap();
            let whole = writer.finish().await.unwrap();
            assert_eq!(whole.digests().checksums.of(algorithm), Some(&expected));
        }
        let kept = upload.store.object_parts(&upload.home, &upload.key, None).await.unwrap();
        assert_eq!(kept[1].checksums, second.checksums);
    }
}

#[tokio::test]
async fn copied_parts_share_what_they_mostly_use_and_rewrite_slivers() {
    let upload = begin(NewUpload::default()).await;
    let (store, home) = (&upload.store, &upload.home);
    let source = bytes(7, 100_000);
    put(store, home, "src", &source).await.unwrap();
    let whole = upload.copy(1, "src", None).await.unwrap();
    assert_eq!(whole.etag, store.head(home, &key("src"), None).await.unwrap().etag);
    let most = upload.copy(2, "src", Some(10_000..90_000)).await.unwrap();
    assert_eq!(files(upload.directory.path()), 1);
    let sliver = upload.copy(3, "src", Some(5..1000)).await.unwrap();
    assert_eq!(files(upload.directory.path()), 2);
    assert!(matches!(
        upload.copy(4, "src", Some(5..100_001)).await,
        Err(StoreError::RangeNotSatisfiable { .. })
    ));
    assert!(matches!(upload.copy(4, "none", None).await, Err(StoreError::NoSuchKey(_))));
    upload.complete(&[&whole, &most, &sliver]).await.unwrap();
    store.delete(home, Deletion::of(key("src"))).await.unwrap();
    let expected = [&source[..], &source[10_000..90_000], &source[5..1000]].concat();
    assert_eq!(read(store, home, "big").await.unwrap(), expected);
    // A part copied from the composite crosses its slices; completing flattens them.
    let id = store.create_upload(home, &upload.key, NewUpload::default()).await.unwrap().id;
    let again = Upload {
        id,
        key: upload.key.clone(),
        home: home.clone(),
        store: store.clone(),
        directory: tempfile::tempdir().unwrap(),
    };
    let first = again.copy(1, "big", Some(100..180_500)).await.unwrap();
    let second = again.part(2, b"tail").await.unwrap();
    again.complete(&[&first, &second]).await.unwrap();
    let expected = [&expected[100..180_500], b"tail"].concat();
    assert_eq!(read(store, home, "big").await.unwrap(), expected);
    let parts = store.object_parts(home, &upload.key, None).await.unwrap();
    assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [180_400, 4]);
    check(store).await;
    store.delete(home, Deletion::of(key("big"))).await.unwrap();
    check(store).await;
    let directory = upload.directory;
    drop((upload.store, again.store));
    assert_eq!(files(directory.path()), 0);
}

#[tokio::test]
async fn parts_and_uploads_are_listed_in_pages() {
    let upload = begin(NewUpload { storage_class: StorageClass::GlacierIr, ..NewUpload::default() }).await;
    let (store, home) = (&upload.store, &upload.home);
    for number in [5, 1, 3] {
        upload.part(number, &[number as u8]).await.unwrap();
    }
    let page = store.list_parts(home, &upload.key, &upload.id, 0, 2).await.unwrap();
    assert_eq!(
        (page.parts.iter().map(|part| part.number).collect::<Vec<_>>(), page.next),
        (vec![1, 3], Some(3))
    );
    let page = store.list_parts(home, &upload.key, &upload.id, 3, 2).await.unwrap();
    assert_eq!((page.parts.len(), page.next), (1, None));
    assert_eq!(page.parts[0].checksums, Checksums::default());

    let mut expected = vec![("big".to_owned(), upload.id.clone())];
    for name in ["a", "a/1", "a/2", "b/", "big", "c"] {
        let id = store.create_upload(home, &key(name), NewUpload::default()).await.unwrap().id;
        expected.push((name.to_owned(), id));
    }
    expected.sort();
    for max_uploads in 1..=8 {
        let mut found = Vec::new();
        let mut query = UploadQuery { max_uploads, ..UploadQuery::default() };
        loop {
            let page = store.list_uploads(home, query.clone()).await.unwrap();
            assert!(page.uploads.len() <= max_uploads);
            found.extend(page.uploads.into_iter().map(|upload| (upload.key.to_string(), upload.id)));
            let Some((after_key, after_upload)) = page.next else { break };
            query = UploadQuery { after_key, after_upload, ..query };
        }
        assert_eq!(found, expected, "{max_uploads}");
        let mut found = Vec::new();
        let mut query = UploadQuery { max_uploads, delimiter: "/".to_owned(), ..UploadQuery::default() };
        loop {
            let page = store.list_uploads(home, query.clone()).await.unwrap();
            found.extend(page.uploads.into_iter().map(|upload| upload.key.to_string()));
            found.extend(page.common_prefixes);
            let Some((after_key, after_upload)) = page.next else { break };
            query = UploadQuery { after_key, after_upload, ..query };
        }
        found.sort();
        assert_eq!(found, ["a", "a/", "b/", "big", "big", "c"], "{max_uploads}");
    }
    // Without the upload's name, the marker stands for all of its key.
    let query = UploadQuery { after_key: "big".to_owned(), max_uploads: 10, ..UploadQuery::default() };
    assert_eq!(store.list_uploads(home, query).await.unwrap().uploads.len(), 1);
}
