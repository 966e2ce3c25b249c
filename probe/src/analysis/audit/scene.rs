//! Two looks at the same processes, prepared for the rules: who is whose child, who was there before.
//!
//! Owns how a process is described in a finding. Must not judge.

use foldhash::{HashMap, HashMapExt};

use crate::{
    analysis::{text, time::rfc3339, workload},
    model::{Census, Identity, Resident, Session},
    report::audit::{AuditProcess, Related, Role},
};

/// Most others that a finding names.
pub const RELATED_MAX: usize = 16;
/// Longest path in a sentence, in bytes: its end tells more than its beginning.
const PATH_MAX: usize = 255;
/// How far up parents are followed: no healthy tree is deeper.
const ANCESTORS_MAX: usize = 64;
/// Most bytes of a command line of another that a finding names.
const RELATED_COMMAND_MAX: usize = 512;

/// The first look and the last; they may be the same.
pub struct Scene<'a> {
    pub last: &'a Census,
    first_ns: u64,
    first: HashMap<Identity, &'a Resident>,
    by_pid: HashMap<u32, &'a Resident>,
    children: HashMap<u32, Vec<&'a Resident>>,
    groups: HashMap<u32, Vec<&'a Resident>>,
    /// How many zombies of a parent have gone since the first look.
    reaped: HashMap<u32, u64>,
    session: Session,
}

impl<'a> Scene<'a> {
    pub fn new(first: &'a Census, last: &'a Census) -> Self {
        let mut children: HashMap<u32, Vec<&Resident>> = HashMap::new();
        let mut groups: HashMap<u32, Vec<&Resident>> = HashMap::new();
        for one in &last.residents {
            children.entry(one.parent).or_default().push(one);
            groups.entry(one.group).or_default().push(one);
        }
        let by_pid: HashMap<u32, &Resident> =
            last.residents.iter().map(|one| (one.identity.tgid, one)).collect();
        let mut reaped: HashMap<u32, u64> = HashMap::new();
        for one in first.residents.iter().filter(|one| one.is_zombie()) {
            if by_pid.get(&one.identity.tgid).is_none_or(|now| now.identity != one.identity) {
                *reaped.entry(one.parent).or_default() += 1;
            }
        }
        Self {
            last,
            first_ns: first.taken_ns,
            first: first.residents.iter().map(|one| (one.identity, one)).collect(),
            by_pid,
            children,
            groups,
            reaped,
            session: Session { anchor: last.anchor, ..Session::default() },
        }
    }

    /// From the first look to the last.
    pub fn looked_for_ns(&self) -> u64 {
        self.last.taken_ns.saturating_sub(self.first_ns)
    }

    /// Processes that were there at both looks.
    pub fn residents(&self) -> impl Iterator<Item = &'a Resident> {
        self.last.residents.iter().filter(|one| self.first.contains_key(&one.identity))
    }

    /// The same process at the first look.
    pub fn before(&self, one: &Resident) -> Option<&'a Resident> {
        self.first.get(&one.identity).copied()
    }

    /// How many zombies of the parent with this pid were reaped since the first look.
    pub fn reaped_of(&self, parent: u32) -> u64 {
        self.reaped.get(&parent).copied().unwrap_or(0)
    }

    /// The processes of a group.
    pub fn group(&self, id: u32) -> &[&'a Resident] {
        self.groups.get(&id).map_or(&[], Vec::as_slice)
    }

    pub fn with_pid(&self, pid: u32) -> Option<&'a Resident> {
        self.by_pid.get(&pid).copied().filter(|_| pid != 0)
    }

    pub fn parent(&self, one: &Resident) -> Option<&'a Resident> {
        self.with_pid(one.parent)
    }

    /// Living descendants, nearest first. No more than there are processes, whatever /proc says.
    pub fn descendants(&self, one: &Resident) -> Vec<&'a Resident> {
        let mut found: Vec<&Resident> = self.children_of(one.identity.tgid).to_vec();
        let mut next = 0;
        while let Some(pid) = found.get(next).map(|one| one.identity.tgid) {
            next += 1;
            if found.len() <= self.last.residents.len() {
                found.extend(self.children_of(pid));
            }
        }
        found.retain(|one| one.lives());
        found
    }

    /// Its parents from the nearest on.
    pub fn ancestors(&self, one: &Resident) -> impl Iterator<Item = &'a Resident> {
        std::iter::successors(self.parent(one), |one| self.parent(one)).take(ANCESTORS_MAX)
    }

    fn children_of(&self, pid: u32) -> &[&'a Resident] {
        self.children.get(&pid).map_or(&[], Vec::as_slice)
    }

    pub fn children(&self, one: &Resident) -> &[&'a Resident] {
        self.children_of(one.identity.tgid)
    }

    pub fn age_ns(&self, one: &Resident) -> u64 {
        self.last.taken_ns.saturating_sub(one.identity.start_boottime_ns)
    }

    /// When it started, in ns since the epoch.
    pub fn started_ns(&self, one: &Resident) -> i128 {
        crate::analysis::time::epoch_ns(&self.session, one.identity.start_boottime_ns)
    }

    pub fn describe(&self, one: &Resident) -> AuditProcess {
        AuditProcess {
            pid: one.identity.tgid,
            start_time: rfc3339(&self.session, one.identity.start_boottime_ns),
            age_ns: self.age_ns(one),
            comm: one.comm.text().into_owned(),
            command_line: one.command_line.iter().map(|argument| text(argument).into_owned()).collect(),
            executable: executable(one).map(|path| text(path).into_owned()),
            user: one.user,
            workload: one.workload.as_ref().map(workload),
            user_service: one.user_service.clone(),
        }
    }

    /// Another one that belongs to a finding: of its command line, the beginning.
    pub fn related(&self, role: Role, other: Identity) -> Option<Related> {
        let other = self.with_pid(other.tgid)?;
        let mut process = self.describe(other);
        let mut left = RELATED_COMMAND_MAX;
        process.command_line.retain(|argument| {
            left = left.saturating_sub(argument.len() + 1);
            left > 0
        });
        Some(Related { role, process })
    }
}

/// The first of these, as others of a finding.
pub fn others(role: Role, others: &[&Resident]) -> Vec<(Role, Identity)> {
    others.iter().take(RELATED_MAX).map(|one| (role, one.identity)).collect()
}

/// The path of its program.
pub fn executable(one: &Resident) -> Option<&[u8]> {
    Some(&one.details.as_ref()?.program.as_ref()?.path)
}

/// A path in a sentence.
pub fn path(bytes: &[u8]) -> String {
    if bytes.len() <= PATH_MAX {
        return text(bytes).into_owned();
    }
    format!("…{}", text(&bytes[bytes.len() - PATH_MAX..]))
}

/// A process in a sentence.
pub fn named(one: &Resident) -> String {
    format!("{} (pid {})", crate::report::words::called(&one.comm.text()), one.identity.tgid)
}
