//! `longcode bench`

use std::path::PathBuf;

use serde_json::json;

use super::{for_model, kinds_help, open_model, print, wanted};
use crate::checkpoint::Checkpoint;
use crate::device::DeviceChoice;
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Precision, is_cpu};
use crate::limits;
use crate::memory;
use crate::model::{EncodedModel, Network, time_of_choosing};

/// Tokens a second and peak memory of scoring, by encoding and length
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help(
    "  longcode bench --model models/nano --encoding rope hirope:window=128 --length 1024 4096"
))]
pub(super) struct Args {
    /// Hugging Face directory or GGUF file, or org/name or org/name@revision of the local Hugging Face cache
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Fetch the model from the Hugging Face hub, if it is not in the cache
    #[arg(long)]
    download: bool,
    /// kind, or kind:key=value,key=value
    #[arg(long, value_name = "SPEC", required = true, num_args = 1..)]
    encoding: Vec<String>,
    /// Sequence lengths in tokens
    #[arg(long, value_name = "N", required = true, num_args = 1..)]
    length: Vec<usize>,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// f32, split or bf16 on the CPU; f32 or f16 on a GPU: what matrix products are made of
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Timed passes of each row, after one that is not timed
    #[arg(long, value_name = "N", default_value = "3")]
    repeats: usize,
    /// Tokens of the pass that is not timed [default: the row's length]; fewer save time where only the
    /// threads are to be woken, as on the CPU
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    warm_up: Option<usize>,
    /// One JSON object a row on stdout
    #[arg(long)]
    json: bool,
}

/// What a row takes.
struct Timed {
    /// Median of a pass.
    seconds: f64,
    /// Seconds of a pass in which blocks are chosen, in the mean.
    choosing: f64,
    /// Peak resident memory, if the system reports it.
    peak_mb: Option<f64>,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        if self.repeats == 0 {
            return Err(Error::new(ErrorKind::Usage, "no pass to time")
                .at("--repeats")
                .fix("time at least 1 pass"));
        }
        if let Some(length) = self.length.iter().find(|&&length| length > limits::SEQUENCE) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("a length of {length} is beyond {} tokens", limits::SEQUENCE),
            )
            .at("--length")
            .fix("give a smaller length"));
        }
        if let Some(length) = self.length.iter().find(|&&length| length < 2) {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("a length of {length} leaves nothing to predict"),
            )
            .at("--length")
            .fix("give lengths of at least 2 tokens"));
        }
        let checkpoint = open_model(&self.model, self.download)?;
        let read = |text: &String| for_model(&EncodingSpec::parse(text)?, text, &checkpoint.config.rope);
        let encodings: Vec<EncodingSpec> = self.encoding.iter().map(read).collect::<Result<_>>()?;
        let device = self.device.open(|| wanted(&checkpoint, self.precision))?;
        for &length in &self.length {
            for encoding in encodings.iter().filter(|_| is_cpu(&device.device)) {
                EncodedModel::check_scoring(&checkpoint.config, encoding, length)
                    .map_err(|e| e.at("--length").fix("give a smaller length"))?;
            }
        }
        let model = checkpoint.load(&device.device, self.precision)?;
        if !self.json {
            print(&format!(
                "device: {}\n{:<40} {:>8} {:>10} {:>10} {:>12}\n",
                device.name, "encoding", "length", "seconds", "tok/s", "peak RSS MB"
            ))?;
        }
        for &length in &self.length {
            for (encoding, text) in encodings.iter().zip(&self.encoding) {
                let timed = self.time(&checkpoint, &model, encoding, length)?;
                print(&self.row(text, length, &timed, &device.name))?;
            }
        }
        Ok(())
    }

    fn time(
        &self,
        checkpoint: &Checkpoint,
        model: &Network,
        encoding: &EncodingSpec,
        length: usize,
    ) -> Result<Timed> {
        let under = EncodedModel { model, config: &checkpoint.config, encoding, bos: None };
        memory::reset_peak();
        under.time_of_scoring(self.warm_up.map_or(length, |tokens| tokens.min(length)))?;
        let before = time_of_choosing();
        let mut seconds: Vec<f64> =
            (0..self.repeats).map(|_| under.time_of_scoring(length)).collect::<Result<_>>()?;
        seconds.sort_unstable_by(f64::total_cmp);
        Ok(Timed {
            seconds: seconds[seconds.len() / 2],
            choosing: (time_of_choosing() - before).as_secs_f64() / self.repeats as f64,
            peak_mb: memory::peak_mb(),
        })
    }

    fn row(&self, encoding: &str, length: usize, timed: &Timed, device: &str) -> String {
        let Timed { seconds, choosing, peak_mb: peak } = *timed;
        let speed = length as f64 / seconds;
        if self.json {
            format!(
                "{}\n",
                json!({
                    "encoding": encoding,
                    "length": length,
                    "seconds": seconds,
                    "choosing_seconds": choosing,
                    "tokens_per_second": speed,
                    "peak_rss_mb": peak,
                    "device": device,
                    "repeats": self.repeats,
                })
            )
        } else {
            let peak = peak.map_or("-".into(), |peak| format!("{peak:.0}"));
            format!("{encoding:<40} {length:>8} {seconds:>10.3} {speed:>10.0} {peak:>12}\n")
        }
    }
}
