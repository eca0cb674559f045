//! What the system has of a file in its memory: to be had without waiting for a disk.

use std::fs::File;
use std::path::Path;

/// Whether files in this directory lie in memory and nowhere else.
#[cfg(target_os = "linux")]
pub(super) fn is_in_memory(directory: &Path) -> bool {
    const TMPFS_MAGIC: rustix::fs::FsWord = 0x0102_1994;

    rustix::fs::statfs(directory).is_ok_and(|system| system.f_type == TMPFS_MAGIC)
}

/// Nowhere else is there reason to ask.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_in_memory(_: &Path) -> bool {
    false
}

/// Reads what can be had at once, from `at` on. Nothing may also mean that there is nothing, or that reading fails: who reads
/// and waits is told. Where files lie in memory, all can be had at once.
pub(super) fn read(file: &File, buffer: &mut [u8], at: u64, in_memory: bool) -> usize {
    if in_memory {
        return std::os::unix::fs::FileExt::read_at(file, buffer, at).unwrap_or(0);
    }
    at_once(file, buffer, at)
}

#[cfg(target_os = "linux")]
fn at_once(file: &File, buffer: &mut [u8], at: u64) -> usize {
    use std::io::IoSliceMut;

    use rustix::io::{ReadWriteFlags, preadv2};

    preadv2(file, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT).unwrap_or(0)
}

/// Others do not tell.
#[cfg(not(target_os = "linux"))]
fn at_once(_: &File, _: &mut [u8], _: u64) -> usize {
    0
}

/// Tells the system that these bytes will be read soon.
#[cfg(target_os = "linux")]
pub(super) fn soon(file: &File, at: u64, length: usize) {
    use rustix::fs::{Advice, fadvise};

    // Advice: what comes of it is the system's affair.
    let _ = fadvise(file, at, std::num::NonZeroU64::new(length as u64), Advice::WillNeed);
}

/// Others find out for themselves.
#[cfg(not(target_os = "linux"))]
pub(super) fn soon(_: &File, _: u64, _: usize) {}
