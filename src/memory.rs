//! Memory of this process and machine: how it is kept, and what is used and free where the system says so
//! (Linux).

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::limits::LEAST_ADDRESSES;

/// Keeps freed memory for later allocations. By default glibc gives large blocks back at once, and every
/// tensor of a forward pass then costs page faults again: about a tenth of the time of scoring 4,096 tokens
/// with a model of 135M parameters. Call it before other threads start.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt sets two numbers of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Starts a new peak at what is resident now.
pub fn reset_peak() {
    // 5 resets the high-water mark (proc(5)). Where it cannot be written, the peak is the whole process's,
    // which is still an upper bound.
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory since [`reset_peak`], MB (10^6 bytes); none if the system does not report it.
pub fn peak_mb() -> Option<f64> {
    Some(bytes("/proc/self/status", "VmHWM:")? / 1e6)
}

/// Memory that is resident now, bytes; none if the system does not report it.
pub fn resident() -> Option<f64> {
    bytes("/proc/self/status", "VmRSS:")
}

/// Memory that a program can still have without the machine swapping, bytes; none if the system does not
/// report it.
pub fn available() -> Option<f64> {
    bytes("/proc/meminfo", "MemAvailable:")
}

/// Refuses what would take more memory than there is, as far as the system reports it: what is available,
/// plus what this process has, part of which it may use again.
///
/// # Errors
/// [`ErrorKind::Usage`], with both figures.
pub fn refuse_beyond(bytes: f64, what: &str) -> Result<()> {
    let Some((available, resident)) = available().zip(resident()) else { return Ok(()) };
    if bytes <= available + resident {
        Ok(())
    } else {
        Err(Error::new(
            ErrorKind::Usage,
            format!("{what} take {:.1} GB, and {:.1} GB are available", bytes / 1e9, available / 1e9),
        )
        .fix("ask for less, or use a machine with more memory"))
    }
}

/// A figure of a kernel file that counts in kB, which are 1,024 bytes.
fn bytes(file: &str, name: &str) -> Option<f64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024.0)
}

/// Bytes of the largest allocation that the system refused; 0 if it refused none.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator; it remembers what it was refused, so that [`report_aborts`] can say so.
pub struct Remembering;

// SAFETY: every call goes to the system's allocator unchanged, and so does its answer back.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        remembered(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        remembered(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as the caller promises.
        remembered(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
}

fn remembered(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        REFUSED.fetch_max(size, Ordering::Relaxed);
    }
    block
}

/// Makes an abort end in an error like any other: when memory that they cannot do without is refused, Rust
/// and the C libraries abort, at best with words of their own.
pub fn report_aborts() {
    #[cfg(unix)]
    // SAFETY: the handler only calls write and _exit, which a handler may.
    unsafe {
        let handler: extern "C" fn(libc::c_int) = aborted;
        libc::signal(libc::SIGABRT, handler as libc::sighandler_t);
    }
}

#[cfg(unix)]
extern "C" fn aborted(_: libc::c_int) {
    let tell = |text: &[u8]| {
        // SAFETY: the bytes live through the call. What cannot be written is lost.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    };
    match REFUSED.load(Ordering::Relaxed) {
        0 => {
            tell(b"error: the program was aborted\n  in: what it said above, if anything\n  fix: report it\n")
        }
        bytes => {
            tell(b"error: out of memory: ");
            tell(digits(bytes, &mut [0; 20]));
            tell(b" bytes more could not be had\n  in: this process; `ulimit -v` or a container may limit it\n  fix: \
                free memory, raise the limit, or ask for less (shorter texts, a smaller model, a lower --batch); what \
                was finished is kept\n");
        }
    }
    // SAFETY: it ends the process at once; nothing runs after it.
    unsafe { libc::_exit(1) }
}

/// A number in decimal digits, without an allocation.
#[cfg(unix)]
fn digits(mut number: usize, room: &mut [u8; 20]) -> &[u8] {
    let mut start = room.len();
    loop {
        start -= 1;
        room[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[start..];
        }
    }
}

/// Bytes of address space that this process may have at most; none if there is no limit.
fn address_space() -> Option<u64> {
    #[cfg(unix)]
    {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the call writes the two numbers.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
        (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
    }
    #[cfg(not(unix))]
    None
}

/// Refuses a limit on addresses (`ulimit -v`) under which not even the program and its threads fit.
///
/// # Errors
/// [`ErrorKind::Usage`].
pub fn refuse_little() -> Result<()> {
    match address_space() {
        Some(limit) if limit < LEAST_ADDRESSES => {
            let [limit, least] = [limit, LEAST_ADDRESSES].map(|bytes| bytes / 1_000_000);
            let what = format!("memory is limited to {limit} MB, and the program alone needs {least}");
            Err(Error::new(ErrorKind::Usage, what)
                .at("ulimit -v")
                .fix("raise the limit, or lift it: ulimit -v unlimited"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn digits_of_numbers() {
        for number in [0, 7, 10, 4096, usize::MAX] {
            assert_eq!(digits(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }
}
