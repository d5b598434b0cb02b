use std::fs;
use std::thread;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

fn key(seed: u64) -> CallKey {
    CallKey::of("model", &[message("user", "x")], "temperature 1", seed)
}

fn response(text: &str) -> Response {
    Response { text: text.to_owned(), tokens: text.len(), prompt_tokens: 2 * text.len(), cut: text.is_empty() }
}

fn put(journal: &mut Journal, seed: u64, text: &str) -> Result<(), Error> {
    journal.put(&[(key(seed), "{}", response(text))])
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("journal.sqlite");
    (folder, path)
}

/// The whole chain of an error, as the command prints it.
fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(|error| format!("{error}\n")).collect()
}

#[test]
fn keys_are_pinned_and_depend_on_every_part() {
    let messages = [message("system", "s"), message("user", "x")];
    let call = CallKey::of("model", &messages, "{\"temperature\":1}", 7);
    // hashlib.sha256 over each part after its length as eight little-endian bytes; the seed is eight bytes as well.
    let pinned = "6fa4191f6aca2021f17c5cb7c1107c3d8299f15169fb4702a6f071db593f7503";
    assert_eq!(call.0.map(|byte| format!("{byte:02x}")).concat(), pinned);
    let others = [
        CallKey::of("mode", &messages, "{\"temperature\":1}", 7),
        CallKey::of("model", &messages[1..], "{\"temperature\":1}", 7),
        CallKey::of("model", &[message("system", "su"), message("ser", "x")], "{\"temperature\":1}", 7),
        CallKey::of("model", &messages, "{\"temperature\":2}", 7),
        CallKey::of("model", &messages, "{\"temperature\":1}", 8),
    ];
    for other in others {
        assert_ne!(call, other);
    }
}

#[test]
fn what_was_put_is_found_again_after_reopening() {
    let (_folder, path) = folder();
    let texts = ["", "plain", "naïve 日本 🦀", "a\0b", "\u{202e}\r\n\t\"'\\"];
    let mut journal = Journal::open(&path).unwrap();
    let responses = texts.map(response);
    let calls: Vec<_> =
        (0..).zip(responses.clone()).map(|(seed, response)| (key(seed), "{\"\0\": 1}", response)).collect();
    journal.put(&calls).unwrap();
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    let keys = [key(4), key(3), key(99), key(2), key(1), key(0), key(4)];
    let found = journal.get(&keys).unwrap();
    let expected = [4, 3, 99, 2, 1, 0, 4].map(|index: usize| responses.get(index).cloned());
    assert_eq!(found, expected);
    assert_eq!(journal.n_calls().unwrap(), 5);
    assert_eq!(journal.get(&[]).unwrap(), []);
}

#[test]
fn a_call_delivered_twice_keeps_its_first_response() {
    let mut journal = Journal::in_memory().unwrap();
    put(&mut journal, 1, "first").unwrap();
    put(&mut journal, 1, "second").unwrap();
    journal.put(&["third", "fourth"].map(|text| (key(2), "", response(text)))).unwrap();
    assert_eq!(journal.get(&[key(1), key(2)]).unwrap(), ["first", "third"].map(|text| Some(response(text))));
    assert_eq!(journal.n_calls().unwrap(), 2);
}

#[test]
fn a_batch_that_fails_or_is_cut_short_leaves_nothing() {
    let (_folder, path) = folder();
    let mut journal = Journal::open(&path).unwrap();
    put(&mut journal, 1, "kept").unwrap();
    // What a kill leaves: the transaction is open, rows are inserted, nobody commits.
    let transaction = journal.connection.transaction().unwrap();
    transaction
        .execute("INSERT INTO calls (key, request, text, tokens, cut) VALUES (?1, '', '', 0, 0)", [key(2).0])
        .unwrap();
    drop(transaction);
    // A second call that cannot be written takes the first one with it.
    let impossible = Response { text: String::new(), tokens: usize::MAX, prompt_tokens: 0, cut: false };
    let error = journal.put(&[(key(3), "", response("a")), (key(4), "", impossible)]).unwrap_err();
    assert!(chain(&error).contains("journal.sqlite"), "{}", chain(&error));
    drop(journal);
    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.n_calls().unwrap(), 1);
    assert_eq!(journal.get(&[key(1)]).unwrap(), [Some(response("kept"))]);
}

#[test]
fn a_copy_taken_in_the_middle_of_a_run_holds_whole_batches() {
    // The files as they lie while the journal is open are what a killed process leaves behind.
    let (folder, path) = folder();
    let mut journal = Journal::open(&path).unwrap();
    for batch in 0..5 {
        journal.put(&[0, 1, 2].map(|index| (key(batch * 3 + index), "{}", response("a")))).unwrap();
    }
    let copy = folder.path().join("copy.sqlite");
    fs::copy(&path, &copy).unwrap();
    let wal = fs::read(folder.path().join("journal.sqlite-wal")).unwrap();
    for length in [wal.len(), wal.len() - 1, wal.len() / 2, 100, 0] {
        fs::write(folder.path().join("copy.sqlite-wal"), &wal[..length]).unwrap();
        let copied = folder.path().join(format!("{length}.sqlite"));
        fs::copy(&copy, &copied).unwrap();
        fs::copy(folder.path().join("copy.sqlite-wal"), folder.path().join(format!("{length}.sqlite-wal"))).unwrap();
        let n_calls = Journal::open(&copied).unwrap().n_calls().unwrap();
        assert_eq!(n_calls % 3, 0, "{length} bytes");
        assert_eq!(n_calls == 15, length == wal.len(), "{length} bytes: {n_calls}");
    }
}

#[test]
fn files_that_are_no_journal_are_refused_and_left_alone() {
    let (folder, path) = folder();
    fs::write(&path, "not a database at all, but longer than a header of one ".repeat(20)).unwrap();
    let told = chain(&Journal::open(&path).unwrap_err());
    assert!(told.contains("journal.sqlite") && told.contains("not a database"), "{told}");

    let other = folder.path().join("other.sqlite");
    let connection = Connection::open(&other).unwrap();
    connection.execute_batch("CREATE TABLE notes (text TEXT)").unwrap();
    drop(connection);
    let before = fs::read(&other).unwrap();
    let error = Journal::open(&other).unwrap_err();
    assert!(matches!(&error, Error::NotAJournal { path } if *path == other), "{error}");
    assert_eq!(fs::read(&other).unwrap(), before);
}

#[test]
fn a_journal_from_a_later_version_is_refused() {
    let (_folder, path) = folder();
    let journal = Journal::open(&path).unwrap();
    journal.connection.pragma_update(None, "user_version", SCHEMA + 1).unwrap();
    drop(journal);
    let error = Journal::open(&path).unwrap_err();
    assert!(matches!(error, Error::JournalSchema { found: 3, known: 2, .. }), "{error}");
    assert!(error.to_string().contains("journal.sqlite"), "{error}");
}

#[test]
fn a_damaged_page_is_an_error_that_names_the_file() {
    let (_folder, path) = folder();
    let mut journal = Journal::open(&path).unwrap();
    for seed in 0..200 {
        put(&mut journal, seed, &"text ".repeat(50)).unwrap();
    }
    drop(journal);
    let mut bytes = fs::read(&path).unwrap();
    bytes[8192..].fill(0x55);
    fs::write(&path, &bytes).unwrap();
    let keys: Vec<CallKey> = (0..200).map(key).collect();
    let told = chain(&Journal::open(&path).and_then(|journal| journal.get(&keys)).unwrap_err());
    assert!(told.contains("journal.sqlite") && told.contains("malformed"), "{told}");
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let (folder, _) = folder();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [folder.path().join("absent/journal.sqlite"), file.join("journal.sqlite"), folder.path().to_owned()] {
        let told = chain(&Journal::open(&path).unwrap_err());
        assert!(told.contains(&*path.to_string_lossy()) && told.contains("unable to open"), "{told}");
    }
}

#[cfg(unix)]
#[test]
fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = folder();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    // The administrator may write everywhere.
    if fs::write(folder.path().join("probe"), "").is_err() {
        let told = chain(&Journal::open(&path).unwrap_err());
        assert!(told.contains("journal.sqlite") && told.contains("unable to open"), "{told}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn many_openers_at_once_share_one_journal() {
    let (_folder, path) = folder();
    thread::scope(|scope| {
        for opener in 0..8 {
            let path = &path;
            scope.spawn(move || {
                let mut journal = Journal::open(path).unwrap();
                for seed in 0..20 {
                    // Half of the calls are everybody's, the others the opener's own.
                    let seed = if seed % 2 == 0 { seed } else { 1000 * (opener + 1) + seed };
                    put(&mut journal, seed, &seed.to_string()).unwrap();
                    assert_eq!(journal.get(&[key(seed)]).unwrap(), [Some(response(&seed.to_string()))]);
                }
            });
        }
    });
    assert_eq!(Journal::open(&path).unwrap().n_calls().unwrap(), 10 + 8 * 10);
}

#[test]
fn a_reader_does_not_wait_for_a_writer() {
    let (_folder, path) = folder();
    let mut writer = Journal::open(&path).unwrap();
    put(&mut writer, 1, "a").unwrap();
    let _transaction = writer.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let reader = Journal::open(&path).unwrap();
    assert_eq!(reader.get(&[key(1), key(2)]).unwrap(), [Some(response("a")), None]);
}

proptest! {
    #[test]
    fn any_texts_survive(texts in prop::collection::vec(any::<String>(), 0..8), cut in any::<bool>()) {
        let mut journal = Journal::in_memory().unwrap();
        let responses: Vec<Response> =
            texts.iter().map(|text| Response { text: text.clone(), tokens: text.len(), prompt_tokens: 0, cut }).collect();
        let keys: Vec<CallKey> = (0..).take(texts.len()).map(key).collect();
        let calls: Vec<_> =
            keys.iter().zip(&responses).map(|(&key, response)| (key, response.text.as_str(), response.clone())).collect();
        journal.put(&calls).unwrap();
        let expected: Vec<Option<Response>> = responses.iter().cloned().map(Some).collect();
        prop_assert_eq!(journal.get(&keys).unwrap(), expected);
    }
}
