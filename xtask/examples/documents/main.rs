//! What documentation is made of the program's own code: man pages, completions, the reference, the moving picture. `documents
//! [--check] [--shells]`, in the root of the repository; `documents parse` says of commands whether they exist.
//!
//! An example, because it needs the collector's code, for which nobody who builds xtask is to wait. Must not know who asks.

mod command_line;
mod completions;
mod parse;
mod picture;
mod reference;
#[path = "../../src/shell.rs"]
#[expect(dead_code, reason = "xtask needs the rest")]
mod shell;

use std::process::ExitCode;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let asks = |what: &str| asked.iter().any(|one| one == what);
    let result = if asks("parse") {
        parse::parse(std::io::stdin().lock(), std::io::stdout().lock())
    } else {
        documents(asks("--check"), asks("--shells"))
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("documents: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `check`: only compares. `shells`: has the shells complete.
fn documents(check: bool, shells: bool) -> shell::Outcome {
    command_line::command_line(check)?;
    picture::picture(check)?;
    if shells { completions::try_them() } else { Ok(()) }
}
