//! The `longcode` program; see the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    longcode::cli::main()
}
