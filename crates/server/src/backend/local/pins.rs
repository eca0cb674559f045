//! Which content files are being read, so that none of them is unlinked.
//!
//! A reader looks up an object and pins its contents under the gate's read lock. Whoever unlinks passes
//! through the gate's write lock first ([`Pins::pass`]): whoever looked up before the index forgot the
//! content has pinned it by then, and whoever looks up later does not find it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::places::ContentId;

type Released = Box<dyn Fn(ContentId) + Send + Sync>;

/// The pins of a store.
pub(super) struct Pins {
    gate: RwLock<()>,
    held: Mutex<HashMap<ContentId, Pin>>,
    released: Released,
}

struct Pin {
    readers: usize,
    /// Someone waits to unlink it.
    awaited: bool,
}

/// Pins held by one reader.
pub(super) struct Pinned {
    pins: Arc<Pins>,
    ids: Vec<ContentId>,
}

impl Pins {
    /// `released` is told of each awaited content when its last reader is gone.
    pub(super) fn new(released: Released) -> Self {
        Self { gate: RwLock::new(()), held: Mutex::default(), released }
    }

    /// Looks something up and pins the contents that it names.
    pub(super) fn look_up<T, E>(
        self: &Arc<Self>,
        look_up: impl FnOnce() -> Result<(T, Vec<ContentId>), E>,
    ) -> Result<(T, Pinned), E> {
        let _looking = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        let (found, ids) = look_up()?;
        let mut held = self.held();
        for id in &ids {
            held.entry(*id).or_insert(Pin { readers: 0, awaited: false }).readers += 1;
        }
        Ok((found, Pinned { pins: Arc::clone(self), ids }))
    }

    /// Waits until everyone who is looking something up has pinned it.
    pub(super) fn pass(&self) {
        drop(self.gate.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the content is being read; if so, its release will be told.
    pub(super) fn await_release(&self, id: ContentId) -> bool {
        match self.held().get_mut(&id) {
            Some(pin) => {
                pin.awaited = true;
                true
            }
            None => false,
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<ContentId, Pin>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut awaited = Vec::new();
        let mut held = self.pins.held();
        for id in &self.ids {
            if let Some(pin) = held.get_mut(id) {
                pin.readers -= 1;
                if pin.readers == 0 {
                    awaited.extend(pin.awaited.then_some(*id));
                    held.remove(id);
                }
            }
        }
        drop(held);
        awaited.into_iter().for_each(|id| (self.pins.released)(id));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn an_awaited_content_is_told_of_once_its_last_reader_is_gone() {
        let (sender, released) = mpsc::channel();
        let pins = Arc::new(Pins::new(Box::new(move |id| sender.send(id).unwrap())));
        let (a, b) = (ContentId(1), ContentId(2));
        let ((), first) = pins.look_up(|| Ok::<_, ()>(((), vec![a, b, a]))).unwrap();
        let ((), second) = pins.look_up(|| Ok::<_, ()>(((), vec![a]))).unwrap();
        assert!(pins.await_release(a));
        assert!(!pins.await_release(ContentId(3)));
        drop(first);
        assert!(released.try_recv().is_err());
        drop(second);
        assert_eq!(released.try_recv(), Ok(a));
        assert!(!pins.await_release(a) && !pins.await_release(b));
    }
}
