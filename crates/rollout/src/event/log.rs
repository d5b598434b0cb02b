//! The file of events: one JSON object a line, appended as they happen.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{Event, EventSink};
use crate::Error;

/// A growing file of events.
#[derive(Debug)]
pub struct EventLog {
    path: PathBuf,
    file: File,
    length: u64,
}

impl EventLog {
    /// Go on after the first `length` bytes of the file, dropping whatever comes after them: what a run wrote after the
    /// checkpoint from which it resumes will be written again. 0 begins anew.
    pub fn resume(path: &Path, length: u64) -> Result<EventLog, Error> {
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < length {
            return Err(Error::Shortened { path: path.to_owned(), expected: length, found });
        }
        file.set_len(length).map_err(failed)?;
        Ok(EventLog { path: path.to_owned(), file, length })
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Make everything written so far survive a crash of the machine.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

impl EventSink for EventLog {
    fn emit(&mut self, event: &Event) -> Result<(), Error> {
        let failed = |source| Error::Write { path: self.path.clone(), source };
        let mut line = serde_json::to_vec(event).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// The events of a file. A last line that a killed run left unfinished is passed over.
pub fn read_events(path: &Path) -> Result<Vec<Event>, Error> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let mut events = Vec::new();
    let mut lines = BufReader::new(File::open(path).map_err(failed)?).split(b'\n').peekable();
    let mut number = 0;
    while let Some(line) = lines.next() {
        let line = line.map_err(failed)?;
        number += 1;
        match serde_json::from_slice(&line) {
            Ok(event) => events.push(event),
            Err(_) if lines.peek().is_none() => {}
            Err(source) => return Err(Error::Event { path: path.to_owned(), line: number, source }),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(step: u64) -> Event {
        Event::CheckpointSaved { step }
    }

    #[test]
    fn a_resumed_log_forgets_what_came_after_its_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::resume(&path, 0).unwrap();
        log.emit(&saved(1)).unwrap();
        let length = log.length();
        log.emit(&saved(2)).unwrap();
        let mut resumed = EventLog::resume(&path, length).unwrap();
        resumed.emit(&saved(3)).unwrap();
        assert_eq!(read_events(&path).unwrap(), [saved(1), saved(3)]);
        assert_eq!(resumed.length(), std::fs::metadata(&path).unwrap().len());
        let error = EventLog::resume(&path, 1_000).unwrap_err();
        assert!(error.to_string().contains("events.jsonl"), "{error}");
    }

    #[test]
    fn a_half_written_last_line_is_passed_over_and_a_broken_one_before_it_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let line = serde_json::to_string(&saved(1)).unwrap();
        std::fs::write(&path, format!("{line}\n{}", &line[..10])).unwrap();
        assert_eq!(read_events(&path).unwrap(), [saved(1)]);
        std::fs::write(&path, format!("{line}\nx\n{line}\n")).unwrap();
        assert!(read_events(&path).unwrap_err().to_string().contains("line 2"));
    }
}
