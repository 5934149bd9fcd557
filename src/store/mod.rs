//! The store: one SQLite file on a thread of its own, because fsync blocks. Executes what `persist` asks, decides nothing.
//!
//! A database that cannot be opened, or does not take a batch, is opened anew for the next one: a disk that comes late, or has
//! room again, is found.

mod aside;
mod database;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use crate::clock::UnixTime;
use crate::persist::{Answer, Contents, Request};

use database::{Database, Fault, Opened};

pub use database::FILE;

/// Requests that may wait. The gateway asks one thing at a time, so more is a defect, and refused.
const QUEUE: usize = 4;

/// The way to the thread; dropping it ends the thread after what it has in hand.
#[derive(Debug)]
pub struct Store {
    requests: SyncSender<Request>,
}

impl Store {
    /// Starts the thread. It keeps the file [`FILE`] in `folder`, which it makes if need be, and tells by `answer` what became
    /// of each request. `clock` dates what is moved aside.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn start(
        folder: PathBuf,
        clock: fn() -> Option<UnixTime>,
        answer: impl FnMut(Answer) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, queue) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || Keeping { folder, clock, database: None }.run(&queue, answer))?;
        Ok(Self { requests })
    }

    /// Asks without waiting; gives an answer only where there will be none from the thread.
    pub fn ask(&self, request: Request) -> Option<Answer> {
        let (request, reason) = match self.requests.try_send(request) {
            Ok(()) => return None,
            Err(TrySendError::Full(request)) => (request, "the store's thread does not keep up"),
            Err(TrySendError::Disconnected(request)) => (request, "the store's thread has ended"),
        };
        Some(refusal(request, reason))
    }
}

/// The answer to a request that cannot be carried out.
fn refusal(request: Request, reason: &str) -> Answer {
    match request {
        Request::Load => Answer::Loaded {
            contents: Contents::default(),
            moved_aside: None,
            unwritable: Some(reason.to_owned()),
        },
        Request::Write { batch, .. } => Answer::Failed { batch, reason: reason.to_owned(), emptied: false },
    }
}

/// What the thread has.
struct Keeping {
    folder: PathBuf,
    clock: fn() -> Option<UnixTime>,
    database: Option<Database>,
}

impl Keeping {
    fn run(mut self, queue: &Receiver<Request>, mut answer: impl FnMut(Answer)) {
        while let Ok(request) = queue.recv() {
            answer(match request {
                Request::Load => self.load(),
                Request::Write { batch, writes } => match self.write(&writes) {
                    Ok(()) => Answer::Committed { batch },
                    Err((fault, emptied)) => Answer::Failed { batch, reason: self.explain(&fault), emptied },
                },
            });
        }
        if let Some(Err(error)) = self.database.take().map(Database::close) {
            tracing::debug!(%error, "the database is not closed tidily; the next start makes up for it");
        }
    }

    fn load(&mut self) -> Answer {
        let mut moved_aside = None;
        let opened = self.open(&mut moved_aside);
        let (contents, unwritable) = match opened {
            Ok(contents) => (contents, None),
            Err(fault) => {
                // What cannot be written may still be read: a read-only root, a full disk.
                let contents = database::read_only(&self.folder).unwrap_or_default();
                (contents, Some(self.explain(&fault)))
            }
        };
        Answer::Loaded { contents, moved_aside, unwritable }
    }

    /// Writes all or nothing; a fault comes with whether the database had to be begun anew.
    fn write(&mut self, writes: &[crate::persist::Write]) -> Result<(), (Fault, bool)> {
        if self.database.is_none() {
            let mut moved_aside = None;
            self.open(&mut moved_aside).map_err(|fault| (fault, false))?;
            if let Some(where_to) = moved_aside {
                tracing::error!(where_to, "the store's database was damaged and is moved aside; begun anew");
                return Err((Fault::Begun, true));
            }
        }
        let Some(database) = &mut self.database else { return Ok(()) };
        database.write(writes).map_err(|error| {
            // The next attempt looks at the file anew.
            self.database = None;
            (error.into(), false)
        })
    }

    /// Opens the database and gives what is in it. A damaged one is moved aside, told in `moved_aside`, and a new one begun.
    fn open(&mut self, moved_aside: &mut Option<String>) -> Result<Contents, Fault> {
        // It would lock out its successor.
        self.database = None;
        let mut opened = Database::open(&self.folder);
        if let Err(Fault::Damaged { kind, why }) = &opened {
            let to = aside::move_aside(&self.folder, FILE, *kind, (self.clock)()).map_err(Fault::Aside)?;
            *moved_aside = Some(format!("{} ({why})", to.display()));
            opened = Database::open(&self.folder);
        }
        let Opened { database, contents } = opened?;
        self.database = Some(database);
        Ok(contents)
    }

    fn explain(&self, fault: &Fault) -> String {
        format!("{}: {fault}", path(&self.folder).display())
    }
}

/// Where the database is.
fn path(folder: &Path) -> PathBuf {
    folder.join(FILE)
}
