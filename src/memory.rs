//! Memory of this process and machine: how it is kept, and what is used and free, where the system tells (Linux).

use std::fs;

use crate::error::{Error, ErrorKind, Result};

/// Keeps what is freed for what is allocated next. By default glibc gives large blocks back at once, and
/// every tensor of a forward pass then costs page faults again: about a tenth of the time of scoring
/// 4,096 tokens with a model of 135M parameters. To be called before other threads start.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets two numbers of the allocator, and no other thread is there yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Starts a new peak at what is resident now.
pub fn reset_peak() {
    // 5 resets the high-water mark (proc(5)). Where it cannot be written the peak is the whole
    // process's, which is still an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory since [`reset_peak`], MB (10^6 bytes); none where the system does not tell.
pub fn peak_mb() -> Option<f64> {
    Some(bytes("/proc/self/status", "VmHWM:")? / 1e6)
}

/// Memory that is resident now, bytes; none where the system does not tell.
pub fn resident() -> Option<f64> {
    bytes("/proc/self/status", "VmRSS:")
}

/// Memory that a program can still have without the machine swapping, bytes; none where the system does not tell.
pub fn available() -> Option<f64> {
    bytes("/proc/meminfo", "MemAvailable:")
}

/// Refuses what would take more memory than there is, as far as the system tells: what is available, and what this
/// process has, part of which it may use again.
///
/// # Errors
/// [`ErrorKind::Usage`], with both figures.
pub fn refuse_beyond(bytes: f64, what: &str) -> Result<()> {
    let Some((available, resident)) = available().zip(resident()) else { return Ok(()) };
    match bytes <= available + resident {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::Usage,
            format!("{what} take {:.1} GB, and {:.1} GB are available", bytes / 1e9, available / 1e9),
        )
        .fix("ask for less, or use a machine with more memory")),
    }
}

/// A figure of a file of the kernel's that counts in kB, which are 1,024 bytes.
fn bytes(file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}
