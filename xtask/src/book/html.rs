//! The book as it was built: every link in it leads to a file and to a place in it that exist.
//!
//! Must not know Markdown.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::markdown;
use crate::shell::Outcome;

/// Pages that mdBook makes for itself: everything on one page, the frame of the contents, what is shown for an address that is wrong.
const OWN: [&str; 3] = ["print.html", "toc.html", "404.html"];

/// How many pages there are, and how many links were followed.
pub fn check(book: &Path) -> Outcome<(usize, usize)> {
    let mut pages = BTreeMap::new();
    read(book, &mut pages)?;
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for (path, text) in &pages {
        let name = path.strip_prefix(book).unwrap_or(path);
        for link in attributes(text) {
            if markdown::is_external(link)
                || ["data:", "javascript:", "#"].iter().any(|begin| link.starts_with(begin))
            {
                continue;
            }
            followed += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = markdown::resolve(path, file);
            let target = if target.is_dir() { target.join("index.html") } else { target };
            let has_place = |anchor: &str| {
                pages.get(&target).is_some_and(|text| text.contains(&format!("id=\"{anchor}\"")))
            };
            if !target.exists() || !anchor.is_none_or(has_place) {
                wrong.push(format!("{}: {link}", name.display()));
            }
        }
    }
    if pages.is_empty() {
        return Err(format!("{} has no pages", book.display()));
    }
    if wrong.is_empty() {
        Ok((pages.len(), followed))
    } else {
        Err(format!("dead links in the book:\n  {}", wrong.join("\n  ")))
    }
}

fn read(directory: &Path, pages: &mut BTreeMap<PathBuf, String>) -> Outcome {
    let entries =
        fs::read_dir(directory).map_err(|error| format!("cannot read {}: {error}", directory.display()))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            read(&path, pages)?;
        } else if path.extension().is_some_and(|one| one == "html")
            && !OWN.iter().any(|own| path.file_name().is_some_and(|name| name == *own))
        {
            let text = fs::read_to_string(&path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            pages.insert(path, text);
        }
    }
    Ok(())
}

/// What `href` and `src` name.
fn attributes(text: &str) -> impl Iterator<Item = &str> {
    ["href=\"", "src=\""]
        .into_iter()
        .flat_map(move |name| text.split(name).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)))
}
