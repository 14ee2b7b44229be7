//! Student's t distribution.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// How many standard errors the mean of normal numbers is off, with the chance `level`, to either side; NaN
/// without degrees of freedom.
pub(crate) fn quantile(level: f64, degrees: f64) -> f64 {
    let distribution = StudentsT::new(0.0, 1.0, degrees);
    distribution.map_or(f64::NAN, |student| student.inverse_cdf(1.0 - level / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from printed tables.
    #[test]
    fn quantiles() {
        let known = [
            (0.05, 1.0, 12.706),
            (0.05, 2.0, 4.303),
            (0.05, 3.0, 3.182),
            (0.05, 5.0, 2.571),
            (0.05, 9.0, 2.262),
            (0.05, 100.0, 1.984),
            (0.05, 9999.0, 1.960),
            (0.001, 5.0, 6.869),
            (0.001, 10.0, 4.587),
        ];
        for (level, degrees, expected) in known {
            let found = quantile(level, degrees);
            assert!((found - expected).abs() < 1e-3, "{level} {degrees}: {found}");
        }
        assert!(quantile(0.05, 0.0).is_nan());
    }
}
