//! Which constraints may stand together, and with which tasks.

use super::task::Task;
use crate::data::stable::Draws;

/// One to three constraint types for a task, no two in conflict; fewer, even none, where the types do not allow more.
pub(super) fn choose<'a>(draws: &mut Draws, types: &[&'a str], task: &Task) -> Vec<&'a str> {
    let n_wanted = draws.pick(&[1, 1, 2, 2, 3]).copied().unwrap_or(1);
    let mut chosen: Vec<&str> = Vec::new();
    while chosen.len() < n_wanted {
        let open = |id: &&str| fits(id, task) && chosen.iter().all(|other| compatible(id, other));
        let candidates: Vec<&str> = types.iter().copied().filter(open).collect();
        match draws.pick(&candidates) {
            Some(id) => chosen.push(id),
            None => break,
        }
    }
    chosen
}

/// Whether one answer can meet constraints of both types, and a person might ask for both. A type never stands twice.
pub fn compatible(left: &str, right: &str) -> bool {
    let listed = |one: &str, other: &str| CONFLICTS.iter().any(|(id, others)| *id == one && others.contains(&other));
    left != right && !listed(left, right) && !listed(right, left)
}

/// Conflicts, each pair once: the second column names what the first cannot stand with.
const CONFLICTS: [(&str, &[&str]); 13] = [
    // JSON has a form of its own, needs commas and quotes, and cannot begin or end with anything else.
    (
        "detectable_format:json_format",
        &[
            "punctuation:no_comma",
            "startend:quotation",
            "startend:end_checker",
            "combination:two_responses",
            "combination:repeat_prompt",
            "detectable_content:postscript",
            "detectable_content:number_placeholders",
            "detectable_format:number_bullet_lists",
            "detectable_format:number_highlighted_sections",
            "detectable_format:multiple_sections",
            "detectable_format:constrained_response",
            "detectable_format:title",
            "length_constraints:number_paragraphs",
            "length_constraints:nth_paragraph_first_word",
            "length_constraints:number_sentences",
            "change_case:english_capital",
            "change_case:capital_word_frequency",
        ],
    ),
    // Two whole answers double every exact count.
    (
        "combination:two_responses",
        &[
            "combination:repeat_prompt",
            "startend:quotation",
            "detectable_format:number_bullet_lists",
            "detectable_format:multiple_sections",
            "detectable_format:constrained_response",
            "length_constraints:number_paragraphs",
            "length_constraints:nth_paragraph_first_word",
            "length_constraints:number_sentences",
        ],
    ),
    // The answer begins with somebody else's words, capitals, commas and letters.
    (
        "combination:repeat_prompt",
        &[
            "startend:quotation",
            "punctuation:no_comma",
            "keywords:forbidden_words",
            "keywords:letter_frequency",
            "language:response_language",
            "length_constraints:nth_paragraph_first_word",
            "length_constraints:number_words",
            "length_constraints:number_sentences",
            "change_case:english_capital",
            "change_case:english_lowercase",
            "change_case:capital_word_frequency",
        ],
    ),
    // Another language has other words and letters, and is not English.
    (
        "language:response_language",
        &[
            "keywords:existence",
            "keywords:frequency",
            "keywords:forbidden_words",
            "keywords:letter_frequency",
            "length_constraints:nth_paragraph_first_word",
            "detectable_content:postscript",
            "detectable_format:multiple_sections",
            "detectable_format:constrained_response",
            "startend:end_checker",
            "change_case:english_capital",
            "change_case:english_lowercase",
            "change_case:capital_word_frequency",
        ],
    ),
    (
        "change_case:english_capital",
        &[
            "change_case:english_lowercase",
            "change_case:capital_word_frequency",
            "detectable_format:constrained_response",
            "detectable_format:multiple_sections",
        ],
    ),
    (
        "change_case:english_lowercase",
        &[
            "change_case:capital_word_frequency",
            "detectable_format:constrained_response",
            "detectable_format:multiple_sections",
        ],
    ),
    // A fixed sentence leaves room for little else.
    (
        "detectable_format:constrained_response",
        &[
            "startend:end_checker",
            "detectable_format:multiple_sections",
            "detectable_format:number_bullet_lists",
            "length_constraints:number_paragraphs",
            "length_constraints:nth_paragraph_first_word",
        ],
    ),
    // Both say how paragraphs are parted, or add some of their own.
    (
        "length_constraints:nth_paragraph_first_word",
        &[
            "length_constraints:number_paragraphs",
            "detectable_format:title",
            "detectable_format:multiple_sections",
            "detectable_format:number_bullet_lists",
            "detectable_content:postscript",
            "startend:quotation",
        ],
    ),
    ("length_constraints:number_paragraphs", &["detectable_format:multiple_sections"]),
    // Two lengths at once may exclude each other.
    (
        "length_constraints:number_sentences",
        &[
            "length_constraints:number_words",
            "length_constraints:number_paragraphs",
            "length_constraints:nth_paragraph_first_word",
            "detectable_format:multiple_sections",
        ],
    ),
    // Both want the end of the answer.
    ("detectable_content:postscript", &["startend:end_checker"]),
    ("keywords:letter_frequency", &["keywords:existence", "keywords:frequency", "startend:end_checker"]),
    ("keywords:existence", &["keywords:frequency"]),
];

/// Whether a type suits a task.
fn fits(id: &str, task: &Task) -> bool {
    let is_one_of = |kinds: &[&str]| kinds.contains(&task.kind);
    match id {
        // "My answer is yes" answers only questions of yes or no.
        "detectable_format:constrained_response" => is_one_of(&["decision"]),
        "detectable_format:json_format" => {
            is_one_of(&["list", "comparison", "plan", "recipe", "question", "description"])
        }
        // What is to be repeated must be short enough to repeat.
        "combination:repeat_prompt" => task.text.chars().count() <= 120,
        "combination:two_responses" => !is_one_of(&["decision"]),
        // These tasks are about English words.
        "language:response_language" => !is_one_of(&["rewrite", "summary", "code"]),
        // These want short answers.
        "detectable_format:multiple_sections" | "length_constraints:nth_paragraph_first_word" => {
            !is_one_of(&["rewrite", "summary", "decision"])
        }
        "length_constraints:number_paragraphs" => !is_one_of(&["rewrite", "summary"]),
        _ => true,
    }
}
