//! Quantities: `k8s.io/apimachinery/pkg/api/resource`, in whole billionths.

use std::fmt;

const FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX: &str = "unable to parse quantity's suffix";

const NANO: i128 = 1_000_000_000;
/// Beyond any amount that Kubernetes keeps, and far enough from the end of the type to be summed.
const MOST: i128 = i128::MAX / 4;

/// Checks a quantity such as `100m`, `0.5`, `1e3` or `400Mi`.
pub fn quantity(text: &str) -> Vec<String> {
    Quantity::parse(text).err().map(ToOwned::to_owned).into_iter().collect()
}

/// An amount, compared by value: `1024Mi` equals `1Gi`. `Display` is the canonical form that the server stores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quantity {
    nano: i128,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Decimal,
    Exponent,
    Binary,
}

impl Quantity {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let Parts { negative, whole, fraction, suffix } = split(text.trim())?;
        let (form, decimal, binary) = scale(suffix).ok_or(SUFFIX)?;
        let magnitude = match form {
            Form::Binary => binary_nano(whole, fraction, binary),
            Form::Decimal | Form::Exponent => decimal_nano(whole, fraction, decimal),
        };
        Ok(Self { nano: if negative { -magnitude } else { magnitude }, form })
    }

    /// The sum, in the form of this one.
    pub(crate) fn plus(self, other: Self) -> Self {
        Self { nano: self.nano.saturating_add(other.nano), form: self.form }
    }

    pub(super) fn is_negative(self) -> bool {
        self.nano < 0
    }

    /// Whether it is whole once it is rounded up to thousandths, which is what the API server looks at.
    pub(super) fn is_integer(self) -> bool {
        let milli = div_up(self.nano, NANO / 1000);
        milli % 1000 == 0
    }

    pub(super) fn is_multiple_of(self, unit: Self) -> bool {
        let unit_value = div_up(unit.nano, NANO);
        unit.nano > 0 && unit.is_integer() && div_up(self.nano, NANO) % unit_value == 0
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.nano.partial_cmp(&other.nano)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibi = 1024 * NANO;
        if self.form == Form::Binary && self.nano.abs() >= kibi && self.nano % NANO == 0 {
            let (number, steps) = strip(self.nano / NANO, 1024, 6);
            return write!(
                formatter,
                "{number}{}",
                ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(steps).unwrap_or(&"")
            );
        }
        let (number, steps) = strip(self.nano, 1000, 9);
        if self.form == Form::Exponent {
            let exponent = i32::try_from(steps * 3).unwrap_or_default() - 9;
            return if number == 0 || exponent == 0 {
                write!(formatter, "{number}")
            } else {
                write!(formatter, "{number}e{exponent}")
            };
        }
        let suffixes = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        let suffix = if number == 0 { "" } else { suffixes.get(steps).unwrap_or(&"") };
        write!(formatter, "{number}{suffix}")
    }
}

struct Parts<'text> {
    negative: bool,
    whole: &'text str,
    fraction: &'text str,
    suffix: &'text str,
}

/// Splits as the server does, which takes `.5`, `5.`, and a bare sign (zero) too.
fn split(text: &str) -> Result<Parts<'_>, &'static str> {
    if text.is_empty() {
        return Err(FORMAT);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = split_digits(unsigned);
    let (fraction, suffix) = rest.strip_prefix('.').map_or(("", rest), split_digits);
    let exponent = suffix.trim_start_matches(|character| "eEinumkKMGTP".contains(character));
    let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FORMAT);
    }
    Ok(Parts { negative: text.starts_with('-'), whole, fraction, suffix })
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The form of a suffix, its power of ten and its power of two.
fn scale(suffix: &str) -> Option<(Form, i32, u32)> {
    Some(match suffix {
        "n" => (Form::Decimal, -9, 0),
        "u" => (Form::Decimal, -6, 0),
        "m" => (Form::Decimal, -3, 0),
        "" => (Form::Decimal, 0, 0),
        "k" => (Form::Decimal, 3, 0),
        "M" => (Form::Decimal, 6, 0),
        "G" => (Form::Decimal, 9, 0),
        "T" => (Form::Decimal, 12, 0),
        "P" => (Form::Decimal, 15, 0),
        "E" => (Form::Decimal, 18, 0),
        "Ki" => (Form::Binary, 0, 10),
        "Mi" => (Form::Binary, 0, 20),
        "Gi" => (Form::Binary, 0, 30),
        "Ti" => (Form::Binary, 0, 40),
        "Pi" => (Form::Binary, 0, 50),
        "Ei" => (Form::Binary, 0, 60),
        _ => {
            let exponent: i64 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            // Nothing is left to tell apart beyond this.
            (Form::Exponent, i32::try_from(exponent.clamp(-1_000_000, 1_000_000)).ok()?, 0)
        }
    })
}

/// The digits times ten to the given power, in billionths, rounded up.
fn decimal_nano(whole: &str, fraction: &str, power: i32) -> i128 {
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let shift = i64::from(power) + 9 - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    if shift >= 0 {
        let value = integer(&digits);
        return if value == 0 { 0 } else { times_power_of_ten(value, shift) };
    }
    let kept =
        usize::try_from(shift.unsigned_abs()).map_or(0, |dropped| digits.len().saturating_sub(dropped));
    let (kept, dropped) = digits.split_at_checked(kept).unwrap_or((&digits, ""));
    let round_up = dropped.bytes().any(|digit| digit != b'0');
    (integer(kept) + i128::from(round_up)).min(MOST)
}

/// The digits times a power of two, in billionths; what is finer than that before the product is rounded up.
fn binary_nano(whole: &str, fraction: &str, power: u32) -> i128 {
    decimal_nano(whole, fraction, 0).checked_mul(1_i128 << power).map_or(MOST, |product| product.min(MOST))
}

fn integer(digits: &str) -> i128 {
    digits.bytes().fold(0_i128, |value, digit| {
        value.saturating_mul(10).saturating_add(i128::from(digit.saturating_sub(b'0'))).min(MOST)
    })
}

fn times_power_of_ten(value: i128, power: i64) -> i128 {
    let factor = u32::try_from(power).ok().and_then(|power| 10_i128.checked_pow(power));
    factor.and_then(|factor| value.checked_mul(factor)).map_or(MOST, |product| product.min(MOST))
}

/// Divides away from zero.
fn div_up(value: i128, unit: i128) -> i128 {
    let quotient = value / unit;
    if value % unit == 0 { quotient } else { quotient + value.signum() }
}

/// Takes out as many factors of `base` as there are, at most `most`.
fn strip(mut number: i128, base: i128, most: usize) -> (i128, usize) {
    let mut steps = 0;
    while steps < most && number != 0 && number % base == 0 {
        number /= base;
        steps += 1;
    }
    (number, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_canonical_form_is_the_servers() {
        for (text, canonical) in [
            ("0", "0"),
            ("0m", "0"),
            ("-0", "0"),
            ("100m", "100m"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("5.", "5"),
            ("+1", "1"),
            ("-1", "-1"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("1E3", "1e3"),
            ("1000e3", "1e6"),
            ("0.001e3", "1"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("129M", "129M"),
            ("400Mi", "400Mi"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1Ki", "1Ki"),
            ("0.1Mi", "104857600m"),
            ("1025", "1025"),
            ("0.0001", "100u"),
            ("0.0000000001", "1n"),
            ("9007199254740988Ki", "9007199254740988Ki"),
            ("00012", "12"),
            ("1.50", "1500m"),
            ("2n", "2n"),
            ("3u", "3u"),
            ("1T", "1T"),
            ("1P", "1P"),
            ("1E", "1E"),
            ("-", "0"),
            (".", "0"),
            ("k", "0"),
            (" 7 ", "7"),
        ] {
            assert_eq!(parsed(text).to_string(), canonical, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused_with_the_servers_reason() {
        for text in
            ["", "two", "1 Gi", "  ", "1.2.3", "1,5", "0x10", "1GB", "1g", "1m1m", "١", "NaN", "1_000"]
        {
            assert_eq!(Quantity::parse(text).unwrap_err(), FORMAT, "{text}");
        }
        for text in ["1mi", "1i", "1K", "1e", "1MM", "1Gi3", "1m3", "1e+", "--1"] {
            assert_eq!(Quantity::parse(text).unwrap_err(), SUFFIX, "{text}");
        }
    }

    #[test]
    fn amounts_are_compared_by_value() {
        assert!(parsed("1Gi") == parsed("1024Mi"));
        assert!(parsed("1G") < parsed("1Gi"));
        assert!(parsed("999m") < parsed("1"));
        assert!(parsed("1e3") == parsed("1k"));
        assert!(parsed("1e-400") > parsed("0"));
        assert!(parsed("1e400") > parsed("9E"));
        assert!(parsed("-1") < parsed("0"));
        assert!(parsed("0.30000000000000004") > parsed("0.3"));
    }

    #[test]
    fn whole_and_divisible_amounts_are_told() {
        assert!(parsed("2").is_integer() && parsed("2k").is_integer() && parsed("1000m").is_integer());
        assert!(!parsed("500m").is_integer() && !parsed("1.0001").is_integer());
        assert!(parsed("4Mi").is_multiple_of(parsed("2Mi")) && parsed("0").is_multiple_of(parsed("2Mi")));
        assert!(!parsed("3Mi").is_multiple_of(parsed("2Mi")) && !parsed("3Mi").is_multiple_of(parsed("0")));
    }
}
