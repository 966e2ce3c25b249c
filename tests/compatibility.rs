//! What is promised in docs/compatibility.md: recordings of every format stay readable, and no field of JSON goes away.
//!
//! Must not know what a recording or a report says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::BufReader,
    path::{Path, PathBuf},
};

use probe::{
    model::Session,
    recording::{Damage, Reader, RecordingError, Writer},
};
use serde_json::Value;

/// Formats of which there must be a file, major and minor. What a release can write is added, and never taken away.
const FORMATS: [(u16, u16); 8] = [(2, 0), (3, 0), (3, 4), (3, 5), (3, 7), (3, 8), (3, 9), (3, 10)];
const RECORDINGS: [&str; 3] = ["tests/data/recordings", "fuzz/corpus/recording", "docs"];
/// With this variable the lists of fields are written anew, for the review.
const WRITE: &str = "REAPWATCH_FIELDS";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All committed recordings, with the versions that their heads state.
fn recordings() -> Vec<(PathBuf, (u16, u16))> {
    let mut found = Vec::new();
    for directory in RECORDINGS {
        for entry in fs::read_dir(root().join(directory)).expect(directory).flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "rec") {
                let bytes = fs::read(&path).expect("a file");
                let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
                found.push((path, (number(8), number(10))));
            }
        }
    }
    found
}

/// How many inputs a recording has, and what of it cannot be read.
fn read(path: &Path) -> Result<(usize, Damage), RecordingError> {
    let mut reader = Reader::open(BufReader::new(fs::File::open(path).expect("a file")))?;
    let inputs = reader.by_ref().count();
    Ok((inputs, reader.damage()))
}

#[test]
fn a_recording_of_every_format_is_read_whole() {
    let recordings = recordings();
    for format in FORMATS {
        let whole = recordings.iter().filter(|(_, version)| *version == format).find(|(path, _)| {
            read(path).is_ok_and(|(inputs, damage)| inputs > 3 && damage == Damage::default())
        });
        assert!(whole.is_some(), "no recording of format {format:?} is read whole");
    }
    let newest = FORMATS.iter().max().expect("formats");
    assert!(
        recordings.iter().all(|(_, version)| version <= newest),
        "a recording is of a format that is not in the list: {:?}",
        recordings.iter().map(|(_, version)| version).max()
    );
}

#[test]
fn this_version_writes_the_newest_format_of_the_list() {
    let mut head = Vec::new();
    Writer::new(&mut head, &Session::default()).expect("a Vec takes everything");
    let written = (u16::from_le_bytes([head[8], head[9]]), u16::from_le_bytes([head[10], head[11]]));
    assert_eq!(
        Some(&written),
        FORMATS.iter().max(),
        "a new format needs a recording and a place in the list"
    );
}

#[test]
fn a_newer_minor_format_is_read_and_a_newer_major_one_is_refused() {
    let (path, _) = recordings().into_iter().find(|(_, version)| *version == (3, 5)).expect("a recording");
    let mut bytes = fs::read(path).expect("a file");
    let inputs = |bytes: &[u8]| Reader::open(bytes).map(Iterator::count);
    let all = inputs(&bytes).expect("a recording");
    bytes[10..12].copy_from_slice(&u16::MAX.to_le_bytes());
    assert_eq!(inputs(&bytes).expect("a newer minor format"), all);
    bytes[8..10].copy_from_slice(&u16::MAX.to_le_bytes());
    assert!(matches!(inputs(&bytes), Err(RecordingError::Newer { major: u16::MAX })));
}

/// Paths of the fields of a schema, with their types and whether they are always there.
fn fields(schema: &Value, prefix: &str, found: &mut BTreeMap<String, String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{name}");
        let is_always =
            schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let kind = if member["type"].is_null() { "any".to_owned() } else { member["type"].to_string() };
        let always = if is_always { " always" } else { "" };
        found.entry(path.clone()).or_insert_with(|| format!("{kind}{always}"));
        fields(member, &format!("{path}."), found);
        fields(&member["items"], &format!("{path}[]."), found);
        for choice in member["oneOf"].as_array().into_iter().flatten() {
            fields(choice, &format!("{path}."), found);
        }
    }
}

#[test]
fn no_field_of_json_goes_away_or_changes_its_type() {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(root().join("schemas")).expect("schemas").flatten() {
        let path = entry.path();
        let name = path.file_name().expect("a name").to_string_lossy().replace(".schema.json", "");
        let schema: Value = serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        let mut now = BTreeMap::new();
        fields(&schema, "", &mut now);
        let list = root().join(format!("tests/data/fields/{name}.txt"));
        if std::env::var_os(WRITE).is_some() {
            let lines: String = now.iter().map(|(path, kind)| format!("{path} {kind}\n")).collect();
            fs::write(&list, lines).expect("a file");
        }
        let published = fs::read_to_string(&list).expect("a list of published fields");
        for line in published.lines() {
            let (path, kind) = line.split_once(' ').expect("path and type");
            let is = now.get(path).unwrap_or_else(|| panic!("{name}: {path} was published and is gone"));
            assert_eq!(is, kind, "{name}: {path} is not what it was when it was published");
        }
        let new: Vec<&String> = now
            .keys()
            .filter(|path| !published.lines().any(|line| line.split(' ').next() == Some(path)))
            .collect();
        assert!(
            new.is_empty(),
            "{name}: publish these with {WRITE}=1 cargo test --test compatibility: {new:?}"
        );
        names.insert(name);
    }
    assert_eq!(names.len(), 7, "{names:?}");
}
