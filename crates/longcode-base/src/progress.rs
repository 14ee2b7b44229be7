//! Progress on stderr: a bar on a terminal, plain lines elsewhere.

use std::time::{Duration, Instant};

use crate::{messages, status};
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Resolution of the bar.
const PARTS: f64 = 1e6;

/// Done and total, speed and time left of some work. Units such as tokens are counted; the bar and the time
/// left follow what units cost, as some cost more than others.
pub struct Progress {
    unit: &'static str,
    total: u64,
    done: u64,
    total_cost: f64,
    done_cost: f64,
    started: Instant,
    last_line: Instant,
    note: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress over `total` units of equal cost. Nothing is shown for work of less than a second.
    pub fn new(total: u64, unit: &'static str) -> Progress {
        Progress::of_cost(total, unit, total as f64)
    }

    /// Progress over `total` units that cost `total_cost` together, in any measure.
    pub fn of_cost(total: u64, unit: &'static str, total_cost: f64) -> Progress {
        let bar = messages::shows_bars().then(|| {
            let style = ProgressStyle::with_template("{wide_bar} {prefix}, {eta} left{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(PARTS as u64).with_style(style);
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        let now = Instant::now();
        let progress = Progress {
            unit,
            total,
            done: 0,
            total_cost,
            done_cost: 0.0,
            started: now,
            last_line: now,
            note: String::new(),
            bar,
        };
        if let Some(bar) = &progress.bar {
            bar.set_prefix(progress.counts());
        }
        progress
    }

    /// Sets how many units are done, at equal cost, whatever was counted before.
    pub fn set(&mut self, done: u64) {
        (self.done, self.done_cost) = (0, 0.0);
        self.advance(done);
    }

    /// Counts `amount` units as done, each at the same cost.
    pub fn advance(&mut self, amount: u64) {
        self.advance_by(amount, amount as f64);
    }

    /// Counts `amount` units that cost `cost` as done.
    pub fn advance_by(&mut self, amount: u64, cost: f64) {
        self.done += amount;
        self.done_cost += cost;
        match &self.bar {
            Some(bar) => {
                bar.set_prefix(self.counts());
                bar.set_position((PARTS * self.done_cost / self.total_cost) as u64);
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.print_line();
            }
            None => {}
        }
    }

    /// From now on shows a note after the numbers, such as `loss 2.74`.
    pub fn note(&mut self, note: &str) {
        self.note = format!("; {note}");
        if let Some(bar) = &self.bar {
            bar.set_message(self.note.clone());
        }
    }

    /// Done, total and speed.
    fn counts(&self) -> String {
        let speed = self.done as f64 / self.started.elapsed().as_secs_f64();
        let speed = if speed < 10.0 { format!("{speed:.2}") } else { format!("{speed:.0}") };
        let (done, total, unit) = (HumanCount(self.done), HumanCount(self.total), self.unit);
        format!("{done}/{total} {unit}, {speed} {unit}/s")
    }

    fn print_line(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let left = seconds * (self.total_cost / self.done_cost - 1.0).max(0.0);
        status!("{}, {left:.0} s left{}", self.counts(), self.note);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
