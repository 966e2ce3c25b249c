//! Checks JSON against the published schemas. Must not know what the values mean.

use serde_json::Value;

/// Has every object of a schema refuse fields that it does not name. A published schema lets readers meet fields that came
/// later; here a field that is not in it is one that nobody documented.
fn refuse_unknown_fields(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(refuse_unknown_fields);
            if members.get("type").is_some_and(|kind| kind == "object") && members.contains_key("properties")
            {
                members.entry("additionalProperties").or_insert(Value::Bool(false));
            }
        }
        Value::Array(all) => all.iter_mut().for_each(refuse_unknown_fields),
        _ => {}
    }
}

/// Checks a value against a published schema, and that the schema documents every field.
pub fn validate(schema: &str, value: &Value) {
    validate_all(schema, [value]);
}

/// Checks lines of JSON against a published schema, which is compiled once.
pub fn validate_lines(schema: &str, lines: &[String]) {
    let values: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    validate_all(schema, &values);
}

fn validate_all<'a>(schema: &str, values: impl IntoIterator<Item = &'a Value>) {
    let text = match schema {
        "report" => include_str!("../../schemas/report.schema.json"),
        "event" => include_str!("../../schemas/event.schema.json"),
        "doctor" => include_str!("../../schemas/doctor.schema.json"),
        "explain" => include_str!("../../schemas/explain.schema.json"),
        "audit" => include_str!("../../schemas/audit.schema.json"),
        "alert" => include_str!("../../schemas/alert.schema.json"),
        "reap" => include_str!("../../schemas/reap.schema.json"),
        other => panic!("no schema {other}"),
    };
    let mut schema: Value = serde_json::from_str(text).expect("a JSON schema");
    refuse_unknown_fields(&mut schema);
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    for value in values {
        let errors: Vec<String> =
            validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?} in {value:#}");
    }
}
