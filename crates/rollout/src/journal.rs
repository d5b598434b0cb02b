//! The journal of finished calls: whatever a target answered is written here before it is used, so that a killed run
//! never asks, nor pays, twice, and a finished run can be replayed without its target.
//!
//! It is an SQLite file. A batch of calls is one transaction: a run killed at any moment leaves all of it or nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use endpoint::Spent;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, TransactionBehavior, params};

use crate::Error;
use crate::data::{Message, stable_digest};
use crate::target::Response;

/// What a call is known by: a SHA-256 of everything that decides its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey([u8; 32]);

impl CallKey {
    /// The key of a call. Samples of one prompt differ by their seeds, so the index of a sample belongs into `seed`;
    /// `parameters` is any text that is the same exactly when all other options of sampling are.
    pub fn of(model: &str, messages: &[Message], parameters: &str, seed: u64) -> CallKey {
        let seed = seed.to_le_bytes();
        let mut parts = vec![KEY_VERSION, model.as_bytes(), parameters.as_bytes(), &seed];
        for message in messages {
            parts.extend([message.role.as_bytes(), message.content.as_bytes()]);
        }
        CallKey(stable_digest(&parts))
    }
}

/// The first part of every key: another way to build keys must not find what this one wrote.
const KEY_VERSION: &[u8] = b"align-pro call 1";

/// The finished calls of a run, in a file of their own.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    connection: Connection,
}

/// Marks the file as a journal of calls, in the place where SQLite keeps such marks: "ALPj".
const APPLICATION: i32 = i32::from_be_bytes(*b"ALPj");

/// Version of the tables, in SQLite's `user_version`.
const SCHEMA: i32 = 2;

/// How long to wait for another process that writes to the same journal.
const PATIENCE: Duration = Duration::from_secs(20);

const TABLES: &str = "CREATE TABLE calls (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    request TEXT NOT NULL,
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    cut INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL DEFAULT 0
) STRICT";

/// From the first version of the tables, which did not count what was read.
const FROM_THE_FIRST: &str = "ALTER TABLE calls ADD COLUMN prompt_tokens INTEGER NOT NULL DEFAULT 0";

impl Journal {
    /// Open a journal, or begin one where there is no file. Its folder must be there.
    pub fn open(path: &Path) -> Result<Journal, Error> {
        // Without SQLITE_OPEN_URI, a path that happens to begin with `file:` is still a path.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags);
        Journal::begin(path, connection)
    }

    /// A journal that is gone when it is dropped.
    pub fn in_memory() -> Result<Journal, Error> {
        Journal::begin(Path::new(":memory:"), Connection::open_in_memory())
    }

    fn begin(path: &Path, connection: rusqlite::Result<Connection>) -> Result<Journal, Error> {
        let failed = |source| Error::Journal { path: path.to_owned(), source };
        let mut connection = connection.map_err(failed)?;
        match prepare(&mut connection).map_err(failed)? {
            Mark { application: APPLICATION, schema: SCHEMA } => Ok(Journal { path: path.to_owned(), connection }),
            Mark { application: APPLICATION, schema } => {
                Err(Error::JournalSchema { path: path.to_owned(), found: schema, known: SCHEMA })
            }
            Mark { .. } => Err(Error::NotAJournal { path: path.to_owned() }),
        }
    }

    /// The responses to these calls, `None` for those that are not in the journal.
    pub fn get(&self, keys: &[CallKey]) -> Result<Vec<Option<Response>>, Error> {
        let find = || -> rusqlite::Result<Vec<Option<Response>>> {
            let mut find =
                self.connection.prepare("SELECT text, tokens, cut, prompt_tokens FROM calls WHERE key = ?1")?;
            keys.iter().map(|key| find.query_row([key.0], response_of).optional()).collect()
        };
        find().map_err(|source| self.failed(source))
    }

    /// Write these calls, all or none of them: key, what was asked as JSON for people who read the journal, and what was
    /// answered. A call that is there already stays as it is, so that a response delivered twice changes nothing.
    pub fn put(&mut self, calls: &[(CallKey, &str, Response)]) -> Result<(), Error> {
        insert(&mut self.connection, calls).map_err(|source| Error::Journal { path: self.path.clone(), source })
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many calls are in it.
    pub fn n_calls(&self) -> Result<u64, Error> {
        let count = self.connection.query_row("SELECT count(*) FROM calls", [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|source| self.failed(source))
    }

    /// What its calls have cost.
    pub fn spent(&self) -> Result<Spent, Error> {
        let sums = "SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(tokens), 0) FROM calls";
        let number = |row: &Row<'_>, index| row.get::<_, i64>(index).map(i64::unsigned_abs);
        let read = |row: &Row<'_>| {
            Ok(Spent { calls: number(row, 0)?, prompt_tokens: number(row, 1)?, completion_tokens: number(row, 2)? })
        };
        self.connection.query_row(sums, [], read).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        Error::Journal { path: self.path.clone(), source }
    }
}

/// Who wrote a database, and which version of the tables it has.
struct Mark {
    application: i32,
    schema: i32,
}

/// Make a new database a journal, and tell what a database is that was there before.
fn prepare(connection: &mut Connection) -> rusqlite::Result<Mark> {
    connection.busy_timeout(PATIENCE)?;
    // Looked at before anything is set, so that somebody else's database is left as it is.
    let is_empty = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))? == 0;
    if is_empty {
        initialise(connection)?;
    }
    let mark = mark_of(connection)?;
    if mark.application == APPLICATION {
        // Readers then do not wait for a writer. Where the file system cannot do it, the mode stays what it was, and all
        // else holds.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        // With NORMAL a power cut could take calls that are paid for. A batch costs one fsync, and a target takes far
        // longer to answer it.
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    if mark.application == APPLICATION && mark.schema == 1 {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if mark_of(&transaction)?.schema == 1 {
            transaction.execute_batch(FROM_THE_FIRST)?;
            transaction.pragma_update(None, "user_version", SCHEMA)?;
        }
        transaction.commit()?;
        return mark_of(connection);
    }
    Ok(mark)
}

fn initialise(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have made the tables while this one waited for the lock.
    if mark_of(&transaction)?.application != APPLICATION {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
    }
    transaction.commit()
}

fn mark_of(connection: &Connection) -> rusqlite::Result<Mark> {
    let number = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok(Mark { application: number("application_id")?, schema: number("user_version")? })
}

fn insert(connection: &mut Connection, calls: &[(CallKey, &str, Response)]) -> rusqlite::Result<()> {
    // Immediate: a transaction that begins by reading cannot wait for another writer once it wants to write.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let command = "INSERT OR IGNORE INTO calls (key, request, text, tokens, cut, prompt_tokens) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let mut insert = transaction.prepare(command)?;
        for (key, request, response) in calls {
            let number = |tokens: usize| {
                i64::try_from(tokens).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
            };
            let (tokens, read) = (number(response.tokens)?, number(response.prompt_tokens)?);
            insert.execute(params![key.0, request, response.text, tokens, response.cut, read])?;
        }
    }
    transaction.commit()
}

fn response_of(row: &Row<'_>) -> rusqlite::Result<Response> {
    let number = |index| {
        let tokens: i64 = row.get(index)?;
        usize::try_from(tokens).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, tokens))
    };
    Ok(Response { text: row.get(0)?, tokens: number(1)?, prompt_tokens: number(3)?, cut: row.get(2)? })
}

#[cfg(test)]
mod tests;
