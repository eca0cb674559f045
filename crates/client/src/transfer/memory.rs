//! What transfers hold in memory, all within one budget.
//!
//! Enters: how many bytes are wanted. Leaves: the right to hold them, until it is dropped, and a buffer for who needs one.
//! Buffers of parts are used again and again: fresh memory costs a page fault every 4 KiB. One that does not fit is given
//! back before another is made, so what lies idle never adds to what is in use.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const KIB: u64 = 1 << 10;
/// From this size on buffers are used again.
const LARGE: usize = 1 << 20;

/// The budget. Clones share it.
#[derive(Clone)]
pub(crate) struct Memory {
    /// In KiB.
    permits: Arc<Semaphore>,
    budget: u32,
    idle: Arc<Idle>,
}

/// Buffers that nobody uses.
#[derive(Default)]
struct Idle(Mutex<Vec<Vec<u8>>>);

/// The right to hold so many bytes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    _permit: OwnedSemaphorePermit,
    idle: Arc<Idle>,
}

/// A buffer in its room.
#[derive(Debug)]
pub(crate) struct Lent {
    pub(crate) bytes: Vec<u8>,
    room: Room,
}

impl Memory {
    pub(crate) fn new(bytes: u64) -> Self {
        let budget = u32::try_from(bytes / KIB).unwrap_or(u32::MAX).clamp(1, 1 << 30);
        Self { permits: Arc::new(Semaphore::new(budget as usize)), budget, idle: Arc::default() }
    }

    /// Waits for room. A piece larger than the whole budget takes it all.
    pub(crate) async fn room(&self, bytes: u64) -> Option<Room> {
        let permit = Arc::clone(&self.permits).acquire_many_owned(self.wanted(bytes)).await;
        // It is never closed.
        Some(Room { _permit: permit.ok()?, idle: Arc::clone(&self.idle) })
    }

    /// Room, if there is some right now.
    pub(crate) fn room_now(&self, bytes: u64) -> Option<Room> {
        let permit = Arc::clone(&self.permits).try_acquire_many_owned(self.wanted(bytes));
        Some(Room { _permit: permit.ok()?, idle: Arc::clone(&self.idle) })
    }

    fn wanted(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).clamp(1, self.budget)
    }
}

impl Room {
    /// An empty buffer in this room. What is read into it has the room until the last of it is dropped.
    pub(crate) fn buffer(self, capacity: usize) -> Lent {
        let bytes = if capacity < LARGE { Vec::with_capacity(capacity) } else { self.idle.fitting(capacity) };
        Lent { bytes, room: self }
    }
}

impl Lent {
    /// What was read, for anybody.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Idle {
    fn fitting(&self, capacity: usize) -> Vec<u8> {
        let mut buffers = self.buffers();
        let fits = |buffer: &Vec<u8>| (capacity..=capacity + capacity / 4).contains(&buffer.capacity());
        match buffers.iter().position(fits) {
            Some(at) => buffers.swap_remove(at),
            None => {
                buffers.clear();
                Vec::with_capacity(capacity)
            }
        }
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() >= LARGE {
            bytes.clear();
            self.room.idle.buffers().push(bytes);
        }
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Idle").field(&self.buffers().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_is_kept_until_the_last_byte_is_dropped() {
        let memory = Memory::new(8 * KIB);
        let mut lent = memory.room(5 * KIB).await.unwrap().buffer(5);
        lent.bytes.extend(b"hello");
        let bytes = lent.freeze();
        let some = bytes.slice(1..2);
        drop(bytes);
        assert!(memory.room_now(4 * KIB).is_none() && memory.room_now(3 * KIB).is_some());
        assert_eq!(some, "e");
        drop(some);
        // More than there is takes it all.
        let all = memory.room(1 << 40).await.unwrap();
        assert!(memory.room_now(1).is_none());
        drop(all);
    }

    #[tokio::test]
    async fn large_buffers_are_used_again() {
        let memory = Memory::new(64 << 20);
        let lend = async |size: usize| memory.room(size as u64).await.unwrap().buffer(size);
        let (one, two) = (lend(LARGE).await, lend(LARGE).await);
        let places = [one.bytes.as_ptr(), two.bytes.as_ptr()];
        drop((one.freeze(), two));
        let (one, two) = (lend(LARGE).await, lend(LARGE - 1).await);
        assert!(places.contains(&one.bytes.as_ptr()) && one.bytes.is_empty() && two.bytes.capacity() < LARGE);
        assert_eq!(memory.idle.buffers().len(), 1);
        // What does not fit is given back before another is made.
        drop(lend(3 * LARGE).await);
        assert_eq!(memory.idle.buffers().iter().map(Vec::capacity).collect::<Vec<_>>(), [3 * LARGE]);
    }
}
