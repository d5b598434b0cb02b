//! The program while it runs: a thread for each of its pipes, so that no full pipe can stop everything.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::guard::{Guard, apart};
use super::line::presentable;
use super::{CommandError, CommandOptions, Fault, Listener, shown};
use crate::Error;

/// The longest line that is read, in bytes.
pub(super) const LONGEST_LINE: usize = 1 << 20;

/// The longest piece of standard error that is told at once, in bytes.
const LONGEST_SAID: u64 = 4096;

/// Lines of standard error that an error quotes.
const QUOTED: usize = 8;

/// Lines that are read ahead.
const AHEAD: usize = 64;

/// How often is looked whether it still runs.
const POLL: Duration = Duration::from_millis(20);

/// How long is waited for the last lines of a program that has ended.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// How long it may take to end by itself once nothing more comes.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Process {
    child: Child,
    guard: Option<Guard>,
    /// What it reads; its standard input is closed with it.
    requests: Option<Sender<String>>,
    lines: Receiver<Result<Vec<u8>, Fault>>,
    said: Arc<Mutex<VecDeque<String>>>,
    /// Closed with its standard error.
    talk: Receiver<()>,
}

impl Process {
    pub(super) fn start(options: &CommandOptions, listener: Listener) -> Result<Process, Error> {
        let failed = |source: std::io::Error| CommandError::NotStarted {
            command: shown(&options.argv),
            folder: options.folder.clone(),
            hint: hint(options, source.kind()),
            source,
        };
        Ok(spawn(options, listener).map_err(failed)?)
    }

    /// Have it read a line, some time.
    pub(super) fn send(&self, request: String) {
        if let Some(requests) = &self.requests {
            // Where nobody reads any more, it has ended, which is told when its answers are waited for.
            let _ = requests.send(request);
        }
    }

    /// Its next line, or why there is none.
    pub(super) fn next(&mut self, timeout: Duration) -> Result<Vec<u8>, Fault> {
        let begun = Instant::now();
        loop {
            let left = timeout.saturating_sub(begun.elapsed());
            match self.lines.recv_timeout(left.min(POLL)) {
                Ok(line) => return line,
                Err(RecvTimeoutError::Disconnected) => return Err(self.end_of_output()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                // What it started may hold its output open.
                return self.lines.recv_timeout(LAST_WORDS).unwrap_or(Err(Fault::Ended { status }));
            }
            if left.is_zero() {
                return Err(Fault::Silent { timeout });
            }
        }
    }

    /// The next line, if it is there. Whether there can be none shows when it is waited for.
    pub(super) fn ready(&mut self) -> Option<Result<Vec<u8>, Fault>> {
        self.lines.try_recv().ok()
    }

    fn end_of_output(&mut self) -> Fault {
        match self.wait(LAST_WORDS) {
            Some(status) => Fault::Ended { status },
            None => Fault::Closed,
        }
    }

    /// How it ended, if it does so in time.
    pub(super) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if begun.elapsed() < patience => thread::sleep(POLL),
                _ => return None,
            }
        }
    }

    /// Kill it, and tell what it said last.
    pub(super) fn kill(mut self) -> Vec<String> {
        self.end(Duration::ZERO);
        let _ = self.talk.recv_timeout(LAST_WORDS);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn end(&mut self, grace: Duration) {
        self.requests = None;
        self.wait(grace);
        self.guard = None;
        // An error says that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(GRACE);
    }
}

fn spawn(options: &CommandOptions, listener: Listener) -> std::io::Result<Process> {
    let Some((program, arguments)) = options.argv.split_first() else {
        return Err(std::io::Error::new(ErrorKind::InvalidInput, "it has no program"));
    };
    let in_folder = program.contains('/').then(|| options.folder.join(program));
    let mut command = in_folder.map_or_else(|| Command::new(program), Command::new);
    command.args(arguments).current_dir(&options.folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Where its output is a pipe, Python keeps what is printed until there is much of it.
    command.env("PYTHONUNBUFFERED", "1");
    apart(&mut command);
    let mut child = command.spawn()?;
    let guard = Some(Guard::over(&child));
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (requests, to_write) = channel();
    let (to_read, lines) = sync_channel(AHEAD);
    let (talking, talk) = channel();
    let said = Arc::new(Mutex::new(VecDeque::new()));
    let process = Process { child, guard, requests: Some(requests), lines, said: Arc::clone(&said), talk };
    let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
        return Err(std::io::Error::other("it has no pipes"));
    };
    let thread = |name: &str| thread::Builder::new().name(format!("reward {name}"));
    thread("input").spawn(move || write(stdin, &to_write))?;
    thread("output").spawn(move || read(stdout, &to_read))?;
    thread("talk").spawn(move || {
        hear(stderr, &said, &listener);
        drop(talking);
    })?;
    Ok(process)
}

fn write(mut stdin: ChildStdin, requests: &Receiver<String>) {
    for request in requests {
        if stdin.write_all(request.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(stdout: impl Read, lines: &SyncSender<Result<Vec<u8>, Fault>>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        let read = Read::by_ref(&mut reader).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut line);
        let line = match read {
            Ok(0) | Err(_) => return,
            Ok(_) if line.len() > LONGEST_LINE => Err(Fault::LongLine { limit: LONGEST_LINE }),
            Ok(_) if line.trim_ascii().is_empty() => continue,
            Ok(_) => Ok(line),
        };
        let is_last = line.is_err();
        if lines.send(line).is_err() || is_last {
            return;
        }
    }
}

/// Tell, and keep the last of, what it says.
fn hear(stderr: impl Read, said: &Mutex<VecDeque<String>>, listener: &Listener) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = Vec::new();
        match Read::by_ref(&mut reader).take(LONGEST_SAID).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let line = presentable(&line);
                listener(&line);
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() == QUOTED {
                    said.pop_front();
                }
                said.push_back(line);
            }
        }
    }
}

/// What may help where it cannot be started.
fn hint(options: &CommandOptions, kind: ErrorKind) -> String {
    let program = options.argv.first().map_or("", String::as_str);
    match kind {
        ErrorKind::NotFound if !program.contains('/') && options.folder.join(program).is_file() => {
            format!("; a program of that folder is written `./{program}`")
        }
        ErrorKind::NotFound => "; is it installed, and is its name right?".to_owned(),
        ErrorKind::PermissionDenied => "; may it be executed (`chmod +x`)?".to_owned(),
        _ => String::new(),
    }
}
