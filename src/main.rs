//! The program: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

/// Rows come and go by the million: the system's allocator takes a tenth of
/// the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    warrantyd::cli::main()
}
