//! The thread that writes the index, and its group commit.
//!
//! Mutations enter as closures over the open transaction. Those that wait are applied together, each in a
//! savepoint of its own, and answered after the one commit that makes them durable. A refusal undoes its own
//! savepoint only. A failed commit fails them all; unless the disk was merely full, no more is written after
//! it, because what the disk holds is not known any more.

use std::fs;
use std::io;
use std::sync::mpsc;

use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc as queue, oneshot};

use super::error::StoreError;
use super::keeper::Chore;
use super::places::{ContentId, Places};

/// The most mutations that share a commit, and that wait before those who send them do.
const BATCH: usize = 512;

/// A file in `incoming/` that no committed row points to. Dropped, it is unlinked.
#[derive(Debug)]
pub(super) struct StagedFile {
    places: Places,
    id: ContentId,
    committed: bool,
}

impl StagedFile {
    /// Creates the file.
    pub(super) fn create(places: &Places, id: ContentId) -> io::Result<(Self, fs::File)> {
        let file = places.create(id)?;
        Ok((Self { places: places.clone(), id, committed: false }, file))
    }

    pub(super) fn id(&self) -> ContentId {
        self.id
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.committed
            && let Err(error) = fs::remove_file(self.places.incoming(self.id))
        {
            tracing::warn!(%error, content = %self.id, "could not unlink an unused content file");
        }
    }
}

/// What a mutation means for files, once it is committed.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Files that rows point to now.
    pub(super) staged: Vec<StagedFile>,
    /// Files that none points to any more.
    pub(super) garbage: Vec<ContentId>,
}

/// A mutation in the queue.
trait Mutation: Send {
    /// Applies it within the transaction.
    fn apply(&mut self, index: &Connection, effects: &mut Effects) -> Verdict;
    /// Answers it; with the failure of the commit, if there was one.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// What became of a mutation within the transaction.
enum Verdict {
    Keep,
    Undo,
    /// It failed on a full disk; the transaction may be gone.
    Full,
}

struct Waiting<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Mutation for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&Connection, &mut Effects) -> Result<T, StoreError> + Send,
{
    fn apply(&mut self, index: &Connection, effects: &mut Effects) -> Verdict {
        self.outcome = self.work.take().map(|work| work(index, effects));
        match self.outcome {
            Some(Ok(_)) => Verdict::Keep,
            Some(Err(StoreError::Full(_))) => Verdict::Full,
            Some(Err(_)) | None => Verdict::Undo,
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let outcome = match (committed, self.outcome) {
            // A refusal stands whatever became of the commit.
            (_, Some(Err(refusal))) => Err(refusal),
            (Ok(()), Some(Ok(value))) => Ok(value),
            (Err(failure), _) => Err(failure),
            (Ok(()), None) => Err(StoreError::Stopped),
        };
        // Nobody waits any more when the client has gone; what was committed stays.
        drop(self.reply.send(outcome));
    }
}

/// Where mutations are sent.
#[derive(Clone)]
pub(super) struct Committer {
    queue: queue::Sender<Box<dyn Mutation>>,
}

/// A [`Committer`] that does not keep the thread alive.
pub(super) struct WeakCommitter {
    queue: queue::WeakSender<Box<dyn Mutation>>,
}

impl Committer {
    /// The committer and its thread's work, which ends when every committer is gone.
    pub(super) fn new(
        index: Connection,
        places: Places,
        keeper: mpsc::Sender<Chore>,
    ) -> (Self, impl FnOnce() -> Connection + Send) {
        let (sender, receiver) = queue::channel(BATCH);
        let thread = WritingThread { index, places, keeper, queue: receiver, stopped: false };
        (Self { queue: sender }, move || thread.run())
    }

    pub(super) fn downgrade(&self) -> WeakCommitter {
        WeakCommitter { queue: self.queue.downgrade() }
    }

    /// Applies a mutation and waits until it is durable. It is applied even if the caller stops waiting.
    pub(super) async fn apply<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Effects) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { work: Some(work), outcome: None, reply };
        self.queue.send(Box::new(waiting)).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }
}

impl WeakCommitter {
    /// Has the index forget garbage entries, some time.
    pub(super) fn forget(&self, garbage: Vec<ContentId>) {
        let (reply, _) = oneshot::channel();
        let work = move |index: &Connection, _: &mut Effects| forget(index, &garbage);
        if let Some(queue) = self.queue.upgrade() {
            drop(queue.blocking_send(Box::new(Waiting { work: Some(work), outcome: None, reply })));
        }
    }
}

/// Deletes garbage entries.
pub(super) fn forget(index: &Connection, garbage: &[ContentId]) -> Result<(), StoreError> {
    let mut delete = index.prepare_cached("DELETE FROM garbage WHERE content = ?1")?;
    for id in garbage {
        delete.execute([id])?;
    }
    Ok(())
}

struct WritingThread {
    index: Connection,
    places: Places,
    keeper: mpsc::Sender<Chore>,
    queue: queue::Receiver<Box<dyn Mutation>>,
    stopped: bool,
}

impl WritingThread {
    fn run(mut self) -> Connection {
        while let Some(first) = self.queue.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                match self.queue.try_recv() {
                    Ok(next) => batch.push(next),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            self.commit(batch);
        }
        self.index
    }

    fn commit(&mut self, mut batch: Vec<Box<dyn Mutation>>) {
        if self.stopped {
            batch.into_iter().for_each(|mutation| mutation.answer(Err(StoreError::Stopped)));
            return;
        }
        let mut effects = Effects::default();
        match self.transact(&mut batch, &mut effects) {
            Ok(()) => {
                batch.into_iter().for_each(|mutation| mutation.answer(Ok(())));
                self.hand_over(effects);
            }
            Err(failure) => {
                if !self.index.is_autocommit() {
                    drop(self.index.execute_batch("ROLLBACK"));
                }
                self.stopped = !matches!(failure, StoreError::Full(_));
                if self.stopped {
                    // The commit may be on disk after all, so its files stay; the next opening decides.
                    effects.staged.iter_mut().for_each(|file| file.committed = true);
                }
                tracing::error!(error = %failure, stopped = self.stopped, "could not commit to the store");
                batch.into_iter().for_each(|mutation| mutation.answer(Err(repeat(&failure))));
            }
        }
    }

    fn transact(&self, batch: &mut [Box<dyn Mutation>], all: &mut Effects) -> Result<(), StoreError> {
        let run = |sql: &str| self.index.prepare_cached(sql)?.execute([]);
        run("BEGIN IMMEDIATE")?;
        for mutation in batch {
            let mut effects = Effects::default();
            run("SAVEPOINT mutation")?;
            match mutation.apply(&self.index, &mut effects) {
                Verdict::Keep => {
                    all.staged.append(&mut effects.staged);
                    all.garbage.append(&mut effects.garbage);
                }
                // After grave failures SQLite undoes the whole transaction by itself.
                Verdict::Full if self.index.is_autocommit() => {
                    return Err(StoreError::Full(io::ErrorKind::StorageFull.into()));
                }
                Verdict::Undo if self.index.is_autocommit() => return Err(StoreError::Stopped),
                Verdict::Full | Verdict::Undo => {
                    run("ROLLBACK TO mutation")?;
                }
            }
            run("RELEASE mutation")?;
        }
        if !all.staged.is_empty() {
            self.places.sync_incoming().map_err(StoreError::io("sync the incoming directory"))?;
        }
        run("COMMIT")?;
        Ok(())
    }

    fn hand_over(&self, effects: Effects) {
        let settle: Vec<ContentId> = effects
            .staged
            .into_iter()
            .map(|mut file| {
                file.committed = true;
                file.id
            })
            .collect();
        if !settle.is_empty() || !effects.garbage.is_empty() {
            drop(self.keeper.send(Chore::Committed { settle, garbage: effects.garbage }));
        }
    }
}

/// The same failure for another of those who shared the commit.
fn repeat(failure: &StoreError) -> StoreError {
    match failure {
        StoreError::Full(source) => StoreError::Full(source.kind().into()),
        _ => StoreError::Stopped,
    }
}
