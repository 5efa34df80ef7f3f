//! Durations as kubectl prints them: two units at most, fewer the longer.

use jiff::Timestamp;
use serde_json::Value;

/// How old an object is.
pub(super) fn age(object: &Value, now: Timestamp) -> String {
    since(&object["metadata"]["creationTimestamp"], now)
}

/// How long ago a time was.
pub(super) fn since(time: &Value, now: Timestamp) -> String {
    match parse(time) {
        Some(time) => between(time, now),
        None => "<unknown>".to_owned(),
    }
}

pub(super) fn parse(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

pub(super) fn between(start: Timestamp, end: Timestamp) -> String {
    let seconds = end.duration_since(start).as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit}{small}{small_unit}")
        }
    };
    match seconds {
        ..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(hours / 24, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{}d", hours / 24),
        63_072_000..252_288_000 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn long_durations_are_coarse() {
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3600, "60m"),
            (10_860, "3h1m"),
            (86_400, "24h"),
            (180_000, "2d2h"),
            (864_000, "10d"),
            (70_000_000, "2y80d"),
        ] {
            let start = Timestamp::UNIX_EPOCH;
            assert_eq!(between(start, start + SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
    }
}
