//! Peak resident memory of this process, where the system tells (Linux).

use std::fs;

/// Starts a new peak at what is resident now.
pub fn reset_peak() {
    // 5 resets the high-water mark (proc(5)). Where it cannot be written the peak is the whole
    // process's, which is still an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory since [`reset_peak`], MB (10^6 bytes); none where the system does not tell.
pub fn peak_mb() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}
