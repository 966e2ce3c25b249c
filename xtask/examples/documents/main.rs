//! What documentation is made of the program's own code: man pages, completions, the moving picture. `documents [--check]`, in the
//! root of the repository.
//!
//! An example, because it needs the collector's code, for which nobody who builds xtask is to wait. Must not know who asks.

mod command_line;
mod picture;

use std::process::ExitCode;

fn main() -> ExitCode {
    let check = std::env::args().any(|one| one == "--check");
    match command_line::command_line(check).and_then(|()| picture::picture(check)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("documents: {error}");
            ExitCode::FAILURE
        }
    }
}
