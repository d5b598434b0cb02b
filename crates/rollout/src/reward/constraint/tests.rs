use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::Error;

fn constraint(id: &str, arguments: Value) -> Constraint {
    Constraint::parse(id, arguments.as_object().unwrap()).unwrap()
}

/// Checks the strict verdict on each answer.
fn check(id: &str, arguments: Value, cases: &[(&str, bool)]) {
    let constraint = constraint(id, arguments);
    assert_eq!(constraint.id(), id);
    for (answer, expected) in cases {
        assert_eq!(constraint.strict(answer), *expected, "{constraint:?} on {answer:?}");
    }
}

#[test]
fn keywords_are_substrings_and_forbidden_ones_are_words() {
    let cases = [("Concatenate a Dog", true), ("cat", false), ("CATDOG", true), ("", false)];
    check("keywords:existence", json!({"keywords": ["cat", "dog"]}), &cases);
    check("keywords:existence", json!({"keywords": []}), &[("anything", true), (" \n", false)]);
    let cases = [("running", true), ("A run-time error", false), ("RUN", false), ("run2 run_", true), ("übrun", true)];
    check("keywords:forbidden_words", json!({"forbidden_words": ["run"]}), &cases);
    // A pattern's characters stand for themselves.
    check("keywords:forbidden_words", json!({"forbidden_words": ["a.b"]}), &[("axb", true), ("a.b", false)]);
    check("keywords:forbidden_words", json!({"forbidden_words": ["aa"]}), &[("aaa", true), ("aaa aa", false)]);
}

#[test]
fn occurrences_do_not_overlap_and_case_does_not_matter() {
    let arguments = json!({"keyword": " AA ", "frequency": 2, "relation": "at least"});
    check("keywords:frequency", arguments, &[("aaa", false), ("aaaa", true), ("Aa aA", true)]);
    let arguments = json!({"keyword": "x", "frequency": 1, "relation": "less than"});
    check("keywords:frequency", arguments, &[("y", true), ("X", false), ("", false)]);
    let arguments = json!({"letter": "B", "let_frequency": 2, "let_relation": "at least"});
    check("keywords:letter_frequency", arguments, &[("AbBa", true), ("b", false)]);
    let arguments = json!({"letter": "!", "let_frequency": 3, "let_relation": "less than"});
    check("keywords:letter_frequency", arguments, &[("a!!", true), ("!!!", false)]);
    check("punctuation:no_comma", json!({}), &[("a, b", false), ("a، b，c", true)]);
}

#[test]
fn languages_are_told_by_script_by_trigrams_and_by_common_words() {
    let cases = [
        ("de", "Das ist ein ganz normaler deutscher Satz über das Wetter von heute."),
        ("hi", "यह हिन्दी में लिखा हुआ एक साधारण वाक्य है और इसमें कुछ खास नहीं है।"),
        ("ko", "오늘은 날씨가 아주 좋습니다."),
        ("th", "วันนี้อากาศดีมาก"),
        ("vi", "Hôm nay trời rất đẹp và tôi muốn đi dạo trong công viên."),
        ("sw", "Leo hali ya hewa ni nzuri sana na watu wengi wako nje kwa sababu ya jua."),
        ("fi", "Tänään sää on oikein kaunis ja haluaisin mennä puistoon kävelemään."),
        ("kn", "ಇಂದು ಹವಾಮಾನ ತುಂಬಾ ಚೆನ್ನಾಗಿದೆ"),
    ];
    for (code, text) in cases {
        check("language:response_language", json!({"language": code}), &[(text, true), ("12 + 3 = 15", true)]);
        check("language:response_language", json!({"language": "it"}), &[(text, false)]);
    }
    // Every code in use there is one we can name.
    for code in "hi kn mr vi ko sw de pa fa ru bg pt gu te it ar ta fi ur th ne bn en".split(' ') {
        assert_eq!(Language::from_code(code).map(Language::code), Some(code));
    }
}

#[test]
fn sentences_end_at_stops_that_are_not_part_of_a_word() {
    let cases = [
        ("", 0),
        (" \n ", 0),
        ("One", 1),
        ("One. Two! Three?", 3),
        ("a b c\nd e f\ng", 1),
        ("What?! Yes... no.", 2),
        ("He said \"Hi.\" Then left.", 2),
        ("Mr. Smith met Dr. Lee in the U.S. with J. Doe.", 1),
        ("It costs 3.50 e.g. on Mondays. Fine.", 2),
        ("We live in the U.S. The end.", 2),
        ("ideas: 1. red ones 2. blue ones", 1),
        ("1. One\n2. Two", 3),
        ("**Bold.** Next.", 2),
        ("See https://example.com/a?b now.", 1),
        ("The end.**", 2),
    ];
    for (text, expected) in cases {
        assert_eq!(sentence::count(text), expected, "{text:?}");
    }
}

#[test]
fn lengths_are_counted_as_published() {
    let at_least = |n| json!({"num_words": n, "relation": "at least"});
    check("length_constraints:number_words", at_least(8), &[("don't state-of-the-art 3.5", true), ("a_b c", false)]);
    let cases = [("— – …", true), ("one two", false)];
    check("length_constraints:number_words", json!({"num_words": 2, "relation": "less than"}), &cases);
    let cases = [
        ("a\n***\nb", true),
        ("***\na\n***\nb\n***", true),
        ("a***b", true),
        ("a******b", false),
        ("a * * * b", false),
        ("a\n***\nb\n***\nc", false),
        ("***", false),
    ];
    check("length_constraints:number_paragraphs", json!({"num_paragraphs": 2}), &cases);
    let arguments = json!({"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"});
    let cases = [
        ("a\n\nweekend, at last", true),
        ("a\n\n'\"Weekend!\" b", true),
        ("a\n\n\"'weekend", false),
        ("a\n\n**Weekend** b", false),
        ("a\n\nweekend\n\nc", false),
        ("a\n \nweekend", false),
        // Blank pieces count in the index: the second piece here is blank.
        ("a\n\n\n\nweekend", false),
        ("weekend", false),
    ];
    check("length_constraints:nth_paragraph_first_word", arguments, &cases);
}

#[test]
fn structure_is_read_as_published() {
    let cases = [("[a] [b]", true), ("[a [b] c]", false), ("[] [x](y)", true), ("[a\nb] [c]", false)];
    check("detectable_content:number_placeholders", json!({"num_placeholders": 2}), &cases);
    let cases = [("x P.S. y", false), ("p. p. s z", true), ("P.P.S. z", true)];
    check("detectable_content:postscript", json!({"postscript_marker": "P.P.S"}), &cases);
    let cases = [("PS: z", false), ("P.P.S. z", true), ("p. s. z", true)];
    check("detectable_content:postscript", json!({"postscript_marker": "P.S."}), &cases);
    let cases = [
        ("*\nfoo\n* bar", true),
        ("**b** x\n* **c**", false),
        ("---\n- a", true),
        ("\n\n* a\n\n* b", true),
        ("1. a\n2. b", false),
        ("• a\n• b", false),
        ("-5 degrees\n--", true),
        ("* a\n* b\n- c", false),
    ];
    check("detectable_format:number_bullet_lists", json!({"num_bullets": 2}), &cases);
    let cases =
        [("**a** and **b**", true), ("***x***", true), ("**bold**", false), ("*a* *b*", true), ("*a\nb* **", false)];
    check("detectable_format:number_highlighted_sections", json!({"num_highlights": 2}), &cases);
    let arguments = json!({"section_spliter": " SECTION ", "num_sections": 2});
    let cases = [("SECTION 1 x SECTION2", true), ("Section 1 SECTION 2", false), ("SECTION  1 SECTION 2", false)];
    check("detectable_format:multiple_sections", arguments, &cases);
    let cases = [("Yes: My answer is no.", true), ("My answer is yes", false), ("my answer is maybe.", false)];
    check("detectable_format:constrained_response", json!({}), &cases);
}

#[test]
fn json_and_titles_are_recognised() {
    let cases = [
        ("5", true),
        ("true", true),
        ("```json\n{\"a\": [1, 2]}\n```", true),
        ("```JSON {\"a\":1}", true),
        ("```{\"a\":1}```", true),
        ("{'a':1}", false),
        ("Here: {}", false),
        ("{} {}", false),
        ("NaN", false),
    ];
    check("detectable_format:json_format", json!({}), &cases);
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    check("detectable_format:json_format", json!({}), &[(&deep, true), (&deep[1..], false)]);
    let cases = [
        ("<<poem>>", true),
        ("<<>>", false),
        ("<<>>>", false),
        ("<< >>", false),
        ("<<\n>>", false),
        ("<<a>> x <<b>>", true),
    ];
    check("detectable_format:title", json!({}), &cases);
}

#[test]
fn whole_answers_are_compared_as_published() {
    let cases = [
        ("******a******b******", true),
        ("a******a", false),
        ("a", false),
        ("a************b", false),
        ("a*******b", true),
    ];
    check("combination:two_responses", json!({}), &cases);
    let cases = [("Repeat Me. Answer", true), ("x repeat me.", false), ("repeat  me.", false)];
    check("combination:repeat_prompt", json!({"prompt_to_repeat": "Repeat me. "}), &cases);
    let cases = [("So \"Bye.\"", true), ("bye. \"", false), ("bye.!", false)];
    check("startend:end_checker", json!({"end_phrase": "bye."}), &cases);
    let cases = [("\"", false), (" \"a\"\n", true), ("\"\"", true), ("“a”", false), ("\"a\" b", false)];
    check("startend:quotation", json!({}), &cases);
}

#[test]
fn capitals_are_counted_by_tokens() {
    let cases = [
        ("", 0),
        ("DON'T go", 2),
        ("NASA's plan", 1),
        ("U.S. is", 1),
        ("STATE-OF-THE-ART it", 1),
        ("A I x", 2),
        ("123 4-5", 0),
        ("COVID-19, R&D (NASA)", 4),
        ("iPhone OK.", 1),
        ("CANNOT STOP", 3),
        ("ONE--TWO...THREE", 3),
        ("10:30 AM: GO,STOP", 3),
    ];
    for (text, expected) in cases {
        assert_eq!(token::count_upper(text), expected, "{text:?}");
    }
    let arguments = json!({"capital_frequency": 2, "capital_relation": "less than"});
    check("change_case:capital_word_frequency", arguments, &[("One TWO", true), ("ONE TWO", false)]);
}

#[test]
fn english_in_one_case_has_letters_and_no_others() {
    let text = "this is a plain English sentence about the weather and the sea";
    let (small, capital) = (text.to_lowercase(), text.to_uppercase());
    let french = "ceci est une phrase tout à fait ordinaire en français sur le temps et la mer";
    let cases = [(small.as_str(), true), (&capital, false), (text, false), (french, false), ("12 3!", false)];
    check("change_case:english_lowercase", json!({}), &cases);
    let french = french.to_uppercase();
    let cases = [(small.as_str(), false), (&capital, true), (text, false), (&french, false), ("ǅ", false)];
    check("change_case:english_capital", json!({}), &cases);
    // Names are hardly English to trigrams, but nothing else either.
    let names = "1. PIXEL PRODIGY\n2. CODE CONSTRUCT\n3. DIGITAL DYNAMICS";
    check("change_case:english_capital", json!({}), &[(names, true)]);
}

#[test]
fn loose_verdicts_overlook_the_first_and_last_line_and_stars() {
    let judge = |id: &str, arguments: Value, answer: &str| {
        let Verdict { strict, loose } = Variants::of(answer).judge(&constraint(id, arguments));
        (strict, loose)
    };
    let quotation = |answer: &str| judge("startend:quotation", json!({}), answer);
    assert_eq!(quotation("\"a\""), (true, true));
    assert_eq!(quotation("Sure:\n\"a\""), (false, true));
    assert_eq!(quotation("\"a\"\nDone."), (false, true));
    assert_eq!(quotation("Sure:\n\"a\"\n\nDone."), (false, true));
    assert_eq!(quotation("*\"a\"*"), (false, true));
    assert_eq!(quotation("Sure:\nx\n\"a\""), (false, false));
    assert_eq!(quotation(" \n"), (false, false));
    let no_comma = |answer: &str| judge("punctuation:no_comma", json!({}), answer);
    assert_eq!(no_comma("Well,\nyes"), (false, true));
    assert_eq!(no_comma("Well, yes"), (false, false));
    // Removing lines or stars never turns a strict pass into a loose failure.
    assert_eq!(
        judge("detectable_format:number_highlighted_sections", json!({"num_highlights": 1}), "*a*"),
        (true, true)
    );
}

#[test]
fn arguments_survive_a_round_trip_and_nulls_are_absent() {
    for constraint in samples() {
        assert_eq!(Constraint::parse(constraint.id(), &constraint.arguments()).unwrap(), constraint);
        let mut padded = constraint.arguments();
        padded.insert("unrelated".to_owned(), Value::Null);
        assert_eq!(Constraint::parse(constraint.id(), &padded).unwrap(), constraint);
    }
    let mut ids: Vec<_> = samples().iter().map(Constraint::id).collect();
    ids.dedup();
    assert_eq!(ids, IDS, "one sample of every type, in order");
    // Zero is a number like any other, and some tools write whole numbers as floats.
    let zero = constraint("length_constraints:number_words", json!({"num_words": 0, "relation": "at least"}));
    assert!(zero.strict("a"));
    let float = constraint("detectable_format:number_bullet_lists", json!({"num_bullets": 3.0}));
    assert_eq!(float, Constraint::Bullets { count: 3 });
}

#[test]
fn wrong_arguments_are_named() {
    let message = |id: &str, arguments: Value| {
        Constraint::parse(id, arguments.as_object().unwrap()).map_err(|error: Error| error.to_string()).unwrap_err()
    };
    assert_eq!(
        message("keyword:existance", json!({})),
        "unknown constraint `keyword:existance`; the closest known one is `keywords:existence`"
    );
    assert_eq!(
        message("detectable_format:number_bullet_lists", json!({"num_bullets": null})),
        "constraint `detectable_format:number_bullet_lists` needs the argument `num_bullets`"
    );
    assert_eq!(
        message("punctuation:no_comma", json!({"commas": 0})),
        "constraint `punctuation:no_comma` has no argument `commas`"
    );
    let wrong = [
        ("detectable_format:number_bullet_lists", json!({"num_bullets": -1}), "a whole number, 0 or more"),
        ("detectable_format:number_bullet_lists", json!({"num_bullets": 1.5}), "a whole number, 0 or more"),
        ("keywords:existence", json!({"keywords": ["a", " "]}), "a list of texts, none blank"),
        ("startend:end_checker", json!({"end_phrase": 3}), "text that is not blank"),
        (
            "language:response_language",
            json!({"language": "tlh"}),
            "an ISO 639-1 code of a language that can be detected",
        ),
        (
            "length_constraints:number_words",
            json!({"num_words": 3, "relation": "more than"}),
            "`less than` or `at least`",
        ),
        (
            "keywords:letter_frequency",
            json!({"letter": "ab", "let_frequency": 1, "let_relation": "at least"}),
            "one character",
        ),
        (
            "length_constraints:nth_paragraph_first_word",
            json!({"num_paragraphs": 1, "nth_paragraph": 0, "first_word": "a"}),
            "a whole number, 1 or more",
        ),
    ];
    for (id, arguments, expected) in wrong {
        let message = message(id, arguments);
        assert!(message.contains(&format!("expected {expected}, found `")), "{message}");
    }
}

/// One constraint of every type, in the order of [`IDS`].
fn samples() -> Vec<Constraint> {
    let text = "aa".to_owned();
    let bound = Bound { relation: Relation::AtLeast, count: 2 };
    vec![
        Constraint::Keywords { keywords: vec![text.clone()] },
        Constraint::KeywordFrequency { keyword: text.clone(), bound },
        Constraint::ForbiddenWords { words: vec![text.clone(), "*".to_owned()] },
        Constraint::LetterFrequency { letter: 'a', bound },
        Constraint::ResponseLanguage { language: Language::ENGLISH },
        Constraint::Sentences { bound },
        Constraint::Paragraphs { count: 2 },
        Constraint::Words { bound: Bound { relation: Relation::LessThan, count: 3 } },
        Constraint::NthParagraphFirstWord { paragraphs: 2, nth: 1, first_word: text.clone() },
        Constraint::Placeholders { count: 2 },
        Constraint::Postscript { marker: "P.P.S".to_owned() },
        Constraint::Bullets { count: 2 },
        Constraint::ConstrainedResponse,
        Constraint::Highlights { count: 2 },
        Constraint::Sections { name: text.clone(), count: 2 },
        Constraint::Json,
        Constraint::Title,
        Constraint::TwoResponses,
        Constraint::RepeatPrompt { prompt: text.clone() },
        Constraint::EndPhrase { phrase: text },
        Constraint::Quotation,
        Constraint::CapitalWords { bound },
        Constraint::EnglishCapitals,
        Constraint::EnglishLowercase,
        Constraint::NoComma,
    ]
}

/// Short texts of the characters that the checkers care about, and any others.
fn answers() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("***".to_owned()),
        Just("\n\n".to_owned()),
        Just("aa".to_owned()),
        "[*\\-#<>\\[\\]\"'`.!?,:;{}() \n\t]{1,3}",
        "[A-Za-z0-9']{1,6}",
        "\\PC{0,4}",
        Just("İßǅΣ\u{301}\u{1c}".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_checker_panics_and_loose_is_never_stricter(answer in answers(), text in answers(), count in 0usize..4) {
        let mut constraints = samples();
        let bound = Bound { relation: Relation::LessThan, count };
        constraints.extend([
            Constraint::Keywords { keywords: vec![text.clone()] },
            Constraint::KeywordFrequency { keyword: text.clone(), bound },
            Constraint::ForbiddenWords { words: vec![text.clone()] },
            Constraint::Sections { name: text.clone(), count },
            Constraint::Postscript { marker: text.clone() },
            Constraint::NthParagraphFirstWord { paragraphs: count, nth: count, first_word: text.clone() },
            Constraint::EndPhrase { phrase: text.clone() },
            Constraint::RepeatPrompt { prompt: text },
        ]);
        let variants = Variants::of(&answer);
        for constraint in &constraints {
            let Verdict { strict, loose } = variants.judge(constraint);
            prop_assert_eq!(strict, constraint.strict(&answer));
            prop_assert!(loose || !strict);
        }
    }

    #[test]
    fn parsing_never_panics(id in prop::sample::select(&IDS[..]), name in prop::sample::select(vec![
        "keywords", "keyword", "relation", "num_words", "letter", "language", "nth_paragraph", "end_phrase", "num_bullets",
    ]), number in any::<f64>(), text in "\\PC{0,3}") {
        for value in [json!(number), json!(text), json!([text]), json!({}), json!(true)] {
            let arguments = Map::from_iter([(name.to_owned(), value)]);
            if let Ok(constraint) = Constraint::parse(id, &arguments) {
                prop_assert_eq!(constraint.arguments().len(), arguments.len());
            }
        }
    }
}

/// A checker quadratic in the length of the answer would take minutes here; linear ones take about a tenth of a second.
#[test]
fn a_megabyte_takes_no_checker_long() {
    let million = |piece: &str| piece.repeat(1_000_000 / piece.len());
    let texts = [
        million("a"),
        million(" "),
        million("\n"),
        million("*"),
        million("<"),
        million("["),
        million("-\n"),
        million("aa1 "),
        million(". "),
        million("* \n"),
        million("\"'"),
        million("A.B'S "),
        million("한"),
        million("```{[\""),
    ];
    for text in &texts {
        let variants = Variants::of(text);
        for constraint in samples() {
            let start = Instant::now();
            variants.judge(&constraint);
            let elapsed = start.elapsed();
            assert!(
                elapsed < Duration::from_secs(3),
                "{} on {:?}…: {elapsed:?}",
                constraint.id(),
                &text.chars().take(6).collect::<String>()
            );
        }
    }
}
