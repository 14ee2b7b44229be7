use std::process::ExitCode;

fn main() -> ExitCode {
    longcode::cli::main()
}
