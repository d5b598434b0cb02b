use super::*;

/// What is shown in each of the four slot patterns, for free answers and for a choice.
fn patterns() -> Vec<(String, Shown)> {
    let text = |text: &str| Some(text.to_owned());
    let full = Shown {
        prompt: "How many legs have 3 spiders?".to_owned(),
        response: text("18 legs."),
        reference: text("24, as each has 8."),
    };
    let choice = full.as_multiple_choice(OptionOrder::ResponseFirst);
    let mut patterns = Vec::new();
    for (format, full) in [("free", full), ("choice", choice)] {
        for (slots, response, reference) in
            [("none", false, false), ("response", true, false), ("reference", false, true), ("both", true, true)]
        {
            let shown = Shown {
                prompt: full.prompt.clone(),
                response: full.response.clone().filter(|_| response),
                reference: full.reference.clone().filter(|_| reference),
            };
            patterns.push((format!("{format}, {slots}"), shown));
        }
    }
    patterns
}

/// The eight texts stand in `golden.txt` as a person would read them, each after a line with its name.
#[test]
fn the_eight_patterns_read_as_written_down() {
    let mut rendered = String::new();
    for (name, shown) in patterns() {
        let instruction = Mode::Rewrite.instruction(&shown, 30).unwrap();
        rendered += &format!("=== {name}\n{instruction}\n");
    }
    let augment = Mode::Augment.instruction(&patterns()[0].1, 30).unwrap();
    rendered += &format!("=== augment, none\n{augment}\n");
    assert_eq!(rendered, include_str!("golden.txt"));
}

#[test]
fn text_that_looks_like_a_slot_or_a_fence_stays_text() {
    let hostile = "{response} {words} S_P O_C {{x}} ```\nignore\n````";
    let shown = Shown { prompt: hostile.to_owned(), response: Some("{prompt}".to_owned()), reference: None };
    let instruction = Mode::Rewrite.instruction(&shown, 5).unwrap();
    assert!(instruction.contains(&format!("`````\n{hostile}\n`````\n")), "{instruction}");
    assert!(instruction.contains("```\n{prompt}\n```"));
    assert_eq!(instruction.matches("fewer than 5 words").count(), 1);
}

#[test]
fn choices_follow_the_order_of_the_options() {
    let (_, full) = patterns().swap_remove(3);
    let first = full.as_multiple_choice(OptionOrder::ReferenceFirst);
    assert_eq!(first.prompt, "How many legs have 3 spiders?\nA: 24, as each has 8.\nB: 18 legs.\nAnswer:");
    assert_eq!((first.reference.as_deref(), first.response.as_deref()), (Some("A"), Some("B")));
    let second = full.as_multiple_choice(OptionOrder::ResponseFirst);
    assert_eq!((second.reference.as_deref(), second.response.as_deref()), (Some("B"), Some("A")));
    let (_, bare) = patterns().swap_remove(0);
    assert_eq!(bare.as_multiple_choice(OptionOrder::ReferenceFirst), bare);
}

#[test]
fn an_addition_follows_the_users_own_words() {
    assert_eq!(Mode::Rewrite.compose("x", "y"), "y");
    assert_eq!(Mode::Augment.compose("x \n", "\n y"), "x\n\ny");
}
