//! A reward that a program of the user's own gives.
//!
//! The program is started once and asked for as long as the run lasts. On its standard input comes one line of JSON an exchange,
//!
//! ```text
//! {"id": 0, "prompt": "x", "rewrite": "x'", "response": "y", "record": {"id": …, "prompt": …, …}}
//! ```
//!
//! and on its standard output it answers each with a line, in any order:
//!
//! ```text
//! {"id": 0, "score": 0.5, "parts": {"name": 1.0}}
//! ```
//!
//! `parts` may be left out. Numbers of `id` are never used again. What the program writes to standard error is told to the user.
//! At the end of its standard input it should end.
//!
//! ## Choices
//! - Lines are ASCII, the rest escaped: no locale reads them wrongly, and nothing but their end ends a line.
//! - The time limit is on silence, not on a batch: how long a batch takes depends on its size, which the user does not choose.
//! - Whatever goes wrong, the program is killed and started anew, and asked for what it had not answered. Restarts are counted
//!   from the last answer on: a program that fails now and then may go on, one that cannot may not.

mod guard;
mod line;
mod process;
#[cfg(all(test, unix))]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use super::Exchange;
use super::journaled::{Scored, Scorer, TakeScores};
use crate::Error;
use crate::data::stable_hash;

use process::Process;

/// `[reward.command]`: what is run, and how long it is waited for.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandOptions {
    /// The program and its arguments. A program with a slash in its name is looked for in `folder`, others in the system's
    /// search path.
    pub argv: Vec<String>,
    /// Where it runs.
    pub folder: PathBuf,
    /// How long it may say nothing while it has something to answer.
    pub timeout: Duration,
    /// How often it is started anew without an answer in between.
    pub max_restarts: u32,
    /// The most exchanges that wait for an answer at once; all of a batch where it is `None`.
    pub batch: Option<usize>,
}

/// How long a program is watched after its start: one that is not there, or that a word is wrong of, ends sooner.
const FIRST_LOOK: Duration = Duration::from_millis(300);

/// Hears what a program writes to standard error, line by line.
pub type Listener = Arc<dyn Fn(&str) + Send + Sync>;

/// Why a program gave no score.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It ended.
    #[error("it ended ({status})")]
    Ended {
        /// How.
        status: ExitStatus,
    },
    /// It runs, but can say nothing more.
    #[error("it closed its standard output")]
    Closed,
    /// It took too long.
    #[error("it answered nothing for {} s, all that `timeout` allows (does it flush what it prints?)", .timeout.as_secs_f64())]
    Silent {
        /// What was allowed.
        timeout: Duration,
    },
    /// A line without an end.
    #[error("it printed a line of more than {limit} bytes")]
    LongLine {
        /// What is read at most.
        limit: usize,
    },
    /// A line that is no answer.
    #[error(
        "it printed `{line}`, where an answer looks like `{{\"id\": 0, \"score\": 0.5}}`: {problem}; what people are to read belongs on standard error"
    )]
    NoAnswer {
        /// The line, shortened.
        line: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An answer to nothing.
    #[error("it answered the id {id}, which it was not asked")]
    Unasked {
        /// The number.
        id: u64,
    },
    /// A second answer.
    #[error("it answered the id {id} twice")]
    Twice {
        /// The number.
        id: u64,
    },
}

/// What can go wrong with a program that gives scores.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It cannot be started.
    #[error("cannot start the reward's command `{command}` in `{}`{hint}", .folder.display())]
    NotStarted {
        /// The command.
        command: String,
        /// Where it was to run.
        folder: PathBuf,
        /// What may help.
        hint: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended before it was asked anything.
    #[error("the reward's command `{command}` ended before it was asked anything ({status}){}", quoted(.said))]
    EndedAtOnce {
        /// The command.
        command: String,
        /// How.
        status: ExitStatus,
        /// What it had said last on standard error.
        said: Vec<String>,
    },
    /// It gave no score, again and again.
    #[error("the reward's command `{command}` gave no score for prompt `{record}`, started anew {restarts} times: {fault}{}", quoted(.said))]
    NoScore {
        /// The command.
        command: String,
        /// The id of the first prompt without a score.
        record: String,
        /// How often it was started anew in vain.
        restarts: u32,
        /// What happened at last.
        fault: Fault,
        /// What it had said last on standard error.
        said: Vec<String>,
    },
}

fn quoted(said: &[String]) -> String {
    match said {
        [] => "; on standard error it said nothing".to_owned(),
        said => format!("; the last that it said on standard error:\n    {}", said.join("\n    ")),
    }
}

/// A program that gives scores, started when it is first asked.
pub struct CommandReward {
    options: CommandOptions,
    identity: String,
    listener: Listener,
    process: Option<Process>,
    next_id: u64,
}

impl CommandReward {
    /// A reward that is not yet started. The first element of `argv` must be there.
    pub fn new(options: CommandOptions, listener: Listener) -> CommandReward {
        let identity = identity(&options);
        CommandReward { options, identity, listener, process: None, next_id: 0 }
    }

    /// Ask for `waiting` until all of it is answered, or nothing helps.
    fn insist(
        &mut self,
        batch: &[Exchange<'_>],
        mut waiting: BTreeSet<usize>,
        take: &mut TakeScores<'_>,
    ) -> Result<(), Error> {
        let mut restarts = 0;
        loop {
            let n_before = waiting.len();
            let Err(fault) = self.ask(batch, &mut waiting, take)? else { return Ok(()) };
            let said = self.process.take().map(Process::kill).unwrap_or_default();
            if waiting.len() < n_before {
                restarts = 0;
            }
            if restarts >= self.options.max_restarts {
                let record = waiting.first().map_or_else(String::new, |&place| batch[place].record.id.clone());
                let command = shown(&self.options.argv);
                return Err(CommandError::NoScore { command, record, restarts, fault, said }.into());
            }
            restarts += 1;
        }
    }

    /// Ask for `waiting`, and take out what is answered. The inner error is the program's.
    fn ask(
        &mut self,
        batch: &[Exchange<'_>],
        waiting: &mut BTreeSet<usize>,
        take: &mut TakeScores<'_>,
    ) -> Result<Result<(), Fault>, Error> {
        let process = match &mut self.process {
            Some(process) => process,
            none => none.insert(Process::start(&self.options, Arc::clone(&self.listener))?),
        };
        let mut asked = BTreeMap::new();
        for &place in waiting.iter() {
            process.send(line::request(self.next_id, &batch[place]));
            asked.insert(self.next_id, place);
            self.next_id += 1;
        }
        while !asked.is_empty() {
            // All that is there, so that it is stored together.
            let mut scored = Vec::new();
            let mut next = process.next(self.options.timeout);
            let fault = loop {
                match next.and_then(|answer| settle(&answer, &mut asked, self.next_id)) {
                    Ok(one) => scored.push(one),
                    Err(fault) => break Some(fault),
                }
                if asked.is_empty() {
                    break None;
                }
                match process.ready() {
                    Some(line) => next = line,
                    None => break None,
                }
            };
            for Scored { exchange, .. } in &scored {
                waiting.remove(exchange);
            }
            if !scored.is_empty()
                && let Err(error) = take(scored)
            {
                // What it still answers would be taken for answers to something else.
                self.process = None;
                return Err(error);
            }
            if let Some(fault) = fault {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(()))
    }
}

impl Scorer for CommandReward {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn ready(&mut self) -> Result<(), Error> {
        let mut process = Process::start(&self.options, Arc::clone(&self.listener))?;
        if let Some(status) = process.wait(FIRST_LOOK) {
            let command = shown(&self.options.argv);
            return Err(CommandError::EndedAtOnce { command, status, said: process.kill() }.into());
        }
        self.process = Some(process);
        Ok(())
    }

    fn score_each(&mut self, batch: &[Exchange<'_>], take: &mut TakeScores<'_>) -> Result<(), Error> {
        let places: Vec<usize> = (0..batch.len()).collect();
        let at_once = self.options.batch.unwrap_or(batch.len()).max(1);
        places.chunks(at_once).try_for_each(|chunk| self.insist(batch, chunk.iter().copied().collect(), take))
    }
}

/// Which exchange a line answers, and with what.
fn settle(answer: &[u8], asked: &mut BTreeMap<u64, usize>, next_id: u64) -> Result<Scored, Fault> {
    let (id, score) = line::answer(answer)?;
    match asked.remove(&id) {
        Some(exchange) => Ok(Scored { exchange, score }),
        None if id < next_id => Err(Fault::Twice { id }),
        None => Err(Fault::Unasked { id }),
    }
}

/// The command, with the contents of the files that it names: what another version of a script gives are other scores.
fn identity(options: &CommandOptions) -> String {
    let told = |argument: &String| {
        let digest = digest(&options.folder.join(argument)).unwrap_or_default();
        format!("{argument:?} {digest}")
    };
    let argv: Vec<String> = options.argv.iter().map(told).collect();
    format!("command {}", argv.join(" "))
}

/// Length and beginning of a file; a script is shorter than what is read.
fn digest(path: &Path) -> Option<String> {
    const READ: u64 = 1 << 22;
    let length = std::fs::metadata(path).ok().filter(|metadata| metadata.is_file())?.len();
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(READ).read_to_end(&mut head).ok()?;
    Some(format!("{length:x}-{:016x}", stable_hash(&[&head])))
}

/// The command as people write it.
fn shown(argv: &[String]) -> String {
    let is_plain = |word: &String| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c.is_control());
    let words = argv.iter().map(|word| if is_plain(word) { word.clone() } else { format!("{word:?}") });
    words.collect::<Vec<_>>().join(" ")
}
