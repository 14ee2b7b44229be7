//! `longcode devices`

use super::print;
use crate::check::check;
use crate::device::{DeviceChoice, NO_ADAPTER, Wanted, adapters};
use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Bf16Instructions, Measured, largest_binding};

/// List what --device can be on this machine, or check one of them
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  longcode devices\n  longcode devices --check wgpu:0 --json > check.json"
)]
pub(super) struct Args {
    /// Check what a device computes, how exactly and how fast, in about two minutes: auto, cpu, wgpu or
    /// wgpu:N
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, default_missing_value = "auto")]
    check: Option<DeviceChoice>,
    /// The check as one JSON object on stdout
    #[arg(long, requires = "check")]
    json: bool,
}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        match self.check {
            Some(choice) => checked(choice, self.json),
            None => listed(),
        }
    }
}

/// Checks a device, and fails if something is wrong.
fn checked(choice: DeviceChoice, json: bool) -> Result<()> {
    let found = check(choice.open(Wanted::default)?)?;
    print(&if json { format!("{}\n", found.json()) } else { found.text() })?;
    if found.is_right() {
        Ok(())
    } else {
        Err(Error::new(ErrorKind::Compute, "the device computes something wrong")
            .at(format_args!("device {choice}"))
            .fix("report it with what `longcode devices --check --json` prints; until then use --device cpu"))
    }
}

fn listed() -> Result<()> {
    let adapters = adapters();
    let mut text = format!("cpu     {} threads, {}\n", rayon::current_num_threads(), products()?);
    let mut auto = None;
    for adapter in &adapters {
        let note = if adapter.is_software() { " (software: taken only when asked for)" } else { "" };
        let name = match adapter.open() {
            Ok(open) => {
                if !adapter.is_software() {
                    auto = auto.or(Some(adapter.number()));
                }
                let size = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
                let memory = open.memory.map_or("unknown".into(), |bytes| size(bytes as f64));
                let most = largest_binding(&open.device).map_or("unknown".into(), |most| size(most as f64));
                format!("{}, memory {memory}, tensors of up to {most}", open.name)
            }
            Err(e) => e.what,
        };
        text.push_str(&format!("wgpu:{}  {name}{note}\n", adapter.number()));
    }
    if adapters.is_empty() {
        text.push_str(&format!("no wgpu adapter: {NO_ADAPTER}\n"));
    }
    let auto = auto.map_or("cpu".into(), |number| format!("wgpu:{number}, if the model fits"));
    text.push_str(&format!("auto is {auto}\n"));
    print(&text)
}

/// Which instructions the CPU multiplies bf16 numbers with, and which others it has.
fn products() -> Result<String> {
    let used = Bf16Instructions::checked()?;
    let others: Vec<_> =
        Bf16Instructions::here().filter(|products| *products != used).map(Bf16Instructions::name).collect();
    let mut text = format!("{} products", used.name());
    if let Some(measured) = Measured::of(used) {
        let way = if measured.pays() { "bf16" } else { "f32" };
        text += &format!(" ({:.2} of the time of f32, so `bf16` is multiplied in {way})", measured.ratio());
    }
    if !others.is_empty() {
        text += &format!(" (LONGCODE_CPU can choose {})", others.join(", "));
    }
    Ok(text)
}
