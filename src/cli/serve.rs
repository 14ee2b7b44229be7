//! `longcode serve`

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::{kinds_help, open_model};
use crate::device::DeviceChoice;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::Precision;
use crate::serve::{Catalogue, ServeOptions, serve};
use crate::structure::LanguageError;

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
        if self.max_length < 2 || self.max_requests == 0 {
            return Err(Error::new(ErrorKind::Usage, "nothing could be asked")
                .at("--max-length, --max-requests")
                .fix("give at least 2 tokens and 1 request"));
        }
        let language = match &self.language[..] {
            "none" => None,
            name => Some(name.parse().map_err(|e: LanguageError| {
                Error::new(ErrorKind::Usage, e.to_string()).at("--language").fix("give one of them, or none")
            })?),
        };
        let mut checkpoints = Vec::new();
        for path in &self.model {
            let name = path
                .file_name()
                .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned());
            checkpoints.push((name, open_model(path, self.download)?));
        }
        let catalogue = Catalogue::new(checkpoints, &self.encoding)?;
        let device = self.device.open()?;
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
        };
        serve(catalogue, &networks, options, |address, names| {
            status!("http://{address}/v1 serves {}", names.join(", "));
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
