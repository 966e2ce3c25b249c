//! A page of the manual, which is Markdown, as text for a terminal.
//!
//! Owns how headings, lists and blocks of code look. Knows the Markdown of docs/causes and no more: headings, paragraphs, lists of one
//! level, blocks of code, links, comments. Must not know what a page says.

use std::io::{self, Write};

use super::terminal::{View, wrap};

/// Longer lines are hard to read.
const WIDTH_MAX: usize = 100;
const BOLD: &str = "1";
const INDENT: &str = "    ";

/// Writes the page.
pub fn manual(out: &mut impl Write, page: &str, view: View) -> io::Result<()> {
    let columns = view.width.min(WIDTH_MAX);
    let mut text = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let code = lines.by_ref().take_while(|line| !line.starts_with("```"));
            code.for_each(|line| text.push_str(&format!("{INDENT}{line}\n")));
        } else if line.starts_with("<!--") {
            // What stands around it is one piece.
            lines.next_if(|line| line.is_empty());
        } else if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim().replace('`', "");
            text.push_str(&format!("{}\n", view.paint(BOLD, &heading)));
        } else if line.is_empty() {
            text.push('\n');
        } else {
            let mut paragraph = line.to_owned();
            while let Some(more) = lines.next_if(|more| continues(more)) {
                paragraph.push(' ');
                paragraph.push_str(more.trim_start());
            }
            let (first, rest) = if paragraph.starts_with("- ") { ("- ", "  ") } else { ("", "") };
            let plain = plain(paragraph.strip_prefix("- ").unwrap_or(&paragraph));
            for (place, line) in wrap(&plain, columns.saturating_sub(rest.len()).max(20)).iter().enumerate() {
                text.push_str(&format!("{}{line}\n", if place == 0 { first } else { rest }));
            }
        }
    }
    out.write_all(text.as_bytes())
}

/// Whether a line goes on with the paragraph or item before it.
fn continues(line: &str) -> bool {
    let begins_anew = ["- ", "#", "```", "<!--"].iter().any(|begin| line.starts_with(begin));
    !(line.is_empty() || begins_anew)
}

/// Without marks of emphasis, and links as their text.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once("](") {
        let (Some((kept, title)), Some((_, after))) = (before.rsplit_once('['), link.split_once(')')) else {
            break;
        };
        out.push_str(kept);
        out.push_str(title);
        rest = after;
    }
    out.push_str(rest);
    out.replace("**", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{render::terminal::width, report::CauseKind};

    fn text(page: &str, columns: usize) -> String {
        let mut out = Vec::new();
        manual(&mut out, page, View { width: columns, colour: false }).expect("a Vec takes everything");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn marks_are_gone_and_lines_are_wrapped() {
        let page = "# `a_b`\n\nOne\ntwo [three](x.md#y) **four**.\n\n<!-- by -->\n\n- **C**: a list of words\n  goes on\n- next\n\n\
                    <!-- end -->\n\n## Part\n\n```console\n$ a  b\n```\n";
        let expected =
            "a_b\n\nOne two three four.\n\n- C: a list of words\n  goes on\n- next\n\nPart\n\n    $ a  b\n";
        assert_eq!(text(page, 22), expected);
        assert_eq!(text("a [b](c d", 80), "a [b](c d\n");
    }

    #[test]
    fn every_page_fits_the_terminal_and_shows_no_mark() {
        for kind in CauseKind::ALL {
            let text = text(kind.page(), 80);
            for line in text.lines().filter(|line| !line.starts_with(INDENT)) {
                assert!(width(line) <= 80, "{line}");
                for mark in ["**", "](", "<!--", "```"] {
                    assert!(!line.contains(mark), "{}: {line}", kind.name());
                }
            }
        }
    }
}
