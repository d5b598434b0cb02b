//! Agreement of the exact-number reward with published labels on grade-school maths.

use rollout::data::{Prompt, Record};
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
