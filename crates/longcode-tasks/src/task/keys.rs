//! Defaults of keys, for `#[serde(default = "..")]`.

/// A number.
pub(super) const fn number<const N: usize>() -> usize {
    N
}

/// A switch that is on.
pub(super) const fn on() -> bool {
    true
}
