//! `longcode serve`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{for_model, kinds_help, open_model, wanted};
use crate::checkpoint::Checkpoint;
use crate::device::{DeviceChoice, Wanted};
use crate::encoding::EncodingSpec;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::Precision;
use crate::limits;
use crate::serve::{Catalogue, ServeOptions, serve};
use crate::structure::{Language, LanguageError};

/// Serve models under encodings to every client that speaks OpenAI's API
#[derive(Debug, clap::Args)]
#[command(after_help = kinds_help(
    "  longcode serve --model models/nano --encoding hirope:window=128,logn=true\n  \
     curl http://127.0.0.1:8080/v1/completions -d '{\"model\": \"nano@hirope:window=128,logn=true\", \"prompt\": \"def f(\"}' \
     -H 'Content-Type: application/json'"
))]
pub(super) struct Args {
    /// Hugging Face directory or GGUF file, or org/name or org/name@revision of the local Hugging Face cache; several are
    /// served side by side
    #[arg(long, value_name = "MODEL", required = true)]
    model: Vec<PathBuf>,
    /// kind, or kind:key=value,key=value: each model is served as MODEL@SPEC too, beside MODEL, its own encoding
    #[arg(long, value_name = "SPEC")]
    encoding: Vec<String>,
    /// The address to listen at; one beyond this machine needs --api-key-env
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port to listen at; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The environment variable with the key that every request must have
    #[arg(long, value_name = "NAME")]
    api_key_env: Option<String>,
    /// Most tokens of a sequence, prompt and new ones
    #[arg(long, value_name = "N", default_value_t = 65_536)]
    max_length: usize,
    /// Requests that are computed or wait at once; others are refused with 429
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_requests: usize,
    /// Memory for sequences that are done, so that prompts that begin like one of them are not read whole: MB, 0 for none
    #[arg(long, value_name = "MB", default_value_t = 1024)]
    cache_mb: usize,
    /// The language of prompts, for encodings that divide them by functions or the like; `none` divides them by tokens
    #[arg(long, value_name = "LANGUAGE", default_value = "python")]
    language: String,
    /// auto, cpu, wgpu or wgpu:N
    #[arg(long, default_value = "auto")]
    device: DeviceChoice,
    /// f32, split or bf16 on the CPU; f32 or f16 on a GPU: what matrix products are made of
    #[arg(long, default_value_t)]
    precision: Precision,
    /// Fetch the models from the Hugging Face hub, if they are not in the cache
    #[arg(long)]
    download: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let key = self.key()?;
        self.check_limits()?;
        let language = self.language()?;
        let catalogue = self.catalogue()?;
        let device = self.device.open(|| self.wanted(&catalogue.checkpoints))?;
        status!("device: {}", device.name);
        let networks =
            catalogue.checkpoints.iter().map(|checkpoint| checkpoint.load(&device.device, self.precision));
        let networks = networks.collect::<Result<Vec<_>>>()?;
        let options = ServeOptions {
            address: SocketAddr::new(self.host, self.port),
            key,
            requests: self.max_requests,
            most_tokens: self.max_length,
            language,
            kept_bytes: self.cache_mb.saturating_mul(1_000_000),
        };
        serve(catalogue, &networks, options, |address, names| {
            status!("http://{address}/v1 serves {}", names.join(", "));
        })
    }

    fn check_limits(&self) -> Result<()> {
        let most = limits::SEQUENCE;
        if self.max_length < 2 || self.max_length > most || self.max_requests == 0 {
            return Err(Error::new(ErrorKind::Usage, "nothing could be asked, or too much")
                .at("--max-length, --max-requests")
                .fix(format!("give 2 to {most} tokens, and at least 1 request")));
        }
        Ok(())
    }

    /// The language of prompts; none to divide them by tokens.
    fn language(&self) -> Result<Option<Language>> {
        if self.language == "none" {
            return Ok(None);
        }
        let found = self.language.parse();
        found.map(Some).map_err(|e: LanguageError| {
            Error::new(ErrorKind::Usage, e.to_string()).at("--language").fix("give one of them, or none")
        })
    }

    /// The models under their encodings, with what is unwise about them on stderr.
    fn catalogue(&self) -> Result<Catalogue> {
        let mut catalogue = Catalogue::default();
        for path in &self.model {
            let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let name = last.unwrap_or_else(|| path.display().to_string());
            let fit = |text: &str, checkpoint: &Checkpoint| {
                for_model(&EncodingSpec::parse(text)?, text, &checkpoint.config.rope)
            };
            catalogue.add(&name, open_model(path, self.download)?, &self.encoding, fit)?;
        }
        Ok(catalogue)
    }

    /// What a device must do for `auto` to take it: hold all models at once.
    fn wanted(&self, checkpoints: &[Checkpoint]) -> Wanted {
        let all = checkpoints.iter().map(|checkpoint| wanted(checkpoint, self.precision));
        all.fold(Wanted::default(), |mut all, one| {
            all.precisions.extend(one.precisions);
            all.weights += one.weights;
            all
        })
    }

    /// The key, without which only this machine is answered.
    fn key(&self) -> Result<Option<String>> {
        let wrong = |what: String, fix: &str| Error::new(ErrorKind::Usage, what).at("--api-key-env").fix(fix);
        let Some(name) = &self.api_key_env else {
            if !self.host.is_loopback() {
                note!(
                    "{} is beyond this machine and there is no key: whoever reaches it can use it",
                    self.host
                );
            }
            return Ok(None);
        };
        let key = std::env::var(name).unwrap_or_default();
        let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key {
            Ok(Some(key))
        } else {
            Err(wrong(format!("the environment variable {name} has no key"), "set it"))
        }
    }
}
