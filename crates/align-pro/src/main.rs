//! The align-pro command.

use std::process::ExitCode;

fn main() -> ExitCode {
    align_pro::main()
}
