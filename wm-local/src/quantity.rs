//! Quantities such as `100m`, `0.5`, `1e3`, `400Mi`: exact, in billionths.

use std::{iter::Sum, ops::Add};

/// A quantity. Finer than a billionth is rounded up, as Kubernetes does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Quantity {
    nanos: i128,
}

const NANOS: i128 = 1_000_000_000;

/// The family of suffixes in which a quantity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notation {
    /// `m`, `k`, `M`
    Decimal,
    /// `e3`
    Exponent,
    /// `Ki`, `Mi`
    Binary,
}

const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

impl Quantity {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parts(text).ok_or_else(|| MALFORMED.to_owned())
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    pub(crate) fn is_integer(self) -> bool {
        self.nanos % NANOS == 0
    }

    /// How many times the divisor it is, rounded up; `None` if that is no number.
    pub(crate) fn in_whole(self, divisor: Self) -> Option<i128> {
        let whole = self.nanos.checked_div(divisor.nanos)?;
        Some(whole + i128::from(self.nanos % divisor.nanos > 0))
    }

    /// As the API server writes it: without a fraction, with the largest suffix of its notation. `None` if it is none.
    pub(crate) fn canonical(text: &str) -> Option<String> {
        let quantity = Self::parts(text)?;
        Some(quantity.written(Notation::of(text)))
    }

    /// In the notation of a text.
    pub(crate) fn written_like(self, text: &str) -> String {
        self.written(Notation::of(text))
    }

    fn written(self, notation: Notation) -> String {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        if self.nanos == 0 {
            return "0".to_owned();
        }
        // What is small or broken has no binary form.
        let is_binary = notation == Notation::Binary && self.is_integer() && self.nanos.abs() >= 1024 * NANOS;
        let (mut number, base, suffixes) = if is_binary {
            (self.nanos / NANOS, 1024, &BINARY[..])
        } else {
            (self.nanos, 1000, &DECIMAL[..])
        };
        let mut place = 0;
        while number % base == 0 && place + 1 < suffixes.len() {
            number /= base;
            place += 1;
        }
        match (notation, 3 * i32::try_from(place).unwrap_or_default() - 9) {
            (Notation::Exponent, exponent) if exponent != 0 => format!("{number}e{exponent}"),
            _ => format!("{number}{}", suffixes[place]),
        }
    }

    fn parts(text: &str) -> Option<Self> {
        let (negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.');
        let (number, suffix) = rest.split_at(end.unwrap_or(rest.len()));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        // As a fraction of two integers; what is beyond their range saturates, as in Kubernetes.
        let digits: i128 = format!("0{whole}{fraction}").parse().unwrap_or(i128::MAX);
        let (factor, mut exponent) = scale(suffix)?;
        exponent -= i32::try_from(fraction.len()).ok()?;
        let scaled = digits.saturating_mul(factor);
        // Billionths are nine decimal places.
        let exponent = exponent.saturating_add(9);
        let nanos = if exponent >= 0 {
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX);
            scaled.saturating_mul(power)
        } else {
            let power = 10_i128.checked_pow(exponent.unsigned_abs()).unwrap_or(i128::MAX);
            scaled / power + i128::from(scaled % power != 0)
        };
        Some(Self { nanos: if negative { -nanos } else { nanos } })
    }
}

impl From<u32> for Quantity {
    fn from(count: u32) -> Self {
        Self { nanos: i128::from(count) * NANOS }
    }
}

impl Notation {
    fn of(text: &str) -> Self {
        match text.trim_start_matches(|character: char| !character.is_ascii_alphabetic()) {
            suffix if suffix.ends_with('i') => Self::Binary,
            suffix if suffix.len() > 1 && suffix.starts_with(['e', 'E']) => Self::Exponent,
            _ => Self::Decimal,
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos) }
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
        quantities.fold(Self::default(), Add::add)
    }
}

/// A suffix as a factor and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let decimal = |exponent| Some((1, exponent));
    let binary = |power: u32| Some((1_i128 << (10 * power), 0));
    match suffix {
        "" => decimal(0),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        _ => decimal(
            suffix.strip_prefix(['e', 'E'])?.parse().ok().filter(|exponent| (-99..=99).contains(exponent))?,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(text: &str) -> i128 {
        Quantity::parse(text).unwrap().nanos
    }

    #[test]
    fn all_notations_are_exact() {
        for (text, expected) in [
            ("0", 0),
            ("100m", NANOS / 10),
            ("0.5", NANOS / 2),
            (".5", NANOS / 2),
            ("5.", 5 * NANOS),
            ("1e3", 1000 * NANOS),
            ("1E-3", NANOS / 1000),
            ("-1", -NANOS),
            ("+2k", 2000 * NANOS),
            ("1.5Gi", 1_610_612_736 * NANOS),
            ("128974848", 128_974_848 * NANOS),
            ("1n", 1),
            ("0.0000000001", 1),
            ("1E", 1_000_000_000_000_000_000 * NANOS),
        ] {
            assert_eq!(nanos(text), expected, "{text}");
        }
        assert!(nanos("400Mi") > nanos("400M"));
    }

    #[test]
    fn quantities_are_written_as_an_api_server_writes_them() {
        for (text, expected) in [
            ("1000", "1k"),
            ("1024", "1024"),
            ("1500m", "1500m"),
            ("2000m", "2"),
            ("0.5", "500m"),
            ("1e3", "1e3"),
            ("1000e3", "1e6"),
            ("5e0", "5"),
            ("1E", "1E"),
            ("10Ti", "10Ti"),
            ("2048Mi", "2Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("0.1Ki", "102400m"),
            ("-2000", "-2k"),
            ("0Mi", "0"),
        ] {
            assert_eq!(Quantity::canonical(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(Quantity::canonical("two"), None);
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "two", "1 Gi", "1gi", "1.2.3", "--1", "m", "1e", "1Kib", "0x10", "."] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_and_signs_are_known() {
        assert!(Quantity::parse("1k").unwrap().is_integer());
        assert!(!Quantity::parse("500m").unwrap().is_integer());
        assert!(Quantity::parse("-1m").unwrap().is_negative());
    }
}
