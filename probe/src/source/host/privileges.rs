//! What a process that has loaded its programs may still do: as little as reading needs.
//!
//! Must not decide when: whoever has attached, opened its files and started its command calls [`drop_to_reading`].

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

/// What reading needs: `CAP_BPF` for the maps before Linux 5.19, `CAP_SYS_PTRACE` for /proc/PID/exe of other users.
///
/// No Landlock: its ptrace rule would hide /proc/PID/exe of everybody else, which names the leaking program.
const KEPT: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_SYS_PTRACE];

/// Gives up every other capability, and the way back to any. Per thread: call it before others are started. `may_signal`: keeps
/// what signals to processes of other users need, for whoever may be asked to send one.
pub fn drop_to_reading(may_signal: bool) -> Result<(), String> {
    let is_kept = |one: &Capability| KEPT.contains(one) || (may_signal && *one == Capability::CAP_KILL);
    let kept = held_by_us().into_iter().filter(is_kept).collect::<CapsHashSet>();
    prctl::set_no_new_privs().map_err(|error| format!("cannot set no_new_privs: {error}"))?;
    let set = |which, capabilities: &CapsHashSet| {
        caps::set(None, which, capabilities).map_err(|error| format!("cannot drop capabilities: {error}"))
    };
    // Inheritable first: what is ambient must be inheritable and goes with it.
    set(CapSet::Inheritable, &CapsHashSet::new())?;
    set(CapSet::Effective, &kept)?;
    set(CapSet::Permitted, &kept)
}

/// Does something with no more privileges than are left after [`drop_to_reading`].
pub fn while_reduced<T>(work: impl FnOnce() -> T) -> T {
    let held = held_by_us();
    let kept = held.iter().copied().filter(|one| KEPT.contains(one)).collect::<CapsHashSet>();
    let reduced = caps::set(None, CapSet::Effective, &kept).is_ok();
    let done = work();
    if reduced && let Err(error) = caps::set(None, CapSet::Effective, &held) {
        tracing::warn!(%error, "privileges do not come back");
    }
    done
}

/// Names of the effective capabilities that matter to reapwatch, and of those it keeps while it watches.
pub fn names() -> (Vec<String>, Vec<String>) {
    const MATTER: [Capability; 6] = [
        Capability::CAP_DAC_READ_SEARCH,
        Capability::CAP_SYS_PTRACE,
        Capability::CAP_SYS_ADMIN,
        Capability::CAP_SYS_RESOURCE,
        Capability::CAP_PERFMON,
        Capability::CAP_BPF,
    ];
    let held = held_by_us();
    let named = |wanted: &[Capability]| {
        wanted.iter().filter(|one| held.contains(one)).map(|one| one.to_string().to_lowercase()).collect()
    };
    (named(&MATTER), named(&KEPT))
}

/// Whether the kernel lets this process load programs, as far as capabilities decide it.
pub fn may_load() -> bool {
    let held = held_by_us();
    let all = |wanted: &[Capability]| wanted.iter().all(|one| held.contains(one));
    all(&[Capability::CAP_SYS_ADMIN]) || all(&[Capability::CAP_BPF, Capability::CAP_PERFMON])
}

fn held_by_us() -> CapsHashSet {
    caps::read(None, CapSet::Effective).unwrap_or_default()
}
