//! The thread that writes the index, and its group commit.
//!
//! Mutations enter as closures over the open transaction. Those that wait are applied together, each in a
//! savepoint of its own, and answered after the one commit that makes them durable. A refusal undoes its own
//! savepoint only. A failed commit fails them all; unless the disk was merely full, no more is written after
//! it, because what the disk holds is not known any more.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};

use rusqlite::Connection;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc as queue, oneshot};

use super::error::StoreError;
use super::keeper::Chore;
use super::places::{ContentId, Places};
use super::settings::Settings;

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
    /// A bucket's settings changed: what is known of them in memory is read again.
    pub(super) settings: bool,
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
    commits: Arc<Commits>,
}

/// What the writing thread has done.
#[derive(Debug, Default)]
pub(super) struct Commits {
    /// Transactions.
    pub(super) commits: AtomicU64,
    /// Mutations in them.
    pub(super) changes: AtomicU64,
    /// Whether it writes no more.
    pub(super) stopped: AtomicBool,
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
        settings: Arc<Settings>,
    ) -> (Self, impl FnOnce() -> Connection + Send) {
        let (sender, receiver) = queue::channel(BATCH);
        let commits = Arc::new(Commits::default());
        let counted = Arc::clone(&commits);
        let thread = WritingThread {
            index,
            places,
            keeper,
            settings,
            queue: receiver,
            stopped: false,
            commits: counted,
        };
        (Self { queue: sender, commits }, move || thread.run())
    }

    /// What the writing thread has done.
    pub(super) fn commits(&self) -> &Commits {
        &self.commits
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
    settings: Arc<Settings>,
    queue: queue::Receiver<Box<dyn Mutation>>,
    stopped: bool,
    commits: Arc<Commits>,
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
            self.commits.stopped.store(self.stopped, Ordering::Relaxed);
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
                self.publish(&effects);
                self.commits.commits.fetch_add(1, Ordering::Relaxed);
                self.commits.changes.fetch_add(batch.len() as u64, Ordering::Relaxed);
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
                if !self.stopped {
                    // What the log holds moves into the index, and the log begins anew: room for the next commit.
                    let shortened = self.index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                    shortened
                        .unwrap_or_else(|error| tracing::warn!(%error, "could not shorten the index's log"));
                }
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
                    all.settings |= effects.settings;
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

    /// Whoever is answered that settings changed finds them changed.
    fn publish(&mut self, effects: &Effects) {
        if effects.settings
            && let Err(error) = self.settings.reload(&self.index)
        {
            // What is in memory is not what is on disk any more.
            tracing::error!(%error, "could not read the buckets' settings");
            self.stopped = true;
        }
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

#[cfg(test)]
mod tests {
    use std::thread;

    use tempfile::TempDir;

    use super::*;
    use crate::backend::local::schema::open_writing;

    struct Running {
        directory: TempDir,
        committer: Committer,
        thread: thread::JoinHandle<Connection>,
        chores: mpsc::Receiver<Chore>,
        places: Places,
    }

    /// A writing thread on an index that may have so many pages.
    fn running(pages: i64) -> Running {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::prepare(directory.path()).unwrap();
        let index = open_writing(&places.index()).unwrap();
        index.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
        let settings = Settings::load(&index).unwrap();
        let (keeper, chores) = mpsc::channel();
        let (committer, run) = Committer::new(index, places.clone(), keeper, Arc::new(settings));
        Running { directory, committer, thread: thread::spawn(run), chores, places }
    }

    fn insert(id: i64, size: usize) -> impl FnOnce(&Connection, &mut Effects) -> Result<(), StoreError> {
        move |index, _| {
            let sql = "INSERT INTO content (id, kind, size, refs, data) VALUES (?1, 0, 0, 0, ?2)";
            index.execute(sql, (id, vec![7; size]))?;
            Ok(())
        }
    }

    fn ids(index: &Connection) -> Vec<i64> {
        let mut statement = index.prepare("SELECT id FROM content ORDER BY id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[tokio::test]
    async fn a_full_disk_refuses_and_loses_nothing() {
        let running = running(100);
        let committer = &running.committer;
        committer.apply(insert(1, 300_000)).await.unwrap();
        let (file, _) = StagedFile::create(&running.places, ContentId(9)).unwrap();
        let refused = committer
            .apply(move |index, effects| {
                effects.staged.push(file);
                insert(2, 3_000_000)(index, effects)
            })
            .await;
        assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
        assert!(!running.places.incoming(ContentId(9)).exists());
        // What is small still fits, and deleting makes room.
        committer.apply(insert(3, 10)).await.unwrap();
        let delete =
            |index: &Connection, _: &mut Effects| Ok(index.execute("DELETE FROM content WHERE id = 1", [])?);
        assert_eq!(committer.apply(delete).await.unwrap(), 1);
        committer.apply(insert(4, 300_000)).await.unwrap();
        drop(running.committer);
        assert_eq!(ids(&running.thread.join().unwrap()), [3, 4]);
        assert!(running.chores.try_recv().is_err(), "no file was committed");
    }

    #[tokio::test]
    async fn a_refusal_undoes_itself_and_none_of_its_neighbours() {
        let running = running(10_000);
        let both = futures_util::future::join_all((1..=20).map(|id| {
            running.committer.apply(move |index, effects| {
                insert(id, 10)(index, effects)?;
                effects.garbage.push(ContentId(id));
                if id % 2 == 0 { Err(StoreError::PreconditionFailed) } else { Ok(()) }
            })
        }));
        assert_eq!(both.await.iter().filter(|outcome| outcome.is_ok()).count(), 10);
        drop(running.committer);
        let odd: Vec<i64> = (1..=20).step_by(2).collect();
        assert_eq!(ids(&running.thread.join().unwrap()), odd);
        let mut told = Vec::new();
        for chore in running.chores.iter() {
            let Chore::Committed { settle, garbage } = chore else { panic!("{chore:?}") };
            assert_eq!(settle, []);
            told.extend(garbage.into_iter().map(|id| id.0));
        }
        assert_eq!(told, odd);
        drop(running.directory);
    }

    #[tokio::test]
    async fn after_a_failed_commit_nothing_more_is_written() {
        let running = running(10_000);
        // Someone else's transaction: the commit cannot be had.
        let (file, _) = StagedFile::create(&running.places, ContentId(9)).unwrap();
        let failed = running
            .committer
            .apply(move |index, effects| {
                effects.staged.push(file);
                index.execute_batch("COMMIT")?;
                Ok(())
            })
            .await;
        assert!(matches!(failed, Err(StoreError::Stopped)), "{failed:?}");
        let refused = running.committer.apply(insert(1, 1)).await;
        assert!(matches!(refused, Err(StoreError::Stopped)));
        // What the disk holds is for the next opening to find out; the file stays until then.
        assert!(running.places.incoming(ContentId(9)).exists());
    }
}
