//! Words within one argument, as a shell has them: `sh -c "mysql -psecret db"`.
//!
//! Must not know what a secret looks like.

/// Whether there are several words in it.
pub fn has_words(text: &str) -> bool {
    text.trim().contains(char::is_whitespace)
}

/// Replaces the words by what they are mapped to. Quotes and what is between words stay. A quote that is not closed goes to the end.
pub fn map_words(text: &str, map: impl FnOnce(&[&str]) -> Vec<String>) -> String {
    let places = words(text);
    // Quotes around a whole word are no part of it.
    let inner: Vec<(usize, usize)> = places.iter().map(|place| unquoted(text, *place)).collect();
    let given: Vec<&str> = inner.iter().map(|(from, to)| &text[*from..*to]).collect();
    let mut made = String::with_capacity(text.len());
    let mut kept_to = 0;
    for ((from, to), word) in inner.iter().zip(map(&given)) {
        made.push_str(&text[kept_to..*from]);
        made.push_str(&word);
        kept_to = *to;
    }
    made.push_str(&text[kept_to..]);
    made
}

/// Where words begin and end.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut places = Vec::new();
    let mut from = None;
    let mut quote = None;
    let mut is_escaped = false;
    for (at, one) in text.char_indices() {
        match quote {
            _ if is_escaped => is_escaped = false,
            Some(open) if one == open => quote = None,
            Some('\'') => {}
            _ if one == '\\' => is_escaped = true,
            Some(_) => {}
            None if one == '"' || one == '\'' || one == '`' => quote = Some(one),
            None if one.is_whitespace() => {
                places.extend(from.take().map(|from| (from, at)));
                continue;
            }
            None => {}
        }
        from.get_or_insert(at);
    }
    places.extend(from.map(|from| (from, text.len())));
    places
}

fn unquoted(text: &str, (from, to): (usize, usize)) -> (usize, usize) {
    let word = &text[from..to];
    let is_quoted = |quote: char| {
        word.len() > 1 && word.starts_with(quote) && word.ends_with(quote) && word.matches(quote).count() == 2
    };
    if ['"', '\'', '`'].into_iter().any(is_quoted) { (from + 1, to - 1) } else { (from, to) }
}
