//! From the committed object to maps in the kernel: finds what the running kernel is like, writes it into the programs,
//! makes the maps. The programs are not in the kernel yet.
//!
//! Must not attach anything.

use aya::Ebpf;
use probe_common::{offsets::Offsets, settings::Settings};

use super::{
    attach_btf::loader,
    btf::Types,
    error::{BpfError, broken_object},
    load,
    map::Plain,
    offsets,
    options::{TracerOptions, followed_max, settings, user_registers},
    relocate,
};
use crate::source::{SetupError, host::tracefs};

/// The committed object, as `cargo xtask build-ebpf` made it.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../reapwatch.bpf.o");

/// What must be known of the kernel before the maps can be made.
pub struct Located {
    pub found: offsets::Found,
    /// Whether the offsets of the wait tracepoints are among them.
    pub wait_hooks: bool,
    pub types: Types,
}

/// Reads the kernel's BTF and what tracefs says.
pub fn locate(options: &TracerOptions) -> Result<Located, SetupError> {
    let mut waits = Offsets::NONE;
    let (wait_hooks, found) = load::beside(
        || {
            // aya tries out what the kernel can when it is first asked, and remembers it.
            aya::features();
            tracefs::with(|| read_wait_offsets(&mut waits)).is_ok_and(|all| all)
        },
        || offsets::open(&options.btf).and_then(|types| Ok((offsets::find(&types)?, types))),
    );
    let (wait_hooks, (mut found, types)) = (wait_hooks.unwrap_or(false), found?);
    for ((path, offset), (_, of_wait)) in found.offsets.paths().into_iter().zip(waits.paths()) {
        if offsets::is_in_tracefs(path) {
            *offset = *of_wait;
        }
    }
    for (feature, members) in &found.lost {
        tracing::warn!(missing = members.join(", "), "this kernel's BTF lacks what is needed for {feature}");
    }
    Ok(Located { found, wait_hooks, types })
}

/// Makes the maps; the programs are not yet in the kernel.
pub fn load_object(options: &TracerOptions, found: &Offsets) -> Result<Ebpf, BpfError> {
    // Off, the verifier removes every log statement: nothing is left of them.
    let log_level = if options.log_programs { aya_log::Level::Debug as u8 } else { 0 };
    let settings = Settings { user_registers: user_registers(found), ..settings(options) };
    let object = relocate::relocate(OBJECT, found, settings.life_slots != 0).map_err(broken_object)?;
    let (stacks_bytes, suspects, interpreters) = options.subscription.fork_stacks.room();
    let parent_slots = settings.parent_slots;
    let (found, settings) = (Plain(*found), Plain(settings));
    loader()
        .override_global("OFFSETS", &found, true)
        .override_global("SETTINGS", &settings, true)
        .override_global(aya_log::LEVEL, &log_level, true)
        .map_max_entries("EVENTS", options.ring_bytes())
        .map_max_entries("FORK_STACKS", stacks_bytes)
        .map_max_entries("SUSPECTS", suspects)
        .map_max_entries("INTERPRETERS", interpreters)
        .map_max_entries("FINISHED_IN_CGROUPS", options.subscription.cgroups_room())
        .map_max_entries("SENT_SIGNALS", options.subscription.kills.room())
        .map_max_entries("DEAD_CHILDREN", options.lives)
        .map_max_entries("NS_PIDS", options.lives)
        .map_max_entries("TARGETS", followed_max(options))
        .map_max_entries("PARENT_CLAIMS", parent_slots.max(1))
        .map_max_entries("PARENT_SLOTS", parent_slots.max(1))
        .map_max_entries("PARENTS", (options.parents - parent_slots).max(1))
        .load(&object)
        .map_err(BpfError::Load)
}

/// Reads the offsets that tracefs knows; true when all are there.
fn read_wait_offsets(waits: &mut Offsets) -> bool {
    let mut all = true;
    for (path, offset) in waits.paths() {
        if offsets::is_in_tracefs(path)
            && let Some((tracepoint, field)) = path.rsplit_once('.')
        {
            match tracefs::field_offset(tracepoint, field) {
                Some(found) => *offset = found,
                None => all = false,
            }
        }
    }
    all
}
