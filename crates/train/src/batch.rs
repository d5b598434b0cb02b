//! One step's rollouts, and how they are cut for the engine.

use std::ops::Range;

use lm::{Group, Token};
use rollout::data::Record;
use rollout::event::Seconds;
use rollout::rollouts::Rollout;

/// The rollouts of one step: a group of rewrites a prompt.
pub struct Batch<'a> {
    /// The prompts.
    pub records: Vec<&'a Record>,
    /// What the prompter read for each.
    pub prefixes: Vec<Vec<Token>>,
    /// Their rollouts.
    pub groups: Vec<Vec<Rollout>>,
    /// Where the step's time went so far.
    pub seconds: Seconds,
}

/// Some rollouts of one prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) group: usize,
    pub(crate) rollouts: Range<usize>,
}

impl Batch<'_> {
    /// All rollouts in order.
    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.groups.iter().flatten()
    }

    /// Tokens the prompter wrote in a rollout.
    pub(crate) fn tokens(rollout: &Rollout) -> &[Token] {
        rollout.rewrite.written.as_ref().map_or(&[], |written| &written.tokens)
    }

    /// Their log-probabilities when they were sampled.
    pub(crate) fn sampled_token_logps(rollout: &Rollout) -> &[f32] {
        rollout.rewrite.written.as_ref().map_or(&[], |written| &written.token_logps)
    }

    /// The pieces of some prompts in micro-batches of at most `limit` tokens, prefixes included. A rollout that is longer
    /// alone makes a micro-batch of its own.
    pub(crate) fn micro_batches(&self, groups: Range<usize>, limit: usize) -> Vec<Vec<Piece>> {
        let mut batches = vec![Vec::<Piece>::new()];
        let mut room = limit;
        for group in groups {
            let prefix = self.prefixes[group].len();
            for (index, rollout) in self.groups[group].iter().enumerate() {
                let length = Batch::tokens(rollout).len();
                let batch = batches.last_mut().filter(|batch| batch.is_empty() || room >= length);
                match batch.and_then(|batch| batch.last_mut()).filter(|piece| piece.group == group) {
                    Some(piece) => {
                        piece.rollouts.end = index + 1;
                        room = room.saturating_sub(length);
                    }
                    None => {
                        let needed = prefix + length;
                        if batches.last().is_some_and(|batch| !batch.is_empty()) && room < needed {
                            batches.push(Vec::new());
                            room = limit;
                        }
                        if let Some(batch) = batches.last_mut() {
                            batch.push(Piece { group, rollouts: index..index + 1 });
                        }
                        room = room.saturating_sub(needed);
                    }
                }
            }
        }
        batches
    }

    /// A micro-batch as the engine takes it.
    pub(crate) fn engine_groups(&self, pieces: &[Piece]) -> Vec<Group> {
        let group = |piece: &Piece| Group {
            prefix: self.prefixes[piece.group].clone(),
            continuations: self.groups[piece.group][piece.rollouts.clone()]
                .iter()
                .map(|rollout| Batch::tokens(rollout).to_vec())
                .collect(),
        };
        pieces.iter().map(group).collect()
    }
}

#[cfg(test)]
mod tests {
    use rollout::prompter::{Rewrite, Written};
    use rollout::rails::Guarded;

    use super::*;

    fn rollout(length: usize) -> Rollout {
        let written =
            Written { text: String::new(), tokens: vec![0; length], token_logps: vec![0.0; length], cut: false };
        let guarded = Guarded { rewrite: String::new(), findings: Vec::new(), penalty: 0.0, fell_back: false };
        let rewrite = Rewrite { written: Some(written), guarded };
        Rollout { rewrite, responses: Vec::new(), scores: Vec::new(), value: 0.0, reward: 0.0 }
    }

    fn batch(prefixes: &[usize], lengths: &[&[usize]]) -> Batch<'static> {
        Batch {
            records: Vec::new(),
            prefixes: prefixes.iter().map(|&length| vec![0; length]).collect(),
            groups: lengths.iter().map(|group| group.iter().map(|&length| rollout(length)).collect()).collect(),
            seconds: Seconds::default(),
        }
    }

    fn sizes(batch: &Batch<'_>, limit: usize) -> Vec<Vec<(usize, usize, usize)>> {
        let pieces = batch.micro_batches(0..batch.groups.len(), limit);
        let told = |piece: &Piece| (piece.group, piece.rollouts.start, piece.rollouts.end);
        pieces.iter().map(|pieces| pieces.iter().map(told).collect()).collect()
    }

    #[test]
    fn whole_groups_stay_together_where_they_fit() {
        let batch = batch(&[10, 10], &[&[5, 5], &[5, 5]]);
        assert_eq!(sizes(&batch, 100), [[(0, 0, 2), (1, 0, 2)]]);
        assert_eq!(sizes(&batch, 39), [vec![(0, 0, 2), (1, 0, 1)], vec![(1, 1, 2)]]);
        assert_eq!(sizes(&batch, 20), [[(0, 0, 2)], [(1, 0, 2)]]);
        assert_eq!(sizes(&batch, 1), [[(0, 0, 1)], [(0, 1, 2)], [(1, 0, 1)], [(1, 1, 2)]]);
    }

    #[test]
    fn every_rollout_is_in_exactly_one_micro_batch_within_the_limit() {
        let batch = batch(&[7, 20, 3], &[&[1, 9, 0, 4], &[30, 2, 2], &[6, 6, 6, 6, 6]]);
        for limit in 1..120 {
            let mut seen = Vec::new();
            for pieces in batch.micro_batches(0..3, limit) {
                let tokens: usize = batch
                    .engine_groups(&pieces)
                    .iter()
                    .map(|group| group.prefix.len() + group.continuations.iter().map(Vec::len).sum::<usize>())
                    .sum();
                // One rollout that is too long by itself, beside which only empty ones have room.
                let not_empty = |index: &usize| !Batch::tokens(&batch.groups[pieces[0].group][*index]).is_empty();
                let alone = pieces.len() == 1 && pieces[0].rollouts.clone().filter(not_empty).count() == 1;
                assert!(tokens <= limit || alone, "{tokens} tokens in {pieces:?} with limit {limit}");
                seen.extend(pieces.iter().flat_map(|piece| piece.rollouts.clone().map(|index| (piece.group, index))));
            }
            let all: Vec<_> =
                [4, 3, 5].iter().enumerate().flat_map(|(group, &n)| (0..n).map(move |i| (group, i))).collect();
            assert_eq!(seen, all);
        }
    }
}
