//! The `atmos` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    atmos_deployments::cli::run(std::env::args_os(), std::env::vars_os())
}
