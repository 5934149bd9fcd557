//! The status socket: a line comes in, a document goes out, and the connection ends. Only the service's user may ask.
//!
//! The line is the number of mappings and of values that are wanted; the document is a [`Report`] as JSON.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::report::Report;
use crate::gateway::questions::Asker;

/// The socket's name in the runtime directory.
const NAME: &str = "status.sock";
/// The longest that somebody may take with question and answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Those who may ask at once; more wait.
const MAX_CONNECTIONS: usize = 4;
/// Mappings or values that the loop gives at once, so that it never stands still for long.
const PAGE: usize = 512;
/// Most mappings, and most values, of a document.
pub const MAX_VALUES: usize = 20_000;
/// A document of so many stays well below this.
const MAX_DOCUMENT_OCTETS: u64 = 64 * 1024 * 1024;

/// The open socket; its file goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens there.
    #[error("nbgate is not running (nobody answers at {})", .0.display())]
    NotRunning(PathBuf),
    /// The socket is not for us.
    #[error("{} may only be opened by root and the user of the service", .0.display())]
    Forbidden(PathBuf),
    /// It listens, but gives no whole answer in time.
    #[error("nbgate is running but does not answer: {0}")]
    NoAnswer(String),
}

impl Socket {
    /// Opens the socket in this directory, which is made if it is not there; takes the place of one that a service
    /// left behind.
    ///
    /// # Errors
    /// Why there can be no socket; above all, that another service answers there ([`io::ErrorKind::AddrInUse`]).
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join(NAME);
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another nbgate is running"));
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        // Made where nobody else can reach it, and moved to its place once only we may open it.
        let nursery = directory.join(format!(".status.{}", std::process::id()));
        DirBuilder::new().recursive(true).mode(0o700).create(&nursery)?;
        let made = Self::open_in(&nursery, &path);
        // It is empty, unless the socket could not be moved.
        let removed = fs::remove_dir_all(&nursery);
        let socket = made?;
        removed?;
        Ok(socket)
    }

    fn open_in(nursery: &Path, path: &Path) -> io::Result<Self> {
        let newborn = nursery.join(NAME);
        let listener = UnixListener::bind(&newborn)?;
        fs::set_permissions(&newborn, Permissions::from_mode(0o600))?;
        fs::rename(&newborn, path)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Answers until nobody waits for this any more.
    pub async fn serve(self, asker: Asker) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::debug!(%error, "the status socket could not take a connection");
                    // Out of descriptors, for example: not at once again.
                    let _ = timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
                    continue;
                }
            };
            let asker = asker.clone();
            tokio::spawn(async move {
                match timeout(LIMIT, answer(stream, &asker)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(%error, "who asked for the status went away"),
                    Err(_) => tracing::debug!("who asked for the status took too long"),
                }
                drop(place);
            });
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A successor may have put its own in this place: then the name would be gone, and it would be told as stale.
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(%error, "the status socket stays");
        }
    }
}

async fn answer(mut stream: UnixStream, asker: &Asker) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        let octet = stream.read_u8().await?;
        if octet == b'\n' {
            break;
        }
        line.push(octet);
        if line.len() > 20 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no number"));
        }
    }
    let wanted = std::str::from_utf8(&line).ok().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
    let Some(report) = report(asker, wanted).await else { return Ok(()) };
    let document = serde_json::to_vec(&report)?;
    stream.write_all(&document).await?;
    stream.shutdown().await
}

async fn report(asker: &Asker, wanted: usize) -> Option<Report> {
    let snapshot = asker.snapshot().await?;
    let wanted = wanted.min(MAX_VALUES);
    let mut mappings = Vec::new();
    while mappings.len() < wanted {
        let page = asker.mappings(mappings.len(), PAGE.min(wanted - mappings.len())).await?;
        if page.is_empty() {
            break;
        }
        mappings.extend(page);
    }
    let mut values = Vec::new();
    while values.len() < wanted {
        let after = values.last().map(|value: &crate::gateway::snapshot::ValueStatus| value.path);
        let page = asker.values(after, PAGE.min(wanted - values.len())).await?;
        if page.is_empty() {
            break;
        }
        values.extend(page);
    }
    Some(Report::new(&snapshot, &mappings, &values))
}

/// Asks the service whose runtime directory this is for its state with at most so many mappings and values.
///
/// # Errors
/// There is no answer.
pub async fn ask(directory: &Path, values: usize) -> Result<Report, AskError> {
    let path = directory.join(NAME);
    let mut stream = UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => AskError::Forbidden(path.clone()),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning(path.clone()),
        _ => AskError::NoAnswer(error.to_string()),
    })?;
    let mut document = Vec::new();
    let asking = async {
        stream.write_all(format!("{values}\n").as_bytes()).await?;
        stream.take(MAX_DOCUMENT_OCTETS).read_to_end(&mut document).await
    };
    match timeout(LIMIT, asking).await {
        Ok(Ok(_)) => serde_json::from_slice(&document).map_err(|error| AskError::NoAnswer(error.to_string())),
        Ok(Err(error)) => Err(AskError::NoAnswer(error.to_string())),
        Err(_) => Err(AskError::NoAnswer(format!("nothing came within {} s", LIMIT.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{mapping, snapshot, value};
    use super::*;
    use crate::gateway::questions::{Question, questions};

    /// A loop that knows this many values.
    fn answering(values: u16) -> Asker {
        let (asker, mut asked) = questions();
        tokio::spawn(async move {
            while let Some(question) = asked.recv().await {
                match question {
                    Question::Snapshot(answer) => drop(answer.send(snapshot())),
                    Question::Mappings { from, most, answer } => {
                        let page = |number| mapping(number, None);
                        drop(answer.send((from..3).take(most).map(page).collect()));
                    }
                    Question::Values { after, most, answer } => {
                        assert!(most <= PAGE);
                        let from = after.map_or(0, |path| path.instance().unwrap() + 1);
                        drop(answer.send((from..values).take(most).map(value).collect()));
                    }
                }
            }
        });
        asker
    }

    #[tokio::test]
    async fn the_document_has_as_many_values_as_were_asked_for_and_only_the_owner_may_ask() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = folder.path().join("run/nbgate");
        let serving = tokio::spawn(Socket::open(&runtime).unwrap().serve(answering(1500)));
        let mode = fs::metadata(runtime.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::metadata(&runtime).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&runtime).unwrap().count(), 1);
        for (wanted, given) in [(0, 0), (7, 7), (MAX_VALUES, 1500)] {
            let report = ask(&runtime, wanted).await.unwrap();
            assert_eq!((report.values.len(), report.mappings.len()), (given, wanted.min(3)));
        }
        serving.abort();
        let _ = serving.await;
        assert!(matches!(ask(&runtime, 0).await, Err(AskError::NotRunning(_))));
        assert_eq!(fs::read_dir(&runtime).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        // Dropped without its file.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(NAME)).unwrap());
        assert!(matches!(ask(folder.path(), 0).await, Err(AskError::NotRunning(_))));
        let socket = Socket::open(folder.path()).unwrap();
        let second = Socket::open(folder.path()).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
        let serving = tokio::spawn(socket.serve(answering(0)));
        assert!(ask(folder.path(), 0).await.is_ok());
        serving.abort();
    }

    #[tokio::test]
    async fn rubbish_and_silence_get_no_answer_and_hinder_nobody() {
        let folder = tempfile::tempdir().unwrap();
        tokio::spawn(Socket::open(folder.path()).unwrap().serve(answering(0)));
        let mut silent = vec![];
        for _ in 1..MAX_CONNECTIONS {
            silent.push(UnixStream::connect(folder.path().join(NAME)).await.unwrap());
        }
        let mut rude = UnixStream::connect(folder.path().join(NAME)).await.unwrap();
        rude.write_all(&[b'x'; 100]).await.unwrap();
        let mut answer = Vec::new();
        // Closed with unread octets, so it may well be a reset.
        let _ = rude.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
        assert!(ask(folder.path(), 0).await.is_ok());
    }
}
