//! `longcode score`

use std::io::BufWriter;
use std::path::{Path, PathBuf};

use longcode_tasks::per_token::{Names, PerToken, PerTokenWriter};
use serde_json::json;

use super::sources::{SourceFile, Sources, name, note_fallbacks};
use super::{for_model, kinds_help, open_model, print, wanted};
use crate::checkpoint::Checkpoint;
use crate::device::DeviceChoice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::files::write_whole_by;
use crate::hash::sha256;
use crate::kernels::Precision;
use crate::model::{EncodedModel, Network};
use crate::structure::{
    Draw, Language, Layout, Segments, Source, Unit, Wanted, segments, segments_prefix_only,
};
use crate::text::Tokens;

/// Per-token loss of files under one encoding
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help(
    "  longcode score --model models/nano --encoding hirope:window=64,split=0.5 examples/wordcount/*.py"
))]
pub(super) struct Args {
    /// Hugging Face directory or GGUF file, or org/name or org/name@revision of the local Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Fetch the model from the Hugging Face hub, if it is not in the cache
    #[arg(long)]
    download: bool,
    /// kind, or kind:key=value,key=value
    #[arg(long, value_name = "SPEC")]
    encoding: String,
    #[arg(long, help = unit_help())]
    unit: Option<Unit>,
    /// Segments from the text before each token alone, to measure how much the parser looks ahead
    #[arg(long)]
    prefix_only: bool,
    /// Score only the first N tokens of each file; says on stderr how many were left out
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// f32, split or bf16 on the CPU; f32 or f16 on a GPU: what matrix products are made of
    #[arg(long, default_value_t)]
    precision: Precision,
    /// One JSON object a file on stdout; for a skipped file, `left_out` says why
    #[arg(long)]
    json: bool,
    /// Also write a row for every predicted token: loss, rank, entropy, segment and distances
    #[arg(long, value_name = "FILE.parquet")]
    per_token: Option<PathBuf>,
    /// Files to score; if there are several, empty files, folders and files that are not text are skipped and
    /// counted
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        if let Some(0 | 1) = self.max_tokens {
            return Err(Error::new(ErrorKind::Usage, "nothing is left to predict")
                .at("--max-tokens")
                .fix("give at least 2 tokens"));
        }
        let encoding = self.encoding_with_unit()?;
        self.refuse_controls_of_prefixes(&encoding)?;
        self.refuse_choice_by_prefixes(&encoding)?;
        let checkpoint = open_model(&self.model, self.download)?;
        let encoding = for_model(&encoding, &self.encoding, &checkpoint.config.rope)?;
        let mut sources = Sources::read(&self.files)?;
        let device = self.device.open(|| wanted(&checkpoint, self.precision))?;
        status!("device: {}", device.name);
        let model = checkpoint.load(&device.device, self.precision)?;
        let mut scored = 0;
        let mut failed: Option<Error> = None;
        let mut of_tokens: Vec<(String, PerToken)> = Vec::new();
        for SourceFile { path, text } in std::mem::take(&mut sources.files) {
            let place = |e: Error| e.in_file(&path);
            let tokens = checkpoint.tokenizer.encode(&text).map_err(place)?;
            if tokens.ids.len() < 2 {
                sources.leave_out(&path, too_short(tokens.ids.len()));
                continue;
            }
            match self.score(&path, &text, tokens, &encoding, &checkpoint, &model).map_err(place) {
                Ok((line, tokens)) => {
                    print(&line)?;
                    of_tokens.extend(tokens.map(|tokens| (name(&path), tokens)));
                }
                // A loss that is not finite concerns this file alone: the others have theirs.
                Err(e) if e.kind.is_of_sample() => {
                    failed = Some(match failed.take() {
                        Some(earlier) => earlier.and(e),
                        None => e,
                    });
                }
                Err(e) => return Err(e),
            }
            scored += 1;
        }
        self.write_per_token(&of_tokens)?;
        sources.report_left_out(scored, self.json)?;
        sources.refuse_none(scored)?;
        failed.map_or(Ok(()), Err)
    }

    /// Writes the file of `--per-token`, if it was asked for.
    fn write_per_token(&self, of_tokens: &[(String, PerToken)]) -> Result<()> {
        let Some(path) = self.per_token.as_ref().filter(|_| !of_tokens.is_empty()) else { return Ok(()) };
        let model = self.model.display().to_string();
        write_whole_by(path, |file| {
            let mut writer = PerTokenWriter::new(BufWriter::new(file))?;
            for (sample, tokens) in of_tokens {
                writer.add(Names { model: &model, encoding: &self.encoding, task: "", sample }, tokens)?;
            }
            writer.finish()
        })
    }

    /// The encoding, with `--unit` as its unit if it has one.
    fn encoding_with_unit(&self) -> Result<EncodingSpec> {
        let encoding = EncodingSpec::parse(&self.encoding)?;
        let Some(unit) = self.unit else { return Ok(encoding) };
        if encoding.units().is_empty() {
            return Ok(encoding);
        }
        if encoding.units().len() > 1 {
            return Err(Error::new(
                ErrorKind::Usage,
                "--unit names one unit and the encoding has several levels",
            )
            .at("--unit")
            .fix("give the units in the encoding: hirope:unit=statement/function,..."));
        }
        let mut keys = encoding.keys.clone();
        keys.insert("unit".into(), unit.to_string().into());
        EncodingSpec::from_table(encoding.kind, keys)
    }

    /// Refuses controls with prefixes, which are made from the whole text, from its number of segments or their lengths,
    /// and units of prose, whose boundaries depend on what follows.
    fn refuse_controls_of_prefixes(&self, encoding: &EncodingSpec) -> Result<()> {
        let mut units = encoding.units().iter().copied().chain(self.unit);
        match units.find(|unit| self.prefix_only && !unit.has_prefixes()) {
            None => Ok(()),
            Some(unit) => {
                let what = format!("unit {unit} is made of the whole text, not of what precedes a token");
                Err(Error::new(ErrorKind::Usage, what).at("--prefix-only").fix(
                    match unit.without_control() {
                        plain if plain.has_prefixes() => format!("leave it out, or take unit {plain}"),
                        _ => "leave it out, or take unit tokens:128".into(),
                    },
                ))
            }
        }
    }

    /// Refuses prefixes for kinds that need more of a text than segments.
    fn refuse_choice_by_prefixes(&self, encoding: &EncodingSpec) -> Result<()> {
        if self.prefix_only && encoding.wanted() != Wanted::default() {
            let what = format!("{} needs blocks or references of the whole text", encoding.kind);
            return Err(Error::new(ErrorKind::Usage, what)
                .at("--prefix-only")
                .fix("leave it out, or take a kind that needs segments alone, as hirope"));
        }
        Ok(())
    }

    fn score(
        &self,
        file: &Path,
        text: &str,
        mut tokens: Tokens,
        encoding: &EncodingSpec,
        checkpoint: &Checkpoint,
        model: &Network,
    ) -> Result<(String, Option<PerToken>)> {
        let count = tokens.ids.len();
        let source = Source { text, language: Language::of_path(file), file_starts: &[] };
        // Segments come from the whole text: a cut in the middle of a function does not cause a parse error.
        let draw = Draw { seed: 0, hash: &sha256(text.as_bytes()) };
        let segments_by = |unit: Unit| -> Segments {
            let mut segments = if self.prefix_only {
                segments_prefix_only(&source, &tokens.offsets, unit).expect("controls are refused")
            } else {
                segments(&source, &tokens.offsets, unit, draw)
            };
            segments.index.truncate(self.max_tokens.unwrap_or(count));
            segments
        };
        let levels: Vec<Segments> = encoding.units().iter().map(|&unit| segments_by(unit)).collect();
        note_fallbacks(file, &source, encoding, &levels);
        let shown = match levels.first() {
            Some(segments) => segments.clone(),
            None => segments_by(self.unit.unwrap_or(Unit::FUNCTION)),
        };
        let levels = levels.into_iter().map(|segments| segments.index).collect();
        let layout = Layout::of(&source, &tokens.offsets, levels, encoding.wanted(), draw);
        if let Some(max) = self.max_tokens.filter(|&max| max < count) {
            note!("{}: scored the first {max} of {count} tokens", file.display());
            tokens.ids.truncate(max);
            tokens.offsets.truncate(max);
        }
        let layout = layout.part(0..tokens.ids.len());
        let bos = checkpoint.tokenizer.bos()?;
        let under = EncodedModel { model, config: &checkpoint.config, encoding, bos };
        let (scores, seen) = under.score_seeing(&tokens.ids, layout, self.per_token.is_some())?;
        let of_tokens = PerToken::of(text, source.language, &[], &tokens, &scores);
        let segment_count = shown.index.last().map_or(0, |&last| last as usize + 1);
        let line = if self.json {
            format!(
                "{}\n",
                json!({
                    "file": name(file),
                    "tokens": tokens.ids.len(),
                    "loss": scores.loss(),
                    "ppl": scores.loss().exp(),
                    "accuracy": scores.accuracy(),
                    "encoding": self.encoding,
                    "unit": shown.unit,
                    "segments": segment_count,
                    "seen": seen.share(),
                    "nll": scores.nll,
                })
            )
        } else {
            format!(
                "{}: {} tokens, loss {:.4}, ppl {:.3}, accuracy {:.4}, {} segments ({})\n",
                file.display(),
                tokens.ids.len(),
                scores.loss(),
                scores.loss().exp(),
                scores.accuracy(),
                segment_count,
                shown.unit,
            )
        };
        Ok((line, of_tokens))
    }
}

fn unit_help() -> String {
    format!("Segment unit: {} [default: the encoding's own, else function]", Unit::choices())
}

fn too_short(tokens: usize) -> Error {
    Error::new(ErrorKind::Source, format!("{tokens} token(s): nothing to predict"))
        .fix("give a file with at least 2 tokens")
}
