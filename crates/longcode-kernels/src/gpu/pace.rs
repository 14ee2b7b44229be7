//! How much a dispatch may compute: systems reset a GPU that works on one dispatch for a second or two, so
//! that long ones are cut by the rate that was measured on the first.

use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use burn_cubecl::CubeDevice;
use cubecl::client::Client;
use cubecl::future::block_on;

/// What a dispatch may take: half of 50 ms, as a rate is not the same at every length.
const LONGEST: Duration = Duration::from_millis(25);

/// Products of the first dispatch on a device: what an integrated GPU computes in about that time.
const FIRST: f64 = 1e9;

/// Dispatches that are measured at least: the first one also compiles the kernel.
const MEASURED: usize = 3;

/// Kernels of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Attention,
    Products,
}

/// What is known of a device's rate.
#[derive(Debug, Clone)]
struct Rate {
    device: CubeDevice,
    work: Work,
    /// Products a second, the most that was measured; 0 if nothing was.
    rate: f64,
    /// Products of the largest dispatch that was measured.
    largest: f64,
    /// Seconds of the longest one, after the first, which also compiles the kernel.
    longest: f64,
    measured: usize,
}

static RATES: Mutex<Vec<Rate>> = Mutex::new(Vec::new());

impl Rate {
    fn of(device: &CubeDevice, work: Work) -> Rate {
        let rates = RATES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let known = rates.iter().find(|rate| rate.work == work && rate.device == *device).cloned();
        known.unwrap_or(Rate {
            device: device.clone(),
            work,
            rate: 0.0,
            largest: 0.0,
            longest: 0.0,
            measured: 0,
        })
    }

    fn keep(&self) {
        let mut rates = RATES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        rates.retain(|rate| rate.work != self.work || rate.device != self.device);
        rates.push(self.clone());
    }

    /// Products that a dispatch may have.
    fn most(&self) -> f64 {
        (self.rate * LONGEST.as_secs_f64()).max(FIRST)
    }

    /// Whether a dispatch of this size says more than is known.
    fn is_worth_measuring(&self, products: f64) -> bool {
        self.measured < MEASURED || products >= 2.0 * self.largest
    }

    fn note(&mut self, products: f64, seconds: f64) {
        self.rate = self.rate.max(products / seconds.max(1e-9));
        self.largest = self.largest.max(products);
        if self.measured > 0 {
            self.longest = self.longest.max(seconds);
        }
        self.measured += 1;
    }
}

/// Seconds of the longest dispatch that was measured on a device; none if none was.
pub(super) fn longest(device: &CubeDevice) -> Option<f64> {
    let rates = RATES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let of_device = rates.iter().filter(|rate| rate.device == *device && rate.measured > 1);
    of_device.map(|rate| rate.longest).reduce(f64::max)
}

/// Launches a kernel for all of `count` groups of work, of `products` each, in as few dispatches as the time
/// allows.
pub(super) fn in_dispatches(
    client: &Client,
    device: &CubeDevice,
    work: Work,
    count: usize,
    products: impl Fn(usize) -> f64,
    launch: impl Fn(Range<usize>),
) {
    let mut rate = Rate::of(device, work);
    let mut next = 0;
    while next < count {
        let (groups, size) = piece(next..count, rate.most(), &products);
        next = groups.end;
        let several = groups.len() < count;
        if rate.is_worth_measuring(size) {
            let _ = block_on(client.sync());
            let started = Instant::now();
            launch(groups);
            // What went wrong is reported when the result is read.
            let _ = block_on(client.sync());
            rate.note(size, started.elapsed().as_secs_f64());
            rate.keep();
        } else {
            launch(groups);
            if several {
                let _ = client.flush();
            }
        }
    }
}

/// The first groups that together have at most this many products, at least one, and their products.
fn piece(groups: Range<usize>, most: f64, products: &impl Fn(usize) -> f64) -> (Range<usize>, f64) {
    let (mut end, mut size) = (groups.start + 1, products(groups.start));
    while end < groups.end && size + products(end) <= most {
        size += products(end);
        end += 1;
    }
    (groups.start..end, size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_as_large_as_they_may_be() {
        let products = |group: usize| (group + 1) as f64;
        assert_eq!(piece(0..9, 10.0, &products), (0..4, 10.0));
        assert_eq!(piece(4..9, 10.0, &products), (4..5, 5.0));
        assert_eq!(piece(8..9, 1.0, &products), (8..9, 9.0));
    }
}
