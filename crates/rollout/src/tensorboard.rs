//! Metrics as a TensorBoard event file, for those who watch their runs there.
//!
//! The file is a series of records: length, checksum of the length, data, checksum of the data. The data is a protobuf
//! message `tensorflow.Event`, of which a scalar needs five fields, so it is written by hand. Whatever is here can be made
//! again from the file of events, which is the record of a run; this one is a view of it.
//!
//! # Checked against
//! `testdata/tensorboard/`, written by TensorBoard 2.21.0's own writer and read back by its own reader in
//! `tools/golden/tensorboard_events.py`: this module's bytes are the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::event::{Event, Seconds};

/// A growing file of metrics.
#[derive(Debug)]
pub struct TensorBoard {
    path: PathBuf,
    file: File,
}

/// How TensorBoard knows a file as its own; after it come the second of its beginning and [`SUFFIX`].
const PREFIX: &str = "events.out.tfevents.";
/// How this program knows a file as its own.
const SUFFIX: &str = ".align-pro";

impl TensorBoard {
    /// Begin a file in `folder`, which is made where it is missing. Times are seconds since 1970, here and below.
    pub fn create(folder: &Path, wall_time: f64) -> Result<TensorBoard, Error> {
        let path = folder.join(format!("{PREFIX}{:010}{SUFFIX}", wall_time as u64));
        let file = fs::create_dir_all(folder).and_then(|()| File::create(&path));
        let file = file.map_err(|source| Error::Write { path: path.clone(), source })?;
        let mut board = TensorBoard { path, file };
        board.write(&version_event(wall_time))?;
        Ok(board)
    }

    /// Begin a file in `folder` with all that `events` tell, in place of the files that this program left there: the
    /// points of a resumed run would stand beside those of its first attempt. The run began at `wall_time`; when a step
    /// ended is told by the seconds of the steps.
    pub fn rebuild(folder: &Path, wall_time: f64, events: &[Event]) -> Result<TensorBoard, Error> {
        remove_own_files(folder)?;
        let mut board = TensorBoard::create(folder, wall_time)?;
        let mut now = wall_time;
        for event in events {
            if let Event::StepDone(done) = event {
                now += done.seconds.total;
            }
            board.record(event, now)?;
        }
        Ok(board)
    }

    /// Write what an event has to show: the metrics and times of a step, the reward of a validation.
    pub fn record(&mut self, event: &Event, wall_time: f64) -> Result<(), Error> {
        match event {
            Event::StepDone(done) => {
                let mut values = done.metrics.clone();
                values.extend(timings(&done.seconds));
                self.add(done.step, wall_time, &values)
            }
            Event::Validated { step, reward, .. } => {
                self.add(*step, wall_time, &BTreeMap::from([("eval/reward".to_owned(), *reward)]))
            }
            Event::Started(_)
            | Event::Rollouts { .. }
            | Event::CheckpointSaved { .. }
            | Event::Warned { .. }
            | Event::Finished { .. } => Ok(()),
        }
    }

    /// Write one point of each of these curves.
    pub fn add(&mut self, step: u64, wall_time: f64, values: &BTreeMap<String, f64>) -> Result<(), Error> {
        self.write(&scalars_event(step, wall_time, values))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Error> {
        // One write a record, so that TensorBoard, which reads along, seldom meets half of one.
        self.file.write_all(&framed(data)).map_err(|source| Error::Write { path: self.path.clone(), source })
    }
}

fn remove_own_files(folder: &Path) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed(folder))?,
    };
    for entry in entries {
        let path = entry.map_err(failed(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            fs::remove_file(&path).map_err(failed(&path))?;
        }
    }
    Ok(())
}

fn timings(seconds: &Seconds) -> [(String, f64); 6] {
    let Seconds { sampling, target, reward, scoring, backward, total } = *seconds;
    [
        ("sampling", sampling),
        ("target", target),
        ("reward", reward),
        ("scoring", scoring),
        ("backward", backward),
        ("total", total),
    ]
    .map(|(name, value)| (format!("seconds/{name}"), value))
}

// Fields of `tensorflow.Event` (event.proto) and `tensorflow.Summary` (summary.proto).
const EVENT_WALL_TIME: u64 = 1;
const EVENT_STEP: u64 = 2;
const EVENT_FILE_VERSION: u64 = 3;
const EVENT_SUMMARY: u64 = 5;
const SUMMARY_VALUE: u64 = 1;
const VALUE_TAG: u64 = 1;
const VALUE_SIMPLE_VALUE: u64 = 2;

/// The first event of every file.
fn version_event(wall_time: f64) -> Vec<u8> {
    let mut event = Vec::new();
    put_double(&mut event, EVENT_WALL_TIME, wall_time);
    put_bytes(&mut event, EVENT_FILE_VERSION, b"brain.Event:2");
    event
}

fn scalars_event(step: u64, wall_time: f64, values: &BTreeMap<String, f64>) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut scalar = Vec::new();
        put_bytes(&mut scalar, VALUE_TAG, tag.as_bytes());
        put_float(&mut scalar, VALUE_SIMPLE_VALUE, *value as f32);
        put_bytes(&mut summary, SUMMARY_VALUE, &scalar);
    }
    let mut event = Vec::new();
    put_double(&mut event, EVENT_WALL_TIME, wall_time);
    put_key(&mut event, EVENT_STEP, Wire::Varint);
    put_varint(&mut event, step);
    put_bytes(&mut event, EVENT_SUMMARY, &summary);
    event
}

/// How protobuf lays out a value.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

fn put_key(to: &mut Vec<u8>, field: u64, wire: Wire) {
    put_varint(to, (field << 3) | wire as u64);
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        to.push((value as u8) | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

fn put_double(to: &mut Vec<u8>, field: u64, value: f64) {
    put_key(to, field, Wire::Fixed64);
    to.extend(value.to_le_bytes());
}

fn put_float(to: &mut Vec<u8>, field: u64, value: f32) {
    put_key(to, field, Wire::Fixed32);
    to.extend(value.to_le_bytes());
}

fn put_bytes(to: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(to, field, Wire::Bytes);
    put_varint(to, bytes.len() as u64);
    to.extend(bytes);
}

/// A record of the file: its length and its data, each with its checksum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// The form in which checksums are stored: that of data which holds its own checksum would else be a constant.
fn masked(checksum: u32) -> u32 {
    checksum.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The checksum of RFC 3720 (Castagnoli's polynomial).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| (crc >> 8) ^ CRC_OF_BYTE[((crc as u8) ^ byte) as usize])
}

const CRC_OF_BYTE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests;
