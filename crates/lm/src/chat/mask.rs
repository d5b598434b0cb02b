//! Placeholders for characters of messages that could become part of a special token.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use crate::Error;

/// Private characters that no font, template or tokenizer gives a meaning; any that a message uses is passed over.
const PRIVATE: std::ops::RangeInclusive<char> = '\u{F0000}'..='\u{FFFFD}';

/// Which characters are covered by which placeholders, and where.
pub(super) struct Mask<'a> {
    finder: AhoCorasick,
    specials: &'a [String],
    /// `(character, placeholder)`.
    pairs: Vec<(char, char)>,
}

impl<'a> Mask<'a> {
    /// Placeholders for whatever has to be covered in these texts; none of them occurs in a text or the template.
    pub(super) fn new(specials: &'a [String], texts: &[&str], template: &str) -> Result<Mask<'a>, Error> {
        let finder = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(specials);
        let finder = finder.map_err(|source| Error::Tokenize { bytes: 0, source: source.into() })?;
        let mut mask = Mask { finder, specials, pairs: Vec::new() };
        let mut free =
            PRIVATE.filter(|private| !texts.iter().any(|text| text.contains(*private)) && !template.contains(*private));
        for text in texts {
            for place in mask.places(text) {
                let Some(character) = text[place..].chars().next() else { continue };
                if mask.pairs.iter().all(|(known, _)| *known != character) {
                    let exhausted = || Error::Request { problem: "a message uses every private character".to_owned() };
                    mask.pairs.push((character, free.next().ok_or_else(exhausted)?));
                }
            }
        }
        Ok(mask)
    }

    /// The text with its covered characters replaced.
    pub(super) fn cover(&self, text: &str) -> String {
        let places = self.places(text);
        let placeholder =
            |character| self.pairs.iter().find(|(known, _)| *known == character).map(|(_, hidden)| *hidden);
        let cover = |(place, character): (usize, char)| match places.binary_search(&place) {
            Ok(_) => placeholder(character).unwrap_or(character),
            Err(_) => character,
        };
        text.char_indices().map(cover).collect()
    }

    /// The text with its placeholders replaced by what they stand for.
    pub(super) fn uncover<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let hidden = |character: char| self.pairs.iter().find(|(_, hidden)| *hidden == character);
        if !text.chars().any(|character| hidden(character).is_some()) {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().map(|character| hidden(character).map_or(character, |(known, _)| *known)).collect())
    }

    /// Where characters must be covered so that no special token can use any of this text, in ascending order.
    fn places(&self, text: &str) -> Vec<usize> {
        let mut places = Vec::new();
        let mut from = 0;
        while let Some(found) = self.finder.find(Input::new(text).range(from..)) {
            places.push(found.start());
            from = found.start() + text[found.start()..].chars().next().map_or(1, char::len_utf8);
        }
        // A template may trim a text and put its own right beside it.
        let trimmed = text.trim();
        let offset = text.len() - text.trim_start().len();
        for (part, offset) in [(text, 0), (trimmed, offset)] {
            for overlap in self.specials.iter().flat_map(|special| overlaps(part, special)) {
                let visible = part[overlap.clone()].find(|character: char| !character.is_whitespace());
                places.extend(visible.map(|place| offset + overlap.start + place));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// The parts of a text that could belong to a special token which reaches beyond the text's ends.
fn overlaps(text: &str, special: &str) -> Vec<std::ops::Range<usize>> {
    if text.is_empty() {
        return Vec::new();
    }
    let cuts = || special.char_indices().skip(1).map(|(cut, _)| special.split_at(cut));
    let mut overlaps = Vec::new();
    overlaps.extend(cuts().filter(|(_, end)| text.starts_with(end)).map(|(_, end)| 0..end.len()));
    overlaps.extend(
        cuts().filter(|(start, _)| text.ends_with(start)).map(|(start, _)| text.len() - start.len()..text.len()),
    );
    if text.len() < special.len() && special.contains(text) {
        overlaps.push(0..text.len());
    }
    overlaps
}
