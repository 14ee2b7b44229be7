//! Colours of an order.

/// From the least to the most: cividis (Nuñez, Anderton and Renslow 2018), which the colour-blind see as
/// others do and whose lightness increases, so that a print in grey reads too.
const COLOURS: [[f64; 3]; 5] = [
    [0.0, 34.0, 78.0],
    [67.0, 78.0, 108.0],
    [125.0, 124.0, 120.0],
    [188.0, 174.0, 108.0],
    [254.0, 232.0, 56.0],
];

/// The colour of a share of the scale, 0 to 1.
pub(crate) fn colour(share: f64) -> String {
    let place = share * (COLOURS.len() - 1) as f64;
    let n = (place as usize).min(COLOURS.len() - 2);
    let mix = |channel: usize| {
        let (from, to) = (COLOURS[n][channel], COLOURS[n + 1][channel]);
        (from + (to - from) * (place - n as f64)).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_get_lighter() {
        let light = |share| {
            let hex = u32::from_str_radix(&colour(share)[1..], 16).unwrap();
            0.299 * f64::from(hex >> 16) + 0.587 * f64::from(hex >> 8 & 255) + 0.114 * f64::from(hex & 255)
        };
        assert!((0..20).all(|n| light(f64::from(n) / 20.0) < light(f64::from(n + 1) / 20.0)));
    }
}
