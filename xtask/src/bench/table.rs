//! Tables in Markdown. Must not know what stands in them.

/// A heading, and under it what is said before the table.
pub fn section(title: &str, words: &str) -> String {
    if words.is_empty() { format!("\n## {title}\n\n") } else { format!("\n## {title}\n\n{words}\n\n") }
}

/// The whole table.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = row(head.iter().map(|cell| (*cell).to_owned()));
    text.push_str(&row(head.iter().map(|_| "---".to_owned())));
    for cells in rows {
        text.push_str(&row(cells.iter().cloned()));
    }
    text
}

fn row(cells: impl Iterator<Item = String>) -> String {
    let mut text = String::from("|");
    for cell in cells {
        text.push_str(&format!(" {cell} |"));
    }
    text.push('\n');
    text
}
