//! What to do by language, in the pages of causes: the block between two comments, written from what reports say.
//!
//! Must not know a language.

use std::fs;

use probe::{analysis::Runtime, report::CauseKind};

use crate::shell::{Outcome, root};

/// What one language is told.
type Advice = fn(Runtime) -> &'static str;
/// Which advice a block has, by the comment that begins it.
const BLOCKS: [(&str, Advice); 2] = [
    ("<!-- by language: one child -->\n", Runtime::wait_for_each),
    ("<!-- by language: any child -->\n", Runtime::reap_any),
];
const END: &str = "<!-- end -->\n";

/// The pages of all causes, with their blocks.
pub fn pages() -> Outcome<Vec<(String, Vec<u8>)>> {
    CauseKind::ALL
        .iter()
        .map(|kind| {
            let name = format!("causes/{}.md", kind.name());
            let path = root().join("docs").join(&name);
            let page = fs::read_to_string(&path)
                .map_err(|error| format!("cannot read the page of a cause, {}: {error}", path.display()))?;
            Ok((name.clone(), filled(&page).map_err(|error| format!("{name}: {error}"))?.into_bytes()))
        })
        .collect()
}

/// The page with its blocks written anew.
fn filled(page: &str) -> Outcome<String> {
    let mut out = String::new();
    let mut rest = page;
    while let Some((at, begin, advice)) = BLOCKS
        .iter()
        .filter_map(|(begin, advice)| Some((rest.find(begin)?, *begin, *advice)))
        .min_by_key(|(at, ..)| *at)
    {
        let (before, block) = rest.split_at(at + begin.len());
        let (_, after) = block.split_once(END).ok_or_else(|| format!("a block has no {END:?}"))?;
        out.push_str(before);
        out.push('\n');
        // Languages without words of their own share the last ones.
        let others = advice(Runtime::Other);
        for runtime in Runtime::ALL {
            if runtime == Runtime::Other || advice(runtime) != others {
                out.push_str(&format!("- **{}**: {}\n", runtime.name(), advice(runtime)));
            }
        }
        out.push('\n');
        out.push_str(END);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_the_rest_is_kept() {
        let page = "a\n<!-- by language: any child -->\nold\n<!-- end -->\nb\n";
        let page = filled(page).expect("a block");
        assert!(page.starts_with("a\n<!-- by language: any child -->\n\n- **Python**: on SIGCHLD"), "{page}");
        assert!(page.ends_with("\n\n<!-- end -->\nb\n") && !page.contains("old"), "{page}");
        assert_eq!(filled(&page).expect("a block"), page);
        assert!(filled("<!-- by language: any child -->\n").is_err());
    }
}
