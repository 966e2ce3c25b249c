//! Pages of docs/ that say what the code says: metrics, fields of JSON, the command line, and what to do by language. Written by
//! `docs`, compared by `docs --check`.
//!
//! Must not hold a fact of its own: all come from `probe` and from schemas/.

mod command_line;
mod fields;
mod languages;
mod metrics;

use crate::shell::Outcome;

/// What stands on top of a page that is written whole.
const WRITTEN: &str = "<!-- Written by `cargo xtask docs`. -->";

/// The pages, with their paths below docs/.
pub fn pages() -> Outcome<Vec<(String, Vec<u8>)>> {
    let mut pages = vec![
        ("reference/metrics.md".to_owned(), metrics::page()?.into_bytes()),
        ("reference/fields.md".to_owned(), fields::page()?.into_bytes()),
        ("reference/command-line.md".to_owned(), command_line::page().into_bytes()),
    ];
    pages.extend(languages::pages()?);
    Ok(pages)
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
