//! Student's t distribution.

/// Degrees of freedom beyond which the distribution is that of this many, to 0.2%.
const MOST: usize = 1000;

/// By how many standard errors the mean of normal numbers is off with the chance `level`, to either side.
pub(super) fn quantile(level: f64, degrees: usize) -> f64 {
    if degrees == 0 {
        return f64::NAN;
    }
    let (mut low, mut high) = (0.0, 2.0);
    while within(high, degrees) < 1.0 - level {
        high *= 2.0;
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        match within(middle, degrees) < 1.0 - level {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// The chance of at most `t` standard errors to either side (Abramowitz and Stegun 26.7.3, 26.7.4).
fn within(t: f64, degrees: usize) -> f64 {
    let degrees = degrees.min(MOST);
    let angle = (t / (degrees as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let odd = degrees % 2;
    let (mut term, mut sum) = (if odd == 1 { cos } else { 1.0 }, 0.0);
    for n in (odd..degrees.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cos * cos * (n + 1) as f64 / (n + 2) as f64;
    }
    match odd {
        1 => 2.0 / std::f64::consts::PI * (angle + sin * sum),
        _ => sin * sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From printed tables.
    #[test]
    fn quantiles() {
        let known = [
            (0.05, 1, 12.706),
            (0.05, 2, 4.303),
            (0.05, 3, 3.182),
            (0.05, 5, 2.571),
            (0.05, 9, 2.262),
            (0.05, 100, 1.984),
            (0.05, 9999, 1.962),
            (0.001, 5, 6.869),
            (0.001, 10, 4.587),
        ];
        for (level, degrees, expected) in known {
            let found = quantile(level, degrees);
            assert!((found - expected).abs() < 1e-3, "{level} {degrees}: {found}");
        }
        assert!(quantile(0.05, 0).is_nan());
    }
}
