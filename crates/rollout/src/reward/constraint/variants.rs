//! Strict and loose verdicts.

use std::borrow::Cow;

use super::Constraint;
use super::characters::{is_blank, trim};

/// Both verdicts on one constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The answer as it stands meets the constraint.
    pub strict: bool,
    /// The answer meets it when a first or last line or the stars are overlooked. A strict pass is a loose one.
    pub loose: bool,
}

/// An answer and its seven variants, built once and judged by any number of constraints.
#[derive(Clone, Debug)]
pub struct Variants<'a> {
    /// The answer itself if it is not blank, then the others that are not blank.
    readings: Vec<Cow<'a, str>>,
    answer_is_blank: bool,
}

impl<'a> Variants<'a> {
    /// The variants of an answer: whole; without its first line, last line, both (these trimmed); each without stars.
    pub fn of(answer: &'a str) -> Variants<'a> {
        let after_first = answer.split_once('\n').map_or("", |(_, rest)| rest);
        let before_last = answer.rsplit_once('\n').map_or("", |(rest, _)| rest);
        let between = after_first.rsplit_once('\n').map_or("", |(rest, _)| rest);
        let plain = [answer, trim(after_first), trim(before_last), trim(between)];
        let starless = plain.iter().filter(|text| text.contains('*')).map(|text| Cow::Owned(text.replace('*', "")));
        let readings = plain.into_iter().map(Cow::Borrowed).chain(starless).filter(|text| !is_blank(text)).collect();
        Variants { readings, answer_is_blank: is_blank(answer) }
    }

    /// Judges one constraint.
    pub fn judge(&self, constraint: &Constraint) -> Verdict {
        let strict = !self.answer_is_blank && self.readings.first().is_some_and(|answer| constraint.holds(answer));
        Verdict { strict, loose: strict || self.readings.iter().skip(1).any(|reading| constraint.holds(reading)) }
    }
}
