//! Progress on stderr: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Done and total, speed and time left of some work.
pub struct Progress {
    unit: &'static str,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    note: String,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress over `total` units. Nothing is shown for work of less than a second.
    pub fn new(total: u64, unit: &'static str) -> Progress {
        let bar = std::io::stderr().is_terminal().then(|| {
            let template =
                format!("{{wide_bar}} {{human_pos}}/{{human_len}} {unit}, {{per_sec}}, {{eta}} left{{msg}}");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style);
            bar.enable_steady_tick(Duration::from_secs(1));
            bar
        });
        let now = Instant::now();
        Progress { unit, total, done: 0, started: now, last_line: now, note: String::new(), bar }
    }

    /// Counts `amount` units as done.
    pub fn advance(&mut self, amount: u64) {
        self.done += amount;
        match &self.bar {
            Some(bar) => bar.inc(amount),
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                self.print_line();
            }
            None => {}
        }
    }

    /// Shows a note after the numbers from here on, as `loss 2.74`.
    pub fn note(&mut self, note: &str) {
        self.note = format!("; {note}");
        if let Some(bar) = &self.bar {
            bar.set_message(self.note.clone());
        }
    }

    fn print_line(&self) {
        let seconds = self.started.elapsed().as_secs_f64();
        let speed = self.done as f64 / seconds;
        let left = self.total.saturating_sub(self.done) as f64 / speed;
        let (done, total, unit, note) = (self.done, self.total, self.unit, &self.note);
        let speed = if speed < 10.0 { format!("{speed:.2}") } else { format!("{speed:.0}") };
        eprintln!("{done}/{total} {unit}, {speed} {unit}/s, {left:.0} s left{note}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
