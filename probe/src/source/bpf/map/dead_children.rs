//! The deaths that the programs still follow: entered, their release not heard of yet.
//!
//! Must not know what is made of them.

use std::os::fd::AsFd;

use aya::{Ebpf, maps::Map};
use probe_common::wire;

use super::{
    super::{decode, sys},
    batch,
};
use crate::model::DeadChild;

/// Nothing else is in it.
const SLOTS: &str = ".bss";
const OTHERS: &str = "DEAD_CHILDREN";

/// All of them, from the slots and from the hash. What cannot be read is left out.
pub fn all(ebpf: &Ebpf) -> Vec<DeadChild> {
    let mut deaths = Vec::new();
    if let Some(Map::Array(data)) = ebpf.map(SLOTS) {
        const SLOT_BYTES: usize = size_of::<wire::DeadChildSlot>();
        let mut slots = vec![0; SLOT_BYTES * wire::LIFE_SLOTS_MAX as usize];
        match sys::read_value(data.fd().as_fd(), &mut slots) {
            Ok(()) => deaths.extend(slots.chunks_exact(SLOT_BYTES).filter_map(decode::slot_death)),
            Err(error) => tracing::warn!(map = SLOTS, %error, "cannot be read"),
        }
    }
    if let Some(Map::HashMap(data)) = ebpf.map(OTHERS) {
        let (fd, value_size) = (data.fd().as_fd(), size_of::<wire::DeadChild>());
        batch::entries(OTHERS, fd, size_of::<u32>(), value_size, |_, value| {
            deaths.extend(decode::death(value));
        });
    }
    deaths
}
