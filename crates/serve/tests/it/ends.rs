//! How a server ends.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use serve::Error;

use crate::support::{Act, Stage, answer, eventually};

#[test]
fn stopping_finishes_what_is_generated_and_refuses_what_waits() {
    let stage = Stage::new(8);
    let idle = TcpStream::connect(stage.address).unwrap();
    let generated = stage.ask(1, 1);
    stage.call();
    let waiting = stage.ask(2, 1);
    thread::sleep(Duration::from_millis(200));
    stage.stop();
    let (status, _, body) = answer(waiting);
    assert_eq!((status, &body["error"]["code"]), (503, &"stopping".into()));
    eventually(|| TcpStream::connect(stage.address).is_err());
    stage.tell(Act::Answer);
    assert_eq!(answer(generated).0, 200);
    stage.ended().unwrap();
    drop(idle);
}

#[test]
fn a_panic_of_the_engine_ends_the_server() {
    let stage = Stage::new(8);
    let struck = stage.ask(1, 1);
    stage.call();
    let waiting = stage.ask(2, 1);
    thread::sleep(Duration::from_millis(200));
    stage.tell(Act::Panic);
    let (status, _, body) = answer(struck);
    assert_eq!((status, &body["error"]["code"]), (500, &"engine_gone".into()));
    assert_eq!(answer(waiting).0, 503);
    assert!(matches!(stage.ended(), Err(Error::EngineGone)));
}
