//! Progress bars on standard error; indicatif shows none where that is not a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes.
pub(crate) fn bytes(what: &str, total: u64) -> ProgressBar {
    bar(what, total, "{msg}  {wide_bar}  {bytes}/{total_bytes}  {bytes_per_sec}  {eta}")
}

/// A bar over anything that is counted.
pub(crate) fn count(what: &str, total: u64) -> ProgressBar {
    bar(what, total, "{msg}  {wide_bar}  {pos}/{len}  {eta}")
}

/// A bar over steps, with what the last one came to below it.
pub(crate) fn steps(what: &str, total: u64) -> ProgressBar {
    bar(what, total, "{prefix}  {wide_bar}  {pos}/{len}  {eta} left\n{msg}")
        .with_prefix(what.to_owned())
        .with_message("")
}

/// A spinner over work of unknown length.
pub(crate) fn spinner(what: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

fn bar(what: &str, total: u64, template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what.to_owned())
}
