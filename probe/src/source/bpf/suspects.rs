//! The suspects as the programs know them, and the programs that are attached only while there are any.
//!
//! Must not know who is a suspect or why, nor what is made of what the programs send.

use aya::{
    Ebpf,
    maps::{HashMap, MapData},
    programs::{BtfTracePoint, ProgramError, tp_btf::BtfTracePointLinkId},
};
use probe_common::sent_signal::SentSignal;

use super::{
    error::broken_object,
    map::{Plain, targets},
    options::{ForkStacks, Kills, Subscription},
    programs::{HookStage, PROGRAMS},
};
use crate::model::{Identity, SUSPECTS_MAX, Task};

/// Who is a suspect now.
pub struct Suspects {
    /// The programs that somebody asked for, of suspects alone.
    programs: Vec<&'static str>,
    links: Vec<(&'static str, BtfTracePointLinkId)>,
    now: Vec<Identity>,
    has_failed: bool,
}

impl Suspects {
    pub fn new(subscription: &Subscription) -> Self {
        let is_wanted = |stage| match stage {
            HookStage::ForkSite => subscription.fork_stacks == ForkStacks::OfTargets,
            HookStage::Kill => subscription.kills == Kills::OfSuspects,
            _ => false,
        };
        let programs = PROGRAMS.iter().filter(|spec| is_wanted(spec.stage)).map(|spec| spec.name).collect();
        Self { programs, links: Vec::new(), now: Vec::new(), has_failed: false }
    }

    /// Whether the programs are attached.
    pub fn are_watched(&self) -> bool {
        !self.links.is_empty()
    }

    /// Makes these the suspects. Where that fails, what the programs would send of them is missing.
    pub fn set(&mut self, ebpf: &mut Ebpf, tasks: &[Task]) {
        if self.programs.is_empty() || self.has_failed {
            return;
        }
        let now: Vec<Identity> = tasks.iter().take(SUSPECTS_MAX).map(|task| task.identity).collect();
        if now == self.now {
            return;
        }
        let set = targets::set_suspects(ebpf, &self.now, &now).and_then(|()| {
            self.switch(ebpf, !now.is_empty()).map_err(|error| broken_object(error.to_string()))
        });
        if let Err(error) = set {
            tracing::warn!(%error, "where suspects fork and who kills their children is not shown");
            self.has_failed = true;
        }
        self.now = now;
    }

    /// Attaches the programs, or detaches them.
    fn switch(&mut self, ebpf: &mut Ebpf, on: bool) -> Result<(), ProgramError> {
        if on == self.are_watched() {
            return Ok(());
        }
        for (name, link) in std::mem::take(&mut self.links) {
            program(ebpf, name)?.detach(link)?;
        }
        if on {
            forget_signals(ebpf);
            for name in &self.programs {
                self.links.push((name, program(ebpf, name)?.attach()?));
            }
        }
        Ok(())
    }
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut BtfTracePoint, ProgramError> {
    ebpf.program_mut(name).ok_or(ProgramError::UnexpectedProgramType)?.try_into()
}

/// Signals of before: since then others were sent that no program has seen.
fn forget_signals(ebpf: &mut Ebpf) {
    let map = ebpf.map_mut("SENT_SIGNALS");
    let map = map.and_then(|map| HashMap::<&mut MapData, u32, Plain<SentSignal>>::try_from(map).ok());
    let Some(mut map) = map else { return };
    let known: Vec<u32> = map.keys().filter_map(Result::ok).collect();
    for tgid in known {
        let _ = map.remove(&tgid);
    }
}
