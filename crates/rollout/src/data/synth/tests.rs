use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::reward::constraint::Variants;

fn options(n: usize) -> SynthOptions {
    SynthOptions { n, seed: 7, split: None, types: Vec::new() }
}

fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    record.fields[name].as_str().unwrap()
}

fn types_of(record: &Record) -> Vec<&'static str> {
    Constraint::of_record(record).unwrap().iter().map(Constraint::id).collect()
}

#[test]
fn the_tasks_are_many_varied_and_well_formed() {
    let tasks = task::all();
    assert!(tasks.len() >= 300, "{} tasks", tasks.len());
    let texts: BTreeSet<&str> = tasks.iter().map(|task| task.text.as_str()).collect();
    assert_eq!(texts.len(), tasks.len(), "no task twice");
    let kinds: BTreeSet<&str> = tasks.iter().map(|task| task.kind).collect();
    assert!(kinds.len() >= 12, "{kinds:?}");
    for task in &tasks {
        assert_eq!(task.text.trim(), task.text);
        assert!(task.keywords.len() >= 3, "{}", task.text);
        assert!(task.keywords.iter().all(|word| word.chars().all(char::is_alphabetic)), "{:?}", task.keywords);
    }
    let held_out = tasks.iter().filter(|task| task.held_out).count() as f64 / tasks.len() as f64;
    assert!((0.15..0.25).contains(&held_out), "{held_out} held out");
}

#[test]
fn prompts_are_deterministic_distinct_and_stable_under_more() {
    let many = constraint_prompts(&options(600)).unwrap();
    assert_eq!(constraint_prompts(&options(600)).unwrap(), many);
    assert_eq!(constraint_prompts(&options(100)).unwrap(), many[..100]);
    let texts: BTreeSet<&str> = many.iter().map(|record| record.prompt.text()).collect();
    assert_eq!(texts.len(), 600);
    let other = constraint_prompts(&SynthOptions { seed: 8, ..options(600) }).unwrap();
    let shared = other.iter().filter(|record| texts.contains(record.prompt.text())).count();
    assert!(shared < 10, "{shared} prompts of another seed are the same");
}

#[test]
fn every_prompt_shows_its_task_and_carries_checkable_constraints() {
    let records = constraint_prompts(&options(3000)).unwrap();
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut sizes = [0; 4];
    for record in &records {
        let (text, types) = (record.prompt.text(), types_of(record));
        assert!(text.contains(field(record, "task")), "{text}");
        assert!(!text.contains(['{', '}']) || field(record, "task").contains(['{', '}']), "{text}");
        sizes[types.len()] += 1;
        for (index, id) in types.iter().enumerate() {
            *seen.entry(id).or_default() += 1;
            assert!(types[..index].iter().all(|other| compatible(id, other)), "{types:?}");
        }
        // Rows read back as they were written.
        let row = serde_json::to_value(record.to_row()).unwrap();
        assert_eq!((row["id"].as_str(), row["prompt"].as_str()), (Some(record.id.as_str()), Some(text)));
    }
    assert_eq!(seen.len(), IDS.len(), "every type occurs: {seen:?}");
    assert!(sizes[0] == 0 && sizes[1..].iter().all(|&n| n > 300), "{sizes:?}");
}

#[test]
fn splits_share_neither_held_out_tasks_nor_held_out_types() {
    let records = constraint_prompts(&options(2000)).unwrap();
    let tasks = |split: &str| -> BTreeSet<&str> {
        records.iter().filter(|r| field(r, "split") == split).map(|r| field(r, "task_id")).collect()
    };
    assert!(tasks("train").is_disjoint(&tasks("unseen-tasks")) && tasks("train").is_disjoint(&tasks("unseen-both")));
    assert!(tasks("unseen-types").is_disjoint(&tasks("unseen-tasks")));
    for record in &records {
        let held_out = field(record, "split").starts_with("unseen-types") || field(record, "split") == "unseen-both";
        assert!(types_of(record).iter().all(|id| HELD_OUT_TYPES.contains(id) == held_out), "{record:?}");
    }
    for split in SynthSplit::ALL {
        let only = constraint_prompts(&SynthOptions { split: Some(split), ..options(20) }).unwrap();
        assert!(only.iter().all(|record| field(record, "split") == split.name()));
    }
}

#[test]
fn types_can_be_chosen_and_wrong_ones_are_named() {
    let types = vec!["punctuation:no_comma".to_owned(), "startend:quotation".to_owned()];
    let records = constraint_prompts(&SynthOptions { types: types.clone(), ..options(50) }).unwrap();
    assert!(records.iter().flat_map(types_of).all(|id| types.iter().any(|known| known == id)));
    let message = |types: &[&str], split, n| {
        let types = types.iter().map(|&id| id.to_owned()).collect();
        constraint_prompts(&SynthOptions { n, seed: 7, split, types }).unwrap_err().to_string()
    };
    assert_eq!(
        message(&["no_comma"], None, 1),
        "unknown constraint `no_comma`; the closest known one is `punctuation:no_comma`"
    );
    assert_eq!(
        message(&["startend:quotation"], Some(SynthSplit::Train), 1),
        "the split `train` has none of the constraint types startend:quotation"
    );
    let exhausted = message(&["detectable_format:constrained_response"], None, 100_000);
    assert!(exhausted.starts_with("only ") && exhausted.ends_with("of 100000 different prompts could be made"));
}

#[test]
fn compatibility_is_symmetric_and_known() {
    for left in IDS {
        assert!(!compatible(left, left));
        let partners = IDS.iter().filter(|right| compatible(left, right)).count();
        assert!(partners >= 5, "{left} stands with {partners} others");
        assert!(IDS.iter().all(|right| compatible(left, right) == compatible(right, left)));
    }
}

/// For pairs that might look contradictory, an answer that meets both.
#[test]
fn compatible_pairs_can_be_met_together() {
    let cases = [
        (
            "\"THIS IS A PLAIN ANSWER ABOUT THE WEATHER\"",
            vec![("startend:quotation", json!({})), ("change_case:english_capital", json!({}))],
        ),
        (
            "\"so it was. take care.\"",
            vec![("startend:quotation", json!({})), ("startend:end_checker", json!({"end_phrase": "Take care."}))],
        ),
        (
            "<<one>>\na\n******\nb",
            vec![("detectable_format:title", json!({})), ("combination:two_responses", json!({}))],
        ),
        (
            "a\n***\nb P.S. c",
            vec![
                ("length_constraints:number_paragraphs", json!({"num_paragraphs": 2})),
                ("detectable_content:postscript", json!({"postscript_marker": "P.S."})),
            ],
        ),
        (
            "- a *b*\n* c",
            vec![
                ("detectable_format:number_bullet_lists", json!({"num_bullets": 2})),
                ("detectable_format:number_highlighted_sections", json!({"num_highlights": 1})),
            ],
        ),
        (
            "\"My answer is yes.\"",
            vec![("startend:quotation", json!({})), ("detectable_format:constrained_response", json!({}))],
        ),
        (
            "[\"sun\"]",
            vec![("detectable_format:json_format", json!({})), ("keywords:existence", json!({"keywords": ["sun"]}))],
        ),
    ];
    for (answer, constraints) in cases {
        let ids: Vec<&str> = constraints.iter().map(|(id, _)| *id).collect();
        assert!(compatible(ids[0], ids[1]), "{ids:?}");
        for (id, arguments) in constraints {
            let constraint = Constraint::parse(id, arguments.as_object().unwrap()).unwrap();
            assert!(Variants::of(answer).judge(&constraint).strict, "{id} on {answer}");
        }
    }
}
