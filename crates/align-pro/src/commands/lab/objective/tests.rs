use std::path::Path;

use serde_json::{Value, json};

use super::report::{Column, Evaluation};
use super::{evaluate, schema};

fn evaluation_of(batch: &Value) -> Evaluation {
    match evaluate(&batch.to_string()) {
        Ok((evaluation, unread)) => {
            assert_eq!(unread, Vec::<String>::new(), "fields that nothing read: {batch}");
            evaluation
        }
        Err(problem) => panic!("{problem}: {batch}"),
    }
}

fn rows_of(value: &Value) -> Vec<Vec<f64>> {
    let numbers = |row: &Value| row.as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
    match value[0] {
        Value::Array(_) => value.as_array().unwrap().iter().map(numbers).collect(),
        _ => vec![numbers(value)],
    }
}

fn rows(column: &Column) -> Vec<Vec<f64>> {
    match column {
        Column::Vector(values) => vec![values.clone()],
        Column::Rows(rows) => rows.clone(),
    }
}

fn assert_close(found: f64, expected: f64, place: &str) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{place}: {found}, not {expected}");
}

/// The golden vectors of crate `objective` are batches of this command.
#[test]
fn golden_batches_through_the_command() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../objective/testdata/golden");
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in golden["cases"].as_array().unwrap() {
            let place = format!("{}, {}", path.file_name().unwrap().display(), case["name"]);
            // Some batches carry the reference without a price on leaving it; that is worth a warning and no more.
            let (found, _) = evaluate(&case["batch"].to_string()).unwrap();
            assert_close(found.loss, case["expected"]["loss"].as_f64().unwrap(), &place);
            for (found, expected) in found.losses.iter().zip(&rows_of(&case["expected"]["losses"])[0]) {
                assert_close(*found, *expected, &place);
            }
            for (field, expected) in case["expected"]["gradient"].as_object().unwrap() {
                let column = rows(&found.gradient[field.as_str()]).concat();
                let expected = rows_of(expected).concat();
                assert_eq!(column.len(), expected.len(), "{place}: {field}");
                column.iter().zip(&expected).for_each(|(found, expected)| assert_close(*found, *expected, &place));
            }
            cases += 1;
        }
    }
    assert!(cases > 40, "{cases}");
}

/// Examples with every optional field that the form names.
fn full_batches() -> Vec<(Value, &'static [&'static str])> {
    let mut batches = vec![];
    for method in schema::document().methods {
        let id = objective::MethodId::from_name(method.name).unwrap();
        for (form, entry) in schema::forms_of(id).into_iter().zip(method.forms) {
            let mut full = entry.example.clone();
            for field in form.optional {
                full[field.name] = serde_json::from_str(field.sample).unwrap();
            }
            batches.push((full, entry.gradient));
        }
    }
    batches
}

#[test]
fn schema_examples_are_accepted_as_they_stand() {
    for method in schema::document().methods {
        for form in method.forms {
            let found = evaluation_of(&form.example);
            for field in found.gradient.keys() {
                assert!(form.gradient.contains(field), "{}: `{field}` is in no schema", method.name);
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_mean_loss() {
    for (mut batch, gradient) in full_batches() {
        let options = &mut batch["options"];
        if options.is_null() {
            *options = json!({});
        }
        // Exercise what optional fields are for: averaging over lengths, the price of the divergence.
        let known: Vec<_> =
            schema::options_of(objective::MethodId::from_name(batch["method"].as_str().unwrap()).unwrap());
        let reads = |field: &str| batch.get(field).is_some();
        let (lengths, reference) = (reads("chosen_lengths"), reads("ref_token_logps"));
        for option in known {
            match option.name {
                "average" if lengths => batch["options"]["average"] = json!(true),
                "lambda" if reference => batch["options"]["lambda"] = json!(0.05),
                _ => {}
            }
        }
        check_gradient(&batch, gradient);
    }
}

fn check_gradient(batch: &Value, fields: &[&'static str]) {
    let (found, _) = evaluate(&batch.to_string()).unwrap_or_else(|problem| panic!("{problem}: {batch}"));
    for field in fields.iter().filter(|field| batch.get(**field).is_some()) {
        let slopes = rows(found.gradient.get(field).unwrap_or_else(|| panic!("no gradient of `{field}`: {batch}")));
        let nested = batch[*field][0].is_array();
        for (row, slopes) in slopes.iter().enumerate() {
            for (entry, slope) in slopes.iter().enumerate() {
                let at = |shift: f64| {
                    let mut moved = batch.clone();
                    let cell = if nested { &mut moved[*field][row][entry] } else { &mut moved[*field][entry] };
                    *cell = json!(cell.as_f64().unwrap() + shift);
                    evaluate(&moved.to_string()).unwrap().0.loss
                };
                let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((numeric - slope).abs() < 1e-8, "`{field}` [{row}][{entry}]: {slope}, {numeric}: {batch}");
            }
        }
    }
}

/// A JSON number read back is the number that was computed: what 17 significant digits are for.
#[test]
fn figures_survive_the_trip_through_json() {
    let batch = json!({"method": "dpo", "options": {"beta": 0.1}, "policy_chosen_logps": [-3.0],
        "policy_rejected_logps": [-5.0], "ref_chosen_logps": [-4.0], "ref_rejected_logps": [-4.5]});
    let found = evaluation_of(&batch);
    let printed: Value = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(printed["loss"].as_f64().unwrap().to_bits(), found.loss.to_bits());
    assert_eq!(printed["loss"].as_f64().unwrap(), 0.6209570477895321);
}

/// Rows of no tokens weigh nothing, and one group may be larger than another.
#[test]
fn uneven_batches() {
    let batch = json!({"method": "grpo", "token_logps": [[], [-1.0, -2.0], [-0.5], [-0.25], [-0.125]],
        "rewards": [1, 0, 1, 0.5, 0], "group": [0, 0, 7, 7, 7]});
    let found = evaluation_of(&batch);
    assert_eq!(rows(&found.gradient["token_logps"])[0], Vec::<f64>::new());
    assert_eq!(found.losses[0], 0.0);
}

#[test]
fn lone_rewrites_of_kto() {
    let batch = json!({"method": "kto", "policy_rejected_logps": [-3.0], "ref_rejected_logps": [-3.0]});
    assert_eq!(evaluation_of(&batch).loss, 0.5);
}
