//! Lines of JSON to and from a program.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Fault;
use crate::data::excerpt;
use crate::reward::journaled::is_score;
use crate::reward::{Exchange, Part, Score};

/// The line that asks for a score, with its end.
pub(super) fn request(id: u64, exchange: &Exchange<'_>) -> String {
    let Exchange { prompt, rewrite, response, record } = *exchange;
    let (texts, row) = ([prompt, rewrite, response].map(|text| json!(text)), Value::Object(record.to_row()));
    let [prompt, rewrite, response] = texts;
    // Written out, so that the number comes first whatever order a map has.
    let line =
        format!(r#"{{"id": {id}, "prompt": {prompt}, "rewrite": {rewrite}, "response": {response}, "record": {row}}}"#);
    ascii(&line) + "\n"
}

/// JSON with everything beyond the printable characters of ASCII escaped; it can only stand within strings.
fn ascii(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if matches!(character, ' '..='~') {
            escaped.push(character);
        } else {
            let units =
                character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            escaped += &units;
        }
    }
    escaped
}

#[derive(Deserialize)]
struct WireAnswer {
    id: Option<Value>,
    score: Option<Value>,
    #[serde(default)]
    parts: Option<BTreeMap<String, Value>>,
}

/// The number and the score that a line answers with.
pub(super) fn answer(line: &[u8]) -> Result<(u64, Score), Fault> {
    let wrong = |problem: String| Fault::NoAnswer { line: presentable(line), problem };
    let WireAnswer { id, score, parts } = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
    let told = |value: &Option<Value>| value.as_ref().map_or("missing".to_owned(), |value| excerpt(&value.to_string()));
    let id = id.as_ref().and_then(Value::as_u64).ok_or_else(|| wrong(format!("`id` is {}", told(&id))))?;
    let value = finite(score.as_ref())
        .ok_or_else(|| wrong(format!("`score` is {}, no number between -1e9 and 1e9", told(&score))))?;
    let part = |(name, value): (String, Value)| match finite(Some(&value)) {
        // Their own names must not be those of other rewards.
        Some(value) => Ok(Part { name: format!("command.{name}").into(), value }),
        None => Err(wrong(format!("the part `{}` is {}, no number", excerpt(&name), excerpt(&value.to_string())))),
    };
    let parts = parts.unwrap_or_default().into_iter().map(part).collect::<Result<_, _>>()?;
    Ok((id, Score { value, parts }))
}

fn finite(value: Option<&Value>) -> Option<f64> {
    value.and_then(Value::as_f64).filter(|number| is_score(*number))
}

/// A line of a program, fit for people: without control characters, and not too long.
pub(super) fn presentable(line: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = String::from_utf8_lossy(line);
    let mut characters = text.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = characters.by_ref().take(LONGEST).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reward::fixture::record;

    /// Any text: control characters and characters of any plane too.
    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn any_text_goes_through_a_line_and_back(id: u64, x in text(), rewrite in text(), y in text(), field in text()) {
            let row = json!({"answer": field, "other": [field]});
            let record = record(row.clone());
            let line = request(id, &Exchange { prompt: &x, rewrite: &rewrite, response: &y, record: &record });
            prop_assert!(line.is_ascii() && line.ends_with('\n'));
            prop_assert!(!line[..line.len() - 1].chars().any(char::is_control), "{line:?}");
            let back: Value = serde_json::from_str(&line).unwrap();
            let expected = json!({"id": id, "prompt": x, "rewrite": rewrite, "response": y, "record": record.to_row()});
            prop_assert_eq!(&back, &expected);
            prop_assert_eq!(&back["record"]["answer"], &row["answer"]);
        }

        #[test]
        fn no_line_is_too_strange(line: Vec<u8>) {
            prop_assert!(answer(&line).is_err());
        }

        #[test]
        fn scores_come_through_to_the_last_bit(id: u64, value in -1e9..1e9f64) {
            let line = json!({"id": id, "score": value, "parts": {"a": value}}).to_string();
            let (read, score) = answer(line.as_bytes()).unwrap();
            prop_assert_eq!(read, id);
            prop_assert_eq!(score.value.to_bits(), value.to_bits());
            prop_assert_eq!(&score.parts, &[Part { name: "command.a".into(), value }]);
        }
    }

    #[test]
    fn what_cannot_be_summed_is_no_score() {
        for score in ["1e308", "-1.5e9"] {
            let fault = answer(format!("{{\"id\": 0, \"score\": {score}}}").as_bytes()).unwrap_err().to_string();
            assert!(fault.contains("no number between -1e9 and 1e9"), "{fault}");
        }
    }

    #[test]
    fn answers_may_say_more_and_leave_out_parts() {
        for line in [r#"{"id": 3, "score": 1}"#, "{\"score\":1.0, \"id\":3, \"why\": [\"x\"], \"parts\": null}\r\n"] {
            assert_eq!(answer(line.as_bytes()).unwrap(), (3, Score::plain(1.0)));
        }
    }

    #[test]
    fn what_is_no_answer_is_told_with_what_is_wrong() {
        for (line, problem) in [
            ("hello", "expected value"),
            ("[]", "invalid"),
            ("{}", "`id` is missing"),
            (r#"{"id": "0", "score": 1}"#, r#"`id` is "0""#),
            (r#"{"id": -1, "score": 1}"#, "`id` is -1"),
            (r#"{"id": 0}"#, "`score` is missing"),
            (r#"{"id": 0, "score": null}"#, "`score` is missing"),
            (r#"{"id": 0, "score": "0.5"}"#, r#"`score` is "0.5", no number"#),
            (r#"{"id": 0, "score": NaN}"#, "expected value"),
            (r#"{"id": 0, "score": 1e999}"#, "number out of range"),
            (r#"{"id": 0, "score": 1, "parts": [1]}"#, "invalid type"),
            (r#"{"id": 0, "score": 1, "parts": {"a": "b"}}"#, r#"the part `a` is "b", no number"#),
        ] {
            let told = answer(line.as_bytes()).unwrap_err().to_string();
            assert!(told.contains(problem) && told.contains(&format!("it printed `{line}`")), "{line}: {told}");
        }
        let long = answer("x\u{1b}[31m".repeat(200).as_bytes()).unwrap_err().to_string();
        assert!(long.len() < 700 && long.contains('…') && !long.contains('\u{1b}'), "{long}");
    }
}
