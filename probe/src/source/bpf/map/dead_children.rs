//! The deaths that the programs still follow: entered, their release not heard of yet.
//!
//! Must not know what is made of them.

use std::os::fd::AsFd;

use aya::{Ebpf, maps::Map};
use probe_common::wire;

use super::{super::decode, batch};
use crate::model::DeadChild;

/// All of them, from the slots and from the hash. What cannot be read is left out.
pub fn all(ebpf: &Ebpf) -> Vec<DeadChild> {
    let mut deaths = Vec::new();
    let mut add = |name: &str, value_size: usize, read: fn(&[u8]) -> Option<DeadChild>| {
        if let Some(Map::Array(data) | Map::HashMap(data)) = ebpf.map(name) {
            let fd = data.fd().as_fd();
            batch::entries(name, fd, size_of::<u32>(), value_size, |_, value| deaths.extend(read(value)));
        }
    };
    add("DEAD_CHILD_SLOTS", size_of::<wire::DeadChildSlot>(), decode::slot_death);
    add("DEAD_CHILDREN", size_of::<wire::DeadChild>(), decode::death);
    deaths
}
