//! The progress of a training, and its learning rate.

use super::config::{OptimizerKeys, TrainConfig};

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// Optimizer steps.
    Steps(u64),
    /// Seconds of training.
    Seconds(f64),
}

impl Budget {
    /// The budget of a checked config.
    pub fn new(config: &TrainConfig) -> Budget {
        let budget = &config.budget;
        match (budget.steps, budget.tokens, budget.minutes) {
            (Some(steps), ..) => Budget::Steps(steps),
            (_, Some(tokens), _) => Budget::Steps(tokens.div_ceil(config.step_tokens())),
            (.., minutes) => Budget::Seconds(60.0 * minutes.unwrap_or(0.0)),
        }
    }

    /// Share of the budget that is used up before step `step` (from 0), after this many seconds; 1 or more
    /// when all is used.
    pub fn share(self, step: u64, seconds: f64) -> f64 {
        match self {
            Budget::Steps(steps) => step as f64 / steps as f64,
            Budget::Seconds(all) => seconds / all,
        }
    }
}

/// Learning rate of step `step` (from 0) when `share` of the budget is used up: a linear rise over the
/// warm-up's steps, times half a cosine over the budget.
pub fn learning_rate(keys: &OptimizerKeys, step: u64, share: f64) -> f64 {
    let rise = (step + 1) as f64 / keys.warmup_steps.max(1) as f64;
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos());
    keys.learning_rate * rise.min(1.0) * (keys.final_share + (1.0 - keys.final_share) * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls() {
        let keys = OptimizerKeys {
            learning_rate: 1.0,
            final_share: 0.1,
            warmup_steps: 4,
            ..OptimizerKeys::default()
        };
        let rates: Vec<f64> = (0..4).map(|step| learning_rate(&keys, step, 0.0)).collect();
        assert_eq!(rates, [0.25, 0.5, 0.75, 1.0]);
        assert!((learning_rate(&keys, 9, 0.5) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&keys, 9, 1.0) - 0.1).abs() < 1e-12);
        assert_eq!(learning_rate(&keys, 9, 2.0), learning_rate(&keys, 9, 1.0));
        let at_once = OptimizerKeys { warmup_steps: 0, ..keys };
        assert_eq!(learning_rate(&at_once, 0, 0.0), 1.0);
    }

    #[test]
    fn shares() {
        assert_eq!(Budget::Steps(10).share(5, 99.0), 0.5);
        assert_eq!(Budget::Seconds(60.0).share(99, 30.0), 0.5);
    }
}
