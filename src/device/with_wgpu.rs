//! Adapters of wgpu.

use burn::tensor::wgpu::wgpu::AdapterInfo;
use burn::tensor::{Device, DeviceKind, DeviceType};

use super::OpenDevice;
use crate::error::{Error, ErrorKind, Result};

/// Why there may be no adapter.
pub const NO_ADAPTER: &str = "no GPU, or no Vulkan, Metal or DX12 driver for it";

/// What to do where there is no such adapter.
pub(super) const FIX: &str = "see `longcode devices`; install a Vulkan driver, or use --device cpu";

/// A wgpu adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    number: usize,
    kind: DeviceKind,
}

impl Adapter {
    /// Its number, as in `--device wgpu:N`.
    pub fn number(&self) -> usize {
        self.number
    }

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
