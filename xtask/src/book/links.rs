//! Every link of every page: that its file and its heading exist, and that every page of docs/ has its place in the book. Addresses are
//! counted and not visited, because a check must not depend on the network.
//!
//! Must not know what a page says.

use std::collections::BTreeMap;

use super::{Page, markdown};
use crate::shell::{Outcome, root};

/// The table of contents of the book.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Fails with all links that lead nowhere.
pub fn check(pages: &[Page]) -> Outcome {
    let by_path: BTreeMap<&std::path::Path, &Page> =
        pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let (mut wrong, mut internal, mut external) = (Vec::new(), 0, 0);
    for page in pages {
        for link in markdown::links(&page.text) {
            if markdown::is_external(&link) {
                external += 1;
                if !link.starts_with("https://") {
                    wrong.push(format!("{}: {link} is not https", page.path.display()));
                }
                continue;
            }
            internal += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let path = if file.is_empty() { page.path.clone() } else { markdown::resolve(&page.path, file) };
            if !root().join(&path).exists() {
                wrong.push(format!("{}: there is no {}", page.path.display(), path.display()));
                continue;
            }
            let Some(anchor) = anchor else { continue };
            let has_it = by_path
                .get(path.as_path())
                .is_some_and(|page| markdown::anchors(&page.text).iter().any(|one| one == anchor));
            if !has_it {
                wrong.push(format!("{}: {} has no heading #{anchor}", page.path.display(), path.display()));
            }
        }
    }
    let summary =
        by_path.get(std::path::Path::new(SUMMARY)).ok_or_else(|| format!("there is no {SUMMARY}"))?;
    let listed: Vec<_> =
        markdown::links(&summary.text).iter().map(|link| markdown::resolve(&summary.path, link)).collect();
    for page in pages.iter().filter(|page| page.path.starts_with("docs") && page.path != summary.path) {
        if !listed.contains(&page.path) {
            wrong.push(format!("{SUMMARY} does not have {}", page.path.display()));
        }
    }
    println!("links: {internal} within the repository checked, {external} addresses not visited");
    if wrong.is_empty() { Ok(()) } else { Err(format!("dead links:\n  {}", wrong.join("\n  "))) }
}
