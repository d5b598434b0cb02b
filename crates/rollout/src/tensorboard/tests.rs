use std::io::Read;

use super::*;
use crate::event::StepDone;

/// An event as a reader sees it: time, step, version, scalars.
#[derive(Debug, Default, PartialEq)]
struct Decoded {
    wall_time: f64,
    step: u64,
    version: String,
    values: Vec<(String, f32)>,
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(n);
    *bytes = rest;
    taken
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// The fields of a message: numbers as their bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => varint(&mut bytes).to_le_bytes().to_vec(),
            1 => take(&mut bytes, 8).to_vec(),
            2 => {
                let length = varint(&mut bytes) as usize;
                take(&mut bytes, length).to_vec()
            }
            5 => take(&mut bytes, 4).to_vec(),
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value));
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn decode(path: &Path) -> Vec<Decoded> {
    let mut file = Vec::new();
    File::open(path).unwrap().read_to_end(&mut file).unwrap();
    let mut bytes = &file[..];
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = take(&mut bytes, 8);
        assert_eq!(take(&mut bytes, 4), masked(crc32c(length)).to_le_bytes());
        let data = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
        assert_eq!(take(&mut bytes, 4), masked(crc32c(data)).to_le_bytes());
        let mut event = Decoded::default();
        for (field, value) in fields(data) {
            match field {
                1 => event.wall_time = f64::from_le_bytes(value.try_into().unwrap()),
                2 => event.step = u64::from_le_bytes(value.try_into().unwrap()),
                3 => event.version = text(&value),
                5 => event.values = fields(&value).iter().map(|(_, scalar)| scalar_of(scalar)).collect(),
                other => panic!("field {other}"),
            }
        }
        events.push(event);
    }
    events
}

fn scalar_of(bytes: &[u8]) -> (String, f32) {
    match &fields(bytes)[..] {
        [(1, tag), (2, value)] => (text(tag), f32::from_le_bytes(value[..].try_into().unwrap())),
        other => panic!("{other:?}"),
    }
}

fn step(step: u64, reward: f64) -> Event {
    let metrics = BTreeMap::from([("reward".to_owned(), reward), ("kl".to_owned(), 0.25)]);
    let seconds = Seconds { sampling: 0.5, target: 0.25, total: 1.5, ..Seconds::default() };
    Event::StepDone(StepDone { step, metrics, seconds, skipped: false })
}

fn some_events() -> Vec<Event> {
    let validated = Event::Validated { step: 300, reward: 0.75, interval: [0.5, 1.0], best: true };
    vec![step(1, -0.5), Event::CheckpointSaved { step: 1 }, step(300, f64::NAN), validated]
}

#[test]
fn checksums_are_those_of_rfc_3720() {
    // RFC 3720, appendix B.4.
    assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    let rising: Vec<u8> = (0..32).collect();
    assert_eq!(crc32c(&rising), 0x46dd_794e);
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    assert_eq!(crc32c(b""), 0);
}

#[test]
fn a_run_reads_back_from_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics");
    let mut board = TensorBoard::rebuild(&metrics, 1.75e9 + 0.5, &some_events()).unwrap();
    board.add(301, 1.75e9 + 9.0, &BTreeMap::from([("größe".to_owned(), 1e300)])).unwrap();
    assert_eq!(board.path().file_name().unwrap(), "events.out.tfevents.1750000000.align-pro");
    let events = decode(board.path());
    assert_eq!(events.len(), 5);
    let version = Decoded { wall_time: 1.75e9 + 0.5, version: "brain.Event:2".to_owned(), ..Decoded::default() };
    assert_eq!(events[0], version);
    let expected = [
        ("kl", 0.25),
        ("reward", -0.5),
        ("seconds/backward", 0.0),
        ("seconds/reward", 0.0),
        ("seconds/sampling", 0.5),
        ("seconds/scoring", 0.0),
        ("seconds/target", 0.25),
        ("seconds/total", 1.5),
    ];
    assert_eq!(events[1].values, expected.map(|(tag, value)| (tag.to_owned(), value)));
    assert_eq!((events[1].step, events[1].wall_time), (1, 1.75e9 + 2.0));
    assert_eq!((events[2].step, events[2].wall_time), (300, 1.75e9 + 3.5));
    assert!(events[2].values[1].1.is_nan());
    assert_eq!(events[3].values, [("eval/reward".to_owned(), 0.75)]);
    assert_eq!(events[4].values, [("größe".to_owned(), f32::INFINITY)]);
}

#[test]
fn the_bytes_are_those_that_tensorboard_writes() {
    let folder = tempfile::tempdir().unwrap();
    let board = TensorBoard::rebuild(folder.path(), 1.75e9 + 0.5, &some_events()).unwrap();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/tensorboard/events.out.tfevents.1750000000.align-pro");
    assert_eq!(fs::read(board.path()).unwrap(), fs::read(golden).unwrap());
}

#[test]
fn a_rebuilt_file_replaces_ours_and_nobody_elses() {
    let folder = tempfile::tempdir().unwrap();
    let others = folder.path().join("events.out.tfevents.1.host");
    fs::write(&others, "x").unwrap();
    drop(TensorBoard::create(folder.path(), 5.0).unwrap());
    let board = TensorBoard::rebuild(folder.path(), 7.0, &[]).unwrap();
    assert_eq!(decode(board.path()).len(), 1);
    assert!(others.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for error in [TensorBoard::create(&file, 1.0).unwrap_err(), TensorBoard::rebuild(&file, 1.0, &[]).unwrap_err()] {
        assert!(matches!(&error, Error::Write { path, .. } if path.starts_with(&file)), "{error}");
    }
}
