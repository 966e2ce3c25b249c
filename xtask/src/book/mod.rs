//! `book`: checks the documentation and makes a book of docs/. Every link and every command is checked; the commands that need no
//! privileges are run.
//!
//! Must not know what a page says.

mod commands;
mod html;
mod links;
mod markdown;
mod typed;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    setup,
    shell::{Outcome, cargo_bin, output, root, run, target_directory},
};

/// Where the repository is read.
const REPOSITORY: &str = "https://github.com/reapwatch/reapwatch/blob/main/";
/// Not searched for pages.
const LEFT_OUT: [&str; 4] = ["target", ".git", "golden", "node_modules"];

/// A page: its path from the root of the repository, and its text.
pub struct Page {
    path: PathBuf,
    text: String,
}

/// Checks all pages and builds the book.
pub fn book() -> Outcome {
    let pages = pages()?;
    links::check(&pages)?;
    commands::check(&pages)?;
    build(&pages)
}

/// All Markdown of the repository, by path.
fn pages() -> Outcome<Vec<Page>> {
    let tracked = output(Command::new("git").current_dir(root()).args([
        "ls-files",
        "-co",
        "--exclude-standard",
        "*.md",
    ]))?;
    let mut pages = Vec::new();
    for line in tracked.lines() {
        let path = PathBuf::from(line);
        // `probe/causes` is a link to pages that are here already.
        let is_left_out = path.components().any(|part| LEFT_OUT.iter().any(|name| part.as_os_str() == *name));
        if is_left_out || !root().join(&path).is_file() {
            continue;
        }
        let text =
            fs::read_to_string(root().join(&path)).map_err(|error| format!("cannot read {line}: {error}"))?;
        pages.push(Page { path, text });
    }
    pages.sort_by(|one, other| one.path.cmp(&other.path));
    if pages.is_empty() { Err("no pages were found".into()) } else { Ok(pages) }
}

/// Makes the book in target/book/html, and follows every link in it.
fn build(pages: &[Page]) -> Outcome {
    setup::install_mdbook()?;
    let mdbook = cargo_bin("mdbook").ok_or("mdbook is missing")?;
    let target = target_directory().join("book");
    let source = target.join("src");
    let _ = fs::remove_dir_all(&target);
    for page in pages.iter().filter(|page| page.path.starts_with("docs")) {
        write(&source, &page.path, led_to_the_repository(page).as_bytes())?;
    }
    for picture in ["table.svg", "agent-leak.svg"] {
        let path = Path::new("docs").join(picture);
        let bytes =
            fs::read(root().join(&path)).map_err(|error| format!("cannot read docs/{picture}: {error}"))?;
        write(&source, &path, &bytes)?;
    }
    run(Command::new(mdbook)
        .current_dir(root())
        .env("MDBOOK_BOOK__SRC", &source)
        .env("MDBOOK_BUILD__BUILD_DIR", target.join("html"))
        .args(["build", "book"]))?;
    let (files, followed) = html::check(&target.join("html"))?;
    println!("book: {files} pages in {}, {followed} links followed", target.join("html").display());
    Ok(())
}

/// Writes a file of docs/ below the source of the book.
fn write(source: &Path, path: &Path, bytes: &[u8]) -> Outcome {
    let path = source.join(path.strip_prefix("docs").unwrap_or(path));
    let directory = path.parent().unwrap_or(source);
    fs::create_dir_all(directory).map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    fs::write(&path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The text of a page, with the links that leave docs/ as addresses.
fn led_to_the_repository(page: &Page) -> String {
    let mut text = page.text.clone();
    for link in markdown::links(&page.text) {
        if markdown::is_external(&link) || link.starts_with('#') {
            continue;
        }
        let (file, anchor) =
            link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
        let path = markdown::resolve(&page.path, file);
        if !path.starts_with("docs") {
            let anchor = anchor.map_or_else(String::new, |anchor| format!("#{anchor}"));
            text = text.replace(&format!("]({link})"), &format!("]({REPOSITORY}{}{anchor})", path.display()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_out_of_docs_lead_to_the_repository_and_others_stay() {
        let page = Page {
            path: "docs/causes/x.md".into(),
            text: "[a](../../README.md#use) [b](../causes.md) [c](https://a/b) [d](#e)".into(),
        };
        assert_eq!(
            led_to_the_repository(&page),
            format!("[a]({REPOSITORY}README.md#use) [b](../causes.md) [c](https://a/b) [d](#e)")
        );
    }
}
