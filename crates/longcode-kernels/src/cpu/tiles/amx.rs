//! A strip times a panel on AMX tiles. The instructions are not in stable Rust's `std::arch`, so they are
//! written in assembly.
//!
//! Tiles 0 to 3 hold the sums, two by two of 16 by 16; 4 and 5 hold 16 rows each of the strip, 6 and 7 16
//! columns each of the panel.

use std::arch::asm;

use super::{Line, Sums, Terms};

/// Shapes of the tile registers, as `ldtilecfg` reads them.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

/// Gives all eight tiles 16 rows of 64 bytes.
///
/// # Safety
/// The processor has AMX, and the kernel has let this process use it.
pub(super) unsafe fn configure() {
    let (mut bytes_of_row, mut rows) = ([0; 16], [0; 16]);
    bytes_of_row[..8].fill(64);
    rows[..8].fill(16);
    let configuration = Configuration { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row, rows };
    // SAFETY: the instruction reads the 64 bytes, and sets tile registers, which compiled code never uses.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly)) };
}

/// Releases the tile registers, so that the kernel no longer needs to save them.
///
/// # Safety
/// As [`configure`].
pub(super) unsafe fn release() {
    // SAFETY: clears tile registers, which hold nothing of use any more.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// The four products of one term of the strip, `$a` bytes from the step's start, with tiles 6 and 7.
macro_rules! left_term {
    ($a:literal, $b:literal) => {
        concat!(
            "tileloadd tmm4, [{a} + {line} + ",
            $a,
            "]\n",
            "tdpbf16ps tmm0, tmm4, tmm6\n",
            "tdpbf16ps tmm1, tmm4, tmm7\n",
            "tileloadd tmm5, [{a} + {line} + ",
            $b,
            "]\n",
            "tdpbf16ps tmm2, tmm5, tmm6\n",
            "tdpbf16ps tmm3, tmm5, tmm7\n",
        )
    };
}

/// Loads one term of the panel into tiles 6 and 7.
macro_rules! right_term {
    ($a:literal, $b:literal) => {
        concat!("tileloadd tmm6, [{b} + {line} + ", $a, "]\n", "tileloadd tmm7, [{b} + {line} + ", $b, "]\n")
    };
}

/// All steps of a strip and a panel, added to tiles 0 to 3. `{line}` is 64, the bytes from row to row of a
/// tile.
macro_rules! steps {
    ([$strip:ident, $a_step:ident], [$panel:ident, $b_step:ident], $steps:ident, $($part:expr),+) => {
        asm!(
            "2:",
            $($part,)+
            "add {a}, {a_step}",
            "add {b}, {b_step}",
            "dec {steps}",
            "jnz 2b",
            a = inout(reg) $strip => _,
            b = inout(reg) $panel => _,
            steps = inout(reg) $steps => _,
            line = in(reg) 64usize,
            a_step = in(reg) $a_step,
            b_step = in(reg) $b_step,
            options(nostack, readonly)
        )
    };
}

/// `out (+)= strip panel`, 32 by 32.
///
/// # Safety
/// This thread's tiles are configured. The strip and the panel have `steps` steps of these terms, at least
/// one, and `out` is 32 by 32.
pub(super) unsafe fn multiply(
    terms: Terms,
    strip: *const Line,
    panel: *const Line,
    out: &Sums,
    steps: usize,
    add: bool,
) {
    let bytes = size_of::<f32>() * out.stride;
    // SAFETY: rows 16 to 31 of what the caller may write.
    let lower = unsafe { out.first.add(16 * out.stride) };
    let (a_step, b_step) = (2048 * terms.left(), 2048 * terms.right());
    // SAFETY: loads stay in the strip, the panel and `out`, stores in `out`, by the caller's promise. Between
    // the blocks the sums stay in tile registers, which compiled code never uses.
    unsafe {
        if add {
            asm!(
                "tileloadd tmm0, [{upper} + {row}]",
                "tileloadd tmm1, [{upper} + {row} + 64]",
                "tileloadd tmm2, [{lower} + {row}]",
                "tileloadd tmm3, [{lower} + {row} + 64]",
                upper = in(reg) out.first, lower = in(reg) lower, row = in(reg) bytes,
                options(nostack, readonly)
            );
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        }
        match terms {
            Terms::One => steps!(
                [strip, a_step],
                [panel, b_step],
                steps,
                right_term!("0", "1024"),
                left_term!("0", "1024")
            ),
            Terms::Two => steps!(
                [strip, a_step],
                [panel, b_step],
                steps,
                right_term!("0", "1024"),
                left_term!("0", "1024"),
                left_term!("2048", "3072")
            ),
            Terms::Three => steps!(
                [strip, a_step],
                [panel, b_step],
                steps,
                right_term!("0", "1024"),
                left_term!("0", "1024"),
                left_term!("2048", "3072"),
                left_term!("4096", "5120")
            ),
            Terms::Cross => steps!(
                [strip, a_step],
                [panel, b_step],
                steps,
                right_term!("0", "1024"),
                left_term!("0", "1024"),
                left_term!("2048", "3072"),
                right_term!("2048", "3072"),
                left_term!("0", "1024")
            ),
        }
        asm!(
            "tilestored [{upper} + {row}], tmm0",
            "tilestored [{upper} + {row} + 64], tmm1",
            "tilestored [{lower} + {row}], tmm2",
            "tilestored [{lower} + {row} + 64], tmm3",
            upper = in(reg) out.first, lower = in(reg) lower, row = in(reg) bytes,
            options(nostack)
        );
    }
}
