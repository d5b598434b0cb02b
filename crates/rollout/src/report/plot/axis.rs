//! Axes: from values to places, with ticks at round numbers.

use crate::report::format;

/// One axis of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    /// Values with what stands beside them.
    pub(crate) ticks: Vec<(f64, String)>,
    /// What is shown, with its unit.
    pub(crate) label: String,
    /// Whether lines go across the plot at the ticks.
    pub(crate) has_grid: bool,
}

impl Axis {
    /// An axis that holds all the finite ones of `values`, from one round number to another.
    pub(crate) fn linear(label: &str, values: impl IntoIterator<Item = f64>) -> Axis {
        let (low, high) = range(values);
        let ticks = ticks(low, high, 5);
        let first = ticks.first().copied().unwrap_or(low).min(low);
        let last = ticks.last().copied().unwrap_or(high).max(high);
        Axis { low: first, high: last, ticks: labelled(&ticks), label: label.to_owned(), has_grid: true }
    }

    /// An axis of whole numbers that ends exactly at the first and the last of them, as steps want it.
    pub(crate) fn whole(label: &str, first: u64, last: u64) -> Axis {
        let (low, high) = (first as f64, last.max(first.saturating_add(1)) as f64);
        // Numbers beyond 2^53 can be the same as floats.
        let high = if high > low { high } else { 1.1 * low };
        let inside = |tick: &f64| (low..=high).contains(tick) && tick.fract() == 0.0;
        let ticks: Vec<f64> = ticks(low, high, 6).into_iter().filter(inside).collect();
        Axis { low, high, ticks: labelled(&ticks), label: label.to_owned(), has_grid: false }
    }

    /// An axis of names; the `i`th one stands at `i + 0.5`.
    pub(crate) fn names(names: &[String]) -> Axis {
        let ticks = names.iter().enumerate().map(|(at, name)| (at as f64 + 0.5, name.clone())).collect();
        Axis { low: 0.0, high: names.len().max(1) as f64, ticks, label: String::new(), has_grid: false }
    }

    /// An axis for things in a row whose places say nothing.
    pub(crate) fn row(label: &str, count: usize) -> Axis {
        Axis { low: 0.0, high: count.max(1) as f64, ticks: Vec::new(), label: label.to_owned(), has_grid: false }
    }

    /// Shares from 0 to 1, told in per cent.
    pub(crate) fn share(label: &str) -> Axis {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, format::percent(share))).to_vec();
        Axis { low: 0.0, high: 1.0, ticks, label: label.to_owned(), has_grid: true }
    }

    /// Where a value stands between 0 and 1; values beyond the axis are drawn at its ends.
    pub(crate) fn place(&self, value: f64) -> f64 {
        // Halves keep the difference of two huge bounds finite.
        let span = self.high / 2.0 - self.low / 2.0;
        ((value / 2.0 - self.low / 2.0) / span).clamp(0.0, 1.0)
    }
}

/// The smallest and the largest finite value, never the same.
fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    // Beyond this, sums of two bounds overflow; no figure of a run means anything there.
    let (low, high) = (low.clamp(-1e150, 1e150), high.clamp(-1e150, 1e150));
    if high - low > 1e-9 * low.abs().max(high.abs()) {
        return (low, high);
    }
    let margin = if low == 0.0 { 0.5 } else { low.abs() * 0.1 };
    (low - margin, high + margin)
}

/// About `wanted` round numbers, a step of 1, 2 or 5 times a power of ten apart, that enclose the range.
fn ticks(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough * 0.9).unwrap_or(10.0);
    let step = factor * power;
    // A hair of a step is forgiven, so that 0.3 does not need a tick at 0.4.
    let (first, last) = ((low / step + 1e-6).floor(), (high / step - 1e-6).ceil());
    let count = (last - first).clamp(0.0, 4.0 * wanted as f64) as usize;
    (0..=count).map(|at| (first + at as f64) * step).collect()
}

/// Ticks with as many digits as tell them apart.
fn labelled(ticks: &[f64]) -> Vec<(f64, String)> {
    let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(1.0);
    let most = ticks.iter().fold(0.0f64, |most, tick| most.max(tick.abs()));
    let power_of_step = (step.log10() + 1e-9).floor();
    let label = |tick: f64| match most {
        _ if tick == 0.0 => "0".to_owned(),
        most if !(1e-3..1e6).contains(&most) => {
            let digits = ((most.log10() + 1e-9).floor() - power_of_step).clamp(0.0, 12.0) as usize;
            format!("{tick:.digits$e}").replace('-', "−")
        }
        most if most >= 1e4 => format!("{}{}", if tick < 0.0 { "−" } else { "" }, format::count(tick.abs() as u64)),
        _ => format::fixed(tick, (-power_of_step).clamp(0.0, 12.0) as usize),
    };
    ticks.iter().map(|&tick| (tick, label(tick))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(labels(&Axis::linear("", [0.0, 1.0])), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(&Axis::linear("", [-0.13, 0.31])), ["−0.2", "−0.1", "0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(&Axis::linear("", [3.0, 97.0])), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::linear("", [0.0, 20_000.0])), { ["0", "5,000", "10,000", "15,000", "20,000"] });
        assert_eq!(labels(&Axis::linear("", [0.0, 2e-4])), ["0", "5.0e−5", "1.0e−4", "1.5e−4", "2.0e−4"]);
        assert_eq!(labels(&Axis::linear("", [0.0, 4e9])), ["0", "1e9", "2e9", "3e9", "4e9"]);
        assert_eq!(labels(&Axis::whole("", 1, 60)), ["10", "20", "30", "40", "50", "60"]);
        assert_eq!(labels(&Axis::whole("", 1, 3)), ["1", "2", "3"]);
        assert_eq!(labels(&Axis::names(&["a".to_owned(), "b".to_owned()])), ["a", "b"]);
    }

    #[test]
    fn odd_values_make_an_axis_all_the_same() {
        let odd: [&[f64]; 8] = [
            &[],
            &[f64::NAN, f64::INFINITY],
            &[0.0],
            &[0.7, 0.7],
            &[-3.0],
            &[f64::MAX, f64::MIN],
            &[1e-320, 2e-320],
            &[1e15, 1e15 + 1.0],
        ];
        for values in odd {
            let axis = Axis::linear("", values.iter().copied());
            assert!((2..=25).contains(&axis.ticks.len()), "{values:?}: {axis:?}");
            assert!(axis.low < axis.high, "{values:?}: {axis:?}");
            for value in values {
                assert!(value.is_nan() || (0.0..=1.0).contains(&axis.place(*value)), "{values:?}: {axis:?}");
            }
        }
        assert_eq!(Axis::whole("", 5, 5).place(5.0), 0.0);
        assert_eq!(Axis::whole("", u64::MAX, u64::MAX).place(u64::MAX as f64), 0.0);
    }

    #[test]
    fn places_run_from_end_to_end() {
        let axis = Axis::linear("", [0.0, 1.0]);
        assert_eq!([axis.place(0.0), axis.place(0.5), axis.place(1.0), axis.place(7.0)], [0.0, 0.5, 1.0, 1.0]);
    }
}
