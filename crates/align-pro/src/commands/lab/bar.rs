//! Rewrites as rows, probabilities as bars, distances as figures.

/// Width of a bar for probability 1.
const WIDTH: f64 = 40.0;

/// A probability as a bar, to an eighth of a character.
pub(super) fn bar(probability: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (8.0 * WIDTH * probability).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// What a rewrite is called in a table.
pub(super) fn rewrite_name(rewrite: usize) -> String {
    if rewrite == 0 { "0 (naive)".to_owned() } else { rewrite.to_string() }
}

/// A total variation; what is left of it by rounding is not shown.
pub(super) fn distance(total_variation: f64) -> String {
    if total_variation < 1e-12 { "< 1e-12".to_owned() } else { format!("{total_variation:.3e}") }
}

#[cfg(test)]
mod tests {
    use super::{bar, distance};

    #[test]
    fn bars_are_proportional() {
        assert_eq!(bar(1.0).chars().count(), 40);
        assert_eq!(bar(0.5125), "█".repeat(20) + "▌");
        assert_eq!(bar(0.0), "");
    }

    #[test]
    fn rounding_is_no_distance() {
        assert_eq!((distance(3e-17), distance(0.0702432)), ("< 1e-12".to_owned(), "7.024e-2".to_owned()));
    }
}
