//! The deaths that the programs still follow: entered, their release not heard of yet.
//!
//! Must not know what is made of them.

use std::os::fd::AsFd;

use aya::{Ebpf, maps::Map};
use probe_common::wire::{Life, LifeSlot};

use super::{batch, decode};
use crate::model::Death;

/// Hands out each, from the slots and from the hash. What cannot be read is left out.
pub fn each(ebpf: &Ebpf, mut take: impl FnMut(Death)) {
    const KEY: usize = size_of::<u32>();
    let mut entries = |name: &str, value_size: usize, read: fn(&[u8]) -> Option<Death>| {
        let (Some(Map::Array(data)) | Some(Map::HashMap(data))) = ebpf.map(name) else { return };
        let read = batch::entries(data.fd().as_fd(), KEY, value_size, |_, value| {
            read(value).into_iter().for_each(&mut take);
        });
        if let Err(error) = read {
            tracing::warn!(map = name, %error, "cannot be read");
        }
    };
    entries("LIFE_SLOTS", size_of::<LifeSlot>(), decode::slot_death);
    entries("LIVES", size_of::<Life>(), decode::death);
}
