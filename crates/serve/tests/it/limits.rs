//! The queue's limit, and requests that are broken, slow or hostile.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::support::{Act, PATIENCE, Stage, answer, send};

#[test]
fn more_than_may_wait_are_told_to_come_back() {
    let stage = Stage::new(2);
    let first = stage.ask(1, 1);
    stage.call();
    let waiting = [stage.ask(2, 1), stage.ask(3, 1)];
    thread::sleep(Duration::from_millis(200));
    let (status, head, body) = answer(stage.ask(4, 1));
    assert_eq!(status, 429);
    assert!(head.contains("retry-after: 1"), "{head}");
    assert_eq!(body["error"]["code"], "queue_full");
    stage.tell(Act::Answer);
    stage.tell(Act::Answer);
    for stream in waiting.into_iter().chain([first]) {
        assert_eq!(answer(stream).0, 200);
    }
    stage.end().unwrap();
}

#[test]
fn broken_requests_leave_the_server_standing() {
    let stage = Stage::new(8);
    for text in [
        "",
        "\r\n\r\n",
        "GET",
        "GET / HTTP/9.9\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "\u{0}\u{1}\u{2}\u{3}",
    ] {
        drop(send(stage.address, text));
    }
    let mut cut = stage.ask(1, 1);
    cut.write_all(b"more than was announced").unwrap();
    stage.call();
    stage.tell(Act::Answer);
    cut.set_read_timeout(Some(PATIENCE)).unwrap();
    let health = send(stage.address, "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(answer(health).2["status"], "ok");
    stage.end().unwrap();
}
