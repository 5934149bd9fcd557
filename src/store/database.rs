//! The SQLite file: its schema, opening and checking it, reading all of it, writing a batch.
//!
//! WAL with `synchronous=FULL`: a commit costs one fsync and is there after a power cut. NORMAL would write a sixth less, but
//! might lose the last batch, whose instances a server may know already. `locking_mode=EXCLUSIVE`: no file of shared memory
//! beside it, and a second gateway on the same folder is noticed.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, Row, params};

use crate::persist::{Contents, Day, Instance, Modem, Write};

use super::aside::Kind;

/// Name of the database in the state directory.
pub const FILE: &str = "nbgate.db";
/// Schema that this version writes, in `user_version`.
const SCHEMA: i64 = 1;
const TABLES: &str = "
    CREATE TABLE instances (
        object INTEGER NOT NULL, id INTEGER NOT NULL, key TEXT NOT NULL, sources TEXT NOT NULL,
        first_seen INTEGER, last_seen INTEGER,
        PRIMARY KEY (object, id), UNIQUE (object, key)
    ) WITHOUT ROWID;
    CREATE TABLE modem (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        manufacturer TEXT, model TEXT, firmware TEXT, imei TEXT, imsi TEXT, iccid TEXT
    );
    PRAGMA user_version = 1;";
/// Only the service reads and writes it: it names the modem's identity.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The folder cannot be made, or the file in it not opened.
    #[error("{0}")]
    Folder(#[source] io::Error),
    /// Another process has it.
    #[error("another process uses it; does a second nbgate run?")]
    InUse,
    /// It is no database, damaged, or a newer version's.
    #[error("{why}")]
    Damaged {
        /// How it is to be called.
        kind: Kind,
        /// In words.
        why: String,
    },
    /// It is damaged, and cannot be moved aside either.
    #[error("it is damaged and cannot be moved aside: {0}")]
    Aside(#[source] io::Error),
    /// It was damaged, and a new one is begun.
    #[error("it was damaged, and a new one is begun")]
    Begun,
    /// What SQLite says otherwise: disk full, read-only, I/O error.
    #[error("{0}")]
    Sqlite(#[source] rusqlite::Error),
}

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

/// A database that was just opened, and what is in it.
pub(super) struct Opened {
    pub database: Database,
    pub contents: Contents,
}

impl Fault {
    /// A table or a column that is not as we made it is damage, too.
    fn of_reading(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            None | Some(ErrorCode::Unknown) => Self::Damaged { kind: Kind::Corrupt, why: error.to_string() },
            Some(_) => error.into(),
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { kind: Kind::Corrupt, why: error.to_string() }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse,
            _ => Self::Sqlite(error),
        }
    }
}

impl Database {
    /// Opens the database in this folder, makes both if need be, checks it and reads it.
    pub(super) fn open(folder: &Path) -> Result<Opened, Fault> {
        make_file(folder).map_err(Fault::Folder)?;
        let connection =
            Connection::open_with_flags(folder.join(FILE), OpenFlags::SQLITE_OPEN_READ_WRITE | NO_MUTEX)?;
        // Pragmas that answer with a row each.
        for pragma in ["locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=FULL"] {
            connection.execute_batch(&format!("PRAGMA {pragma};"))?;
        }
        // Little memory, and distrust of what the file says of itself.
        connection.execute_batch(
            "PRAGMA cache_size=-256; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; \
             PRAGMA journal_size_limit=1048576;",
        )?;
        check(&connection)?;
        let mut database = Self { connection };
        database.make_tables()?;
        let contents = read(&database.connection).map_err(Fault::of_reading)?;
        // Whoever can read may still not be allowed to write: a file of root's, a disk that is read-only.
        database.connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK;")?;
        Ok(Opened { database, contents })
    }

    fn make_tables(&mut self) -> Result<(), Fault> {
        let version: i64 = self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let tables: i64 =
            self.connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        match (version, tables) {
            (SCHEMA, _) => Ok(()),
            (0, 0) => {
                let transaction = self.connection.transaction()?;
                transaction.execute_batch(TABLES)?;
                Ok(transaction.commit()?)
            }
            (newer, _) if newer > SCHEMA => {
                let why = format!("a newer version of nbgate wrote it: schema {newer}, known is {SCHEMA}");
                Err(Fault::Damaged { kind: Kind::Newer, why })
            }
            _ => {
                let why = "it is a database, but not of nbgate".to_owned();
                Err(Fault::Damaged { kind: Kind::Corrupt, why })
            }
        }
    }

    /// Writes all of these or nothing; what it returned from is on disk.
    pub(super) fn write(&mut self, writes: &[Write]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        for write in writes {
            put(&transaction, write)?;
        }
        transaction.commit()
    }

    pub(super) fn close(self) -> rusqlite::Result<()> {
        self.connection.close().map_err(|(_, error)| error)
    }
}

/// One thread has the connection.
const NO_MUTEX: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX;

/// What can be read of a database that cannot be written, without a trace on the disk. What its log holds is not seen.
pub(super) fn read_only(folder: &Path) -> Option<Contents> {
    let path = folder.join(FILE);
    // What has a meaning in a URI.
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | NO_MUTEX;
    let connection = Connection::open_with_flags(format!("file:{path}?immutable=1"), flags).ok()?;
    check(&connection).ok()?;
    read(&connection).ok()
}

/// The file with its mode, before SQLite makes it with another.
fn make_file(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let path = folder.join(FILE);
    if let Err(error) = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&path) {
        if error.kind() != io::ErrorKind::AlreadyExists {
            return Err(error);
        }
        if path.metadata()?.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(&path, Permissions::from_mode(FILE_MODE))?;
        }
        return Ok(());
    }
    // The name is to be there after a power cut, too.
    File::open(folder)?.sync_all()
}

fn check(connection: &Connection) -> Result<(), Fault> {
    let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if verdict == "ok" { Ok(()) } else { Err(Fault::Damaged { kind: Kind::Corrupt, why: verdict }) }
}

fn read(connection: &Connection) -> rusqlite::Result<Contents> {
    let mut statement = connection.prepare(
        "SELECT object, id, key, sources, first_seen, last_seen FROM instances ORDER BY object, id",
    )?;
    let instances = statement.query_map([], |row| Ok(instance(row)))?;
    let mut contents = Contents::default();
    for instance in instances {
        match instance? {
            Ok(instance) => contents.instances.push(instance),
            // Somebody was at it with other tools.
            Err(why) => tracing::warn!(why, "a remembered instance makes no sense and is left out"),
        }
    }
    let mut statement =
        connection.prepare("SELECT manufacturer, model, firmware, imei, imsi, iccid FROM modem")?;
    let mut modems = statement.query_map([], modem)?;
    contents.modem = modems.next().transpose()?;
    Ok(contents)
}

fn instance(row: &Row<'_>) -> Result<Instance, String> {
    let number = |at| row.get::<_, u16>(at).map_err(|error| error.to_string());
    let texts = |at| {
        let text: String = row.get(at).map_err(|error| error.to_string())?;
        serde_json::from_str::<Vec<String>>(&text).map_err(|error| error.to_string())
    };
    let day = |at| row.get::<_, Option<u32>>(at).map(|day| day.map(Day)).map_err(|error| error.to_string());
    Ok(Instance {
        object: number(0)?,
        id: number(1)?,
        key: texts(2)?,
        sources: texts(3)?,
        first_seen: day(4)?,
        last_seen: day(5)?,
    })
}

fn modem(row: &Row<'_>) -> rusqlite::Result<Modem> {
    Ok(Modem {
        manufacturer: row.get(0)?,
        model: row.get(1)?,
        firmware: row.get(2)?,
        imei: row.get(3)?,
        imsi: row.get(4)?,
        iccid: row.get(5)?,
    })
}

fn put(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Instance(instance) => {
            let Instance { object, id, key, sources, first_seen, last_seen } = instance;
            // Takes the place of the row of this ID, and of the one of this key.
            let sql = "INSERT OR REPLACE INTO instances VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            let (key, sources) = (json(key), json(sources));
            let (first, last) = (first_seen.map(|day| day.0), last_seen.map(|day| day.0));
            connection.execute(sql, params![object, id, key, sources, first, last])?;
        }
        Write::Forget { object, id } => {
            let sql = "DELETE FROM instances WHERE object = ?1 AND id = ?2";
            connection.execute(sql, params![object, id])?;
        }
        Write::Modem(Modem { manufacturer, model, firmware, imei, imsi, iccid }) => {
            let sql = "INSERT OR REPLACE INTO modem VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)";
            connection.execute(sql, params![manufacturer, model, firmware, imei, imsi, iccid])?;
        }
    }
    Ok(())
}

/// Texts as a JSON array, the same for the same texts.
fn json(texts: &[String]) -> String {
    serde_json::Value::from(texts).to_string()
}
