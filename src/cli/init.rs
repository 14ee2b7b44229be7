//! `longcode init`

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{open_model, print};
use crate::checkpoint::Checkpoint;
use crate::dataset::Dataset;
use crate::encoding::{ModelRope, Spectrum};
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole;

/// Write a config that fits a model: windows, splits and lengths by what it was trained at, and by what the data reach
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  longcode init models/nano --dataset code-python\n  \
    longcode init MODEL --dataset my-code.jsonl --out my-model.toml")]
pub(super) struct Args {
    /// Hugging Face directory, GGUF file, or org/name of the Hugging Face hub
    model: PathBuf,
    /// The data: a name of `longcode datasets`, a file, or a folder of sources
    #[arg(long, value_name = "DATA")]
    dataset: String,
    /// The file to write, which must not exist [default: stdout]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Fetch the model, given by its org/name, from the Hugging Face hub
    #[arg(long)]
    download: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        if let Some(out) = self.out.as_ref().filter(|out| out.exists()) {
            return Err(Error::new(ErrorKind::Usage, "the file exists")
                .in_file(out)
                .fix("give another --out, or remove the file"));
        }
        let checkpoint = open_model(&self.model, self.download)?;
        let reach = Reach::of(&self.dataset, &checkpoint)?;
        let text = config(&self.model, &self.dataset, &checkpoint.config.rope, &reach);
        match &self.out {
            None => print(&text),
            Some(out) => {
                write_whole(out, text.as_bytes())?;
                status!("{}: longcode plan {0}, longcode run {0}", out.display());
                Ok(())
            }
        }
    }
}

/// How long documents are, against a trained length.
#[derive(Debug, PartialEq, Eq)]
struct Reach {
    /// Edges of buckets of which each has a document.
    edges: Vec<usize>,
    /// Documents of each bucket.
    counts: Vec<usize>,
    /// Documents below the first edge or beyond the last.
    others: usize,
    longest: usize,
}

/// Lengths are compared up to so many times the trained length.
const TIMES: [usize; 5] = [1, 2, 4, 8, 16];

impl Reach {
    fn of(dataset: &str, checkpoint: &Checkpoint) -> Result<Reach> {
        let data = Dataset::open(dataset, &[PathBuf::from(".")])?;
        let length = |record: &crate::dataset::Record| -> Result<usize> {
            Ok(checkpoint.tokenizer.encode(record.text("text")?)?.ids.len())
        };
        let lengths: Vec<usize> = data.records()?.par_iter().map(length).collect::<Result<_>>()?;
        Reach::new(&lengths, checkpoint.config.trained_length()).ok_or_else(|| {
            let longest = lengths.iter().max().unwrap_or(&0);
            Error::new(
                ErrorKind::Dataset,
                format!("no document has a usable length; the longest has {longest} tokens"),
            )
            .in_file(&data.path)
            .fix("give data with texts of at least 2 tokens")
        })
    }

    /// Buckets at the trained length and its multiples: those without a document are joined to the next one, but for the
    /// first, below the trained length.
    fn new(lengths: &[usize], trained: usize) -> Option<Reach> {
        let count = |from: usize, to: usize| {
            lengths.iter().filter(|&&length| length >= 2 && (from..to).contains(&length)).count()
        };
        let (mut edges, mut counts) = (vec![0], Vec::new());
        for to in TIMES.map(|times| times * trained) {
            let from = *edges.last()?;
            match count(from, to) {
                0 if counts.is_empty() => edges = vec![to],
                0 => {}
                found => {
                    edges.push(to);
                    counts.push(found);
                }
            }
        }
        let others = lengths.len() - counts.iter().sum::<usize>();
        let longest = lengths.iter().copied().max()?;
        (!counts.is_empty()).then_some(Reach { edges, counts, others, longest })
    }
}

/// Where pairs turn less than once within the trained length, as a share of the pairs to two digits, at most a half.
fn split(rope: &ModelRope) -> f64 {
    let turns = |frequency: &&f64| *frequency * rope.trained_length as f64 >= std::f64::consts::TAU;
    let whole = Spectrum::plain(rope.head_dim, rope.base).frequencies.iter().filter(turns).count();
    ((100.0 * whole as f64 / rope.pairs() as f64).floor() / 100.0).min(0.5)
}

/// The name of a run on a model: letters, digits, - _ . alone, not first a dot.
fn run_name(model: &Path) -> String {
    let name = model.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "run".into() } else { name.chars().take(60).collect() }
}

/// A text as TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn config(model: &Path, dataset: &str, rope: &ModelRope, reach: &Reach) -> String {
    let trained = rope.trained_length;
    let Reach { edges, counts, others, longest } = reach;
    let beyond = if *longest > trained {
        format!(
            "The longest document has {longest} tokens, {:.1} times the trained length.",
            *longest as f64 / trained as f64
        )
    } else {
        format!(
            "NO document is longer than the trained length (longest: {longest}): nothing here is beyond training."
        )
    };
    let own_window = if rope.own_window.is_some() {
        "# The model has a sliding window of its own; full_attention = true on an encoding lifts it.\n"
    } else {
        ""
    };
    let factor = (edges.last().copied().unwrap_or(trained) / trained).max(2);
    format!(
        r#"# Written by `longcode init`: what does the model do beyond the {trained} tokens that it was trained at?
# {beyond}
# Every key: docs/configs.md. What it will take: longcode plan FILE
name = {name}

[[model]]
path = {path}

{own_window}# What every other row is held against: the last {trained} tokens alone, the rest thrown away.
[[encoding]]
name = "Truncation"
kind = "rope"
context = "trained"

[[encoding]]
name = "RoPE"
kind = "rope"

# Interpolation, by as much as the longest documents are longer.
[[encoding]]
name = "YaRN"
kind = "yarn"
factor = {factor}

# Distances beyond a quarter of the trained length ({quarter} tokens) are held at that.
[[encoding]]
name = "ReRoPE"
kind = "rerope"
window = "1/4"

# Beyond the window, the slow pairs count functions. Of {pairs} pairs those below the split count tokens: with a split of at
# most {limit} all of them turned once in training.
[[encoding]]
name = "HiRoPE"
kind = "hirope"
window = "1/4"
split = {limit}
unit = "function"

# The control: segments as long as the functions, in the wrong places.
[[encoding]]
name = "HiRoPE, shuffled"
kind = "hirope"
window = "1/4"
split = {limit}
unit = "shuffled:function"

# Documents of each bucket: {counts}; {others} are shorter or longer. 6 of a bucket are the fewest that tell anything.
[[task]]
name = "code"
kind = "language_modeling"
dataset = {dataset}
buckets = {edges:?}
samples = 8
"#,
        name = quoted(&run_name(model)),
        path = quoted(&model.to_string_lossy()),
        quarter = trained / 4,
        pairs = rope.pairs(),
        limit = split(rope),
        counts = counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
        dataset = quoted(dataset),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn buckets_are_where_documents_are() {
        let of = |lengths: &[usize]| {
            Reach::new(lengths, 100).map(|reach| (reach.edges, reach.counts, reach.others))
        };
        assert_eq!(of(&[50, 150, 350]), Some((vec![0, 100, 200, 400], vec![1, 1, 1], 0)));
        assert_eq!(
            of(&[50, 350, 9000]),
            Some((vec![0, 100, 400], vec![1, 1], 1)),
            "an empty one is joined to the next"
        );
        assert_eq!(of(&[250, 260]), Some((vec![200, 400], vec![2], 0)), "not down to 0, where none is");
        assert_eq!(of(&[10, 20]), Some((vec![0, 100], vec![2], 0)));
        assert_eq!(of(&[5000]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_is_written_is_a_config_that_fits_any_model() {
        for (model, base, trained) in
            [("a b/.x y.gguf", 1000.0, 512), ("org/name", 500_000.0, 8192), ("\"q\"", 10000.0, 64)]
        {
            let rope = ModelRope::plain(64, base, trained);
            let reach = Reach::new(&[trained / 2, trained * 3], trained).unwrap();
            let text = config(Path::new(model), "my \"code\".jsonl", &rope, &reach);
            let config = Config::parse(&text, &[], Vec::new()).unwrap();
            for row in config.encodings_at(trained).unwrap() {
                row.spec.check(&rope).unwrap();
                assert_eq!(row.spec.notes(&rope), Vec::<String>::new(), "{model}: {}", row.name);
            }
            assert_eq!(
                (config.models[0].path.as_str(), config.tasks[0].dataset.as_str()),
                (model, "my \"code\".jsonl")
            );
        }
    }
}
