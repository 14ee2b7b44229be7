//! A result that tasks write different parts of, where the parts are not slices.

/// Where the numbers of a result are.
#[derive(Clone, Copy)]
pub(super) struct Shared(*mut f32);

// SAFETY: tasks write disjoint parts (as whoever makes a part promises), and the owner outlives them.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// The numbers of a vector, and its spare capacity.
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
    /// They are in the vector, are initialised, and nothing else reads or writes them meanwhile.
    pub(super) unsafe fn part<'a>(self, place: usize, count: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.at(place), count) }
    }
}
