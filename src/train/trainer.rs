//! The steps of a training.

use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::checkpoint::{Checkpoints, State};
use super::config::TrainConfig;
use super::log::{Log, LoggedStep};
use super::network::values;
use super::optimizer::{Accumulated, Moments, Optimizer};
use super::schedule::{Budget, learning_rate};
use super::windows::{Example, Windows};
use crate::error::{Error, ErrorKind, Result};
use crate::interrupt::Deferred;
use crate::model::{Network, RotaryTables};
use crate::progress::Progress;

/// Steps whose mean is the final training loss.
const RECENT: usize = 100;

/// A training under way.
pub struct Trainer<'a> {
    config: &'a TrainConfig,
    checkpoints: &'a Checkpoints,
    windows: Windows<'a>,
    validation: Windows<'a>,
    rotary: RotaryTables,
    budget: Budget,
    log: Log,
    model: Network,
    optimizer: Optimizer,
    state: State,
    saved: Instant,
}

/// The outcome of a training.
pub struct Trained {
    /// The model.
    pub model: Network,
    /// Where the training stands.
    pub state: State,
    /// Mean loss of the last steps.
    pub loss: f64,
}

/// What a training starts or resumes from.
pub struct Start {
    /// The model, on a device with gradients.
    pub model: Network,
    /// AdamW's moments; none before the first step.
    pub moments: Vec<Moments>,
    /// Where the training stands.
    pub state: State,
    /// The model's own rotations of a sample.
    pub rotary: RotaryTables,
}

impl<'a> Trainer<'a> {
    /// A training that continues from `start`, on windows and windows held out.
    pub fn new(
        config: &'a TrainConfig,
        [windows, validation]: [Windows<'a>; 2],
        start: Start,
        log: Log,
        checkpoints: &'a Checkpoints,
    ) -> Trainer<'a> {
        Trainer {
            windows,
            validation,
            rotary: start.rotary,
            budget: Budget::new(config),
            log,
            model: start.model,
            optimizer: Optimizer::new(&config.optimizer, start.moments),
            state: start.state,
            saved: Instant::now(),
            config,
            checkpoints,
        }
    }

    /// Trains until the budget is used up.
    ///
    /// # Errors
    /// [`ErrorKind::Compute`] when a loss is not finite; [`ErrorKind::Interrupted`] after Ctrl-C, with a
    /// checkpoint; [`ErrorKind::Write`].
    pub fn run(mut self) -> Result<Trained> {
        let interrupt = Deferred::start();
        let mut progress = self.progress();
        while self.share() < 1.0 {
            let before = self.state.seconds;
            let row = self.step()?;
            progress.note(&self.note(&row));
            progress.advance(match self.budget {
                Budget::Steps(_) => 1,
                Budget::Seconds(_) => row.seconds as u64 - before as u64,
            });
            self.log.append(&row)?;
            if interrupt.requested() {
                self.save()?;
                let what = format!("interrupted after step {}, with a checkpoint", self.state.step);
                return Err(Error::new(ErrorKind::Interrupted, what)
                    .fix("run the same command with --resume to resume"));
            }
            let every = Duration::try_from_secs_f64(60.0 * self.config.output.checkpoint_minutes);
            let every = every.unwrap_or(Duration::MAX);
            if self.saved.elapsed() >= every {
                self.save()?;
            }
        }
        self.state.validation_loss = Some(self.validation_loss()?);
        self.save()?;
        let loss = self.log.recent_loss(RECENT);
        Ok(Trained { model: self.model, state: self.state, loss })
    }

    fn share(&self) -> f64 {
        self.budget.share(self.state.step, self.state.seconds)
    }

    /// One optimizer step, with the validation loss if it is due.
    fn step(&mut self) -> Result<LoggedStep> {
        let started = Instant::now();
        let rate = learning_rate(&self.config.optimizer, self.state.step, self.share());
        let (gradients, loss) = self.gradients()?;
        let norm = f64::from(values(gradients.norm())[0]) / self.micro_batches() as f64;
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(not_finite(self.state.step + 1, loss, norm));
        }
        let clip = (self.config.optimizer.clip_norm / norm.max(f64::MIN_POSITIVE)).min(1.0);
        let factor = clip / self.micro_batches() as f64;
        self.model = self.optimizer.step(self.model.clone(), gradients, rate, factor as f32);
        self.state.step += 1;
        let seconds = started.elapsed().as_secs_f64();
        let due = self.state.step.is_multiple_of(self.config.output.validation_steps);
        if due {
            self.state.validation_loss = Some(self.validation_loss()?);
        }
        self.state.seconds += started.elapsed().as_secs_f64();
        Ok(LoggedStep {
            step: self.state.step,
            tokens: self.state.step * self.config.step_tokens(),
            seconds: self.state.seconds,
            loss,
            learning_rate: rate,
            gradient_norm: norm,
            tokens_per_second: self.config.step_tokens() as f64 / seconds,
            validation_loss: self.state.validation_loss.filter(|_| due),
        })
    }

    fn micro_batches(&self) -> usize {
        self.config.batch / self.config.micro_batch()
    }

    /// The gradients of the mean loss of what is learned, times the micro-batches, and that loss.
    fn gradients(&mut self) -> Result<(Accumulated, f64)> {
        let batch = self.config.batch as u64;
        let first = self.state.step * batch;
        let windows: Vec<Example> = (first..first + batch).map(|n| self.windows.get(n)).collect();
        let all = windows.iter().map(Example::learned).sum::<usize>() as f64;
        let mut gradients = Accumulated::default();
        let mut sum = 0.0;
        for windows in windows.chunks(self.config.micro_batch()) {
            let (loss, learned) = mean_loss(&self.model, windows, &self.rotary);
            let share = learned as f64 / all;
            let reverse = loss.clone().mul_scalar(share * self.micro_batches() as f64).backward();
            sum += share * f64::from(values(loss)[0]);
            gradients.add(&self.model, reverse);
        }
        Ok((gradients, sum))
    }

    /// Mean loss of the first windows held out.
    fn validation_loss(&self) -> Result<f64> {
        let model = self.model.valid();
        let rotary = self.rotary.clone().inner();
        let count = self.config.output.validation_samples.min(self.validation.per_epoch());
        let windows: Vec<Example> = (0..count).map(|n| self.validation.in_order(n)).collect();
        let (mut sum, mut all) = (0.0, 0);
        for windows in windows.chunks(self.config.micro_batch()) {
            let (loss, learned) = mean_loss(&model, windows, &rotary);
            sum += learned as f64 * f64::from(values(loss)[0]);
            all += learned;
        }
        let loss = sum / all as f64;
        if loss.is_finite() { Ok(loss) } else { Err(not_finite(self.state.step, loss, 0.0)) }
    }

    fn save(&mut self) -> Result<()> {
        self.checkpoints.save(&self.model, self.optimizer.moments(), &self.state)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// What is left of the budget.
    fn progress(&self) -> Progress {
        match self.budget {
            Budget::Steps(steps) => Progress::new(steps.saturating_sub(self.state.step), "steps"),
            Budget::Seconds(seconds) => Progress::new((seconds - self.state.seconds).max(0.0) as u64, "s"),
        }
    }

    fn note(&self, row: &LoggedStep) -> String {
        let validation =
            self.state.validation_loss.map_or(String::new(), |loss| format!(", held out {loss:.3}"));
        format!("step {}, loss {:.3}{validation}, {:.0} tok/s", row.step, row.loss, row.tokens_per_second)
    }
}

fn not_finite(step: u64, loss: f64, norm: f64) -> Error {
    let what = if loss.is_finite() {
        format!("the norm of the gradient is {norm}")
    } else {
        format!("the loss is {loss}")
    };
    Error::new(ErrorKind::Compute, what)
        .at(format_args!("step {step}"))
        .fix("start over with a lower optimizer.learning_rate, or a lower clip_norm")
}

/// Mean loss of the targets that are learned, and how many these are.
fn mean_loss(model: &Network, windows: &[Example], rotary: &RotaryTables) -> (Tensor<1>, usize) {
    let tensor = |ids: Vec<i32>| {
        let count = ids.len();
        Tensor::<1, Int>::from_data(TensorData::new(ids, [count]), &model.device())
    };
    let inputs: Vec<i32> = windows.iter().flat_map(|window| &window.inputs).map(|&id| id as i32).collect();
    let targets = windows.iter().flat_map(|window| &window.targets).enumerate();
    let (rows, targets): (Vec<i32>, Vec<i32>) =
        targets.filter_map(|(row, target)| Some((row as i32, (*target)? as i32))).unzip();
    let learned = rows.len();
    let some = (learned < inputs.len()).then(|| tensor(rows));
    (model.mean_loss(tensor(inputs), some, tensor(targets), rotary), learned)
}
