//! What is known of a life that has ended, from its exit until its release: how it ended, who it was and what it used.
//!
//! Must not know ledgers, nor who is shown it.

use std::sync::Arc;

use super::{Engine, Parent, left_open::WriterEnd};
use crate::model::{Account, Identity, Killer, ProcessInfo, Stage, WaitStatus, Workload};

/// Most cgroups of which it is kept which workload they are; of those beyond only the id is told.
const CGROUPS_MAX: usize = 8_192;

/// A life that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// When its last thread began to exit.
    pub exit_ns: u64,
    pub status: WaitStatus,
    /// Who it was and what it used; `None` where the recording does not say.
    pub account: Option<Arc<Account>>,
    /// What its cgroup is.
    pub workload: Option<Arc<Workload>>,
    /// The last program that it ran.
    pub info: Option<Arc<ProcessInfo>>,
}

impl Engine {
    /// A process exits.
    pub(super) fn ended(
        &mut self,
        identity: Identity,
        exit_ns: u64,
        status: WaitStatus,
        account: Option<Arc<Account>>,
    ) {
        let cgroup_id = account.as_ref().and_then(|account| account.cgroup_id);
        let workload = cgroup_id.and_then(|id| self.cgroups.get(&id).cloned().flatten());
        let Some(process) = self.processes.get_mut(&identity) else { return };
        let info = process.info.clone();
        process.ended = Some(Arc::new(Ended { exit_ns, status, account, workload, info }));
        if process.is_pipe_writer {
            self.pipe_writer_ended(identity, status, exit_ns);
        }
    }

    /// The parents that read from the pipe that it held open learn it.
    fn pipe_writer_ended(&mut self, writer: Identity, status: WaitStatus, exit_ns: u64) {
        let reads_its =
            |parent: &Parent| parent.pipe.by().is_some_and(|by| by.found.writer.identity == writer);
        let readers: Vec<Identity> = self
            .parents
            .values()
            .filter(|parent| reads_its(parent))
            .map(|parent| parent.task.identity)
            .collect();
        for reader in readers {
            let end = match (status.signal(), self.kills.of(writer).map(|kill| &kill.by)) {
                (None, _) => WriterEnd::ByOthers,
                (Some(_), None) => WriterEnd::Killed,
                (Some(_), Some(Killer::Process(killer)))
                    if killer.identity == reader || self.is_known_to_descend(killer, reader) =>
                {
                    WriterEnd::ByReader
                }
                (Some(_), Some(_)) => WriterEnd::ByOthers,
            };
            if let Some(parent) = self.parents.get_mut(&reader) {
                parent.pipe.writer_ended(exit_ns, end);
            }
        }
    }

    /// What is known of the life whose end or remains this stage is about.
    pub(super) fn ended_of(&self, identity: Identity, stage: &Stage) -> Option<Arc<Ended>> {
        match stage {
            Stage::Exit { .. } | Stage::Zombie { .. } | Stage::Reparent { .. } | Stage::Reap { .. } => {
                self.processes.get(&identity)?.ended.clone()
            }
            Stage::Fork { .. } | Stage::Exec { .. } | Stage::Killed { .. } | Stage::Orphan { .. } => None,
        }
    }

    /// Whether it is worth asking which workload this cgroup is.
    pub fn is_unnamed_cgroup(&self, id: u64) -> bool {
        self.cgroups.len() < CGROUPS_MAX && !self.cgroups.contains_key(&id)
    }

    /// Which workload a cgroup is.
    pub(super) fn named_cgroup(&mut self, id: u64, workload: Option<Arc<Workload>>) {
        if self.is_unnamed_cgroup(id) {
            self.cgroups.insert(id, workload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        engine::{
            EnrichedEvent,
            tests::{exit_of, reap, task},
        },
        model::{Input, LifecycleEvent, ReapHow},
    };

    #[test]
    fn a_death_keeps_its_account_and_the_name_of_its_cgroup_until_it_is_reaped() {
        let mut engine = Engine::default();
        let mut seen = Vec::new();
        let account = Account { uid: Some(7), cgroup_id: Some(9), ..Account::default() };
        let workload = Arc::new(Workload::Unit("x.service".into()));
        let stages = [exit_of(1, Some(account.clone().into())), reap(1, ReapHow::Wait)];
        engine.apply(Input::Cgroup { id: 9, workload: Some(workload.clone()) }, &mut seen);
        for (time_ns, stage) in (100..).zip(stages) {
            engine.apply(Input::Lifecycle(LifecycleEvent { time_ns, process: task(5), stage }), &mut seen);
        }
        let ended: Vec<_> = seen
            .iter()
            .map(|seen| match seen {
                EnrichedEvent::Stage { ended, .. } => ended.clone().expect("it has died"),
                EnrichedEvent::Lost { .. } => panic!("nothing is lost"),
            })
            .collect();
        assert_eq!(ended.len(), 2);
        for ended in ended {
            assert_eq!((ended.exit_ns, ended.account.as_deref()), (100, Some(&account)));
            assert_eq!(ended.workload.as_deref(), Some(&*workload));
        }
        assert!(!engine.is_unnamed_cgroup(9) && engine.is_unnamed_cgroup(10));
    }

    #[test]
    fn no_more_cgroups_are_kept_than_there_is_room_for() {
        let mut engine = Engine::default();
        for id in 1..=CGROUPS_MAX as u64 + 5 {
            engine.apply(Input::Cgroup { id, workload: None }, &mut Vec::new());
        }
        assert_eq!(engine.cgroups.len(), CGROUPS_MAX);
        assert!(!engine.is_unnamed_cgroup(u64::MAX), "there is no room for the answer");
    }
}
