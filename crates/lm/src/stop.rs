//! Finding stop strings in text that arrives piece by piece.

/// Watches one sample's text for its stop strings, also where a string is spread over several pieces.
#[derive(Clone, Debug)]
pub struct StopStrings {
    strings: Vec<String>,
    longest: usize,
    /// The end of what was pushed: everything in which a match could still begin.
    tail: String,
    /// Bytes that came before `tail`.
    passed: usize,
}

/// Where a stop string was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopMatch {
    /// Which of the strings.
    pub string: usize,
    /// Byte offset, in all text pushed so far, at which it starts: where to cut the text.
    pub start: usize,
}

impl StopStrings {
    /// Watch for `strings`; empty ones match nothing.
    pub fn new(strings: &[String]) -> StopStrings {
        let longest = strings.iter().map(String::len).max().unwrap_or(0);
        StopStrings { strings: strings.to_vec(), longest, tail: String::new(), passed: 0 }
    }

    /// Whether there is nothing to watch for, so that text need not be decoded at all.
    pub fn is_empty(&self) -> bool {
        self.longest == 0
    }

    /// Take the next piece of text. `Some` when a stop string is now complete: the one that starts first, and of those
    /// that start together the one listed first.
    pub fn push(&mut self, text: &str) -> Option<StopMatch> {
        if self.is_empty() {
            return None;
        }
        self.tail.push_str(text);
        let found = self.strings.iter().enumerate().filter(|(_, string)| !string.is_empty());
        let found = found.filter_map(|(index, string)| Some((self.tail.find(string)?, index))).min();
        if let Some((start, string)) = found {
            return Some(StopMatch { string, start: self.passed + start });
        }
        let mut keep_from = self.tail.len().saturating_sub(self.longest - 1);
        while !self.tail.is_char_boundary(keep_from) {
            keep_from -= 1;
        }
        self.tail.drain(..keep_from);
        self.passed += keep_from;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strings: &[&str], pieces: &[&str], expected: Option<(usize, usize, usize)>) {
        let strings: Vec<String> = strings.iter().map(|string| string.to_string()).collect();
        let mut watch = StopStrings::new(&strings);
        let found = pieces.iter().enumerate().find_map(|(piece, text)| watch.push(text).map(|found| (piece, found)));
        let found = found.map(|(piece, found)| (piece, found.string, found.start));
        assert_eq!(found, expected, "{strings:?} in {pieces:?}");
    }

    #[test]
    fn matches_inside_a_piece_and_across_pieces() {
        check(&["END"], &["one END two"], Some((0, 0, 4)));
        check(&["END"], &["one E", "N", "D two"], Some((2, 0, 4)));
        check(&["END"], &["one E", "N", "d two"], None);
        check(&["\n\n"], &["a\n", "b\n", "\nc"], Some((2, 0, 3)));
        check(&["aab"], &["aa", "a", "b"], Some((2, 0, 1)));
    }

    #[test]
    fn the_first_to_start_wins_then_the_first_listed() {
        check(&["two", "one"], &["one two"], Some((0, 1, 0)));
        check(&["onetwo", "one"], &["a onetwo"], Some((0, 0, 2)));
        check(&["one", "onetwo"], &["a onetwo"], Some((0, 0, 2)));
        // A shorter string that completes earlier ends the sample, though a longer one had begun before it.
        check(&["long tail", "tai"], &["a long tai", "l"], Some((0, 1, 7)));
    }

    #[test]
    fn text_in_any_script_is_cut_only_between_characters() {
        check(&["é!"], &["caf", "é", "é", "!"], Some((3, 0, 5)));
        check(&["終"], &["日本", "語の", "終", "わり"], Some((2, 0, 12)));
        check(&["🦀🦀"], &["🦀", "x🦀", "🦀"], Some((2, 0, 5)));
    }

    #[test]
    fn nothing_to_watch_for_matches_nothing() {
        check(&[], &["anything"], None);
        check(&[""], &["anything"], None);
        assert!(StopStrings::new(&[String::new()]).is_empty());
    }

    #[test]
    fn agrees_with_a_search_of_the_whole_text() {
        let mut generator = crate::random::Generator::new(3);
        for _ in 0..2_000 {
            let mut letters = |most: u64| -> String {
                let length = 1 + generator.bits() % most;
                (0..length).map(|_| ['a', 'b', 'é'][(generator.bits() % 3) as usize]).collect()
            };
            let (stop, pieces) = (letters(4), [letters(6), letters(6), letters(6), letters(6)]);
            let mut watch = StopStrings::new(std::slice::from_ref(&stop));
            let found = pieces.iter().find_map(|piece| watch.push(piece)).map(|found| found.start);
            assert_eq!(found, pieces.concat().find(&stop), "{stop} in {pieces:?}");
        }
    }
}
