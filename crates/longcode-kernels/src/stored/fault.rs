//! A mapped file that is cut short while it is read: an error instead of a crash.
//!
//! Reading beyond the end of a file that was longer when it was mapped raises SIGBUS. The handler puts zeros
//! where the file has ended, and records it; whoever computed with them asks [`lost`] before the result is
//! used. For memory that is not a mapped weight, the signal does what it always does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mapped files that are watched at a time; any others are not watched.
const MOST: usize = 256;

/// Where a watched file is mapped, and whether bytes of it were lost.
struct Watched {
    start: AtomicUsize,
    end: AtomicUsize,
    lost: AtomicUsize,
}

static WATCHED: [Watched; MOST] =
    [const { Watched { start: AtomicUsize::new(0), end: AtomicUsize::new(0), lost: AtomicUsize::new(0) } };
        MOST];

/// The watched files: name, handle, and bytes that are mapped.
static FILES: Mutex<Vec<Option<(PathBuf, File, u64)>>> = Mutex::new(Vec::new());

/// A file that is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Watch(Option<usize>);

impl Watch {
    /// Watches a file that is mapped at this place.
    pub(super) fn new(path: &Path, file: File, map: &[u8]) -> Watch {
        #[cfg(unix)]
        unix::handle();
        let mut files = FILES.lock().unwrap_or_else(|e| e.into_inner());
        let free = files.iter().position(Option::is_none).unwrap_or(files.len());
        if free == MOST {
            return Watch(None);
        }
        let count = files.len().max(free + 1);
        files.resize_with(count, || None);
        files[free] = Some((path.to_path_buf(), file, map.len() as u64));
        let start = map.as_ptr() as usize;
        WATCHED[free].lost.store(0, Ordering::SeqCst);
        WATCHED[free].end.store(start + map.len(), Ordering::SeqCst);
        WATCHED[free].start.store(start, Ordering::SeqCst);
        Watch(Some(free))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(place) = self.0 else { return };
        WATCHED[place].start.store(0, Ordering::SeqCst);
        WATCHED[place].end.store(0, Ordering::SeqCst);
        FILES.lock().unwrap_or_else(|e| e.into_inner())[place] = None;
    }
}

/// The first file that lost bytes since it was mapped. The rest of a file's last page reads as zeros without
/// a signal, so its length is checked as well.
pub(super) fn lost() -> Option<PathBuf> {
    let files = FILES.lock().unwrap_or_else(|e| e.into_inner());
    let is_lost = |(watched, file): &(&Watched, &Option<(PathBuf, File, u64)>)| {
        file.is_some() && watched.lost.load(Ordering::SeqCst) > 0
            || file.as_ref().is_some_and(|(_, file, mapped)| {
                file.metadata().is_ok_and(|metadata| metadata.len() < *mapped)
            })
    };
    let (_, file) = WATCHED.iter().zip(files.iter()).find(is_lost)?;
    file.as_ref().map(|(path, ..)| path.clone())
}

#[cfg(unix)]
mod unix {
    use std::sync::Once;
    use std::sync::atomic::Ordering;

    use super::WATCHED;

    /// Handles SIGBUS from the first call on.
    pub(super) fn handle() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let handler = on_fault as extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: the handler only calls what a signal handler may: atomics, sysconf, mmap and sigaction.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigemptyset(&mut action.sa_mask);
                libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
            }
        });
    }

    /// Puts a page of zeros where a watched file has ended. Elsewhere the signal is raised again, without a
    /// handler.
    extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: the kernel gives the handler its information; for SIGBUS that has an address.
        let address = unsafe { (*info).si_addr() } as usize;
        let inside = WATCHED.iter().find(|watched| {
            let start = watched.start.load(Ordering::SeqCst);
            start > 0 && (start..watched.end.load(Ordering::SeqCst)).contains(&address)
        });
        // SAFETY: the page is in a mapping of this process that is only read through this program.
        let filled = inside.is_some()
            && unsafe {
                let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
                let at = (address / page * page) as *mut libc::c_void;
                let how = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                libc::mmap(at, page, libc::PROT_READ, how, -1, 0) != libc::MAP_FAILED
            };
        match inside {
            Some(watched) if filled => watched.lost.store(1, Ordering::SeqCst),
            // SAFETY: the default action ends the process when the instruction is run again.
            _ => unsafe {
                libc::signal(signal, libc::SIG_DFL);
            },
        }
    }
}
