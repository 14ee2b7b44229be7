//! The `longcode` program; see the library's `cli`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: longcode::memory::Remembering = longcode::memory::Remembering;

fn main() -> ExitCode {
    longcode::cli::main()
}
