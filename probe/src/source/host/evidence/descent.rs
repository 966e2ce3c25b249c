//! Whether a process descends from another one, as /proc shows it now.
//!
//! Owns how far up is looked. Whose parent has died is a descendant of his no more: init or a subreaper has it. Must not know why
//! that is asked.

use procfs::process::Process;

use super::Reader;
use crate::{
    model::{GENERATIONS_MAX, Task, WRITERS_MAX},
    source::host::process_directory::{number_field, start_ticks, stat},
};

/// The field of a stat file that has the parent.
const PARENT: usize = 4;

impl Reader {
    /// Which of these processes descend from that one, through parents that live: bit n stands for the one in place n. One of
    /// which that cannot be told has none.
    pub fn descendants(&self, of: &Task, processes: &[Task]) -> u16 {
        let places = processes.iter().take(WRITERS_MAX).enumerate();
        places.fold(0, |bits, (place, process)| {
            bits | u16::from(self.descends(process, of).unwrap_or(false)) << place
        })
    }

    fn descends(&self, process: &Task, of: &Task) -> Option<bool> {
        let mut below = stat(&self.directories.open(process)?)?;
        for _ in 0..GENERATIONS_MAX {
            // Above the init of this PID namespace there is nobody.
            let number = number_field(&below, PARENT).filter(|parent| *parent != 0)?;
            let parent = Process::new(i32::try_from(number).ok()?).ok()?;
            if number == u64::from(self.directories.number(of)) {
                return Some(self.directories.is(&parent, of));
            }
            let above = stat(&parent)?;
            // A number that was given out again is that of a process younger than the child.
            if start_ticks(&above)? > start_ticks(&below)? {
                return None;
            }
            below = above;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };

    use super::*;
    use crate::{model::Identity, source::host::process_directory::tests::own_task};

    fn task(reader: &Reader, pid: u32) -> Task {
        reader.task(&Process::new(pid as i32).expect("it lives")).expect("it lives")
    }

    #[test]
    fn children_of_children_descend_and_whose_parent_has_died_does_not() {
        let reader = Reader::open();
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 100 & echo $!; (sleep 100 >&2 & echo $!); read line; kill $!"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program of every host");
        let lines = BufReader::new(shell.stdout.take().expect("piped")).lines();
        let pids: Vec<u32> =
            lines.take(2).map(|line| line.expect("a line").parse().expect("a pid")).collect();
        let own = own_task();
        let all = [pids[0], shell.id(), pids[1], own.identity.tgid, 1].map(|pid| task(&reader, pid));
        // The subshell may not have ended yet.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while reader.descendants(&own, &all[2..3]) != 0 {
            assert!(std::time::Instant::now() < deadline, "its parent has died");
        }
        let ours = reader.descendants(&own, &all);
        let of_shell = reader.descendants(&all[1], &all);
        let identity = Identity { start_boottime_ns: 1, ..own.identity };
        let of_another = reader.descendants(&Task { identity, ..own }, &all);
        for pid in [pids[0], pids[1], shell.id()] {
            kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("this test started it");
        }
        shell.wait().expect("our own child");
        assert_eq!((ours, of_shell), (0b11, 0b1));
        assert_eq!(of_another, 0, "the same pid before us");
    }
}
