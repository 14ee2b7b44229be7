//! `longcode devices`

use super::print;
use crate::device::{NO_ADAPTER, adapters};
use crate::error::Result;
use crate::kernels::{Bf16Instructions, Measured};

/// List what --device can be on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  longcode devices")]
pub(super) struct Args {}

impl Args {
    pub(super) fn execute(self) -> Result<()> {
        let adapters = adapters();
        let mut text = format!("cpu     {} threads, {}\n", rayon::current_num_threads(), products()?);
        for adapter in &adapters {
            let note = if adapter.is_software() { " (software: taken only when asked for)" } else { "" };
            let name = match adapter.open() {
                Ok(open) => open.name,
                Err(e) => e.what,
            };
            text.push_str(&format!("wgpu:{}  {name}{note}\n", adapter.number()));
        }
        if adapters.is_empty() {
            text.push_str(&format!("no wgpu adapter: {NO_ADAPTER}\n"));
        }
        let auto = match adapters.iter().find(|adapter| !adapter.is_software()) {
            Some(adapter) => format!("wgpu:{}", adapter.number()),
            None => "cpu".into(),
        };
        text.push_str(&format!("auto is {auto}\n"));
        print(&text)
    }
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
