//! Compute devices: the CPU backend, and GPUs through wgpu (Vulkan, Metal, DX12).

use std::fmt;
use std::str::FromStr;

use burn::tensor::wgpu::wgpu::AdapterInfo;
use burn::tensor::{Device, DeviceKind, DeviceType};

use crate::error::{Error, ErrorKind, Result};

/// What `--device` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// A hardware GPU through wgpu if there is one, otherwise the CPU.
    #[default]
    Auto,
    /// The CPU backend.
    Cpu,
    /// A wgpu adapter by its number in `longcode devices`; the first when no number is given.
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
                Err(_) => Err(format!("`{number}` is no adapter number; see `longcode devices`")),
            },
            _ => Err(format!("`{text}` is no device; use auto, cpu, wgpu or wgpu:N")),
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
}

/// A wgpu adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// Its number, as in `--device wgpu:N`.
    pub number: usize,
    kind: DeviceKind,
}

impl Adapter {
    /// Whether it is a rasteriser in software, taken only when asked for.
    pub fn is_software(&self) -> bool {
        self.kind == DeviceKind::Cpu
    }

    /// Opens it. An adapter can be opened once in a process; keep the handle.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when the driver refuses.
    pub fn open(&self) -> Result<OpenDevice> {
        let opened = Device::wgpu_options().device_kind(self.kind.clone()).init_with_setup();
        let (device, setup) = opened.map_err(|e| {
            Error::new(ErrorKind::Device, format!("the adapter cannot be opened: {e}"))
                .at(format_args!("device wgpu:{}", self.number))
                .fix("update the graphics driver, or use --device cpu")
        })?;
        Ok(OpenDevice { device, name: format!("wgpu: {}", describe(&setup.adapter.get_info())) })
    }
}

fn describe(info: &AdapterInfo) -> String {
    format!("{}, {:?}, {:?}", info.name, info.backend, info.device_type)
}

/// The wgpu adapters of this machine, hardware first. None is opened.
pub fn adapters() -> Vec<Adapter> {
    let found: Vec<Device> = Device::enumerate(DeviceType::Wgpu).into_iter().collect();
    let of = |kind: fn(usize) -> DeviceKind| (0..found.len()).map(kind);
    of(DeviceKind::DiscreteGpu)
        .chain(of(DeviceKind::IntegratedGpu))
        .chain(of(DeviceKind::VirtualGpu))
        .chain([DeviceKind::Cpu])
        .filter(|kind| found.contains(&Device::wgpu(kind.clone())))
        .enumerate()
        .map(|(number, kind)| Adapter { number, kind })
        .collect()
}

/// The CPU backend.
pub fn cpu() -> OpenDevice {
    OpenDevice { device: Device::flex(), name: "cpu".into() }
}

impl DeviceChoice {
    /// Opens the device asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when there is no such adapter or it cannot be opened.
    pub fn open(self) -> Result<OpenDevice> {
        let adapters = match self {
            DeviceChoice::Cpu => return Ok(cpu()),
            _ => adapters(),
        };
        let wanted = match self {
            DeviceChoice::Wgpu(Some(number)) => adapters.get(number),
            DeviceChoice::Wgpu(None) => adapters.first(),
            _ => match adapters.iter().find(|adapter| !adapter.is_software()) {
                Some(hardware) => Some(hardware),
                None => return Ok(cpu()),
            },
        };
        wanted.ok_or_else(|| no_adapter(self, adapters.len()))?.open()
    }
}

fn no_adapter(choice: DeviceChoice, count: usize) -> Error {
    let what = match count {
        0 => "no wgpu adapter on this machine".to_string(),
        _ => format!("no such adapter; there are {count}"),
    };
    Error::new(ErrorKind::Device, what)
        .at(format_args!("--device {choice}"))
        .fix("see `longcode devices`; install a Vulkan driver, or use --device cpu")
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
