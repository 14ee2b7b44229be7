//! What attention reads of a window behind two sinks: the stretches of keys that a block of queries goes through.
//!
//! ```sh
//! cargo run -p longcode-kernels --example sight
//! ```

use longcode_kernels::{Sight, Turn};

/// Tokens of the sequence, of the window, and first keys that stay visible.
const TOKENS: usize = 64;
const WINDOW: usize = 8;
const SINKS: usize = 2;

fn main() {
    let turn = |key| Some(Turn { query: key, key });
    let window_starts = |row: usize| (row + 1).saturating_sub(WINDOW);
    let sight = Sight::new(0..TOKENS, TOKENS)
        // The sinks turn by the second rotation; what follows them is not seen; the window turns by the first.
        .with_zone(vec![0; TOKENS], 0, turn(1))
        .with_zone((0..TOKENS).map(|row| window_starts(row).min(SINKS)).collect(), SINKS, None)
        .with_zone((0..TOKENS).map(window_starts).collect(), window_starts(TOKENS - 1), turn(0));
    for block in (0..TOKENS).step_by(16) {
        let rows = block..block + 16;
        for stretch in sight.stretches(rows.clone()) {
            println!("queries {rows:?} read keys {:?} in zones {:?}", stretch.keys, stretch.zones);
        }
    }
}
