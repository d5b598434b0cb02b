//! Agreement of the 25 checkers with the published verdicts.

use std::collections::BTreeMap;

use rollout::reward::constraint::{Constraint, Variants};
use serde_json::Value;

use crate::shared::{find, read_rows};

/// Verdicts that depend on a trained model, a randomised detector or a random letter there, so may differ here.
const DEPENDENT: [&str; 5] = [
    "change_case:english_capital",
    "change_case:english_lowercase",
    "language:response_language",
    "keywords:letter_frequency",
    "length_constraints:number_sentences",
];

/// Prompts that ask for a character outside a-z, for which the published verdicts are drawn at random.
const RANDOM_LETTER: [u64; 2] = [1122, 1129];

#[derive(Default)]
struct Agreement {
    n: usize,
    strict: usize,
    loose: usize,
}

#[test]
fn verdicts_agree_with_the_published_ones() {
    let files = ["ifeval/input_data.jsonl", "ifeval/verdicts_gpt4.jsonl.gz", "ifeval/verdicts_models.jsonl.gz"];
    let Some(files) = files.iter().map(|name| find(name)).collect::<Option<Vec<_>>>() else { return };
    let constraints: BTreeMap<u64, Vec<Constraint>> =
        read_rows(&files[0]).iter().map(|row| (row["key"].as_u64().unwrap(), constraints_of(row))).collect();

    let mut table: BTreeMap<&str, Agreement> = BTreeMap::new();
    for row in files[1..].iter().flat_map(read_rows) {
        let key = row["key"].as_u64().unwrap();
        let response = row["response"].as_str().unwrap();
        let variants = Variants::of(response);
        for (index, constraint) in constraints[&key].iter().enumerate() {
            if constraint.id() == "keywords:letter_frequency" && RANDOM_LETTER.contains(&key) {
                continue;
            }
            let verdict = variants.judge(constraint);
            assert!(verdict.loose || !verdict.strict);
            let (strict, loose) = (row["strict"][index].as_bool().unwrap(), row["loose"][index].as_bool().unwrap());
            let agreement = table.entry(constraint.id()).or_default();
            agreement.n += 1;
            agreement.strict += usize::from(verdict.strict == strict);
            agreement.loose += usize::from(verdict.loose == loose);
            if verdict.strict != strict || verdict.loose != loose {
                println!(
                    "differs: {} key {key} {} {constraint:?}: strict {strict} here {}, loose {loose} here {}",
                    constraint.id(),
                    row["model"],
                    verdict.strict,
                    verdict.loose
                );
            }
        }
    }

    let mut total = Agreement::default();
    for (id, Agreement { n, strict, loose }) in &table {
        println!("{id:45} {n:5}  strict {:6.2} %  loose {:6.2} %", percent(*strict, *n), percent(*loose, *n));
        total = Agreement { n: total.n + n, strict: total.strict + strict, loose: total.loose + loose };
        if !DEPENDENT.contains(id) {
            assert_eq!((*strict, *loose), (*n, *n), "{id}");
        }
    }
    let (strict, loose) = (percent(total.strict, total.n), percent(total.loose, total.n));
    println!("{:45} {:5}  strict {strict:6.2} %  loose {loose:6.2} %", "all", total.n);
    assert!(strict >= 99.5 && loose >= 99.5, "strict {strict} %, loose {loose} %");
}

#[test]
fn corner_cases_agree_with_the_published_checkers() {
    let Some(path) = find("ifeval/corner_cases.jsonl") else { return };
    let rows = read_rows(&path);
    let mut differing = Vec::new();
    for row in &rows {
        let constraint =
            Constraint::parse(row["instruction"].as_str().unwrap(), row["kwargs"].as_object().unwrap()).unwrap();
        let verdict = Variants::of(row["response"].as_str().unwrap()).judge(&constraint);
        if Some(verdict.strict) != row["strict"].as_bool() || Some(verdict.loose) != row["loose"].as_bool() {
            differing.push(format!("{row} here {verdict:?}"));
        }
    }
    println!("corner cases: {} of {} agree", rows.len() - differing.len(), rows.len());
    // Strict JSON refuses NaN, which the published parser accepts.
    assert!(matches!(&differing[..], [only] if only.contains(r#""response":"NaN""#)), "{}", differing.join("\n"));
}

fn constraints_of(row: &Value) -> Vec<Constraint> {
    let ids = row["instruction_id_list"].as_array().unwrap();
    let arguments = row["kwargs"].as_array().unwrap();
    ids.iter()
        .zip(arguments)
        .map(|(id, arguments)| Constraint::parse(id.as_str().unwrap(), arguments.as_object().unwrap()).unwrap())
        .collect()
}

fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole as f64
}
