//! The program `acme-alias`.

use std::process::ExitCode;

fn main() -> ExitCode {
    acme_alias::main()
}
