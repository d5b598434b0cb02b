//! Numbers for people.

/// What stands where a figure is missing.
pub(crate) const MISSING: &str = "–";

/// With so many digits after the point, and a real minus sign.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.to_owned();
    }
    if value.abs() >= 1e9 {
        return minus(&format!("{value:.2e}"));
    }
    let text = format!("{value:.decimals$}");
    let is_zero = !text.contains(|c: char| ('1'..='9').contains(&c));
    if is_zero { text.trim_start_matches('-').to_owned() } else { minus(&text) }
}

/// As [`fixed`], with a plus sign before what is above 0.
pub(crate) fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    if value > 0.0 && text.contains(|c: char| ('1'..='9').contains(&c)) { format!("+{text}") } else { text }
}

/// With three significant digits.
pub(crate) fn significant(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return minus(&format!("{value:.1e}"));
    }
    fixed(value, decimals_for([value]))
}

/// Whole numbers as such, others as [`significant`].
pub(crate) fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 { fixed(value, 0) } else { significant(value) }
}

/// `[low, high]`.
pub(crate) fn interval(bounds: [f64; 2], decimals: usize) -> String {
    format!("[{}, {}]", fixed(bounds[0], decimals), fixed(bounds[1], decimals))
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    let percentage = share * 100.0;
    // 7.000000000000001 is 7.
    let decimals = usize::from((percentage - percentage.round()).abs() > 1e-6 && percentage.abs() < 10.0);
    let text = fixed(percentage, decimals);
    if text == MISSING { text } else { format!("{text}\u{a0}%") }
}

/// A share as a percentage without digits after the point.
pub(crate) fn whole_percent(share: f64) -> String {
    percent((share * 100.0).round() / 100.0)
}

/// A change as a percentage, with its sign.
pub(crate) fn signed_percent(change: f64) -> String {
    let text = signed(change * 100.0, 0);
    if text == MISSING { text } else { format!("{text}\u{a0}%") }
}

/// A whole number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 prompt`, `2 prompts`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A span of time in its two largest units.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return MISSING.to_owned();
    }
    if seconds < 60.0 {
        return format!("{}\u{a0}s", fixed(seconds, usize::from(seconds < 10.0)));
    }
    let minutes = (seconds / 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes}\u{a0}min {:.0}\u{a0}s", (seconds - minutes * 60.0).floor());
    }
    format!("{}\u{a0}h {:.0}\u{a0}min", (minutes / 60.0).floor(), minutes % 60.0)
}

/// Digits after the point that show three digits of the largest of these.
pub(crate) fn decimals_for(values: impl IntoIterator<Item = f64>) -> usize {
    let largest =
        values.into_iter().filter(|value| value.is_finite()).fold(0.0f64, |most, value| most.max(value.abs()));
    if largest == 0.0 {
        return 2;
    }
    // Rewards from 0 to 1 get three digits whatever their size, so that 0.1 and 1.0 look alike.
    let before_point = largest.log10().floor();
    if (-1.0..=0.0).contains(&before_point) && largest <= 1.0 {
        3
    } else {
        (2.0 - before_point).clamp(0.0, 8.0) as usize
    }
}

fn minus(text: &str) -> String {
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(fixed(-0.02, 2), "−0.02");
        assert_eq!(fixed(-0.0001, 2), "0.00");
        assert_eq!(fixed(f64::NAN, 2), "–");
        assert_eq!(fixed(1e300, 2), "1.00e300");
        assert_eq!(signed(0.046, 3), "+0.046");
        assert_eq!(signed(0.0, 1), "0.0");
        assert_eq!(signed(f64::INFINITY, 1), "–");
        assert_eq!(significant(123.456), "123");
        assert_eq!(significant(0.123456), "0.123");
        assert_eq!(significant(0.00002), "2.0e−5");
        assert_eq!(significant(0.0), "0.00");
        assert_eq!([plain(1.0), plain(0.25), plain(f64::NAN)], ["1", "0.250", "–"]);
        assert_eq!(interval([-0.02, 0.05], 2), "[−0.02, 0.05]");
        assert_eq!(percent(0.5), "50\u{a0}%");
        assert_eq!(percent(0.0123), "1.2\u{a0}%");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(whole_percent(0.0123), "1\u{a0}%");
        assert_eq!(signed_percent(0.2), "+20\u{a0}%");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "prompt"), "1 prompt");
        assert_eq!(duration(3.21), "3.2\u{a0}s");
        assert_eq!(duration(59.0), "59\u{a0}s");
        assert_eq!(duration(75.0), "1\u{a0}min 15\u{a0}s");
        assert_eq!(duration(3_720.0), "1\u{a0}h 2\u{a0}min");
        assert_eq!(duration(f64::NAN), "–");
    }

    #[test]
    fn digits_follow_the_size() {
        assert_eq!(decimals_for([0.5, 1.0]), 3);
        assert_eq!(decimals_for([5.0]), 2);
        assert_eq!(decimals_for([1_234.0]), 0);
        assert_eq!(decimals_for([0.001]), 5);
        assert_eq!(decimals_for([f64::NAN]), 2);
    }
}
