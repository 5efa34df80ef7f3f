//! Times as the API writes them: UTC, `2026-11-23T22:19:32Z`.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// A time cut to the second, as `metav1.Time` is written.
pub(crate) fn seconds(time: Timestamp) -> String {
    let round = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
    time.round(round).unwrap_or(time).to_string()
}

/// A time with exactly six decimals, as `metav1.MicroTime` is written.
pub(crate) fn micros(time: Timestamp) -> String {
    format!("{time:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_not_rounded() {
        let time: Timestamp = "2026-11-23T22:19:32.987654321Z".parse().unwrap();
        assert_eq!(seconds(time), "2026-11-23T22:19:32Z");
        assert_eq!(micros(time), "2026-11-23T22:19:32.987654Z");
    }
}
