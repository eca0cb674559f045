//! Files and streams into a store.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use md5::{Digest as _, Md5};
use tokio::io::{AsyncRead, AsyncReadExt};
use wigeon_core::sigv4::canonical::hex;

use super::engine::Transfers;
use super::error::TransferError;
use super::file_slice::{SharedFile, blocking};
use super::file_time::{self, MTIME};
use super::item::{Address, Done};
use super::journal::{FileIdentity, UploadBegun};
use super::media_type;
use super::memory::{Memory, Room};
use super::parts::PartsInFlight;
use super::rates::Way;
use crate::s3::{
    Checksum, ChecksumAlgorithm, Client, ErrorKind, MultipartUpload, Part, PutOptions, StoredPart, Verified,
};

impl Transfers {
    /// Uploads a regular file; one that changes in the middle is refused, and the object stays as it was.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn upload_file(
        &self,
        client: &Client,
        file: &Path,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let (path, memory) = (file.to_owned(), self.memory.clone());
        let most = READ_AT_ONCE.min(self.tuning.threshold.saturating_sub(1));
        let (source, before, content) = blocking(move || open_and_read(&path, most, &memory)).await??;
        let shared = SharedFile::new(source, file);
        let mut options = with_media_type(options, &file.to_string_lossy());
        if self.times {
            options.metadata.retain(|(name, _)| name != MTIME);
            options.metadata.extend(file_time::written(&before).map(|time| (MTIME.to_owned(), time)));
        }
        if let Some(content) = content {
            return self.put_whole(client, content, to, &options).await;
        }
        let done = if before.len() < self.tuning.threshold {
            self.upload_small(client, &shared, before.len(), to, &options).await?
        } else {
            self.upload_parts(client, &shared, file, &before, to, &options).await?
        };
        Ok(done)
    }

    async fn upload_small(
        &self,
        client: &Client,
        file: &SharedFile,
        size: u64,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let room = self.room_for(size).await?;
        let body = file.read(room, 0, usize::try_from(size).unwrap_or(usize::MAX)).await?;
        self.put_whole(client, body, to, options).await
    }

    pub(crate) async fn put_whole(
        &self,
        client: &Client,
        body: Bytes,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let bytes = body.len() as u64;
        let stored = client.put_object(&to.bucket, &to.key, body, options).await?;
        self.progress.moved(bytes);
        Ok(Done { bytes, verified: stored.verified, source: None })
    }

    async fn upload_parts(
        &self,
        client: &Client,
        file: &SharedFile,
        path: &Path,
        before: &std::fs::Metadata,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let size = before.len();
        let (part_size, mut parts, there) = self.take_up_upload(client, path, before, to, options).await?;
        let sent = async {
            for (number, offset) in
                (1..).zip((0..size).step_by(usize::try_from(part_size).unwrap_or(usize::MAX)))
            {
                let length = part_size.min(size - offset);
                parts.make_room().await?;
                let room = self.room_for(length).await?;
                let (file, transfers) = (file.clone(), self.clone());
                let stored = there.get(&number).filter(|part| part.size == length).cloned();
                parts.spawn(|client, upload| async move {
                    let body = file.read(room, offset, usize::try_from(length).unwrap_or(usize::MAX)).await?;
                    if let Some(part) = stored.and_then(|stored| same_part(&stored, &body, &upload)) {
                        transfers.progress.resumed(length);
                        return Ok(part);
                    }
                    transfers.send_part(&client, &upload, number, body).await
                })?;
            }
            parts.wait_for_all().await?;
            unchanged(path, before).await
        }
        .await;
        parts.finish(sent, options).await
    }

    async fn send_part(
        &self,
        client: &Client,
        upload: &MultipartUpload,
        number: u32,
        body: Bytes,
    ) -> Result<Part, TransferError> {
        let (begun, length) = (Instant::now(), body.len() as u64);
        let part = client.upload_part(upload, number, body).await?;
        self.rates.note(&client.endpoint().origin(), Way::Up, length, begun.elapsed());
        self.progress.moved(length);
        Ok(part)
    }

    /// The upload that an earlier run has left, with the parts that are there, or a new one.
    async fn take_up_upload(
        &self,
        client: &Client,
        path: &Path,
        before: &std::fs::Metadata,
        to: &Address,
        options: &PutOptions,
    ) -> Result<(u64, PartsInFlight, BTreeMap<u32, StoredPart>), TransferError> {
        let (journals, store, object, file) =
            (self.journals.clone(), client.endpoint().origin(), to.clone(), path.to_owned());
        let opened = blocking(move || {
            let mut journal = journals?.open("upload", &store, &object, &file)?;
            let begun = journal.read::<UploadBegun>().map(|(begun, _)| begun);
            Some((journal, begun))
        });
        let (journal, begun) = opened.await?.unzip();
        let (source, described) = (FileIdentity::of(before), format!("{options:?}"));
        if let Some(begun) = begun.flatten() {
            let upload = MultipartUpload::known(&to.bucket, &to.key, &begun.upload_id, begun.keeps_checksum);
            if begun.source == source && begun.described == described {
                match client.list_parts(&upload).await {
                    Ok(there) => {
                        let there = there.into_iter().map(|part| (part.number, part)).collect();
                        return Ok((
                            begun.part_size,
                            PartsInFlight::of(self, client, upload, journal),
                            there,
                        ));
                    }
                    // It was completed, given up, or cleaned away.
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => {
                        let error = TransferError::from(error);
                        if error.may_go_on() {
                            return Err(error);
                        }
                        // Nobody here may know what has arrived (s3:ListMultipartUploadParts): it begins anew.
                        tracing::info!(upload = %upload.id, %error, "an upload cannot be gone on with");
                        if let Err(error) = client.abort_multipart(&upload).await {
                            tracing::warn!(upload = %upload.id, %error, "it could not be given up, either");
                        }
                    }
                }
            } else if let Err(error) = client.abort_multipart(&upload).await {
                tracing::debug!(upload = %upload.id, %error, "an upload of what the file was is not given up");
            }
        }
        let upload = client.create_multipart(&to.bucket, &to.key, options).await?;
        let rate = self.rates.of(&client.endpoint().origin(), Way::Up);
        let part_size = self.tuning.part_size_for(before.len(), rate);
        let begun = UploadBegun {
            source,
            part_size,
            described,
            upload_id: upload.id.clone(),
            keeps_checksum: upload.keeps_checksum(),
        };
        let journal = match journal {
            Some(mut journal) => blocking(move || journal.begin(&begun).ok().map(|()| journal)).await?,
            None => None,
        };
        Ok((part_size, PartsInFlight::of(self, client, upload, journal), BTreeMap::new()))
    }

    /// Uploads a stream of any length: in one piece where it is short, in parts where it is long.
    ///
    /// # Errors
    /// See [`TransferError`].
    pub async fn upload_stream(
        &self,
        client: &Client,
        mut stream: impl AsyncRead + Unpin + Send,
        to: &Address,
        options: &PutOptions,
    ) -> Result<Done, TransferError> {
        let options = with_media_type(options, to.key.as_str());
        let first_size = self.tuning.stream_part_size(1);
        let room = self.room_for(first_size).await?;
        let first = self.unless_stopped(read_part(&mut stream, first_size, room)).await??;
        if (first.len() as u64) < first_size {
            return self.put_whole(client, first, to, &options).await;
        }
        let mut parts = PartsInFlight::begin(self, client, to, &options).await?;
        let sent = async {
            let mut next = Some(first);
            for number in 1.. {
                let Some(body) = next.take() else { break };
                if number > Client::MOST_PARTS {
                    return Err(TransferError::TooLong);
                }
                let transfers = self.clone();
                parts.spawn(|client, upload| async move {
                    transfers.send_part(&client, &upload, number, body).await
                })?;
                parts.make_room().await?;
                let size = self.tuning.stream_part_size(number + 1);
                let room = self.room_for(size).await?;
                let body = self.unless_stopped(read_part(&mut stream, size, room)).await??;
                next = (!body.is_empty()).then_some(body);
            }
            Ok(())
        }
        .await;
        parts.finish(sent, &options).await
    }
}

/// The part that the store has, if its checksum is that of the bytes here.
fn same_part(stored: &StoredPart, body: &Bytes, upload: &MultipartUpload) -> Option<Part> {
    let verified = match (stored.checksum, stored.etag.md5()) {
        (Some(checksum), _) => {
            (Checksum::of(checksum.algorithm, body) == checksum).then_some(Verified::Checksum)
        }
        (None, Some(md5)) => (hex(&Md5::digest(body)).eq_ignore_ascii_case(md5)).then_some(Verified::Md5),
        (None, None) => None,
    }?;
    let algorithm = ChecksumAlgorithm::Crc64Nvme;
    Some(Part {
        number: stored.number,
        etag: stored.etag.clone(),
        size: stored.size,
        checksum: upload.keeps_checksum().then(|| Checksum::of(algorithm, body)),
        verified,
    })
}

/// A full part, or what is left of the stream.
async fn read_part(
    stream: &mut (impl AsyncRead + Unpin),
    size: u64,
    room: Room,
) -> Result<Bytes, TransferError> {
    let mut lent = room.buffer(usize::try_from(size).unwrap_or(usize::MAX));
    let mut limited = stream.take(size);
    // A full buffer would grow before it is seen that nothing more may come.
    while (lent.bytes.len() as u64) < size
        && limited.read_buf(&mut lent.bytes).await.map_err(TransferError::Stream)? > 0
    {}
    Ok(lent.freeze())
}

/// Up to this size a file is read where it is opened, if there is room for it: another thread to read it costs more.
const READ_AT_ONCE: u64 = 256 << 10;

/// The content too, of `most` bytes.
#[allow(clippy::type_complexity, reason = "taken apart where it is made")]
fn open_and_read(
    path: &Path,
    most: u64,
    memory: &Memory,
) -> Result<(std::fs::File, std::fs::Metadata, Option<Bytes>), TransferError> {
    let (file, metadata) = open(path)?;
    let room = (metadata.len() <= most).then(|| memory.room_now(metadata.len())).flatten();
    let Some(room) = room else { return Ok((file, metadata, None)) };
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    let mut content = room.buffer(length);
    let read = SharedFile::read_into(&file, 0, length, &mut content.bytes);
    read.map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => TransferError::Changed(path.display().to_string()),
        _ => TransferError::File { action: "read", path: path.to_owned(), source },
    })?;
    Ok((file, metadata, Some(content.freeze())))
}

fn open(path: &Path) -> Result<(std::fs::File, std::fs::Metadata), TransferError> {
    let failed = |action| move |source| TransferError::File { action, path: path.to_owned(), source };
    // A named pipe would block on being opened, so what it is comes first.
    let kind = std::fs::metadata(path).map_err(failed("read"))?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a folder" } else { "a device, a socket or a pipe" };
        return Err(TransferError::NotAFile { path: path.to_owned(), what });
    }
    let file = std::fs::File::open(path).map_err(failed("read"))?;
    let metadata = file.metadata().map_err(failed("read"))?;
    Ok((file, metadata))
}

/// Whether the file is still the one whose bytes were sent.
async fn unchanged(path: &Path, before: &std::fs::Metadata) -> Result<(), TransferError> {
    let file = path.to_owned();
    let after = blocking(move || std::fs::metadata(file)).await?;
    let same =
        after.is_ok_and(|now| now.len() == before.len() && now.modified().ok() == before.modified().ok());
    if same { Ok(()) } else { Err(TransferError::Changed(path.display().to_string())) }
}

fn with_media_type(options: &PutOptions, name: &str) -> PutOptions {
    let mut options = options.clone();
    options.content_type = options.content_type.or_else(|| media_type::guess(name).map(str::to_owned));
    options
}
