//! How many words of a text are in capitals, with words cut as in the Penn Treebank.

use super::characters::is_space;
use super::letter_case::is_upper;

/// Number of tokens with a cased letter and no small one.
///
/// Punctuation is split off, hyphens and inner full stops keep a word whole, contractions are two tokens ("DON'T" is
/// "DO" and "N'T", both in capitals). Only the count matters, so tokens without letters are not kept apart.
pub(super) fn count_upper(text: &str) -> usize {
    let mut count = 0;
    let mut token = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        let doubled = next == Some(character) && matches!(character, '-' | '.');
        // A comma or colon stays only before a digit, as in "10,000" and "10:30".
        let parts = matches!(character, ',' | ':') && !next.is_some_and(char::is_numeric);
        if doubled {
            characters.next();
        }
        if doubled || parts || is_space(character) || is_separator(character) {
            count += count_in_token(&token);
            token.clear();
        } else {
            token.push(character);
        }
    }
    count + count_in_token(&token)
}

/// Characters that are tokens of their own wherever they stand.
fn is_separator(character: char) -> bool {
    matches!(character, ';' | '@' | '#' | '$' | '%' | '&' | '?' | '!' | '*' | '"' | '`')
        || matches!(character, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>')
        || matches!(character, '«' | '»' | '“' | '”' | '‘' | '’' | '„')
}

/// Endings split off a word, in capitals or not ("NASA's" has one token in capitals, "IT'S" two).
const CONTRACTIONS: [&str; 7] = ["n't", "'ll", "'re", "'ve", "'s", "'m", "'d"];
/// Words in capitals that are two tokens.
const FUSED: [&str; 8] = ["CANNOT", "GIMME", "GONNA", "GOTTA", "LEMME", "WANNA", "'TIS", "'TWAS"];

fn count_in_token(token: &str) -> usize {
    let token = token.trim_end_matches('.');
    for contraction in CONTRACTIONS {
        let Some((stem, ending)) = token.len().checked_sub(contraction.len()).and_then(|at| token.split_at_checked(at))
        else {
            continue;
        };
        if !stem.is_empty() && ending.eq_ignore_ascii_case(contraction) {
            return usize::from(is_upper(stem)) + usize::from(is_upper(ending));
        }
    }
    usize::from(is_upper(token)) + usize::from(FUSED.contains(&token))
}
