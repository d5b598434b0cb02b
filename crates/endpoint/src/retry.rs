//! How long to wait before asking again.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

/// The longest wait that an endpoint may ask for.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Draws waits, differently in every process: clients that were refused together must not come back together. Nothing that a
/// run computes depends on it.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

/// The step of SplitMix64.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

impl Jitter {
    pub(crate) fn new() -> Jitter {
        // The standard library draws the keys of its maps from the system.
        Jitter(AtomicU64::new(RandomState::new().build_hasher().finish()))
    }

    /// Full jitter: uniform from 0 to the longest wait, which doubles with every repetition up to a limit.
    pub(crate) fn delay(&self, first: Duration, longest: Duration, n_failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(n_failures).unwrap_or(u32::MAX);
        first.saturating_mul(factor).min(longest).mul_f64(self.unit())
    }

    /// Uniform on [0, 1), by SplitMix64.
    fn unit(&self) -> f64 {
        let state = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// How long the endpoint asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date, which is read by the
/// server's own clock where it tells the time.
#[expect(clippy::disallowed_methods, reason = "how long to wait until a date depends on what time it is")]
pub(crate) fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| *number >= 0.0);
    if let Some(milliseconds) = text(headers, "retry-after-ms").and_then(number) {
        return Some(seconds(milliseconds / 1000.0));
    }
    let wait = text(headers, RETRY_AFTER.as_str())?;
    if let Some(wait) = number(wait) {
        return Some(seconds(wait));
    }
    let until = httpdate::parse_http_date(wait).ok()?;
    let now = text(headers, DATE.as_str()).and_then(|now| httpdate::parse_http_date(now).ok());
    Some(until.duration_since(now.unwrap_or_else(SystemTime::now)).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn seconds(number: f64) -> Duration {
    Duration::try_from_secs_f64(number).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_fill_their_range_and_double() {
        let jitter = Jitter::new();
        let (first, longest) = (Duration::from_millis(100), Duration::from_millis(350));
        for (n_failures, limit) in [(0, 100.0), (1, 200.0), (2, 350.0), (40, 350.0), (u32::MAX, 350.0)] {
            let draw = || jitter.delay(first, longest, n_failures).as_secs_f64() * 1000.0 / limit;
            let draws: Vec<f64> = std::iter::repeat_with(draw).take(2000).collect();
            assert!(draws.iter().all(|draw| (0.0..=1.0).contains(draw)));
            assert!((draws.iter().sum::<f64>() / 2000.0 - 0.5).abs() < 0.05);
            assert!(draws.iter().any(|draw| *draw < 0.02) && draws.iter().any(|draw| *draw > 0.98));
        }
    }

    #[test]
    fn the_server_may_ask_in_three_ways() {
        let asked = |fields: &[(&'static str, &str)]| {
            let headers = fields.iter().map(|(name, value)| {
                (reqwest::header::HeaderName::from_static(name), reqwest::header::HeaderValue::from_str(value).unwrap())
            });
            asked_wait(&headers.collect())
        };
        let date = |seconds: u32| format!("Sun, 06 Nov 1994 08:49:{seconds:02} GMT");
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after", "7")]), Some(Duration::from_secs(7)));
        assert_eq!(asked(&[("retry-after", "1e300")]), Some(Duration::MAX));
        assert_eq!(asked(&[("retry-after", "soon")]), None);
        assert_eq!(asked(&[("retry-after", "-1")]), None);
        assert_eq!(asked(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(Duration::from_millis(250)));
        assert_eq!(asked(&[("retry-after", &date(40)), ("date", &date(37))]), Some(Duration::from_secs(3)));
        assert_eq!(asked(&[("retry-after", &date(30)), ("date", &date(37))]), Some(Duration::ZERO));
        // Long ago by any clock.
        assert_eq!(asked(&[("retry-after", &date(30))]), Some(Duration::ZERO));
    }
}
