//! `longcode plan`

use std::path::PathBuf;

use serde_json::json;

use super::asked::AskedConfig;
use super::run::results_directory;
use super::{print, wanted_by};
use crate::config::Config;
use crate::device::{DeviceChoice, OpenDevice};
use crate::error::Result;
use crate::plan::{Plan, PlanOptions, PlanRow, plan};
use crate::store::Shard;

/// What a run will do, before it does: samples, tokens, memory, and the time on this machine from a minute of
/// its work
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode plan configs/quickstart.toml\n  \
    longcode plan configs/quickstart.toml --shard 1/4 --json")]
pub(super) struct Args {
    #[command(flatten)]
    config: AskedConfig,
    /// The results directory that the run will have: what is stored there is done [default: as of `longcode
    /// run`]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// At most N samples of each bucket of each task
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    limit: Option<usize>,
    /// Part I of N of the samples
    #[arg(long, value_name = "I/N")]
    shard: Option<String>,
    /// One JSON object a row on stdout, and one of the totals
    #[arg(long)]
    json: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let shard = self.shard.as_deref().map(Shard::parse).transpose()?;
        let config = self.config.read()?;
        let device = self.device.open(|| wanted_by(&config))?;
        status!("device: {}", device.name);
        let out = self.out.unwrap_or_else(|| results_directory(&config, shard));
        let plan = plan(&config, &device, &out, PlanOptions { limit: self.limit, shard })?;
        if self.json { print(&json_lines(&plan, &device)) } else { print(&text(&plan, &config, &device)) }
    }
}

/// Sums over some rows.
struct Total<'a>(&'a [PlanRow]);

impl Total<'_> {
    fn sum(&self, of: impl Fn(&PlanRow) -> f64) -> f64 {
        self.0.iter().map(of).sum()
    }

    fn count(&self, of: impl Fn(&PlanRow) -> usize) -> usize {
        self.0.iter().map(of).sum()
    }

    fn memory_mb(&self) -> Option<f64> {
        self.0.iter().filter_map(|row| row.memory_mb).reduce(f64::max)
    }

    /// The smallest of the longest sequences that fit.
    fn largest_sequence(&self) -> Option<usize> {
        self.0.iter().filter_map(|row| row.largest_sequence).min()
    }
}

fn json_lines(plan: &Plan, device: &OpenDevice) -> String {
    let total = Total(&plan.rows);
    let rows = plan.rows.iter().map(|row| json!(row));
    let totals = json!({"total": {
        "samples": total.count(|row| row.samples),
        "done": total.count(|row| row.done),
        "tokens": total.sum(|row| row.tokens),
        "generated_tokens": total.sum(|row| row.generated_tokens),
        "products": total.sum(|row| row.products),
        "attention_products": total.sum(|row| row.attention_products),
        "seconds": total.sum(|row| row.seconds) + plan.opening_seconds,
        "attention_seconds": total.sum(|row| row.attention_seconds),
        "opening_seconds": plan.opening_seconds,
        "memory_mb": total.memory_mb(),
        "available_mb": plan.available_mb,
        "largest_sequence": total.largest_sequence(),
        "device": device.name,
        "notes": plan.notes,
    }});
    rows.chain([totals]).map(|line| format!("{line}\n")).collect()
}

fn text(plan: &Plan, config: &Config, device: &OpenDevice) -> String {
    let mut text = format!("{}\n", config.name);
    let same = |a: &PlanRow, b: &PlanRow| (&a.model, &a.task) == (&b.model, &b.task);
    for rows in plan.rows.chunk_by(same) {
        text += &format!("\n{} on {}\n\n", rows[0].model, rows[0].task);
        text += &table(rows);
    }
    text += &format!("\n{}", totals(plan, device));
    plan.notes.iter().fold(text, |text, note| text + note + "\n")
}

const COLUMNS: [&str; 9] =
    ["encoding", "samples", "done", "tokens", "generated", "products", "attention", "memory MB", "time left"];

/// Rows of one model on one task.
fn table(rows: &[PlanRow]) -> String {
    let cells = |row: &PlanRow| {
        [
            row.encoding.clone(),
            row.samples.to_string(),
            row.done.to_string(),
            scaled(row.tokens),
            scaled(row.generated_tokens),
            scaled(row.products),
            percent(row.attention_products, row.products),
            row.memory_mb.map_or("-".into(), |mb| format!("{mb:.0}")),
            duration(row.seconds),
        ]
    };
    let header = COLUMNS.map(String::from);
    let rows: Vec<[String; 9]> = [header].into_iter().chain(rows.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 9] = std::array::from_fn(width);
    let line = |row: &[String; 9]| {
        let pad = |(column, cell): (usize, &String)| match column {
            0 => format!("{cell:<width$}", width = widths[0]),
            _ => format!("{cell:>width$}", width = widths[column]),
        };
        format!("  {}\n", row.iter().enumerate().map(pad).collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn totals(plan: &Plan, device: &OpenDevice) -> String {
    let total = Total(&plan.rows);
    let (samples, done) = (total.count(|row| row.samples), total.count(|row| row.done));
    let (products, attention) = (total.sum(|row| row.products), total.sum(|row| row.attention_products));
    let mut text = format!(
        "{samples} samples x encodings, {done} of them done: {} tokens and {} generated at most, {} products, {} of them \
         attention's.\n",
        scaled(total.sum(|row| row.tokens)),
        scaled(total.sum(|row| row.generated_tokens)),
        scaled(products),
        percent(attention, products)
    );
    if done == samples {
        return text + "Nothing is left to do.\n";
    }
    let seconds = total.sum(|row| row.seconds);
    text += &format!(
        "Time left on this machine ({}, {} threads): {}, {} of it attention's, {} to open models and data; by {} of its \
         work.\n",
        device.name,
        rayon::current_num_threads(),
        duration(seconds + plan.opening_seconds),
        duration(total.sum(|row| row.attention_seconds)),
        duration(plan.opening_seconds),
        duration(plan.measured_seconds)
    );
    if let (Some(memory), Some(available)) = (total.memory_mb(), plan.available_mb) {
        let largest = match total.largest_sequence() {
            Some(tokens) => format!(
                "the longest sequence that fits under every encoding has {} tokens",
                scaled(tokens as f64)
            ),
            None => "sequences of any length fit, as every encoding reads a context at a time".into(),
        };
        text += &format!("Memory: {memory:.0} MB, where {available:.0} MB are free; {largest}.\n");
    }
    text
}

fn percent(part: f64, whole: f64) -> String {
    if whole > 0.0 { format!("{:.0}%", 100.0 * part / whole) } else { "-".into() }
}

/// A count in thousands, millions and so on, with three digits.
fn scaled(count: f64) -> String {
    const UNITS: [&str; 7] = ["", " k", " M", " G", " T", " P", " E"];
    let mut unit = 0;
    let mut value = count;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let places = match value {
        _ if unit == 0 => 0,
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.places$}{}", UNITS[unit])
}

/// A duration as a user would say it.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        0..100 => format!("{whole} s"),
        100..6000 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_times_in_words() {
        let counts = [0.0, 7.0, 999.4, 999.6, 12345.0, 2.5e6, 999.6e6, 3.2e12, 7e22];
        let words = ["0", "7", "999", "1.00 k", "12.3 k", "2.50 M", "1.00 G", "3.20 T", "70000 E"];
        assert_eq!(counts.map(scaled), words);
        let seconds = [0.0, 9.94, 42.4, 99.9, 125.0, 3725.0, 7300.0];
        let words = ["0.0 s", "9.9 s", "42 s", "1 min 40 s", "2 min 5 s", "62 min 5 s", "2 h 1 min"];
        assert_eq!(seconds.map(duration), words);
    }
}
