//! Lines about the requests of one thread, gathered, and written together before any answer of that thread goes.
//!
//! Enters: lines, as requests end; connections that have something to send. Leaves: all lines since the last time, in
//! one piece, to whoever writes them; then the connections may send. Requests that became ready together so share a
//! write, and their answers go one after the other, while each answer still goes only after what is said about it was
//! written. Nothing waits for a clock: the write comes as soon as the thread has done what was ready, and at the latest
//! with `MOST_BYTES`.
//!
//! A thread gathers while [`gather`] runs on it; on other threads [`keep`] takes nothing.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Lines that are written without waiting for further ones.
const MOST_BYTES: usize = 16 << 10;

type Write = Box<dyn Fn(&[u8]) + Send>;

thread_local! {
    static GATHERED: RefCell<Option<Gathered>> = const { RefCell::new(None) };
}

struct Gathered {
    lines: Vec<u8>,
    write: Write,
    /// Connections that have something to send.
    waiting: Vec<Waker>,
    /// Wakes the task that writes.
    writer: Waker,
}

impl Gathered {
    fn write(&mut self) {
        if !self.lines.is_empty() {
            (self.write)(&self.lines);
            self.lines.clear();
        }
        self.waiting.drain(..).for_each(Waker::wake);
    }
}

/// Has `append` add a line to those of this thread; `false`, and nothing is called, where this thread gathers none.
pub fn keep(append: impl FnOnce(&mut Vec<u8>)) -> bool {
    GATHERED.with_borrow_mut(|gathered| {
        let Some(gathered) = gathered else { return false };
        if gathered.lines.is_empty() {
            gathered.writer.wake_by_ref();
        }
        append(&mut gathered.lines);
        if gathered.lines.len() >= MOST_BYTES {
            gathered.write();
        }
        true
    })
}

/// Ready when all lines of this thread are written: an answer may go.
pub fn poll_written(context: &mut Context<'_>) -> Poll<()> {
    GATHERED.with_borrow_mut(|gathered| match gathered {
        Some(Gathered { lines, waiting, .. }) if !lines.is_empty() => {
            if !waiting.iter().any(|known| known.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        }
        _ => Poll::Ready(()),
    })
}

/// Gathers the lines of this thread, and has `write` write them, until it is dropped. What is left then is written.
pub async fn gather(write: impl Fn(&[u8]) + Send + 'static) {
    let mut write: Option<Write> = Some(Box::new(write));
    let _ending = Ending;
    // A task's turn comes after those of all that were ready before it.
    poll_fn(|context| {
        GATHERED.with_borrow_mut(|gathered| match (gathered, write.take()) {
            (Some(gathered), _) => {
                gathered.writer.clone_from(context.waker());
                gathered.write();
            }
            (none, write) => {
                *none = write.map(|write| Gathered {
                    lines: Vec::with_capacity(MOST_BYTES),
                    write,
                    waiting: Vec::new(),
                    writer: context.waker().clone(),
                });
            }
        });
        Poll::<()>::Pending
    })
    .await;
}

/// The end of a thread's gathering.
struct Ending;

impl Drop for Ending {
    fn drop(&mut self) {
        // Taken first: a connection that is woken may be dropped at once, and keep a line.
        if let Some(mut gathered) = GATHERED.take() {
            gathered.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::{LocalSet, yield_now};

    use super::*;

    type Written = Arc<Mutex<Vec<String>>>;

    fn written() -> (Written, impl Fn(&[u8]) + Send + 'static) {
        let written = Written::default();
        let to = Arc::clone(&written);
        let write = move |lines: &[u8]| to.lock().unwrap().push(String::from_utf8(lines.to_vec()).unwrap());
        (written, write)
    }

    async fn send() {
        poll_fn(poll_written).await;
    }

    #[tokio::test]
    async fn what_is_ready_together_is_written_together_and_before_any_answer() {
        let local = LocalSet::new();
        local
            .run_until(async {
                let (written, write) = written();
                let gathering = tokio::task::spawn_local(gather(write));
                yield_now().await;
                send().await;
                let requests = (0..3).map(|number| {
                    let written = Arc::clone(&written);
                    tokio::task::spawn_local(async move {
                        assert!(keep(|lines| lines.extend_from_slice(format!("{number}\n").as_bytes())));
                        send().await;
                        assert_eq!(*written.lock().unwrap(), ["0\n1\n2\n"]);
                    })
                });
                for request in requests.collect::<Vec<_>>() {
                    request.await.unwrap();
                }
                // What is left when it ends is written, and from then on nothing is kept.
                assert!(keep(|lines| lines.extend_from_slice(b"last\n")));
                gathering.abort();
                assert!(gathering.await.unwrap_err().is_cancelled());
                assert_eq!(written.lock().unwrap().last().unwrap(), "last\n");
                assert!(!keep(|_| panic!("nobody would write it")));
                send().await;
            })
            .await;
    }

    #[tokio::test]
    async fn many_lines_wait_for_no_turn() {
        let local = LocalSet::new();
        local
            .run_until(async {
                let (written, write) = written();
                let gathering = tokio::task::spawn_local(gather(write));
                yield_now().await;
                let line = "x".repeat(MOST_BYTES / 4);
                for _ in 0..4 {
                    assert!(written.lock().unwrap().is_empty());
                    assert!(keep(|lines| lines.extend_from_slice(line.as_bytes())));
                }
                assert_eq!(written.lock().unwrap().len(), 1);
                gathering.abort();
            })
            .await;
    }
}
