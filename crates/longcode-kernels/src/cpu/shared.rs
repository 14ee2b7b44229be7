//! A result that tasks write different parts of, where the parts are no slices.

/// Where the numbers of a result lie.
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);

// SAFETY: tasks write parts that do not meet (who makes a part promises it), and the owner outlives them.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The numbers of a vector, and the room behind them.
    pub(super) fn new(out: &mut Vec<f32>) -> Shared {
        Shared(out.as_mut_ptr())
    }

    /// The place of a number.
    pub(super) fn at(self, place: usize) -> *mut f32 {
        self.0.wrapping_add(place)
    }

    /// Some numbers.
    ///
    /// # Safety
    /// They lie in the vector, are written already, and nothing else reads or writes them meanwhile.
    pub(super) unsafe fn part<'a>(self, place: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.at(place), count) }
    }
}
