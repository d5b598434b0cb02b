//! Training and held-out prompts, told apart by the prompt's text.

use super::Record;
use super::stable::{stable_hash, unit_interval};

/// Records on either side of a split, each in the order they came.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// To train on.
    pub train: Vec<Record>,
    /// Never trained on.
    pub held_out: Vec<Record>,
}

/// Splits records by the text of their prompts.
///
/// The side depends on the text and the seed alone: equal prompts, whatever their capitals and spacing, fall on the same
/// side in every file, and adding rows moves none.
pub fn split_by_text(records: Vec<Record>, held_out_share: f64, seed: u64) -> Split {
    let (held_out, train) =
        records.into_iter().partition(|record| is_held_out(record.prompt.text(), held_out_share, seed));
    Split { train, held_out }
}

/// Whether a prompt falls on the held-out side, which takes about `share` (0 to 1) of all prompts.
pub fn is_held_out(text: &str, share: f64, seed: u64) -> bool {
    let normal = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    unit_interval(stable_hash(&[&seed.to_le_bytes(), normal.as_bytes()])) < share
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::data::Prompt;

    fn records(n: usize) -> Vec<Record> {
        let record = |id: usize| Record {
            id: id.to_string(),
            prompt: Prompt::Text(format!("Write {id} words.")),
            fields: Map::new(),
        };
        (0..n).map(record).collect()
    }

    #[test]
    fn the_share_is_kept_and_every_record_is_on_one_side() {
        let split = split_by_text(records(2000), 0.2, 7);
        assert!((350..450).contains(&split.held_out.len()), "{} held out", split.held_out.len());
        assert_eq!(split.train.len() + split.held_out.len(), 2000);
        assert_ne!(split, split_by_text(records(2000), 0.2, 8));
        assert!(split_by_text(records(50), 0.0, 7).held_out.is_empty());
        assert!(split_by_text(records(50), 1.0, 7).train.is_empty());
    }

    #[test]
    fn the_side_depends_on_the_text_alone() {
        let few = split_by_text(records(100), 0.5, 7);
        let many = split_by_text(records(200), 0.5, 7);
        assert!(few.train.iter().all(|record| many.train.contains(record)));
        for text in ["Write a poem.", "Explain rain."] {
            let spaced = format!("  {}\n", text.to_uppercase().replace(' ', " \t "));
            assert_eq!(is_held_out(text, 0.5, 7), is_held_out(&spaced, 0.5, 7));
        }
    }
}
