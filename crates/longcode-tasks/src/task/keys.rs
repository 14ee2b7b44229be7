//! Defaults of keys, for `#[serde(default = "..")]`; and which are not written, so that results of before the key was there
//! stay those of the same config.

/// A number.
pub(super) const fn number<const N: usize>() -> usize {
    N
}

/// A switch that is on.
pub(super) const fn on() -> bool {
    true
}

/// Whether a switch is off.
pub(super) fn is_off(switch: &bool) -> bool {
    !switch
}

/// Whether a number is 1.
pub(super) fn is_one(number: &usize) -> bool {
    *number == 1
}
