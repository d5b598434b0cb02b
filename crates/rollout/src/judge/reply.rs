//! Reading a grade or a verdict out of a reply, or finding none: what is not clear is not guessed.

use crate::target::Response;

/// What a reply says about two seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    A,
    B,
    Tie,
}

/// The grade that a reply gives: the number behind its last `grade`, or else the only number in it. N of `N/M` and of
/// `N out of M` counts where M is the highest grade. `None` where that is no grade of the scale, or where the reply was cut right
/// behind it, since a 1 may be the beginning of a 10.
pub(crate) fn grade(reply: &Response, lowest: u32, highest: u32) -> Option<f64> {
    let text = reply.text.trim_end();
    let labelled = behind(text, "grade").find_map(|rest| number(without_link(rest)));
    let Number { value, rest } = labelled.or_else(|| only_number(text, highest))?;
    let inside = (f64::from(lowest)..=f64::from(highest)).contains(&value);
    let may_go_on = reply.cut && rest.is_empty();
    (inside && !may_go_on && !is_another_number(rest, highest)).then_some(value)
}

/// The letter that a reply names: behind its last `verdict`, or else as all that it says.
pub(super) fn letter(reply: &Response) -> Option<Letter> {
    let labelled = behind(&reply.text, "verdict").find_map(leading_letter);
    labelled.or_else(|| {
        let alone = reply.text.trim_matches(|c: char| !c.is_alphanumeric());
        let says_more = alone.split_whitespace().count() > 2;
        leading_letter(alone).filter(|_| !says_more)
    })
}

/// What stands behind each occurrence of an ASCII word in either case, from the last one back.
fn behind<'a>(text: &'a str, word: &'static str) -> impl Iterator<Item = &'a str> {
    let lower = text.to_ascii_lowercase();
    let ends: Vec<usize> = lower.rmatch_indices(word).map(|(at, _)| at + word.len()).collect();
    ends.into_iter().map(move |end| &text[end..])
}

/// A number and what follows it.
#[derive(Clone, Copy)]
struct Number<'a> {
    value: f64,
    rest: &'a str,
}

/// The number that a text begins with.
fn number(text: &str) -> Option<Number<'_>> {
    let (sign, digits) = text.strip_prefix('-').map_or((1.0, text), |digits| (-1.0, digits));
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    // A stop behind a number is the end of its sentence.
    let written = digits[..end].trim_end_matches('.');
    Some(Number { value: sign * written.parse::<f64>().ok()?, rest: &digits[written.len()..] })
}

/// The text without what may stand between a label and its value: marks, and `is`.
fn without_link(text: &str) -> &str {
    let begins = |text: &str| {
        let sign = text.strip_prefix('-').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        sign || text.starts_with(char::is_alphanumeric)
    };
    let trim = |text: &str| text.char_indices().map(|(at, _)| at).find(|&at| begins(&text[at..])).unwrap_or(text.len());
    let text = &text[trim(text)..];
    let rest = text.strip_prefix("is ").unwrap_or(text);
    &rest[trim(rest)..]
}

fn only_number(text: &str, highest: u32) -> Option<Number<'_>> {
    let next = |text: &str| text.find(|c: char| c.is_ascii_digit());
    let first = next(text)?;
    let sign = usize::from(text[..first].ends_with('-'));
    let found = number(&text[first - sign..])?;
    let behind = fraction(found.rest, highest).unwrap_or(found.rest);
    next(behind).is_none().then_some(found)
}

/// What follows `/M` or ` out of M`.
fn fraction(rest: &str, highest: u32) -> Option<&str> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('/').or_else(|| rest.strip_prefix("out of"))?;
    number(rest.trim_start()).filter(|number| number.value == f64::from(highest)).map(|number| number.rest)
}

/// Whether a number goes on into something else: a range, a fraction of something else, a share, a comma.
fn is_another_number(rest: &str, highest: u32) -> bool {
    let joined = rest
        .strip_prefix(['-', '–', ',', '/'])
        .is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    rest.trim_start().starts_with('%') || (joined && fraction(rest, highest).is_none())
}

/// The letter that a text begins with, `answer` and marks aside. A letter that a sentence goes on behind is an article.
fn leading_letter(text: &str) -> Option<Letter> {
    let words = |text: &str| text.trim_start_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let mut text = words(text);
    for prefix in ["is ", "Answer ", "answer "] {
        if let Some(rest) = text.strip_prefix(prefix) {
            text = words(rest);
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let rest = text[end..].trim_start_matches(' ');
    let goes_on = rest.starts_with(char::is_alphanumeric);
    match text[..end].to_ascii_lowercase().as_str() {
        "tie" => Some(Letter::Tie),
        "a" if rest.to_ascii_lowercase().starts_with("tie") => Some(Letter::Tie),
        "a" if !goes_on => Some(Letter::A),
        "b" if !goes_on => Some(Letter::B),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Response {
        Response { text: text.to_owned(), tokens: 1, prompt_tokens: 1, cut: false }
    }

    #[test]
    fn a_grade_is_read_where_there_is_one() {
        let cases = [
            ("Grade: 7", 7.0),
            ("**Grade:** 7.5", 7.5),
            ("The answer is short. Grade: 3. That is my grade.", 3.0),
            ("Grade: 2\n\nGrade: 9", 9.0),
            ("The grade is 4 because the answer is short", 4.0),
            ("Grade - 7", 7.0),
            ("grade: [8/10]", 8.0),
            (" 10 \n", 10.0),
            ("7/10", 7.0),
            ("I would give it 6 out of 10.", 6.0),
            ("\u{130}\u{130} Grade: 5", 5.0),
        ];
        for (text, expected) in cases {
            assert_eq!(grade(&reply(text), 1, 10), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_not_clear_is_no_grade() {
        let unclear = [
            "",
            "good",
            "Grade: A",
            "Grade: 0",
            "Grade: 11",
            "Grade: -7",
            "-7",
            "Grade (1-10)",
            "Grade: 80%",
            "Grade: 7,5",
            "Grade: 4/5",
            "between 3 and 4",
            "7/12",
            "1.2.3",
            "9999999999999999999999999",
        ];
        for text in unclear {
            assert_eq!(grade(&reply(text), 1, 10), None, "{text:?}");
        }
        let cut = |text: &str| grade(&Response { cut: true, ..reply(text) }, 1, 10);
        assert_eq!((cut("Grade: 1"), cut("Grade: 1, since")), (None, Some(1.0)));
    }

    #[test]
    fn a_verdict_is_read_where_there_is_one() {
        let cases = [
            ("Verdict: A", Letter::A),
            ("**Verdict:** B.", Letter::B),
            ("Verdict: Answer B", Letter::B),
            ("Verdict: A - it is correct", Letter::A),
            ("Verdict: A\nVerdict: tie", Letter::Tie),
            ("A is long. My verdict is B", Letter::B),
            ("Verdict: B. This verdict is final", Letter::B),
            ("verdict: a tie", Letter::Tie),
            (" b\n", Letter::B),
            ("Answer A", Letter::A),
            ("A tie.", Letter::Tie),
        ];
        for (text, expected) in cases {
            assert_eq!(letter(&reply(text)), Some(expected), "{text:?}");
        }
        for text in
            ["", "Verdict:", "Verdict: A better one is B", "A and B", "Both", "C", "A is better than B", "Verdict: AB"]
        {
            assert_eq!(letter(&reply(text)), None, "{text:?}");
        }
    }
}
