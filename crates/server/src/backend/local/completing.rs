//! Making an object of an upload's parts, within the writing transaction.
//!
//! Enters: the parts that the client names, with what it knows of them. Leaves: an object whose content is a composite of
//! the parts' contents; no byte is rewritten. Refused: parts that are not there or not as named, out of order or too small,
//! and a size or checksum that is not theirs. Source: Amazon S3 API Reference, `CompleteMultipartUpload`.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};
use wigeon_core::time::Timestamp;

use super::attributes::NewObject;
use super::checksum::{Checksum, ChecksumAlgorithm, Checksums};
use super::commit::Effects;
use super::contents::{Slice, acquire, insert_composite, release, segments, slices};
use super::error::StoreError;
use super::etag::ETag;
use super::index::{self, BucketRow, all, attributes_and_tags, one, part_info, run};
use super::object::{ObjectInfo, PartInfo, UploadInfo};
use super::objects;
use super::places::ContentId;
use super::request::{Completed, Completion};
use super::uploads::{UploadAt, UploadRow, find, remove};
use super::usage;

/// Makes an object of an upload's parts; tells also the bucket's row.
pub(super) fn complete(
    index: &Connection,
    effects: &mut Effects,
    at: &UploadAt,
    completion: &Completion,
    (id, min_part_size): (ContentId, u64),
    now: Timestamp,
) -> Result<(BucketRow, Completed), StoreError> {
    let upload = find(index, at)?;
    let chosen = choose(parts(index, upload.row)?, completion, min_part_size)?;
    let size = chosen.iter().map(|(part, _)| part.size).sum();
    if completion.size.is_some_and(|expected| expected != size) {
        return Err(StoreError::DigestMismatch("size"));
    }
    let checksum = checksum(&upload.info, &chosen, completion)?;
    let sql = "SELECT attributes, tags, lock FROM upload WHERE id = ?1";
    let read = |row: &Row<'_>| Ok((attributes_and_tags(row)?, index::lock(row)?));
    let ((attributes, tags), lock) = one(index, sql, &[&upload.row], read)?.unwrap_or_default();
    let new = NewObject {
        attributes,
        tags,
        storage_class: upload.info.storage_class,
        checksums: checksum.into_iter().collect(),
        lock,
    };
    let etag = ETag::of_parts(chosen.iter().map(|(part, _)| &part.etag));
    let info = objects::info(size, etag, new, now)?;
    let target = (upload.bucket, &at.key);
    let info = objects::replace(index, effects, target, info, completion.condition, |index, effects| {
        let slices = join(index, effects, &upload, &chosen)?;
        insert_composite(index, id, &slices)?;
        Ok(id)
    })?;
    remove(index, effects, upload.bucket, upload.row)?;
    let ObjectInfo { etag, size, version, checksums, .. } = info;
    Ok((upload.bucket, Completed { etag, size, version, checksums }))
}

type Part = (PartInfo, ContentId);

fn parts(index: &Connection, upload: i64) -> Result<BTreeMap<u32, Part>, StoreError> {
    let sql =
        "SELECT number, size, etag, NULL AS parts, modified, checksums, content FROM part WHERE upload = ?1";
    let parts = all(index, sql, &[&upload], |row| {
        let part = part_info(row)?;
        Ok((part.number, (part, row.get("content")?)))
    })?;
    Ok(parts.into_iter().collect())
}

/// The parts that the completion names, in its order, if they are as it says.
fn choose(
    mut parts: BTreeMap<u32, Part>,
    completion: &Completion,
    minimum: u64,
) -> Result<Vec<Part>, StoreError> {
    let Some(last) = completion.parts.last() else { return Err(StoreError::NoParts) };
    if !completion.parts.is_sorted_by(|before, after| before.number < after.number) {
        return Err(StoreError::InvalidPartOrder);
    }
    let mut chosen = Vec::with_capacity(completion.parts.len());
    for wanted in &completion.parts {
        let invalid = || StoreError::InvalidPart(wanted.number);
        let (part, content) = parts.remove(&wanted.number).ok_or_else(invalid)?;
        let given = wanted.checksum.as_ref();
        let same = given.is_none_or(|given| part.checksums.of(given.algorithm()) == Some(given));
        if part.etag != wanted.etag || !same {
            return Err(invalid());
        }
        if part.size < minimum && part.number != last.number {
            return Err(StoreError::PartTooSmall { number: part.number, size: part.size, minimum });
        }
        chosen.push((part, content));
    }
    Ok(chosen)
}

/// The checksum that the upload was begun with, from those of the parts; it must be the one expected.
fn checksum(
    upload: &UploadInfo,
    chosen: &[Part],
    completion: &Completion,
) -> Result<Option<Checksum>, StoreError> {
    let of_parts = |algorithm: ChecksumAlgorithm, kind| {
        let each = |(part, _): &Part| Some((part.checksums.of(algorithm)?.clone(), part.size));
        Checksum::of_parts(algorithm, kind, &chosen.iter().map(each).collect::<Option<Vec<_>>>()?)
    };
    let computed = upload.checksum.and_then(|(algorithm, kind)| of_parts(algorithm, kind));
    match (&completion.checksum, &computed) {
        (None, _) => Ok(computed),
        (Some(expected), Some(computed))
            if expected.algorithm() == computed.algorithm() && expected.value() == computed.value() =>
        {
            Ok(Some(computed.clone()))
        }
        (Some(_), _) => Err(StoreError::DigestMismatch("checksum")),
    }
}

/// Takes the parts' contents over into slices. A part that is one content hands its reference over; one that
/// is a composite hands its segments' sources over, and is given up.
fn join(
    index: &Connection,
    effects: &mut Effects,
    upload: &UploadRow,
    chosen: &[Part],
) -> Result<Vec<Slice>, StoreError> {
    let mut joined = Vec::with_capacity(chosen.len());
    for (number, (part, content)) in (1_u32..).zip(chosen) {
        let mut own = segments(index, *content)?;
        if own.is_empty() {
            own = slices(index, *content)?;
        } else {
            for slice in &own {
                acquire(index, slice.source)?;
            }
            release(index, effects, *content)?;
        }
        run(index, "DELETE FROM part WHERE upload = ?1 AND number = ?2", &[&upload.row, &part.number])?;
        usage::went(index, upload.bucket, part.size, 0)?;
        for (position, slice) in own.into_iter().enumerate() {
            let checksums = if position == 0 { part.checksums.clone() } else { Checksums::default() };
            joined.push(Slice { part: number, checksums, ..slice });
        }
    }
    Ok(joined)
}
