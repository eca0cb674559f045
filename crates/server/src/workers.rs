//! The threads that serve connections: one per core, each with a runtime of its own.
//!
//! Enters: the work of a connection. Leaves: nothing; the worker with the fewest connections takes it, and everything
//! about it happens on that thread: requests, answers, and the connections to upstreams that they use. So no request
//! waits for another thread, none is handed over, and what a thread alone uses needs no coherence between caches. Work
//! that blocks goes to the worker's own blocking threads.
//!
//! Where the runtime that starts them has one thread itself, that thread serves, and there are no others.
//!
//! The price is that a connection stays where it began, however busy its neighbors become: work that takes long without
//! waiting belongs on a blocking thread.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, RuntimeFlavor};
use tokio::sync::oneshot;

/// The most threads for work that blocks, of all workers together; but each has a fair number, however many they are:
/// where disks are slow, all that waits for one may come over connections of the same worker.
const MOST_BLOCKING: usize = 512;

/// The fewest that a worker may have.
const FEWEST_BLOCKING: usize = 64;

/// How long a worker that ends waits for work that blocks.
const LAST_BLOCKING: Duration = Duration::from_secs(5);

thread_local! {
    static SEAT: Cell<usize> = const { Cell::new(0) };
}

/// Which worker this thread is, counted from 1; 0 for a thread that is none.
#[must_use]
pub fn seat() -> usize {
    SEAT.get()
}

/// How many workers a machine has: one for each core that this process may use.
#[must_use]
pub fn count() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Threads that serve connections; they end when this is dropped.
#[derive(Debug)]
pub struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// How many connections it has.
    serving: Arc<AtomicUsize>,
    /// `None` where the thread is the one that started it.
    thread: Option<Thread>,
}

#[derive(Debug)]
struct Thread {
    /// Ends it when it is dropped.
    work: oneshot::Sender<()>,
    /// Closed when it has ended.
    ended: oneshot::Receiver<()>,
}

impl Workers {
    /// Starts so many threads.
    ///
    /// # Errors
    /// Where the system does not give them.
    pub fn start(count: NonZeroUsize) -> io::Result<Self> {
        if let Ok(runtime) = Handle::try_current()
            && runtime.runtime_flavor() == RuntimeFlavor::CurrentThread
        {
            return Ok(Self { workers: vec![Worker { runtime, serving: Arc::default(), thread: None }] });
        }
        let most_blocking = (MOST_BLOCKING / count).max(FEWEST_BLOCKING);
        let workers = (1..=count.get()).map(|seat| Worker::start(seat, most_blocking));
        Ok(Self { workers: workers.collect::<io::Result<_>>()? })
    }

    /// Has the worker with the fewest connections do this.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.serving.load(Ordering::Relaxed))
        else {
            return;
        };
        let serving = Serving::one_more(&worker.serving);
        worker.runtime.spawn(async move {
            work.await;
            drop(serving);
        });
    }

    /// Has each of its own threads do this beside what it serves.
    pub fn each<F: Future<Output = ()> + Send + 'static>(&self, work: impl Fn() -> F) {
        for worker in self.workers.iter().filter(|worker| worker.thread.is_some()) {
            worker.runtime.spawn(work());
        }
    }

    /// What runs on each thread, for those who want to know whether it still does.
    #[must_use]
    pub fn runtimes(&self) -> Vec<Handle> {
        self.workers.iter().map(|worker| worker.runtime.clone()).collect()
    }

    /// Ends the threads, if they are its own, and cuts off what is still under way on them.
    pub async fn stop(self) {
        let threads = self.workers.into_iter().filter_map(|worker| worker.thread);
        let (work, ended): (Vec<_>, Vec<_>) = threads.map(|thread| (thread.work, thread.ended)).unzip();
        drop(work);
        for ended in ended {
            let _ = ended.await;
        }
    }
}

impl Worker {
    fn start(seat: usize, most_blocking: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .thread_name(format!("worker-{seat}-blocking"))
            .max_blocking_threads(most_blocking)
            .build()?;
        let handle = runtime.handle().clone();
        let (work, ending) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("worker-{seat}")).spawn(move || {
            SEAT.set(seat);
            // Nothing is ever sent: the other side is dropped.
            let _ = runtime.block_on(ending);
            runtime.shutdown_timeout(LAST_BLOCKING);
            drop(end);
        })?;
        Ok(Self { runtime: handle, serving: Arc::default(), thread: Some(Thread { work, ended }) })
    }
}

/// Counts as long as it lives.
struct Serving(Arc<AtomicUsize>);

impl Serving {
    fn one_more(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn connections_are_spread_and_stay_where_they_began() {
        let workers = Workers::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel();
        let (go, _) = tokio::sync::broadcast::channel::<()>(1);
        for _ in 0..6 {
            let (tell, mut going) = (tell.clone(), go.subscribe());
            workers.spawn(async move {
                let before = seat();
                going.recv().await.unwrap();
                tell.send((before, seat())).unwrap();
            });
        }
        go.send(()).unwrap();
        let mut seats = Vec::new();
        for _ in 0..6 {
            let (before, after) = told.recv().await.unwrap();
            assert_eq!(before, after);
            seats.push(before);
        }
        seats.sort_unstable();
        assert_eq!(seats, [1, 1, 2, 2, 3, 3]);
        assert_eq!(seat(), 0);
        workers.stop().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn one_that_is_done_has_room_again_and_stopping_cuts_off() {
        let workers = Workers::start(NonZeroUsize::new(2).unwrap()).unwrap();
        let (tell, mut told) = mpsc::unbounded_channel::<usize>();
        let (forever, mut cut) = mpsc::channel::<()>(1);
        workers.spawn(async move {
            let _forever = forever;
            std::future::pending().await
        });
        for _ in 0..3 {
            let tell = tell.clone();
            workers.spawn(async move { tell.send(seat()).unwrap() });
            assert_eq!(told.recv().await, Some(2), "the first is busy");
            while workers.workers[1].serving.load(Ordering::Relaxed) > 0 {
                tokio::task::yield_now().await;
            }
        }
        workers.stop().await;
        assert_eq!(cut.recv().await, None);
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_serves_itself() {
        let workers = Workers::start(NonZeroUsize::new(3).unwrap()).unwrap();
        let (tell, told) = oneshot::channel();
        workers.spawn(async move { tell.send(thread::current().id()).unwrap() });
        assert_eq!(told.await, Ok(thread::current().id()));
        workers.stop().await;
    }
}
