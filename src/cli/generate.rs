//! `longcode generate`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::json;

use super::sources::{SourceFile, Sources, name, note_fallbacks};
use super::{for_model, kinds_help, open_model, print, print_as_it_is, wanted};
use crate::checkpoint::Checkpoint;
use crate::device::DeviceChoice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::hash::sha256;
use crate::kernels::Precision;
use crate::limits;
use crate::model::{EncodedModel, Network, generate};
use crate::structure::{Draw, Language, Layout, Segments, Source, segments};
use crate::text::{Limits, Prompt, PromptFormatter, PromptStyle};

/// Greedy continuation of files under one encoding
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help(
    "  longcode generate --model models/nano --encoding hirope:window=64,split=0.5 examples/wordcount/words.py"
))]
pub(super) struct Args {
    /// Hugging Face directory or GGUF file, or org/name or org/name@revision of the local Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Fetch the model from the Hugging Face hub, if it is not in the cache
    #[arg(long)]
    download: bool,
    /// kind, or kind:key=value,key=value
    #[arg(long, value_name = "SPEC", default_value = "rope")]
    encoding: String,
    /// Most tokens to generate; fewer when the model ends the text
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_new_tokens: usize,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// f32, split or bf16 on the CPU; f32 or f16 on a GPU: what matrix products are made of
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Ask an instruct model through its chat template: each file is what the user says
    #[arg(long)]
    chat: bool,
    /// One JSON object a file on stdout: file, prompt_tokens, encoding, ids, text, ended, prompt_seconds
    /// (reading the prompt), seconds (generating)
    #[arg(long)]
    json: bool,
    /// Prompt files, used unchanged, including the newline at the end
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        if self.max_new_tokens == 0 {
            return Err(Error::new(ErrorKind::Usage, "no token is asked for")
                .at("--max-new-tokens")
                .fix("give at least 1 token"));
        }
        if self.max_new_tokens > limits::SEQUENCE {
            let what = format!("{} new tokens are beyond {}", self.max_new_tokens, limits::SEQUENCE);
            return Err(Error::new(ErrorKind::Usage, what)
                .at("--max-new-tokens")
                .fix("ask for fewer tokens"));
        }
        let encoding = EncodingSpec::parse(&self.encoding)?;
        let checkpoint = open_model(&self.model, self.download)?;
        let encoding = for_model(&encoding, &self.encoding, &checkpoint.config.rope)?;
        let sources = Sources::read(&self.files)?;
        let device = self.device.open(|| wanted(&checkpoint, self.precision))?;
        status!("device: {}", device.name);
        let model = checkpoint.load(&device.device, self.precision)?;
        for SourceFile { path, text } in &sources.files {
            let shown =
                self.continuation(path, text, &encoding, &checkpoint, &model).map_err(|e| e.in_file(path))?;
            // Output to a file or another program is the text itself.
            if std::io::stdout().is_terminal() { print(&shown)? } else { print_as_it_is(&shown)? }
        }
        sources.report_left_out(sources.files.len(), self.json)
    }

    /// The output for one file.
    fn continuation(
        &self,
        file: &Path,
        text: &str,
        encoding: &EncodingSpec,
        checkpoint: &Checkpoint,
        model: &Network,
    ) -> Result<String> {
        let style = if self.chat { PromptStyle::Chat } else { PromptStyle::Raw };
        let Prompt { text: asked, tokens, file_starts, .. } =
            PromptFormatter::new(style, checkpoint)?.ask(text.to_string(), Vec::new())?;
        if tokens.ids.is_empty() {
            return Err(Error::new(ErrorKind::Source, "no token").fix("give a file that is not empty"));
        }
        let source = Source { text: &asked, language: Language::of_path(file), file_starts: &file_starts };
        let draw = Draw { seed: 0, hash: &sha256(text.as_bytes()) };
        let levels: Vec<Segments> =
            encoding.units().iter().map(|&unit| segments(&source, &tokens.offsets, unit, draw)).collect();
        note_fallbacks(file, &source, encoding, &levels);
        let levels = levels.into_iter().map(|segments| segments.index).collect();
        let layout = Layout::of(&source, &tokens.offsets, levels, encoding.wanted(), draw);
        let room = self.max_new_tokens;
        let bos = checkpoint.tokenizer.bos()?;
        let under = EncodedModel { model, config: &checkpoint.config, encoding, bos };
        let started = Instant::now();
        let decoder = under.read(&tokens.ids, layout, room)?;
        let prompt_seconds = started.elapsed().as_secs_f64();
        let limits = Limits { max_new_tokens: room, stop: |_| false };
        let made = generate(
            vec![(decoder, limits, &[] as &[u32])],
            &checkpoint.tokenizer,
            &checkpoint.end_of_sequence,
        )?;
        let made = made.into_iter().next().expect("one of every sequence")?;
        Ok(if self.json {
            format!(
                "{}\n",
                json!({
                    "file": name(file),
                    "prompt_tokens": tokens.ids.len(),
                    "encoding": self.encoding,
                    "ids": made.ids,
                    "text": made.text,
                    "ended": made.ended,
                    "prompt_seconds": prompt_seconds,
                    "seconds": started.elapsed().as_secs_f64() - prompt_seconds,
                })
            )
        } else {
            format!("{text}{}\n", made.text)
        })
    }
}
