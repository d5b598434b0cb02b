//! What an objective says about a batch.

use std::collections::BTreeMap;

use objective::MethodId;
use serde::Serialize;

use super::problem::Problem;
use crate::output::Output;

/// Loss, gradient of the mean loss, and metrics.
#[derive(Debug, Serialize)]
pub(super) struct Evaluation {
    #[serde(skip)]
    pub(super) method: MethodId,
    /// Mean of `losses`.
    pub(super) loss: f64,
    /// One per pair, group, single rewrite (chosen ones first) or sampled rewrite.
    pub(super) losses: Vec<f64>,
    /// d `loss` / d field, by the field's name and in its shape.
    pub(super) gradient: BTreeMap<&'static str, Column>,
    /// Under the names that TRL logs.
    pub(super) metrics: BTreeMap<&'static str, f64>,
}

/// A field's worth of numbers.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Column {
    Vector(Vec<f64>),
    Rows(Vec<Vec<f64>>),
}

impl Evaluation {
    pub(super) fn new(method: MethodId, losses: Vec<f64>) -> Self {
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        Evaluation { method, loss, losses, gradient: BTreeMap::new(), metrics: BTreeMap::new() }
    }

    /// Refuses results that no JSON number can hold.
    pub(super) fn checked(self) -> Result<Self, Problem> {
        let finite = |values: &[f64]| values.iter().all(|value| value.is_finite());
        let finite_column = |column: &Column| match column {
            Column::Vector(values) => finite(values),
            Column::Rows(rows) => rows.iter().all(|row| finite(row)),
        };
        if !finite(&self.losses) || !self.loss.is_finite() {
            return Err(Problem::Overflow { what: "the loss" });
        }
        if !self.gradient.values().all(finite_column) {
            return Err(Problem::Overflow { what: "the gradient" });
        }
        if !self.metrics.values().all(|value| value.is_finite()) {
            return Err(Problem::Overflow { what: "a metric" });
        }
        Ok(self)
    }

    /// A small table for people.
    pub(super) fn print(&self, output: &mut Output) -> anyhow::Result<()> {
        output.line(&format!("method  {} ({})", self.method.name(), self.method.provenance().paper))?;
        output.line(&format!("loss    {}, the mean of {}", short(self.loss), self.losses.len()))?;
        for (item, loss) in self.losses.iter().enumerate() {
            output.line(&format!("  {item:>4}  {}", short(*loss)))?;
        }
        output.line("gradient of the mean")?;
        for (field, column) in &self.gradient {
            match column {
                Column::Vector(values) => output.line(&format!("  {field:<24}{}", row(values)))?,
                Column::Rows(rows) => {
                    for (index, values) in rows.iter().enumerate() {
                        let title = if index == 0 { *field } else { "" };
                        output.line(&format!("  {title:<24}{}", row(values)))?;
                    }
                }
            }
        }
        output.line("metrics")?;
        for (name, value) in &self.metrics {
            output.line(&format!("  {name:<24}{}", short(*value)))?;
        }
        Ok(())
    }
}

/// Ten entries of a row at most; `--json` has them all.
fn row(values: &[f64]) -> String {
    const SHOWN: usize = 10;
    let shown: Vec<String> = values.iter().take(SHOWN).map(|value| format!("{:>11}", short(*value))).collect();
    let more = values.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!("  and {more} more") } else { String::new() };
    shown.join(" ") + &rest
}

/// Six significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) { format!("{value:.5e}") } else { format!("{value:.6}") }
}
