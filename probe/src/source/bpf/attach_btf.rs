//! The kernel's type ids of what programs attach to, in the form aya asks for them, without aya's own reading of the
//! kernel's BTF: that takes 20 ms and 20 MB, each time.
//!
//! Must not load anything.

use std::collections::BTreeMap;

use aya::{Btf, BtfError, EbpfLoader, Endianness};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::btf::{Kind, Types};

/// A BTF in which only the named tracepoints, functions and iterators have a type, under the ids they have in `kernel`.
/// What the kernel does not have is missing in it too: aya names it when it is to be attached.
pub fn attach_types(kernel: &Types, tracepoints: &[&str], functions: &[&str]) -> Result<Btf, BtfError> {
    let typedefs = tracepoints.iter().map(|name| format!("btf_trace_{name}"));
    let names: Vec<String> = typedefs.chain(functions.iter().map(|name| (*name).to_owned())).collect();
    // Who bears a name first has it: aya asks for no other.
    let mut found = vec![None; names.len()];
    kernel.named(&names.iter().map(String::as_str).collect::<Vec<_>>(), |which, id, kind| {
        let typedef = which < tracepoints.len();
        if kind == if typedef { Kind::Typedef } else { Kind::Function } {
            found[which].get_or_insert(id);
        }
    });
    let wanted = names.into_iter().zip(found).enumerate();
    encode(&wanted.filter_map(|(which, (name, id))| Some((id?, (name, which < tracepoints.len())))).collect())
}

/// In the kernel's format (include/uapi/linux/btf.h): struct btf_header, types of three words each, strings.
fn encode(wanted: &BTreeMap<u32, (String, bool)>) -> Result<Btf, BtfError> {
    const PTR: u32 = 2;
    const TYPEDEF: u32 = 8;
    const FUNC: u32 = 12;
    const HEADER_LEN: u32 = 24;
    let record = |name: usize, kind: u32| {
        let mut record = [0u8; 12];
        record[..4].copy_from_slice(&(name as u32).to_ne_bytes());
        record[4..8].copy_from_slice(&(kind << 24).to_ne_bytes());
        record
    };
    let mut strings = vec![0u8];
    // A hundred thousand times the same, but for a few.
    let mut types = vec![record(0, PTR); wanted.last_key_value().map_or(0, |(id, _)| *id as usize)];
    for (id, (name, typedef)) in wanted {
        types[*id as usize - 1] = record(strings.len(), if *typedef { TYPEDEF } else { FUNC });
        strings.extend(name.bytes());
        strings.push(0);
    }
    let mut bytes: Vec<u8> = 0xeb9f_u16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    let types_len = types.as_flattened().len() as u32;
    for word in [HEADER_LEN, 0, types_len, types_len, strings.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(types.as_flattened());
    bytes.extend(strings);
    Btf::parse(&bytes, Endianness::default())
}

/// A loader that has not read the kernel's BTF. aya 0.14 has no constructor that does not try; while no file can be
/// opened it finds none. Only for a time when no other thread opens files.
pub fn loader<'a>() -> EbpfLoader<'a> {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    if let Ok((_, hard)) = limits {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, 0, hard);
    }
    let loader = EbpfLoader::new();
    if let Ok((soft, hard)) = limits {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, soft, hard);
    }
    loader
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_id_it_has_in_the_kernel_and_the_rest_has_none() {
        let wanted = BTreeMap::from([
            (3, ("btf_trace_a".to_owned(), true)),
            (4, ("b".to_owned(), false)),
            (90_000, ("c".to_owned(), false)),
        ]);
        let btf = encode(&wanted).expect("well formed");
        let id = |name: &str, kind| btf.id_by_type_name_kind(name, kind).ok();
        use aya_obj::btf::BtfKind;
        assert_eq!(id("btf_trace_a", BtfKind::Typedef), Some(3));
        assert_eq!(id("b", BtfKind::Func), Some(4));
        assert_eq!(id("c", BtfKind::Func), Some(90_000));
        assert_eq!(id("c", BtfKind::Typedef), None);
    }
}
