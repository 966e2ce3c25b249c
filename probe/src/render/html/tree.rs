//! The tree of processes of a page: those that have something to tell, and those above them.
//!
//! Must not choose which processes those are.

use std::io::{self, Write};

use super::{class, text};
use crate::report::{
    Verdict,
    page::{Fate, Node, Page},
    words::{called, count},
};

/// The deepest indentation: on a telephone there is no room for more.
const INDENTED_MAX: usize = 12;

/// Writes the tree.
pub fn tree(out: &mut impl Write, page: &Page) -> io::Result<()> {
    writeln!(out, "<h2>Processes</h2>")?;
    if page.tree.is_empty() {
        writeln!(out, "<p class=\"dim\">No process has anything to tell.</p>")?;
    }
    writeln!(out, "<div class=\"tree\">")?;
    page.tree.iter().try_for_each(|node| self::node(out, node))?;
    writeln!(out, "</div>")?;
    if page.not_in_tree > 0 {
        writeln!(
            out,
            "<p class=\"dim\">{} other processes are not shown: they were reaped, or left nothing to tell.</p>",
            count(page.not_in_tree)
        )?;
    }
    Ok(())
}

fn node(out: &mut impl Write, node: &Node) -> io::Result<()> {
    let command = if node.command_line.is_empty() {
        called(&node.comm).to_owned()
    } else {
        node.command_line.join(" ")
    };
    let fate = match node.fate {
        Fate::Zombie | Fate::Abandoned => "bad",
        Fate::Running => "warn",
        Fate::Reaped | Fate::Dead => "dim",
    };
    write!(
        out,
        "<div style=\"margin-left:{:.1}rem\"><span class=\"mono\">{}</span> <small>{}</small> <span class=\"{fate}\">{}</span>",
        node.depth.min(INDENTED_MAX) as f64 * 0.7,
        text(&command),
        node.pid,
        node.fate.words()
    )?;
    if let Some((verdict, ledger)) = &node.judged
        && *verdict > Verdict::Healthy
    {
        write!(
            out,
            " <span class=\"tag {}\">{}: {} left</span>",
            class(*verdict),
            verdict.words(),
            count(ledger.left())
        )?;
    }
    if node.more > 0 {
        write!(out, " <small>+ {} children not shown</small>", count(node.more))?;
    }
    writeln!(out, "</div>")
}
