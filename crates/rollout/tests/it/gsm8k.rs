//! Agreement of the exact-number reward with published labels on grade-school maths.

use std::collections::BTreeMap;

use rollout::data::{Prompt, ReadOptions, Record, read_records};
use rollout::reward::{ExactNumber, Exchange, Verify};
use serde_json::{Map, Value};

use crate::shared::{find, read_rows};

fn is_correct(answer: &str, response: &str) -> bool {
    let fields = Map::from_iter([("answer".to_owned(), Value::from(answer))]);
    let record = Record { id: "question".to_owned(), prompt: Prompt::Text(String::new()), fields };
    let exchange = Exchange { prompt: "", rewrite: "", response, record: &record };
    ExactNumber { field: "answer".to_owned() }.verify(&exchange).unwrap().value == 1.0
}

#[test]
fn labels_of_worked_solutions_are_reproduced() {
    let Some(path) = find("gsm8k/example_model_solutions.jsonl.gz") else { return };
    let (mut n, mut agreeing) = (0, 0);
    for row in read_rows(&path) {
        let truth = row["ground_truth"].as_str().unwrap();
        for solution in row.as_object().unwrap().values().filter(|value| value.is_object()) {
            n += 1;
            let correct = is_correct(truth, solution["solution"].as_str().unwrap());
            agreeing += usize::from(solution["is_correct"].as_bool() == Some(correct));
        }
    }
    println!("worked solutions: {agreeing} of {n} labels reproduced");
    assert_eq!((agreeing, n), (5276, 5276));
}

#[test]
fn every_question_has_a_number_to_compare_with() {
    for (name, expected) in [("gsm8k/train.jsonl.gz", 7473), ("gsm8k/test.jsonl.gz", 1319)] {
        let Some(path) = find(name) else { return };
        let rows = read_rows(&path);
        let answers: Vec<&str> = rows.iter().map(|row| row["answer"].as_str().unwrap()).collect();
        assert_eq!(answers.len(), expected);
        assert!(answers.iter().all(|answer| is_correct(answer, answer)));
    }
}

/// Free answers often end in other numbers than the one asked for, so the labels are reproduced but for a few.
#[test]
fn labels_of_free_answers_are_mostly_reproduced() {
    let names = ["gsm8k/test.jsonl.gz", "gsm8k/routellm_responses.csv.gz"];
    let Some(paths) = names.iter().map(|name| find(name)).collect::<Option<Vec<_>>>() else { return };
    let questions = ReadOptions { prompt_field: "question".to_owned(), ..ReadOptions::default() };
    let questions = read_records(&paths[0], &questions).unwrap().records;
    let truth: BTreeMap<&str, &Value> =
        questions.iter().map(|record| (record.prompt.text(), &record.fields["answer"])).collect();
    let rows = read_records(&paths[1], &ReadOptions::default()).unwrap().records;
    assert_eq!(rows.len(), 1319);
    for (model, least) in [("mistralai/Mixtral-8x7B-Instruct-v0.1", 0.99), ("gpt-4-1106-preview", 0.96)] {
        let agrees = |row: &&Record| {
            let response = row.fields[&format!("{model}_response")].as_str().unwrap();
            let correct = is_correct(truth[row.prompt.text()].as_str().unwrap(), response);
            row.fields[model].as_str() == Some(if correct { "True" } else { "False" })
        };
        let share = rows.iter().filter(agrees).count() as f64 / rows.len() as f64;
        println!("{model}: {:.1} % of the labels of free answers reproduced", 100.0 * share);
        assert!(share > least, "{model}: {share}");
    }
}
