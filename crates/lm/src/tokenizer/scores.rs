//! SentencePiece's scored pieces as ranked merges.

use ahash::AHashMap;

/// Longer pieces are never merged into; real ones are far shorter, and every place to cut one costs its length.
const LONGEST_PIECE: usize = 256;

/// Every way to put a piece together from two others, best score first.
///
/// SentencePiece merges the adjacent pair whose result scores highest; byte-pair encoding merges the pair that ranks
/// first. Ranking pairs by their result's score, then by their parts' lengths, makes the two the same, in the order
/// that transformers uses when it converts such a vocabulary.
pub(super) fn merges<'a>(pieces: &[(&'a str, f32)]) -> Vec<(&'a str, &'a str)> {
    let ids: AHashMap<&str, usize> = pieces.iter().enumerate().map(|(id, (text, _))| (*text, id)).collect();
    let mut ranked = Vec::new();
    for (text, score) in pieces.iter().filter(|(text, _)| text.len() <= LONGEST_PIECE) {
        let cuts = text.char_indices().skip(1).map(|(cut, _)| text.split_at(cut));
        let known = cuts.filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?, left, right)));
        let mut ways: Vec<_> = known.collect();
        ways.sort_by_key(|(left, right, _, _)| (*left, *right));
        let lengths = |left: &str, right: &str| (left.chars().count(), right.chars().count());
        ranked.extend(ways.into_iter().map(|(_, _, left, right)| (*score, lengths(left, right), left, right)));
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
    ranked.into_iter().map(|(_, _, left, right)| (left, right)).collect()
}
