//! Whether two contents of one size are the same, by the strongest digest that both sides can tell.
//!
//! In this order: the entity tag where it is an MD5, the store's checksum of the whole object, the MD5 that rclone
//! leaves in the metadata of large objects. A file is read for it; an object only where all bytes are asked for.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::Poll;

use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use tokio::io::AsyncWrite;
use wigeon_core::sigv4::canonical::hex;

use super::found::Found;
use super::side::Side;
use crate::s3::{Checksum, ChecksumAlgorithm, Digest, GetOptions, ObjectHead};
use crate::transfer::{TransferError, Transfers, blocking};

const BUFFER: usize = 1 << 20;
/// Where rclone keeps the MD5 of an object of several parts, in base64.
const RCLONE_MD5: &str = "md5chksum";

/// Whether both have the same content; `None` where there is nothing to tell it by.
pub(crate) async fn same_content(
    (one_side, one): (&Side, &Found),
    (other_side, other): (&Side, &Found),
) -> Result<Option<bool>, TransferError> {
    match (one_side, other_side) {
        (Side::Folder(folder), Side::Store { .. }) => {
            file_and_object(&folder.join(one.path()), other_side, other).await
        }
        (Side::Store { .. }, Side::Folder(folder)) => {
            file_and_object(&folder.join(other.path()), one_side, one).await
        }
        (Side::Store { .. }, Side::Store { .. }) => {
            if one.etag.is_some() && one.etag == other.etag {
                return Ok(Some(true));
            }
            let (one, other) = tokio::try_join!(head(one_side, one), head(other_side, other))?;
            Ok(same_heads(&one, &other))
        }
        (Side::Folder(one_folder), Side::Folder(other_folder)) => {
            let one = md5_of(one_folder.join(one.path())).await?;
            Ok(Some(one == md5_of(other_folder.join(other.path())).await?))
        }
    }
}

async fn file_and_object(file: &Path, side: &Side, object: &Found) -> Result<Option<bool>, TransferError> {
    if let Some(tag) = object.md5()
        && md5_of(file.to_owned()).await?.eq_ignore_ascii_case(tag)
    {
        return Ok(Some(true));
    }
    // A tag that looks like an MD5 is none where the store encrypts with a key of its own.
    let head = head(side, object).await?;
    if let Some(expected) = head.checksum {
        return Ok(Some(checksum_of(file.to_owned(), expected.algorithm).await? == expected));
    }
    match md5(&head) {
        Some(expected) => Ok(Some(md5_of(file.to_owned()).await?.eq_ignore_ascii_case(&expected))),
        None => Ok(None),
    }
}

fn same_heads(one: &ObjectHead, other: &ObjectHead) -> Option<bool> {
    match (one.checksum, other.checksum) {
        (Some(one), Some(other)) if one.algorithm == other.algorithm => return Some(one == other),
        _ => {}
    }
    let (one, other) = (md5(one)?, md5(other)?);
    Some(one.eq_ignore_ascii_case(&other))
}

fn md5(head: &ObjectHead) -> Option<String> {
    if let Some(tag) = head.md5() {
        return Some(tag.to_owned());
    }
    let (_, text) = head.metadata.iter().find(|(name, _)| name == RCLONE_MD5)?;
    let digest = BASE64_STANDARD.decode(text).ok().filter(|digest| digest.len() == 16)?;
    Some(hex(&digest))
}

/// The head of an object that a list named.
pub(crate) async fn head(side: &Side, object: &Found) -> Result<ObjectHead, TransferError> {
    let place = side.place(&object.name).transpose()?;
    let Some(place) = place else { return Ok(ObjectHead::default()) };
    let (bucket, key) = place.address.pair();
    Ok(place.client.head_object(bucket, key, &GetOptions::default()).await?)
}

async fn md5_of(file: PathBuf) -> Result<String, TransferError> {
    let mut digest = Md5::new();
    read(file, move |bytes| match bytes {
        Some(bytes) => {
            digest.update(bytes);
            None
        }
        None => Some(hex(&digest.finalize_reset())),
    })
    .await
}

async fn checksum_of(file: PathBuf, algorithm: ChecksumAlgorithm) -> Result<Checksum, TransferError> {
    let mut digest = Some(Digest::new(algorithm));
    read(file, move |bytes| match (bytes, &mut digest) {
        (Some(bytes), Some(digest)) => {
            digest.update(bytes);
            None
        }
        _ => digest.take().map(Digest::finish),
    })
    .await
}

/// Whether all bytes of both are the same: both are read, and their SHA-256 digests compared.
pub(crate) async fn same_bytes(
    transfers: &Transfers,
    one: (&Side, &Found),
    other: (&Side, &Found),
) -> Result<bool, TransferError> {
    let (one, other) = tokio::try_join!(sha256(transfers, one), sha256(transfers, other))?;
    Ok(one == other)
}

async fn sha256(transfers: &Transfers, (side, found): (&Side, &Found)) -> Result<String, TransferError> {
    if let Side::Folder(folder) = side {
        let mut digest = Some(Context::new(&SHA256));
        return read(folder.join(found.path()), move |bytes| match (bytes, &mut digest) {
            (Some(bytes), Some(digest)) => {
                digest.update(bytes);
                None
            }
            _ => digest.take().map(|digest| hex(digest.finish().as_ref())),
        })
        .await;
    }
    let Some(place) = side.place(&found.name).transpose()? else { return Err(TransferError::Worker) };
    let mut sink = DigestSink(Context::new(&SHA256));
    transfers.download_stream(&place.client, &place.address, &mut sink).await?;
    Ok(hex(sink.0.finish().as_ref()))
}

/// Takes bytes for their digest alone.
struct DigestSink(Context);

impl AsyncWrite for DigestSink {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.update(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Reads a file to its end: `seen` gets its bytes, then `None`, and answers with what came of them.
async fn read<T: Send + 'static>(
    file: PathBuf,
    mut seen: impl FnMut(Option<&[u8]>) -> Option<T> + Send + 'static,
) -> Result<T, TransferError> {
    let work = move || {
        let failed = |source| TransferError::File { action: "read", path: file.clone(), source };
        let mut opened = File::open(&file).map_err(failed)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = opened.read(&mut buffer).map_err(failed)?;
            let bytes = buffer.get(..length).filter(|bytes| !bytes.is_empty());
            let ended = bytes.is_none();
            match seen(bytes) {
                Some(result) if ended => return Ok(result),
                None if ended => return Err(TransferError::Worker),
                _ => {}
            }
        }
    };
    blocking(work).await?
}
