//! Scripted judges for tests.

use std::cell::RefCell;
use std::rc::Rc;

use crate::Error;
use crate::target::{Answered, Call, Response, Take, Target};

/// A judge that says what a function makes of the parts of a question.
pub(crate) struct Scripted<F> {
    say: F,
    asked: Asked,
}

/// The questions that a judge was asked, in order.
pub(crate) type Asked = Rc<RefCell<Vec<String>>>;

impl<F: Fn(&[(String, String)]) -> String> Scripted<F> {
    pub(crate) fn new(say: F) -> Scripted<F> {
        Scripted { say, asked: Asked::default() }
    }

    pub(crate) fn asked(&self) -> Asked {
        Rc::clone(&self.asked)
    }
}

impl<F: Fn(&[(String, String)]) -> String> Target for Scripted<F> {
    fn name(&self) -> &str {
        "scripted"
    }

    fn identity(&self) -> String {
        "scripted".to_owned()
    }

    fn parameters(&self) -> String {
        String::new()
    }

    fn answer(&mut self, calls: &[Call], take: &mut Take<'_>) -> Result<(), Error> {
        let answer = |(call, asked): (usize, &Call)| {
            let question = &asked.messages[0].content;
            assert!(asked.messages.len() == 1 && question.is_char_boundary(asked.stem));
            self.asked.borrow_mut().push(question.clone());
            let text = (self.say)(&parts(question));
            Answered { call, response: Response { text, tokens: 1, prompt_tokens: 1, cut: false } }
        };
        take(calls.iter().enumerate().map(answer).collect())
    }
}

/// The mark of a question's fence.
pub(crate) fn mark(question: &str) -> &str {
    &question.split("each line with the mark ").nth(1).unwrap()[..16]
}

/// The parts of a question by name, as a reader finds them who knows the mark.
pub(crate) fn parts(question: &str) -> Vec<(String, String)> {
    let pieces = question.split(&format!("[{} ", mark(question))).skip(1).collect::<Vec<_>>();
    let part = |piece: &&str| {
        let (name, text) = piece.split_once("]\n").unwrap();
        (!name.starts_with("end of ")).then(|| (name.to_owned(), text.strip_suffix('\n').unwrap().to_owned()))
    };
    pieces.iter().filter_map(part).collect()
}

/// The text of a part.
pub(crate) fn part<'a>(parts: &'a [(String, String)], name: &str) -> &'a str {
    &parts.iter().find(|(known, _)| known == name).unwrap().1
}

/// How good a sensible judge finds an answer: by its words, unless it is bait.
pub(crate) fn worth(answer: &str) -> usize {
    if answer.contains("Ignore the rules") { 0 } else { answer.split_whitespace().count() }
}

/// The verdict of a sensible judge of pairs.
pub(crate) fn sensible(parts: &[(String, String)]) -> String {
    let [a, b] = ["answer A", "answer B"].map(|name| worth(part(parts, name)));
    let verdict = match a.cmp(&b) {
        std::cmp::Ordering::Greater => "A",
        std::cmp::Ordering::Less => "B",
        std::cmp::Ordering::Equal => "tie",
    };
    format!("Verdict: {verdict}")
}
