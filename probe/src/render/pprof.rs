//! A profile as profile.proto (github.com/google/pprof/proto), compressed.
//!
//! Owns the numbers of its fields. Must not judge, nor know where the bytes go.

use std::io::{self, Write};

use flate2::{Compression, write::GzEncoder};
use foldhash::HashMap;
use prost::Message;

use super::frame_name;
use crate::report::{
    SiteFrame,
    profile::{Profile, Stack, VALUES},
};

/// Writes it.
pub fn pprof(out: impl Write, profile: &Profile) -> io::Result<()> {
    let mut out = GzEncoder::new(out, Compression::default());
    out.write_all(&Builder::build(profile).encode_to_vec())?;
    out.finish().map(drop)
}

#[derive(Clone, PartialEq, Message)]
struct Proto {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    kind: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    text: i64,
    #[prost(int64, tag = "3")]
    number: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, PartialEq, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// A message under construction: each text, file, function and place is in it once.
#[derive(Default)]
struct Builder {
    proto: Proto,
    texts: HashMap<String, i64>,
    mappings: HashMap<String, u64>,
    functions: HashMap<(String, String), u64>,
    locations: HashMap<SiteFrame, u64>,
}

impl Builder {
    fn build(profile: &Profile) -> Proto {
        let mut builder = Self::default();
        // The first text has to be empty.
        builder.text("");
        for (kind, unit) in VALUES {
            let value = ValueType { kind: builder.text(kind), unit: builder.text(unit) };
            builder.proto.sample_type.push(value);
        }
        builder.proto.default_sample_type = builder.text(VALUES[profile.usual()].0);
        builder.proto.time_nanos = profile.time_ns;
        builder.proto.duration_nanos = clamp(profile.duration_ns);
        if profile.missed > 0 {
            let comment =
                builder.text(&format!("{} forks are missing: no room for their stacks", profile.missed));
            builder.proto.comment.push(comment);
        }
        for stack in &profile.stacks {
            let sample = builder.sample(stack);
            builder.proto.sample.push(sample);
        }
        builder.proto
    }

    fn sample(&mut self, stack: &Stack) -> Sample {
        // Readers take the first file for the program: that of the outermost function is.
        for module in stack.frames.iter().rev().filter_map(|frame| frame.module.as_deref()) {
            self.mapping(module);
        }
        let location_id = stack.frames.iter().map(|frame| self.location(frame)).collect();
        let mut label = vec![Label { key: self.text("pid"), text: 0, number: i64::from(stack.pid) }];
        for (key, text) in [("parent", &stack.parent), ("unit", &stack.unit), ("container", &stack.container)]
        {
            if !text.is_empty() {
                label.push(Label { key: self.text(key), text: self.text(text), number: 0 });
            }
        }
        Sample { location_id, value: stack.values.map(clamp).to_vec(), label }
    }

    fn text(&mut self, text: &str) -> i64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = self.proto.string_table.len() as i64;
        self.proto.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), number);
        number
    }

    fn location(&mut self, frame: &SiteFrame) -> u64 {
        if let Some(known) = self.locations.get(frame) {
            return *known;
        }
        let mapping_id = frame.module.as_deref().map_or(0, |module| self.mapping(module));
        let function_id = self.function(frame);
        let address = frame.address.as_deref().and_then(|text| text.strip_prefix("0x"));
        let address = address.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
        let id = self.proto.location.len() as u64 + 1;
        let line = vec![Line { function_id, line: i64::from(frame.line.unwrap_or(0)) }];
        self.proto.location.push(Location { id, mapping_id, address, line });
        self.locations.insert(frame.clone(), id);
        id
    }

    fn mapping(&mut self, module: &str) -> u64 {
        if let Some(known) = self.mappings.get(module) {
            return *known;
        }
        let id = self.proto.mapping.len() as u64 + 1;
        let filename = self.text(module);
        let (has_functions, has_filenames, has_line_numbers) = (true, true, true);
        self.proto.mapping.push(Mapping { id, filename, has_functions, has_filenames, has_line_numbers });
        self.mappings.insert(module.to_owned(), id);
        id
    }

    fn function(&mut self, frame: &SiteFrame) -> u64 {
        let key = (frame_name(frame), frame.file.clone().unwrap_or_default());
        if let Some(known) = self.functions.get(&key) {
            return *known;
        }
        let id = self.proto.function.len() as u64 + 1;
        let (name, filename) = (self.text(&key.0), self.text(&key.1));
        self.proto.function.push(Function { id, name, system_name: name, filename });
        self.functions.insert(key, id);
        id
    }
}

fn clamp(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_profile_has_each_place_once_and_all_that_is_known_of_a_stack() {
        let frame = |function: &str| SiteFrame {
            function: Some(function.into()),
            file: Some("agent.c".into()),
            line: Some(7),
            module: Some("/srv/agent".into()),
            address: Some("0x1256".into()),
            ..SiteFrame::default()
        };
        let stack = |outer: &str, values| Stack {
            parent: "agent (7)".into(),
            pid: 7,
            unit: "agent.service".into(),
            frames: vec![frame("start"), frame(outer)],
            values,
            ..Stack::default()
        };
        let stacks = vec![stack("main", [1, 2, 3, 4]), stack("other", [5, 6, 7, u64::MAX])];
        let profile = Profile { time_ns: 8, duration_ns: 9, missed: 0, stacks };
        let mut bytes = Vec::new();
        pprof(&mut bytes, &profile).expect("a Vec takes everything");
        let mut raw = Vec::new();
        flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut raw).expect("gzip");
        let proto = Proto::decode(raw.as_slice()).expect("a message");
        assert_eq!(proto.string_table[0], "");
        assert_eq!((proto.location.len(), proto.function.len(), proto.mapping.len()), (3, 3, 1));
        assert_eq!(proto.sample[0].value, [1, 2, 3, 4]);
        assert_eq!(proto.sample[1].value[3], i64::MAX);
        assert_eq!(proto.sample[0].location_id[0], proto.sample[1].location_id[0]);
        let labels: Vec<&str> = proto.sample[0]
            .label
            .iter()
            .map(|label| proto.string_table[label.key as usize].as_str())
            .collect();
        assert_eq!(labels, ["pid", "parent", "unit"]);
        assert_eq!(proto.location[0].address, 0x1256);
    }
}
