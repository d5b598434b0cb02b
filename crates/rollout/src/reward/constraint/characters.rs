//! Which characters are blank and which belong to words, as the published IFEval checkers see them.

use std::sync::LazyLock;

use regex::Regex;

static WORD_CHARACTER: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[\p{L}\p{N}_]$"));

/// Compiles a pattern that stands in the source.
pub(crate) fn pattern(text: &'static str) -> Regex {
    #[expect(clippy::expect_used, reason = "a literal of this crate; every one is compiled by a test")]
    Regex::new(text).expect("a valid pattern")
}

/// Unicode white space and the four ASCII separators U+001C to U+001F.
pub(super) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

/// `text` without white space at its ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether nothing but white space is left.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Letters, digits, numbers and the underscore. Combining marks do not count, so Devanagari words end at vowel signs.
pub(super) fn is_word_character(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_alphanumeric() || character == '_';
    }
    WORD_CHARACTER.is_match(character.encode_utf8(&mut [0; 4]))
}

/// Number of maximal runs of word characters: "don't" is two words, "3.5" is two.
pub(super) fn count_words(text: &str) -> usize {
    let mut inside = false;
    let mut count = 0;
    for character in text.chars() {
        let word = is_word_character(character);
        count += usize::from(word && !inside);
        inside = word;
    }
    count
}

/// Whether exactly one side of the byte position `at` is a word character.
pub(super) fn is_word_boundary(text: &str, at: usize) -> bool {
    let before = text[..at].chars().next_back().is_some_and(is_word_character);
    let after = text[at..].chars().next().is_some_and(is_word_character);
    before != after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores() {
        let cases = [("", 0), ("don't", 2), ("state-of-the-art", 4), ("3.5", 2), ("a_b  c\nd", 3), ("été à", 2)];
        for (text, expected) in cases {
            assert_eq!(count_words(text), expected, "{text:?}");
        }
        // Two consonants around a vowel sign, which is a combining mark.
        assert_eq!(count_words("हिन"), 2);
    }

    #[test]
    fn boundaries_lie_between_word_characters_and_anything_else() {
        let text = "ab-c";
        let expected = [true, false, true, true, true];
        for (at, expected) in expected.into_iter().enumerate() {
            assert_eq!(is_word_boundary(text, at), expected, "position {at}");
        }
    }

    #[test]
    fn white_space_includes_the_ascii_separators() {
        assert_eq!(trim("\u{1c} \u{a0}a b\u{1f}\n"), "a b");
        assert!(is_blank("\u{1d}\t\u{3000}"));
        assert!(!is_blank(" ."));
    }
}
