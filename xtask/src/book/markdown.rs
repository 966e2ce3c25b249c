//! What of Markdown the checks need: links, anchors of headings, blocks of code, code within a line.
//!
//! Must not know where a link may lead or what a command may be.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

/// A piece of code, with the number of its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub line: usize,
    /// What stands after the opening fence; none: within a line.
    pub language: Option<String>,
    pub text: String,
}

/// All code: each block as one piece, and each piece within a line, also where a line break is in it.
pub fn code(page: &str) -> Vec<Code> {
    let mut found = Vec::new();
    let mut prose = String::new();
    let mut prose_from = 1;
    let mut lines = page.lines().enumerate();
    let flush = |prose: &mut String, from: usize, found: &mut Vec<Code>| {
        let mut line = from;
        let marks = prose.matches('`').count();
        for (place, piece) in prose.split('`').enumerate() {
            // A mark without its second one begins nothing.
            if place % 2 == 1 && place < marks {
                found.push(Code { line, language: None, text: piece.replace('\n', " ") });
            }
            line += piece.matches('\n').count();
        }
        prose.clear();
    };
    while let Some((number, line)) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            flush(&mut prose, prose_from, &mut found);
            let block: Vec<&str> = lines
                .by_ref()
                .map(|(_, line)| line)
                .take_while(|line| !line.trim_start().starts_with("```"))
                .collect();
            found.push(Code {
                line: number + 2,
                language: Some(language.to_owned()),
                text: block.join("\n"),
            });
            prose_from = number + block.len() + 3;
        } else if line.is_empty() || line.starts_with('|') {
            // A stray mark ends with its paragraph or its row.
            prose.push_str(line);
            flush(&mut prose, prose_from, &mut found);
            prose_from = number + 2;
        } else {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    flush(&mut prose, prose_from, &mut found);
    found
}

/// The page without its code.
fn prose(page: &str) -> String {
    let mut out = String::new();
    let mut is_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // Links may have code as their text, so only code that is no part of a link goes.
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Where links and pictures lead.
pub fn links(page: &str) -> Vec<String> {
    let prose = prose(page);
    let mut found = Vec::new();
    for (at, _) in prose.match_indices("](") {
        let before = &prose[..at];
        // A link within code is none.
        let is_in_code = before.rsplit("\n\n").next().unwrap_or_default().matches('`').count() % 2 == 1;
        if !is_in_code && let Some((target, _)) = prose[at + 2..].split_once(')') {
            found.push(target.to_owned());
        }
    }
    found
}

/// The anchors of all headings, as GitHub and mdBook make them.
pub fn anchors(page: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for line in prose(page).lines().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let anchor: String = heading
            .chars()
            .filter(|one| one.is_alphanumeric() || [' ', '-', '_'].contains(one))
            .map(|one| if one == ' ' { '-' } else { one })
            .collect();
        let times = seen.entry(anchor.clone()).or_default();
        found.push(if *times == 0 { anchor.clone() } else { format!("{anchor}-{times}") });
        *times += 1;
    }
    found
}

pub fn is_external(link: &str) -> bool {
    ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme))
}

/// The path that a link in the file `from` leads to, from the root of the repository.
pub fn resolve(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_and_those_in_code_are_not() {
        let page = "a [b](c.md#d) ![e](f.svg) `[g](h)`\n\n```text\n[i](j)\n```\n[`k`](l.md)\n";
        assert_eq!(links(page), ["c.md#d", "f.svg", "l.md"]);
    }

    #[test]
    fn anchors_are_those_of_github() {
        let page = "# `a_b`: What?\n## Was it — so\n## What\n## What\n```text\n# none\n```\n";
        assert_eq!(anchors(page), ["a_b-what", "was-it--so", "what", "what-1"]);
    }

    #[test]
    fn code_has_its_line_and_its_language() {
        let page = "a `b\nc` d\n\n```console\n$ e\n```\n| `f` | g` |\n`h`\n";
        let found = code(page);
        let all: Vec<_> =
            found.iter().map(|code| (code.line, code.language.as_deref(), code.text.as_str())).collect();
        assert_eq!(all, [(1, None, "b c"), (5, Some("console"), "$ e"), (7, None, "f"), (8, None, "h")]);
    }

    #[test]
    fn a_link_is_relative_to_its_page() {
        assert_eq!(resolve(Path::new("docs/causes/a.md"), "../../README.md"), Path::new("README.md"));
        assert_eq!(resolve(Path::new("docs/a.md"), "b/c.md"), Path::new("docs/b/c.md"));
    }
}
