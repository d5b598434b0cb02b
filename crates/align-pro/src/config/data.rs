//! `[data]`: where prompts come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[data]`, resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DataTable", into = "DataTable")]
pub(crate) struct DataPlan {
    pub(crate) train: TrainPrompts,
    pub(crate) held_out: HeldOutPrompts,
    /// Share of the training prompts that are set aside for trials while training.
    pub(crate) validation_share: f64,
    /// The field of a file's rows that holds the prompt.
    pub(crate) prompt_field: String,
    /// How many unusable rows a file may have.
    pub(crate) max_bad_rows: usize,
}

/// What is trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TrainPrompts {
    /// The rows of this file, but for those that [`HeldOutPrompts::Share`] takes.
    File(PathBuf),
    /// Prompts of the synthetic split `train`; of all types where none are named.
    Constraints { n: usize, types: Vec<String> },
}

/// What arms are compared on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum HeldOutPrompts {
    /// The rows of this file.
    File(PathBuf),
    /// This share of the file that is trained on, told apart by the prompts' text.
    Share(f64),
    /// Prompts of the synthetic split `unseen-tasks`; of all types where none are named.
    Constraints { n: usize, types: Vec<String> },
}

/// `[data]` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct DataTable {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    train: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eval: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out_share: Option<f64>,
    #[serde(default)]
    validation_share: f64,
    prompt_field: String,
    max_bad_rows: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    constraints: Option<ConstraintsTable>,
}

/// `[data.constraints]` as it is written.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ConstraintsTable {
    train: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    held_out: Option<usize>,
    #[serde(default)]
    types: Vec<String>,
}

/// The share of a file's prompts that is held out where nothing else is said.
pub(super) const HELD_OUT_SHARE: f64 = 0.2;

/// The number of synthetic prompts that are held out where nothing else is said.
pub(super) const HELD_OUT: usize = 200;

impl TryFrom<DataTable> for DataPlan {
    type Error = &'static str;

    fn try_from(table: DataTable) -> Result<DataPlan, &'static str> {
        let DataTable { train, eval, held_out_share, validation_share, prompt_field, max_bad_rows, constraints } =
            table;
        let (train, held_out) = match (train, constraints) {
            (Some(file), None) => {
                let share = held_out_share.unwrap_or(HELD_OUT_SHARE);
                (TrainPrompts::File(file), eval.map_or(HeldOutPrompts::Share(share), HeldOutPrompts::File))
            }
            (None, Some(ConstraintsTable { train: n, held_out, types })) => {
                let made = HeldOutPrompts::Constraints { n: held_out.unwrap_or(HELD_OUT), types: types.clone() };
                (TrainPrompts::Constraints { n, types }, eval.map_or(made, HeldOutPrompts::File))
            }
            _ => return Err("needs either `train` or `constraints`"),
        };
        Ok(DataPlan { train, held_out, validation_share, prompt_field, max_bad_rows })
    }
}

impl From<DataPlan> for DataTable {
    fn from(plan: DataPlan) -> DataTable {
        let DataPlan { train, held_out, validation_share, prompt_field, max_bad_rows } = plan;
        let (eval, held_out_share, n_held_out) = match held_out {
            HeldOutPrompts::File(file) => (Some(file), None, None),
            HeldOutPrompts::Share(share) => (None, Some(share), None),
            HeldOutPrompts::Constraints { n, .. } => (None, None, Some(n)),
        };
        let (train, constraints) = match train {
            TrainPrompts::File(file) => (Some(file), None),
            TrainPrompts::Constraints { n, types } => {
                (None, Some(ConstraintsTable { train: n, held_out: n_held_out, types }))
            }
        };
        DataTable { train, eval, held_out_share, validation_share, prompt_field, max_bad_rows, constraints }
    }
}
