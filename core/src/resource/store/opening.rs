//! How a store is opened: what is refused, with what to do, and how one is made.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use uuid::Uuid;

use crate::resource::sys;
use crate::{Error, ErrorKind, StoreDurability};

/// "D365", as SQLite's `application_id`: what has another one belongs to another program.
const APPLICATION: i32 = i32::from_be_bytes(*b"D365");
/// Each makes the next version of the schema of the one before; the version is SQLite's `user_version`.
const MIGRATIONS: [&str; 4] = [
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
];
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where `application_id` stands in the file's head.
const APPLICATION_AT: usize = 68;
/// How the name begins under which a store is made.
const DRAFT: &str = ".d365-";
/// A larger file is not read through when it is opened.
const MOST_CHECKED: u64 = 4 << 20;
/// How long another process may hold the store before it counts as failed; an opening waits so long altogether.
pub(crate) const LONGEST_LOCK: Duration = Duration::from_secs(5);
/// How long whoever has a call to look after waits for that.
pub(super) const BRIEF: Duration = Duration::from_millis(20);
/// How many statements stay prepared.
const STATEMENTS: usize = 64;

/// Looks at what is there, and makes a store where nothing is. Gives its path without links.
pub(super) fn locate(path: &Path) -> Result<PathBuf, Error> {
    no_other_meaning(path)?;
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(refused(path, "it names no file")),
    };
    let folder = folder.canonicalize().map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "its folder does not exist; make it".to_owned(),
            _ => format!("its folder cannot be entered: {error}"),
        };
        refused(path, &why)
    })?;
    if let Some(system) = sys::network_file_system(&folder) {
        let why = format!(
            "its folder is on {system}, whose locks and shared memory do not hold for all machines; \
             name a file on a disk of this machine"
        );
        return Err(refused(path, &why));
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            return Err(refused(path, "it is a folder; name a file in it"));
        }
        Ok(found) if !found.is_file() => return Err(refused(path, "it is no file")),
        Ok(found) if found.permissions().readonly() => {
            return Err(refused(path, "it is read-only; make it writable"));
        }
        Ok(found) if sys::names(&found) > 1 => has_one_name(path, &folder)?,
        // Somebody has made it to hand it over, by mkstemp for one. SQLite makes a database of it.
        Ok(found) if found.len() == 0 => {
            let made = sys::make_private(path);
            made.map_err(|error| refused(path, &format!("it cannot be made private: {error}")))?;
        }
        Ok(_) => {}
        Err(_) if path.is_symlink() && !path.exists() => {
            let why = "it is a link that leads to no file; name the file, and it is made";
            return Err(refused(path, why));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            has_left_no_log(path)?;
            make(path, &folder)?;
        }
        Err(error) => return Err(refused(path, &error.to_string())),
    }
    path.canonicalize()
        .map_err(|error| refused(path, &error.to_string()))
}

/// What means more than a file's name to SQLite, or to a person, would be made as a file of that name.
fn no_other_meaning(path: &Path) -> Result<(), Error> {
    let text = path.to_string_lossy();
    let why = if text == ":memory:" {
        "the ledger is in memory where no store is set; leave it out, or name a file"
    } else if text.contains("://") || text.starts_with("file:") {
        "a store is a file, and no URL; give its path"
    } else {
        return Ok(());
    };
    Err(refused(path, why))
}

/// SQLite's log of a file goes by the file's name: by another name, the file would be read and written
/// without it.
fn has_one_name(path: &Path, folder: &Path) -> Result<(), Error> {
    let identity = sys::identity(path);
    // Whoever made it was killed before the draft's name was gone, or is about to remove it.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(DRAFT)
            && sys::identity(&entry.path()) == identity
        {
            let _ = fs::remove_file(entry.path());
        }
    }
    match fs::metadata(path).map(|found| sys::names(&found)) {
        Ok(names) if names > 1 => {
            let why = format!(
                "the file has {names} names (hard links), and what SQLite keeps beside it goes by \
                 one of them; remove the others"
            );
            Err(refused(path, &why))
        }
        _ => Ok(()),
    }
}

/// SQLite would read the log of a file that was taken away into the one that is made in its place: what was
/// in it would come back, or break it.
fn has_left_no_log(path: &Path) -> Result<(), Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let is_there = fs::metadata(&log).is_ok_and(|found| found.len() > 0);
    // Who makes the file at this moment makes it before its log.
    if !is_there || path.exists() {
        return Ok(());
    }
    let why = "it is gone, and its log (-wal) is there, with writes that may be nowhere else; put the file \
               back, or delete -wal and -shm to begin with nothing";
    Err(refused(path, why))
}

/// Who wrote a file is read from its head before SQLite touches it.
fn check_head(path: &Path) -> Result<(), Error> {
    if fs::metadata(path).is_ok_and(|found| found.len() == 0) {
        return Ok(());
    }
    let mut head = [0; APPLICATION_AT + 4];
    let read = File::options()
        .read(true)
        .write(true)
        .open(path)
        .and_then(|mut file| file.read_exact(&mut head));
    match read {
        Ok(()) if head.starts_with(MAGIC) => {}
        Ok(()) => return Err(refused(path, "it is no database; name another file")),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let why = "it is no database: it is too short; name another file, or delete it";
            return Err(refused(path, why));
        }
        Err(error) => {
            let why = format!("it cannot be opened for reading and writing: {error}");
            return Err(refused(path, &why));
        }
    }
    if head[APPLICATION_AT..] != APPLICATION.to_be_bytes() {
        let why = "it is a database of another program; name another file";
        return Err(refused(path, why));
    }
    Ok(())
}

/// Makes a store under another name first: it is there whole, or not at all, and the first of several
/// that make it at once has made it.
fn make(path: &Path, folder: &Path) -> Result<(), Error> {
    let draft = folder.join(format!("{DRAFT}{}", Uuid::new_v4()));
    let made = draw_up(&draft).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // A file system without links.
        Err(_) if !path.exists() => fs::rename(&draft, path).map_err(|error| error.to_string()),
        _ => Ok(()),
    });
    let _ = fs::remove_file(&draft);
    made.map_err(|why| refused(path, &format!("it cannot be made: {why}")))
}

fn draw_up(draft: &Path) -> Result<(), String> {
    sys::new_private_file(draft).map_err(|error| error.to_string())?;
    let draw = || {
        let mut connection = connect(draft)?;
        let transaction = connection.transaction()?;
        migrate(&transaction, 0)?;
        transaction.commit()?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.close().map_err(|(_, error)| error)
    };
    draw().map_err(|error| error.to_string())
}

fn version_of(connection: &Connection) -> rusqlite::Result<usize> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(version as usize)
}

fn migrate(connection: &Connection, from: usize) -> rusqlite::Result<()> {
    if from == 0 {
        connection.pragma_update(None, "application_id", APPLICATION)?;
    }
    for (version, migration) in (1..).zip(MIGRATIONS).skip(from) {
        connection.execute_batch(migration)?;
        connection.pragma_update(None, "user_version", version)?;
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

/// Has a log written ahead. A file that is new may be held by another process that does the same, for
/// which SQLite does not wait.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let since = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && may_wait(since.elapsed()) =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            done => return done,
        }
    }
}

/// A connection to a store that was located. `is_first`: this process has no other to it.
pub(super) fn open(
    path: &Path,
    durability: StoreDurability,
    is_first: bool,
) -> Result<Connection, Error> {
    if is_first {
        check_head(path)?;
    }
    let opened = || -> rusqlite::Result<(Connection, usize)> {
        let mut connection = connect(path)?;
        connection.busy_handler(Some(wait_for_others))?;
        let version = version_of(&connection)?;
        if version < MIGRATIONS.len() {
            let behavior = TransactionBehavior::Exclusive;
            let transaction = connection.transaction_with_behavior(behavior)?;
            let version = version_of(&transaction)?;
            migrate(&transaction, version)?;
            transaction.commit()?;
        }
        use_log(&connection)?;
        survive(&connection, durability)?;
        // By the store's own thread.
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        if fs::metadata(path).is_ok_and(|found| found.len() <= MOST_CHECKED) {
            let check = "PRAGMA quick_check(1)";
            let found: String = connection.query_row(check, [], |row| row.get(0))?;
            if found != "ok" {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                return Err(rusqlite::Error::SqliteFailure(code, Some(found)));
            }
        }
        Ok((connection, version))
    };
    let (connection, version) = opened().map_err(|error| refused(path, &why(&error)))?;
    if version > MIGRATIONS.len() {
        let why = format!(
            "a newer version of this library has made it (schema {version}, this one knows {}); \
             update the library, or name another file",
            MIGRATIONS.len()
        );
        return Err(refused(path, &why));
    }
    Ok(connection)
}

/// What it commits from now on survives this.
pub(super) fn survive(
    connection: &Connection,
    durability: StoreDurability,
) -> rusqlite::Result<()> {
    let synchronous = match durability {
        StoreDurability::Process => "NORMAL",
        StoreDurability::Power => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

/// Another connection to a store that is open.
pub(super) fn reopen(path: &Path) -> rusqlite::Result<Connection> {
    let connection = connect(path)?;
    connection.busy_handler(Some(wait_for_others))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

pub(super) fn why(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => format!(
            "it is damaged ({error}); move it away to look into it, with what stands beside it, and \
             a new one is made"
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => format!(
            "another process has held it for {} s ({error})",
            LONGEST_LOCK.as_secs()
        ),
        _ => error.to_string(),
    }
}

thread_local! {
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Does something on this thread that waits for other processes until then, however often it has to.
pub(super) fn waiting_until<T>(until: Instant, function: impl FnOnce() -> T) -> T {
    let before = UNTIL.replace(Some(until));
    let done = function();
    UNTIL.set(before);
    done
}

fn may_wait(waited: Duration) -> bool {
    match UNTIL.get() {
        Some(until) => Instant::now() < until,
        None => waited < LONGEST_LOCK,
    }
}

/// Another process commits for some microseconds, or takes what is in its log over for some
/// milliseconds.
fn wait_for_others(times: i32) -> bool {
    const SHORTEST: Duration = Duration::from_micros(100);
    const DOUBLED: i32 = 6;
    let pause = SHORTEST * (1 << times.min(DOUBLED));
    let before = SHORTEST * ((1 << times.min(DOUBLED)) - 1);
    let longest = SHORTEST * (1 << DOUBLED);
    let waited = before + longest * u32::try_from((times - DOUBLED).max(0)).unwrap_or(0);
    std::thread::sleep(pause);
    may_wait(waited)
}

fn refused(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidSetting,
        format!("store = {}: {why}", path.display()),
    )
}
