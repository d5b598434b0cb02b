//! The tasks: what people ask for, before any constraint.

use crate::data::split::is_held_out;

/// Something to ask a model for.
pub(super) struct Task {
    /// `task-001` and so on, in the order of the resource.
    pub(super) id: String,
    /// What sort of request it is, such as `email`.
    pub(super) kind: &'static str,
    /// The request.
    pub(super) text: String,
    /// Words that fit it, in small letters.
    pub(super) keywords: Vec<String>,
    /// Whether it is never trained on.
    pub(super) held_out: bool,
}

/// One line a task: kind, text and keywords, parted by tabs, after a line of headings.
const RESOURCE: &str = include_str!("tasks.tsv");

/// The share of tasks held out, and the seed of that split, which never changes.
const HELD_OUT_SHARE: f64 = 0.2;
const SPLIT_SEED: u64 = 1;

/// All tasks.
pub(super) fn all() -> Vec<Task> {
    let task = |(index, line): (usize, &'static str)| {
        let mut cells = line.split('\t');
        let (kind, text, keywords) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Task {
            id: format!("task-{:03}", index + 1),
            kind,
            text: text.to_owned(),
            keywords: keywords.split(' ').map(str::to_owned).collect(),
            held_out: is_held_out(text, HELD_OUT_SHARE, SPLIT_SEED),
        })
    };
    RESOURCE.lines().skip(1).enumerate().filter_map(task).collect()
}
