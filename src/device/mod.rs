//! Compute devices: the CPU backend and, with the feature `wgpu`, GPUs through wgpu (Vulkan, Metal, DX12).

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::Precision;
use crate::provenance::AdapterUsed;

mod failure;
#[cfg(feature = "gpu")]
mod with_wgpu;
#[cfg(not(feature = "gpu"))]
mod without_wgpu;

#[cfg(feature = "gpu")]
use with_wgpu as adapter;

#[cfg(not(feature = "gpu"))]
use without_wgpu as adapter;

pub(crate) use adapter::quiet_mesa;
pub(crate) use failure::{failure, known};

pub use adapter::{Adapter, NO_ADAPTER, adapters};

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The first hardware GPU through wgpu that opens and can do what is [`Wanted`], otherwise the CPU.
    #[default]
    Auto,
    /// The CPU backend.
    Cpu,
    /// A wgpu adapter by its number in `longcode devices`; the first if no number is given.
    Wgpu(Option<usize>),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            None if text == "wgpu" => Ok(DeviceChoice::Wgpu(None)),
            Some(("wgpu", number)) => match number.parse() {
                Ok(number) => Ok(DeviceChoice::Wgpu(Some(number))),
                Err(_) => Err(format!("`{number}` is not an adapter number; see `longcode devices`")),
            },
            _ => Err(format!("`{text}` is not a device; use auto, cpu, wgpu or wgpu:N")),
        }
    }
}

/// What `--device` of a run asks for: one device, or several that share the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceChoices {
    /// Every GPU with its own memory; one that shares the processor's would make the others wait.
    All,
    /// These devices, at least one.
    These(Vec<DeviceChoice>),
}

impl FromStr for DeviceChoices {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "all" => Ok(DeviceChoices::All),
            _ => text
                .split(',')
                .map(str::parse)
                .collect::<std::result::Result<_, _>>()
                .map(DeviceChoices::These),
        }
    }
}

/// A device that is ready for tensors.
#[derive(Debug, Clone)]
pub struct OpenDevice {
    /// Burn's handle.
    pub device: Device,
    /// What a user would call it: `cpu`, `wgpu: NVIDIA H200, Vulkan, DiscreteGpu`.
    pub name: String,
    /// What results record of it; none for the CPU.
    pub adapter: Option<AdapterUsed>,
    /// Bytes of an adapter's own memory; none if it does not say.
    pub memory: Option<u64>,
}

/// The CPU backend.
pub fn cpu() -> OpenDevice {
    OpenDevice { device: Device::flex(), name: "cpu".into(), adapter: None, memory: None }
}

/// What a device must be able to do for `auto` to take it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// In these precisions.
    pub precisions: Vec<Precision>,
    /// Hold weights of this many bytes.
    pub weights: f64,
}

/// The share of an adapter's memory that weights may take: the rest is for a sequence's own tensors, and for
/// whatever else uses the adapter.
pub(crate) const FOR_WEIGHTS: f64 = 0.9;

impl Wanted {
    /// Why a device cannot do it, in words; none if it can.
    fn refusal(&self, open: &OpenDevice) -> Option<String> {
        let refused = |precision: &Precision| precision.check(&open.device).err();
        if let Some(e) = self.precisions.iter().find_map(refused) {
            return Some(e.what);
        }
        let memory = open.memory? as f64;
        (self.weights > FOR_WEIGHTS * memory).then(|| {
            format!("the weights take {:.1} GB, and it has {:.1} GB", self.weights / 1e9, memory / 1e9)
        })
    }
}

/// The first of the adapters that opens and can do what is wanted, otherwise the CPU; says why one was passed
/// over.
fn automatic(adapters: &[Adapter], wanted: &Wanted) -> OpenDevice {
    for adapter in adapters.iter().filter(|adapter| !adapter.is_software()) {
        let (name, why) = match adapter.open() {
            Err(e) => (format!("wgpu:{}", adapter.number()), e.what),
            Ok(open) => match wanted.refusal(&open) {
                None => return open,
                Some(why) => (format!("wgpu:{} ({})", adapter.number(), open.name), why),
            },
        };
        note!("--device auto passes over {name}: {why}");
    }
    cpu()
}

/// What several devices are called together, each name once.
pub fn names(devices: &[OpenDevice]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for OpenDevice { name, .. } in devices {
        if !names.contains(&&name[..]) {
            names.push(name);
        }
    }
    names.join(" + ")
}

impl DeviceChoice {
    /// Opens the device asked for; `wanted` is asked by `auto` alone, if there is an adapter.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when there is no such adapter or it cannot be opened.
    pub fn open(self, wanted: impl FnOnce() -> Wanted) -> Result<OpenDevice> {
        let adapters = self.adapters();
        match self {
            DeviceChoice::Auto => Ok(open_automatic(&adapters, wanted)),
            _ => self.find(&adapters)?.map_or_else(|| Ok(cpu()), Adapter::open),
        }
    }

    /// The adapters that it may mean. For the CPU no driver is asked.
    fn adapters(self) -> Vec<Adapter> {
        if self == DeviceChoice::Cpu { Vec::new() } else { adapters() }
    }

    /// Which of the adapters it means; none for the CPU. Among several devices, `auto` is the first adapter.
    fn find(self, adapters: &[Adapter]) -> Result<Option<&Adapter>> {
        let wanted = match self {
            DeviceChoice::Cpu => return Ok(None),
            DeviceChoice::Auto => return Ok(adapters.iter().find(|adapter| !adapter.is_software())),
            DeviceChoice::Wgpu(number) => adapters.get(number.unwrap_or(0)),
        };
        wanted.map(Some).ok_or_else(|| no_adapter(&self, adapters.len()))
    }
}

fn open_automatic(adapters: &[Adapter], wanted: impl FnOnce() -> Wanted) -> OpenDevice {
    if adapters.iter().any(|adapter| !adapter.is_software()) { automatic(adapters, &wanted()) } else { cpu() }
}

impl DeviceChoices {
    /// Opens the devices asked for; `wanted` is asked by a lone `auto`, if there is an adapter.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when there is no such adapter, it is asked for twice, or it cannot be opened.
    pub fn open(&self, wanted: impl FnOnce() -> Wanted) -> Result<Vec<OpenDevice>> {
        let choices = match self {
            DeviceChoices::All => return self.open_all(&adapters()),
            DeviceChoices::These(choices) => choices,
        };
        if let [choice] = choices[..] {
            return Ok(vec![choice.open(wanted)?]);
        }
        let adapters =
            choices.iter().map(|choice| choice.adapters()).max_by_key(Vec::len).unwrap_or_default();
        let mut found: Vec<Option<&Adapter>> = Vec::new();
        for choice in choices {
            let one = choice.find(&adapters)?;
            if found.contains(&one) {
                return Err(Error::new(
                    ErrorKind::Device,
                    format!("`{choice}` is a device that is there already"),
                )
                .at(format_args!("--device {self}"))
                .fix("name each device once"));
            }
            found.push(one);
        }
        found.into_iter().map(|one| one.map_or_else(|| Ok(cpu()), Adapter::open)).collect()
    }

    fn open_all(&self, adapters: &[Adapter]) -> Result<Vec<OpenDevice>> {
        let all: Vec<&Adapter> = adapters.iter().filter(|adapter| adapter.has_own_memory()).collect();
        if let Some(other) = adapters.iter().find(|_| all.is_empty()) {
            let number = other.number();
            return Err(Error::new(ErrorKind::Device, "no adapter has its own memory")
                .at(format_args!("--device {self}"))
                .fix(format!("name the adapters to use, such as wgpu:{number}; see `longcode devices`")));
        }
        if all.is_empty() {
            return Err(no_adapter(self, 0));
        }
        all.into_iter().map(Adapter::open).collect()
    }
}

fn no_adapter(asked: &dyn fmt::Display, count: usize) -> Error {
    let what = match count {
        0 => format!("no wgpu adapter: {NO_ADAPTER}"),
        _ => format!("no such adapter; there are {count}"),
    };
    Error::new(ErrorKind::Device, what).at(format_args!("--device {asked}")).fix(adapter::FIX)
}

impl fmt::Display for DeviceChoices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoices::All => f.write_str("all"),
            DeviceChoices::These(choices) => {
                let words: Vec<String> = choices.iter().map(DeviceChoice::to_string).collect();
                f.write_str(&words.join(","))
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceChoice::Auto => f.write_str("auto"),
            DeviceChoice::Cpu => f.write_str("cpu"),
            DeviceChoice::Wgpu(None) => f.write_str("wgpu"),
            DeviceChoice::Wgpu(Some(number)) => write!(f, "wgpu:{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_what_can_do_what_is_wanted() {
        let open = |memory| OpenDevice { memory, ..cpu() };
        let wanted = |weights| Wanted { precisions: vec![Precision::F32], weights };
        assert_eq!(wanted(8e9).refusal(&open(Some(10_000_000_000))), None);
        assert_eq!(wanted(8e9).refusal(&open(None)), None);
        let why = wanted(9.5e9).refusal(&open(Some(10_000_000_000))).unwrap();
        assert!(why.contains("9.5 GB") && why.contains("10.0 GB"), "{why}");
        let half = Wanted { precisions: vec![Precision::F32, Precision::F16], weights: 0.0 };
        assert!(half.refusal(&open(None)).unwrap().contains("f16"));
        assert_eq!(open_automatic(&[], || panic!("nobody asks")).name, "cpu");
    }
}
