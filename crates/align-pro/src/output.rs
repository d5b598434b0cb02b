//! Data goes to standard output, talk to standard error.

use std::io::{self, BufWriter, StdoutLock, Write};

use serde::Serialize;

/// Standard output, for data only.
pub(crate) struct Output<W = StdoutLock<'static>>
where
    W: Write,
{
    to: BufWriter<W>,
}

/// The reader of standard output has gone; there is nobody left to write for.
#[derive(Debug, thiserror::Error)]
#[error("standard output is closed")]
pub(crate) struct ReaderGone;

impl Output {
    pub(crate) fn stdout() -> Output {
        Output { to: BufWriter::new(io::stdout().lock()) }
    }
}

impl<W: Write> Output<W> {
    /// One line of text.
    pub(crate) fn line(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.to, "{text}").map_err(closed_or_broken)
    }

    /// One line of JSON.
    pub(crate) fn json_line(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let line = serde_json::to_string(value)?;
        self.line(&line)
    }

    /// One JSON document, for people too.
    pub(crate) fn json_document(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        let document = serde_json::to_string_pretty(value)?;
        self.line(&document)
    }

    /// Hand everything written so far to the reader.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.to.flush().map_err(closed_or_broken)
    }
}

fn closed_or_broken(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ReaderGone.into(),
        _ => anyhow::Error::new(error).context("cannot write to standard output"),
    }
}

/// Tell the user something that is not data. A standard error that is closed is nobody's loss.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}
