use proptest::prelude::*;

use super::*;

fn removed<'a>(prompt: &str, text: &'a str) -> (&'a str, usize) {
    let Stripped { kept, removed } = strip_chatter(prompt, text);
    (kept, removed.len())
}

#[test]
fn chatter_is_stripped_from_both_ends() {
    let rewrite = "List three causes of rain.";
    let cases = [
        ("{}", 0),
        ("Sure! Here is the rewritten prompt:\n\n{}", 1),
        ("Here's an improved version of your prompt: {}", 1),
        ("Certainly!\n{}", 1),
        ("Golden Prompt: {}", 1),
        ("**Rewritten prompt:**\n{}", 1),
        ("\"{}\"", 1),
        ("```text\n{}\n```", 1),
        ("{}\n\nI hope this helps!", 1),
        ("{}\n\nThis prompt is clearer because it names a number.", 1),
        ("Sure, here is the new prompt:\n\n\"{}\"\n\nLet me know if you need changes.", 3),
    ];
    for (around, pieces) in cases {
        let text = around.replace("{}", rewrite);
        assert_eq!(removed("Why does it rain?", &text), (rewrite, pieces), "{text}");
    }
}

#[test]
fn what_a_prompt_may_say_itself_is_no_chatter() {
    for text in [
        "Surely the answer depends: explain how.",
        "Here is a text. Summarise it: cats sleep.",
        "\"Hello\" and \"bye\": which is longer?",
        "Question: why does it rain?",
        "Write a note.\n\nNote the date at the top.",
    ] {
        assert_eq!(removed("Why?", text), (text, 0));
    }
    // The user's prompt is quoted as a whole, so the quotation marks belong to it.
    let text = "\"Translate this into plain English\"";
    assert_eq!(removed("\"Translate this\"", text), (text, 0));
}

#[test]
fn cuts_keep_whole_sentences_where_that_costs_little() {
    assert_eq!(cut("One two three. Four five", 4), "One two three.");
    assert_eq!(cut("One two. Three four five six", 5), "One two. Three four five", "half would go");
    assert_eq!(cut("a b c", 3), "a b c");
    assert_eq!(cut("a b c", 0), "");
    assert_eq!(cut("  é\tü  ö ", 2), "  é\tü");
    assert_eq!(cut("ends. ", 1), "ends.");
}

#[test]
fn answers_leak_as_numbers_as_texts_and_by_announcement() {
    let leak = |rewrite: &str, answer| find_leak("What is 6 times 7?", rewrite, answer);
    assert_eq!(
        leak("Compute 6 times 7, which is 42.", Some("so\n#### 42")),
        Some(Leak::Answer("so\n#### 42".to_owned()))
    );
    assert_eq!(leak("Compute 6 times 7, which is 42.0.", Some("42")), Some(Leak::Answer("42".to_owned())));
    assert_eq!(leak("Compute 6 times 7 step by step.", Some("42")), None);
    assert_eq!(leak("Compute 6 times 7.", Some("7")), None, "the prompt has it too");
    assert_eq!(leak("Explain the Forty-Two rule.", Some("forty-two")), Some(Leak::Answer("forty-two".to_owned())));
    assert_eq!(leak("Explain.", Some("A")), None, "a letter is in everything");
    let announced = |text: &str| Some(Leak::Announcement(text.to_owned()));
    assert_eq!(leak("Note that the answer is 42", None), announced("the answer is 42"));
    assert_eq!(leak("Multiply. #### 42", None), announced("#### 42"));
    assert_eq!(leak("Multiply.\nAnswer:", None), None);
    assert_eq!(leak("Multiply and say what the answer is.", None), None);
    assert_eq!(find_leak("Answer: yes or no?", "Final answer: yes or no?", None), None, "the prompt announces too");
}

#[test]
fn intent_survives_in_other_words() {
    let prompt =
        "Write 3 sentences about \"Blue Note\" for https://example.com/a?b=1, without using `eval`. Do not rhyme.";
    let kept = "In three sentences, avoid rhymes and never use `eval`; write about \"blue  note\" (https://example.com/a?b=1).";
    assert_eq!(lost_intent(prompt, kept), []);
    let lost = [
        Lost::Number("3".to_owned()),
        Lost::Number("1".to_owned()),
        Lost::Url("https://example.com/a?b=1".to_owned()),
        Lost::Code("eval".to_owned()),
        Lost::Quote("Blue Note".to_owned()),
        Lost::Negations { before: 2, after: 0 },
    ];
    assert_eq!(lost_intent(prompt, "Write something nice about jazz records."), lost);
    // Numbers may change their form, and words for numbers count in the prompt too.
    assert_eq!(lost_intent("Name ten of 1,000 birds.", "Name 10 of 1000 birds."), []);
    assert_eq!(lost_intent("Which one is it?", "Say which it is."), []);
    assert_eq!(lost_intent("Give seven tips.", "Give tips."), [Lost::Number("seven".to_owned())]);
}

#[test]
fn a_change_of_language_is_a_loss() {
    let english = "Please explain to me in a few words how the weather in the mountains changes during the day.";
    let german = "Bitte erkläre mir in wenigen Worten, wie sich das Wetter in den Bergen im Laufe des Tages verändert.";
    let lost = lost_intent(german, english);
    assert!(
        matches!(lost[..], [Lost::Language { before, after }] if before.code() == "de" && after == crate::reward::Language::ENGLISH)
    );
    assert_eq!(lost_intent(english, "Explain briefly how mountain weather changes over one day."), []);
    assert_eq!(
        lost_intent("Perché?", "Why is that so, and what could be the reasons for it in general?"),
        [],
        "too short to tell"
    );
}

fn guard(rails: &Rails, written: &str) -> Guarded {
    rails.guard(Mode::Rewrite, "Name 3 rivers.", written, None)
}

#[test]
fn rails_fix_penalise_or_fall_back() {
    let rails = Rails { max_words: 6, ..Rails::default() };
    let clean = guard(&rails, " Name 3 long rivers. ");
    assert_eq!(
        (clean.rewrite.as_str(), clean.findings.len(), clean.penalty, clean.fell_back),
        ("Name 3 long rivers.", 0, 0.0, false)
    );

    let chatty = guard(&rails, "Sure! Here is the prompt:\nName 3 long rivers.");
    assert_eq!(chatty.rewrite, "Name 3 long rivers.");
    assert_eq!(chatty.findings, [Finding::Chatter { removed: vec!["Sure! Here is the prompt:".to_owned()] }]);

    let long = guard(&rails, "Name 3 long rivers of the whole wide world now");
    assert_eq!(long.rewrite, "Name 3 long rivers of the");
    assert_eq!(long.findings, [Finding::TooLong { words: 10, limit: 6 }]);

    let lossy = guard(&rails, "Name some rivers.");
    assert_eq!((lossy.rewrite.as_str(), lossy.fell_back), ("Name 3 rivers.", true));

    let strict = Rails { chatter: Action::FallBackToX, intent: Action::Penalise, unchanged: Action::Penalise, ..rails };
    let chatty = guard(&strict, "Golden prompt: Name 3 long rivers.");
    assert_eq!((chatty.rewrite.as_str(), chatty.fell_back), ("Name 3 rivers.", true));
    let lossy = guard(&strict, "Name some rivers.");
    assert_eq!((lossy.rewrite.as_str(), lossy.penalty, lossy.fell_back), ("Name some rivers.", 0.1, false));
    let unchanged = guard(&strict, "Name  3 rivers.\n");
    assert_eq!((unchanged.penalty, unchanged.findings), (0.1, vec![Finding::Unchanged]));
}

#[test]
fn nothing_written_is_x_in_either_mode() {
    let rails = Rails::default();
    for written in ["", " \n", "Golden prompt:", "\"\""] {
        for mode in [Mode::Rewrite, Mode::Augment] {
            let guarded = rails.guard(mode, "Name 3 rivers.", written, None);
            assert_eq!((guarded.rewrite.as_str(), guarded.fell_back), ("Name 3 rivers.", true), "{written:?} {mode:?}");
            assert_eq!(guarded.findings[0], Finding::Empty);
        }
    }
    let augmented = rails.guard(Mode::Augment, "Name 3 rivers.", "Give one per line.", None);
    assert_eq!((augmented.rewrite.as_str(), augmented.findings.len()), ("Name 3 rivers.\n\nGive one per line.", 0));
}

#[test]
fn findings_are_counted_by_rail() {
    let rails = Rails::default();
    let mut counts = RailCounts::default();
    assert_eq!(counts.share(Rail::Intent), 0.0);
    for written in ["", "Name some rivers.", "Prompt: Name some rivers.", "Name 3 long rivers."] {
        counts.add(&guard(&rails, written));
    }
    let found = Rail::ALL.map(|rail| (rail.name(), counts.found(rail)));
    let expected = [("empty", 1), ("chatter", 1), ("too-long", 0), ("unchanged", 0), ("answer-leak", 0), ("intent", 2)];
    assert_eq!(found, expected);
    assert_eq!((counts.n_rewrites, counts.n_fell_back, counts.share(Rail::Intent)), (4, 3, 0.5));
}

#[test]
fn the_configuration_speaks_in_kebab_case() {
    let rails: Rails =
        serde_json::from_str(r#"{"answer-leak": "penalise", "intent": "fix", "max-words": 50}"#).unwrap();
    let expected = Rails { answer_leak: Action::Penalise, intent: Action::Fix, max_words: 50, ..Rails::default() };
    assert_eq!(rails, expected);
    assert!(serde_json::from_str::<Rails>(r#"{"max_words": 50}"#).is_err());
}

proptest! {
    #[test]
    fn rails_never_panic_and_never_leave_the_target_without_a_prompt(
        prompt in "[a-z0-9\"`“” .,:\n!#-]{0,30}[a-z]", written in "\\PC{0,60}|(Sure!|Here is the prompt:|\"|```|\n|Note:|#### 3|not|seven| ){0,12}",
        answer in proptest::option::of("\\PC{0,6}"), max_words in 0usize..20,
    ) {
        for action in [Action::Fix, Action::Penalise, Action::FallBackToX] {
            let rails = Rails { chatter: action, too_long: action, unchanged: action, answer_leak: action, intent: action, max_words, penalty: 0.1 };
            for mode in [Mode::Rewrite, Mode::Augment] {
                let guarded = rails.guard(mode, &prompt, &written, answer.as_deref());
                prop_assert!(!guarded.rewrite.trim().is_empty());
                prop_assert!(!guarded.fell_back || guarded.rewrite == prompt);
                let rails: Vec<Rail> = guarded.findings.iter().map(Finding::rail).collect();
                prop_assert!(rails.is_sorted(), "{rails:?}");
            }
        }
    }
}
