//! Adapters of wgpu.
//!
//! Only the interfaces that longcode uses are asked. By default wgpu also asks OpenGL if no other has a GPU,
//! and Mesa then complains on stderr in words that look like ours.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use burn::tensor::wgpu::wgpu::{self, AdapterInfo, Backend, DeviceType, Instance, InstanceDescriptor};
use burn::tensor::wgpu::{WgpuBackend, WgpuSetup};
use burn::tensor::{Device, DeviceKind};

use super::OpenDevice;
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::compiler_of;
use crate::provenance::AdapterUsed;

/// Why there may be no adapter.
pub const NO_ADAPTER: &str = "no GPU, or no Vulkan, Metal or DX12 driver for it";

/// What to do if there is no such adapter.
pub(super) const FIX: &str = "see `longcode devices`; install a Vulkan driver, or use --device cpu";

/// A wgpu adapter of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    number: usize,
    kind: DeviceKind,
    api: WgpuBackend,
}

impl Adapter {
    /// Its number, as in `--device wgpu:N`.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether it is a software rasteriser, used only when asked for.
    pub fn is_software(&self) -> bool {
        self.kind == DeviceKind::Cpu
    }

    /// Whether it has its own memory: a discrete card, or what a virtual machine shows of one.
    pub fn has_own_memory(&self) -> bool {
        matches!(self.kind, DeviceKind::DiscreteGpu(_) | DeviceKind::VirtualGpu(_))
    }

    /// Opens it. An adapter can be opened once in a process; keep the handle.
    ///
    /// # Errors
    /// [`ErrorKind::Device`] when the driver refuses.
    pub fn open(&self) -> Result<OpenDevice> {
        let opened =
            Device::wgpu_options().graphics_api(self.api).device_kind(self.kind.clone()).init_with_setup();
        let (device, setup) = opened.map_err(|e| {
            Error::new(ErrorKind::Device, format!("the adapter cannot be opened: {e}"))
                .at(format_args!("device wgpu:{}", self.number))
                .fix("update the graphics driver, or use --device cpu")
        })?;
        Ok(registered(device, &setup))
    }
}

/// An adapter that burn knows by `device`.
fn registered(device: Device, setup: &WgpuSetup) -> OpenDevice {
    let info = setup.adapter.get_info();
    let adapter = AdapterUsed {
        adapter: describe(&info),
        driver: format!("{} {}", info.driver, info.driver_info).trim().into(),
        runtime: RUNTIME.into(),
        compiler: compiler_of(&device),
    };
    let name = format!("wgpu: {}", describe(&info));
    OpenDevice { device, name, adapter: Some(adapter), memory: own_memory(&setup.adapter) }
}

/// The versions that choose and launch kernels; Cargo.toml pins them.
const RUNTIME: &str = "burn 0.22.1, cubecl 0.11.3, wgpu 30";

/// Bytes of an adapter's largest heap of its own memory, if its interface says: Vulkan does.
#[cfg(not(target_os = "macos"))]
fn own_memory(adapter: &wgpu::Adapter) -> Option<u64> {
    /// VK_MEMORY_HEAP_DEVICE_LOCAL_BIT.
    const OWN: u32 = 1;
    // SAFETY: the handles are only read, while the adapter that they belong to is there.
    let memory = unsafe {
        let vulkan = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = vulkan.shared_instance().raw_instance();
        instance.get_physical_device_memory_properties(vulkan.raw_physical_device())
    };
    let heaps = &memory.memory_heaps[..memory.memory_heap_count as usize];
    heaps.iter().filter(|heap| heap.flags.as_raw() & OWN != 0).map(|heap| heap.size).max()
}

#[cfg(target_os = "macos")]
fn own_memory(_: &wgpu::Adapter) -> Option<u64> {
    None
}

fn describe(info: &AdapterInfo) -> String {
    format!("{}, {:?}, {:?}", info.name, info.backend, info.device_type)
}

/// Interfaces to GPUs that are asked, best first.
const APIS: &[(WgpuBackend, Backend)] = if cfg!(target_os = "macos") {
    &[(WgpuBackend::Metal, Backend::Metal)]
} else if cfg!(windows) {
    &[(WgpuBackend::Vulkan, Backend::Vulkan), (WgpuBackend::Dx12, Backend::Dx12)]
} else {
    &[(WgpuBackend::Vulkan, Backend::Vulkan)]
};

/// The wgpu adapters of this machine, hardware first: of the first interface that reaches a GPU, otherwise of
/// the first that reaches a rasteriser. None is opened.
pub fn adapters() -> Vec<Adapter> {
    let mut software = Vec::new();
    for &(api, backend) in APIS {
        let found = numbered(api, kinds(&ask(backend)));
        if found.iter().any(|adapter| !adapter.is_software()) {
            return found;
        }
        software = if software.is_empty() { found } else { software };
    }
    software
}

/// The kind of each adapter, in the order in which `--device` numbers them. Each kind is counted from 0; of
/// rasterisers there is only one.
fn kinds(types: &[DeviceType]) -> Vec<DeviceKind> {
    let count = |of: DeviceType| types.iter().filter(|one| **one == of).count();
    let hardware = [
        (DeviceType::DiscreteGpu, DeviceKind::DiscreteGpu as fn(usize) -> DeviceKind),
        (DeviceType::IntegratedGpu, DeviceKind::IntegratedGpu),
        (DeviceType::VirtualGpu, DeviceKind::VirtualGpu),
    ];
    let hardware = hardware.into_iter().flat_map(|(of, kind)| (0..count(of)).map(kind));
    hardware.chain((count(DeviceType::Cpu) > 0).then_some(DeviceKind::Cpu)).collect()
}

fn numbered(api: WgpuBackend, kinds: Vec<DeviceKind>) -> Vec<Adapter> {
    kinds.into_iter().enumerate().map(|(number, kind)| Adapter { number, kind, api }).collect()
}

/// Keeps Mesa's layer that sorts GPUs from asking for a display if there is none, and from complaining on
/// stderr in words that look like ours. A user's own setting for that layer is kept.
pub(crate) fn quiet_mesa() {
    const SET_FOR_IT: [&str; 5] =
        ["NODEVICE_SELECT", "MESA_VK_DEVICE_SELECT", "DRI_PRIME", "XDG_RUNTIME_DIR", "WAYLAND_DISPLAY"];
    if cfg!(target_os = "linux") && SET_FOR_IT.iter().all(|name| std::env::var_os(name).is_none()) {
        // SAFETY: only `main` calls this, before there is another thread.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
}

/// The adapters of one interface.
fn ask(backend: Backend) -> Vec<DeviceType> {
    let instance = Instance::new(InstanceDescriptor {
        backends: backend.into(),
        ..InstanceDescriptor::new_without_display_handle()
    });
    let adapters = at_once(instance.enumerate_adapters(backend.into()));
    adapters.iter().map(|adapter| adapter.get_info().device_type).collect()
}

/// The result of a future that waits for nothing but this thread, as all of wgpu's do outside of a browser.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(found) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return found;
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_first_and_numbered_by_kind() {
        use DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other};
        let types = [Cpu, IntegratedGpu, DiscreteGpu, Other, DiscreteGpu, Cpu];
        let expected = [
            DeviceKind::DiscreteGpu(0),
            DeviceKind::DiscreteGpu(1),
            DeviceKind::IntegratedGpu(0),
            DeviceKind::Cpu,
        ];
        assert_eq!(kinds(&types), expected);
        let all = numbered(WgpuBackend::Vulkan, expected.to_vec());
        let own: Vec<usize> = all.iter().filter(|one| one.has_own_memory()).map(Adapter::number).collect();
        assert_eq!(own, [0, 1], "what `all` takes");
    }
}
