//! A kernel's BTF cut down to what reapwatch looks up in it: the members of `Offsets`, the functions and tracepoints
//! its programs stand on. A few kB, for tests/data. Must not know what the offsets are used for.

use std::collections::{BTreeSet, HashMap};

use btf_rs::{Btf, BtfType, Type};
use probe::source::bpf::programs::{functions, tracepoints};
use probe_common::offsets::Offsets;

mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
}

struct Cut<'a> {
    from: &'a Btf,
    /// Names of all members on any path.
    wanted: BTreeSet<String>,
    /// New id by old.
    ids: HashMap<u32, u32>,
    /// Encoded types; the first has id 1.
    types: Vec<Vec<u8>>,
    strings: Vec<u8>,
}

/// The minimal BTF, in the kernel's own format.
pub fn cut(from: &Btf) -> Option<Vec<u8>> {
    let mut offsets = Offsets::NONE;
    let paths = offsets.paths();
    let mut roots = BTreeSet::new();
    let mut wanted = BTreeSet::new();
    for path in paths.iter().flat_map(|(path, _)| path.split('|')).filter(|path| !path.contains(':')) {
        let mut parts = path.split('.');
        roots.extend(parts.next().map(str::to_owned));
        wanted.extend(parts.filter_map(|part| part.split('[').next()).map(str::to_owned));
    }
    let mut cut = Cut { from, wanted, ids: HashMap::new(), types: Vec::new(), strings: vec![0] };
    for root in roots {
        for id in from.resolve_ids_by_name(&root).unwrap_or_default() {
            if matches!(from.resolve_type_by_id(id), Ok(Type::Struct(_))) {
                cut.member_type(id)?;
            }
        }
    }
    for function in functions() {
        for id in from.resolve_ids_by_name(function).unwrap_or_default() {
            if let Ok(Type::Func(found)) = from.resolve_type_by_id(id) {
                let prototype = cut.prototype(found.get_type_id()?)?;
                cut.add(function, kind::FUNC << 24, prototype, &[]);
            }
        }
    }
    for tracepoint in tracepoints() {
        let name = format!("btf_trace_{tracepoint}");
        for id in from.resolve_ids_by_name(&name).unwrap_or_default() {
            if let Ok(Type::Typedef(found)) = from.resolve_type_by_id(id)
                && let Ok(Type::Ptr(pointer)) = from.resolve_chained_type(&found)
            {
                let prototype = cut.prototype(pointer.get_type_id()?)?;
                let pointer = cut.add("", kind::PTR << 24, prototype, &[]);
                cut.add(&name, kind::TYPEDEF << 24, pointer, &[]);
            }
        }
    }
    Some(cut.bytes())
}

impl Cut<'_> {
    fn string(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes());
        self.strings.push(0);
        at
    }

    /// Appends a type; its id.
    fn add(&mut self, name: &str, info: u32, size_or_type: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        self.types.push(encode(&[&[name, info, size_or_type], rest].concat()));
        self.types.len() as u32
    }

    fn name(&self, of: &dyn BtfType) -> String {
        self.from.resolve_name(of).unwrap_or_default()
    }

    fn keeps(&self, member: &btf_rs::Member) -> bool {
        let name = self.name(member);
        if !name.is_empty() {
            return self.wanted.contains(&name);
        }
        match self.from.resolve_chained_type(member) {
            Ok(Type::Struct(inner) | Type::Union(inner)) => {
                inner.members.iter().any(|inner| self.keeps(inner))
            }
            _ => false,
        }
    }

    /// A type as a member has it: structs with the wanted members only, pointers to nothing in particular.
    fn member_type(&mut self, id: u32) -> Option<u32> {
        if let Some(known) = self.ids.get(&id) {
            return Some(*known);
        }
        let new = match self.from.resolve_type_by_id(id).ok()? {
            Type::Struct(found) => self.structure(id, kind::STRUCT, &found)?,
            Type::Union(found) => self.structure(id, kind::UNION, &found)?,
            Type::Array(found) => {
                let item = self.member_type(found.get_type_id()?)?;
                let index = self.add("unsigned int", kind::INT << 24, 4, &[32]);
                self.add("", kind::ARRAY << 24, 0, &[item, index, found.len() as u32])
            }
            Type::Ptr(_) => self.add("", kind::PTR << 24, 0, &[]),
            Type::Int(found) => self.integer(&found),
            Type::Enum(found) => self.add(&self.name(&found), kind::INT << 24, found.size() as u32, &[32]),
            Type::Typedef(found) => {
                let inner = self.member_type(found.get_type_id()?)?;
                let name = self.name(&found);
                self.add(&name, kind::TYPEDEF << 24, inner, &[])
            }
            // Qualifiers change no layout.
            Type::Volatile(inner) | Type::Const(inner) | Type::Restrict(inner) => {
                self.member_type(inner.get_type_id()?)?
            }
            Type::TypeTag(inner) => self.member_type(inner.get_type_id()?)?,
            _ => return None,
        };
        self.ids.insert(id, new);
        Some(new)
    }

    fn integer(&mut self, found: &btf_rs::Int) -> u32 {
        let name = self.name(found);
        self.add(&name, kind::INT << 24, found.size() as u32, &[found.size() as u32 * 8])
    }

    fn structure(&mut self, id: u32, kind: u32, found: &btf_rs::Struct) -> Option<u32> {
        // Its place is taken first: a member may lead back to it.
        self.types.push(Vec::new());
        let new = self.types.len() as u32;
        self.ids.insert(id, new);
        let mut members = Vec::new();
        for member in &found.members {
            if self.keeps(member) {
                let name = self.name(member);
                let name = self.string(&name);
                members.extend([name, self.member_type(member.get_type_id()?)?, member.bit_offset()]);
            }
        }
        let name = self.name(found);
        let name = self.string(&name);
        let head = [name, kind << 24 | (members.len() / 3) as u32, found.size() as u32];
        self.types[new as usize - 1] = encode(&[&head[..], &members].concat());
        Some(new)
    }

    fn prototype(&mut self, id: u32) -> Option<u32> {
        let Ok(Type::FuncProto(found)) = self.from.resolve_type_by_id(id) else { return None };
        let result = self.parameter_type(found.return_type_id())?;
        let mut parameters = Vec::new();
        for parameter in &found.parameters {
            let name = self.name(parameter);
            parameters.push(self.string(&name));
            parameters.push(self.parameter_type(parameter.get_type_id()?)?);
        }
        Some(self.add("", kind::FUNC_PROTO << 24 | (parameters.len() / 2) as u32, result, &parameters))
    }

    /// A type as a prototype names it: a pointer keeps the name of what it points to.
    fn parameter_type(&mut self, id: u32) -> Option<u32> {
        if id == 0 {
            return Some(0);
        }
        Some(match self.from.resolve_type_by_id(id).ok()? {
            Type::Ptr(found) => {
                let inner = self.parameter_type(found.get_type_id()?)?;
                self.add("", kind::PTR << 24, inner, &[])
            }
            Type::Struct(found) | Type::Union(found) => {
                let name = self.name(&found);
                self.add(&name, kind::FWD << 24, 0, &[])
            }
            Type::Fwd(found) => {
                let name = self.name(&found);
                self.add(&name, kind::FWD << 24, 0, &[])
            }
            Type::Int(found) => self.integer(&found),
            Type::Typedef(found) => {
                let inner = self.parameter_type(found.get_type_id()?)?;
                let name = self.name(&found);
                self.add(&name, kind::TYPEDEF << 24, inner, &[])
            }
            Type::Volatile(inner) | Type::Const(inner) | Type::Restrict(inner) => {
                self.parameter_type(inner.get_type_id()?)?
            }
            Type::TypeTag(inner) => self.parameter_type(inner.get_type_id()?)?,
            _ => return None,
        })
    }

    /// struct btf_header, types, strings.
    fn bytes(self) -> Vec<u8> {
        let types = self.types.concat();
        let (types_len, strings_len) = (types.len() as u32, self.strings.len() as u32);
        let mut bytes = vec![0x9f, 0xeb, 1, 0];
        bytes.extend(encode(&[24, 0, types_len, types_len, strings_len]));
        bytes.extend(types);
        bytes.extend(self.strings);
        bytes
    }
}

fn encode(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
