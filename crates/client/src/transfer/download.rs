//! Objects out of a store: into files, whole or not at all, and into streams.
//!
//! A file appears under its name only when all its bytes are there and the strongest proof that the store
//! offers holds: its checksum of the whole object, else the MD5 in its entity tag, else the length.

use std::path::Path;
use std::sync::Arc;

use md5::{Digest as _, Md5};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use wigeon_core::sigv4::canonical::hex;

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::{SharedFile, blocking};
use super::file_time::with_time;
use super::folder::no_links_below;
use super::item::{Address, Done};
use super::partial::{self, Range, place};
use super::reader::ObjectReader;
use crate::s3::{Checksum, Client, Digest, GetOptions, ObjectHead, Verified};

/// Up to this size an object is held in memory, and its file made in one go.
const WRITE_SIZE: usize = 1 << 20;
const MD5: &str = "MD5 digest";

impl Transfers {
    /// Downloads an object into a file, by way of a temporary file beside it. `known_size` (from a list) saves
    /// a request for small objects.
    ///
    /// # Errors
    /// See [`TransferError`]; the file is then as it was.
    pub async fn download_file(
        &self,
        client: &Client,
        from: &Address,
        known_size: Option<u64>,
        to: &Path,
    ) -> Result<Done, TransferError> {
        self.download_within(client, from, known_size, (to, None)).await
    }

    /// The same, where no symbolic link may stand between a folder and the file.
    pub(crate) async fn download_within(
        &self,
        client: &Client,
        from: &Address,
        known_size: Option<u64>,
        (to, within): (&Path, Option<&Arc<Path>>),
    ) -> Result<Done, TransferError> {
        if known_size.is_some_and(|size| size <= WRITE_SIZE as u64) {
            return self.download_in_one(client, from, (to, within)).await;
        }
        if let Some(root) = within {
            no_links_below(root, to).await?;
        }
        let path = to.to_owned();
        if blocking(move || path.is_dir()).await? {
            return Err(TransferError::NotAFile { path: to.to_owned(), what: "a folder" });
        }
        if known_size.is_some_and(|size| size < self.tuning.threshold) {
            return self.download_in_one(client, from, (to, None)).await;
        }
        let head = self
            .unless_stopped(client.head_object(&from.bucket, &from.key, &GetOptions::default()))
            .await??;
        if head.size < self.tuning.threshold {
            self.download_in_one(client, from, (to, None)).await
        } else {
            self.download_in_ranges(client, from, head, to).await
        }
    }

    async fn download_in_one(
        &self,
        client: &Client,
        from: &Address,
        (to, within): (&Path, Option<&Arc<Path>>),
    ) -> Result<Done, TransferError> {
        let (head, mut reader) = self.unless_stopped(ObjectReader::whole(client, from, None)).await??;
        let mut proof = Proof::new(&head);
        let times = self.times.then(|| with_time(&head));
        if head.size <= WRITE_SIZE as u64 {
            let _room = self.room_for(head.size).await?;
            let mut content = Vec::new();
            while let Some(chunk) = reader.next().await? {
                proof.update(&chunk);
                self.progress.moved(chunk.len() as u64);
                content.push(chunk);
            }
            let verified = proof.check(from)?;
            place((to, within), content, times).await?;
            return Ok(Done { bytes: head.size, verified, source: head.etag });
        }
        if let Some(root) = within {
            no_links_below(root, to).await?;
        }
        let partial = partial::begin(to).await?;
        self.write_all(&mut reader, &partial.file, |bytes| proof.update(bytes)).await?;
        let verified = proof.check(from)?;
        partial.persist(to, times).await?;
        Ok(Done { bytes: head.size, verified, source: head.etag })
    }

    async fn download_in_ranges(
        &self,
        client: &Client,
        from: &Address,
        head: ObjectHead,
        to: &Path,
    ) -> Result<Done, TransferError> {
        let mut partial = self.take_up_file(client, from, &head, to).await?;
        if let Err(error) = self.fetch_missing(client, from, &head, &mut partial).await {
            if error.may_go_on() {
                partial.leave();
            } else {
                partial.give_up();
            }
            return Err(error);
        }
        let checked = match head.checksum {
            Some(expected) => check_whole(expected, partial.ranges(), from),
            None => check_md5(&head, partial.path(), from).await,
        };
        match checked {
            Ok(verified) => {
                partial.persist(to, self.times.then(|| with_time(&head))).await?;
                Ok(Done { bytes: head.size, verified, source: head.etag })
            }
            Err(error) => {
                partial.give_up();
                Err(error)
            }
        }
    }

    /// Writes all that comes to its place.
    async fn write_all(
        &self,
        reader: &mut ObjectReader,
        file: &SharedFile,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<(), TransferError> {
        let mut offset = 0;
        while let Some(chunk) = reader.next().await? {
            seen(&chunk);
            file.write(offset, &chunk)?;
            offset += chunk.len() as u64;
            self.progress.moved(chunk.len() as u64);
        }
        Ok(())
    }

    /// Writes an object to a stream, from its beginning to its end. What was written cannot be taken back, so
    /// an object that turns out to be corrupt is an error at the end.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn download_stream(
        &self,
        client: &Client,
        from: &Address,
        mut to: impl AsyncWrite + Unpin,
    ) -> Result<Done, TransferError> {
        let (head, mut reader) = self.unless_stopped(ObjectReader::whole(client, from, None)).await??;
        let mut proof = Proof::new(&head);
        while let Some(chunk) = self.unless_stopped(reader.next()).await?? {
            proof.update(&chunk);
            to.write_all(&chunk).await.map_err(TransferError::Stream)?;
            self.progress.moved(chunk.len() as u64);
        }
        to.flush().await.map_err(TransferError::Stream)?;
        Ok(Done { bytes: head.size, verified: proof.check(from)?, source: head.etag })
    }
}

/// What is computed while the bytes of an object pass in order.
enum Proof {
    Checksum(Box<Digest>, Checksum),
    Md5(Box<Md5>, String),
    Length,
}

impl Proof {
    fn new(head: &ObjectHead) -> Self {
        match (head.checksum, head.md5()) {
            (Some(expected), _) => Self::Checksum(Box::new(Digest::new(expected.algorithm)), expected),
            (None, Some(md5)) => Self::Md5(Box::default(), md5.to_owned()),
            (None, None) => Self::Length,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Checksum(digest, _) => digest.update(bytes),
            Self::Md5(md5, _) => md5.update(bytes),
            Self::Length => {}
        }
    }

    fn check(self, from: &Address) -> Result<Verified, TransferError> {
        match self {
            Self::Checksum(digest, expected) => {
                same(digest.finish() == expected, Verified::Checksum, from, expected.algorithm.name())
            }
            Self::Md5(md5, expected) => {
                let equal = hex(&md5.finalize()).eq_ignore_ascii_case(&expected);
                same(equal, Verified::Md5, from, MD5)
            }
            Self::Length => Ok(Verified::Length),
        }
    }
}

/// Puts the checksums of the ranges together, which are in order.
fn check_whole(
    expected: Checksum,
    ranges: impl Iterator<Item = Range>,
    from: &Address,
) -> Result<Verified, TransferError> {
    let mut whole: Option<Checksum> = None;
    for (_, length, checksum) in ranges {
        whole = match (whole, checksum) {
            (Some(before), Some(next)) => Some(before.followed_by(next, length)),
            (None, next) => next,
            (before, None) => before,
        };
    }
    same(whole == Some(expected), Verified::Checksum, from, expected.algorithm.name())
}

/// Reads the file once more where its MD5 is known; ranges that came in any order have none of their own.
async fn check_md5(head: &ObjectHead, file: &Path, from: &Address) -> Result<Verified, TransferError> {
    let Some(expected) = head.md5() else {
        return Ok(Verified::Length);
    };
    let path = file.to_owned();
    let digest = blocking(move || {
        let mut md5 = Md5::new();
        let mut file = std::fs::File::open(path)?;
        let mut buffer = vec![0; WRITE_SIZE];
        loop {
            match std::io::Read::read(&mut file, &mut buffer)? {
                0 => return Ok(hex(&md5.finalize())),
                read => md5.update(buffer.get(..read).unwrap_or_default()),
            }
        }
    });
    let digest = digest.await?.map_err(|source| TransferError::File {
        action: "read",
        path: file.to_owned(),
        source,
    })?;
    same(digest.eq_ignore_ascii_case(expected), Verified::Md5, from, MD5)
}

fn same(equal: bool, proof: Verified, from: &Address, what: &'static str) -> Result<Verified, TransferError> {
    if equal { Ok(proof) } else { Err(TransferError::Corrupt { subject: from.to_string(), what }) }
}
