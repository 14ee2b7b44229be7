//! How numbers read in a report.

use longcode_stats::{Comparison, Estimate};

/// Nats a token: a smaller difference of losses is not worth naming, whatever its interval says (0.5% of a
/// perplexity).
pub(crate) const SMALLEST: f64 = 0.005;

/// Four digits, or fewer decimals for large figures.
pub(crate) fn number(value: f64) -> String {
    format!("{value:.*}", decimals(value))
}

/// A difference with its sign, in the decimals of the figure that it is a difference of.
pub(crate) fn difference(value: f64, of: f64) -> String {
    // Rounded to nothing, a difference has no sign.
    let text = format!("{value:+.*}", decimals(of));
    if text.trim_matches(['+', '-', '0', '.']).is_empty() { text[1..].into() } else { text }
}

/// What stands for the interval of one sample.
const NO_INTERVAL: &str = "(n 1)";

/// An interval in the decimals of a figure.
pub(crate) fn interval(estimate: &Estimate) -> String {
    let places = decimals(estimate.value);
    let Some([low, high]) = estimate.ends() else { return NO_INTERVAL.into() };
    format!("[{low:.places$}, {high:.places$}]")
}

/// A difference and its interval for all rows at once, in the decimals of the figure that it is a difference of.
pub(crate) fn difference_and_interval(found: &Comparison, of: f64) -> (String, String) {
    let in_words = |[low, high]: [f64; 2]| format!("[{}, {}]", difference(low, of), difference(high, of));
    (difference(found.estimate.value, of), found.ends().map_or(NO_INTERVAL.into(), in_words))
}

/// A number of tokens with commas, as 4,096.
pub(crate) fn grouped(tokens: usize) -> String {
    let digits = tokens.to_string();
    let comma = |n: usize| n > 0 && (digits.len() - n).is_multiple_of(3);
    let with = |(n, digit): (usize, char)| [comma(n).then_some(','), Some(digit)];
    digits.chars().enumerate().flat_map(with).flatten().collect()
}

fn decimals(value: f64) -> usize {
    match value.abs() {
        value if value >= 1000.0 => 0,
        value if value >= 100.0 => 1,
        value if value >= 10.0 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_digits() {
        assert_eq!([2.34567, 23.4567, 234.567, 2345.67].map(number), ["2.346", "23.46", "234.6", "2346"]);
    }

    #[test]
    fn a_difference_has_the_decimals_of_its_figure() {
        assert_eq!(difference(-0.0123, 35.2), "-0.01");
        assert_eq!(difference(0.5, 2.0), "+0.500");
        assert_eq!(difference(-0.0001, 2.0), "0.000");
        assert_eq!(difference(-10.0, 2000.0), "-10");
    }

    #[test]
    fn thousands_have_commas() {
        assert_eq!([5, 512, 4096, 1_048_576].map(grouped), ["5", "512", "4,096", "1,048,576"]);
    }
}
