//! All fields of JSON, from schemas/: a table for each schema.
//!
//! Must not know a field.

use std::fs;

use serde_json::{Map, Value};

use super::{WRITTEN, cell};
use crate::shell::{Outcome, root};

/// The schemas, the most asked for first, and what prints what they describe.
const SCHEMAS: [(&str, &str); 7] = [
    ("report", "`run`, `watch` and `replay` with `--format json`"),
    ("event", "a line of `trace`, and of `replay --as trace`, with `--format json`"),
    ("explain", "`explain --format json`"),
    ("audit", "`audit --format json`"),
    ("alert", "a line of `agent`"),
    ("doctor", "`doctor --format json`"),
    ("reap", "`reap --format json`"),
];

/// The page.
pub fn page() -> Outcome<String> {
    let mut out = format!(
        "# Fields of JSON\n\n{WRITTEN}\n\nFrom the schemas in `schemas/`, which the tests hold every output against. `[]` is each element of \
         a list, `*` each name of an object. *Always* says whether the field is there whenever the object that has it is. Numbers whose \
         names end in `_ns` are nanoseconds. [Compatibility](../compatibility.md) says what may change.\n"
    );
    let known = fs::read_dir(root().join("schemas"))
        .map_err(|error| format!("cannot read schemas/: {error}"))?
        .count();
    if known != SCHEMAS.len() {
        return Err(format!("schemas/ has {known} files, and the page of fields knows {}", SCHEMAS.len()));
    }
    for (name, printed_by) in SCHEMAS {
        let path = root().join(format!("schemas/{name}.schema.json"));
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let schema: Value =
            serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let mut heading = name.to_owned();
        heading[..1].make_ascii_uppercase();
        out.push_str(&format!("\n## {heading}\n\nPrinted by: {printed_by}.\n"));
        if let Some(text) = schema["description"].as_str() {
            out.push_str(&format!("\n{text}\n"));
        }
        out.push_str("\n| Field | Type | Always | Meaning |\n|---|---|---|---|\n");
        let mut rows = Vec::new();
        object(&schema, "", &mut rows);
        rows.iter().for_each(|row| out.push_str(row));
    }
    Ok(out)
}

/// Rows for the members of an object.
fn object(schema: &Value, prefix: &str, rows: &mut Vec<String>) {
    let no_members = Map::new();
    let members = schema["properties"].as_object().unwrap_or(&no_members);
    for (name, member) in members {
        let path = format!("{prefix}{name}");
        let required = schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let meaning = [member["description"].as_str().map(str::to_owned), values(member)];
        let meaning: Vec<String> = meaning.into_iter().flatten().collect();
        rows.push(format!(
            "| `{path}` | {} | {} | {} |\n",
            kind(member),
            if required { "yes" } else { "" },
            cell(&meaning.join(": "))
        ));
        inner(member, &path, rows);
    }
    if let Some(member) = schema.get("additionalProperties").filter(|member| member.is_object()) {
        let path = format!("{prefix}*");
        rows.push(format!(
            "| `{path}` | {} | | {} |\n",
            kind(member),
            cell(member["description"].as_str().unwrap_or(""))
        ));
        inner(member, &path, rows);
    }
}

/// Rows for what a field holds.
fn inner(member: &Value, path: &str, rows: &mut Vec<String>) {
    object(member, &format!("{path}."), rows);
    if let Some(items) = member.get("items") {
        let path = format!("{path}[]");
        if items.get("properties").is_none() && items.get("items").is_none() {
            return;
        }
        inner(items, &path, rows);
    }
    for choice in member["oneOf"].as_array().into_iter().flatten() {
        let kind = choice["properties"]["kind"]["const"].as_str().unwrap_or("?");
        let mut of_choice = Vec::new();
        object(choice, &format!("{path}."), &mut of_choice);
        // The kind itself is told by the field.
        for row in of_choice.iter().filter(|row| !row.starts_with(&format!("| `{path}.kind`"))) {
            rows.push(row.replacen(" |\n", &format!(" (where `{path}.kind` is `{kind}`) |\n"), 1));
        }
    }
}

fn kind(member: &Value) -> String {
    let of_items = || match member["items"]["type"].as_str() {
        Some(kind) => format!("list of {kind}s"),
        None => "list".to_owned(),
    };
    match &member["type"] {
        Value::String(kind) if kind == "array" => of_items(),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ if member.get("oneOf").is_some() => "object".into(),
        _ => "string".into(),
    }
}

/// The values that a field may have, if those are few.
fn values(member: &Value) -> Option<String> {
    let shown =
        |value: &Value| format!("`{}`", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    if let Some(value) = member.get("const") {
        return Some(shown(value));
    }
    if let Some(choices) = member["oneOf"].as_array() {
        let kinds: Vec<String> =
            choices.iter().map(|choice| shown(&choice["properties"]["kind"]["const"])).collect();
        return Some(format!("`kind` is one of {}", kinds.join(", ")));
    }
    let values: Vec<String> =
        member["enum"].as_array().or(member["items"]["enum"].as_array())?.iter().map(shown).collect();
    Some(format!("one of {}", values.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_fields_have_their_path_and_their_values() {
        let page = page().expect("a page");
        for row in [
            "| `finding` | string | yes |",
            "| `parents[].causes[].kind` |",
            "| `scope.root` | integer | yes |  (where `scope.kind` is `tree`) |",
            "| `exit.signal` | integer or null | yes |",
        ] {
            assert!(page.contains(row), "{row}");
        }
    }
}
