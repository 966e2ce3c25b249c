//! Programs that are started here: none outlives us, and each is ended by its pid, within a time. Must not know what
//! they are for.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use crate::shell::Outcome;

/// What ends a program, the kindest first: as Ctrl-C would, as `kill` would, and without asking.
const SIGNALS: [(libc::c_int, &str); 3] =
    [(libc::SIGINT, "SIGINT"), (libc::SIGTERM, "SIGTERM"), (libc::SIGKILL, "SIGKILL")];
/// For each of them: a tracer on a busy host has a report to write.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes the program end when we do, however that happens, and lets it be ended.
pub fn dies_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl and signal are async-signal-safe and take plain numbers.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            // A shell's background job ignores SIGINT, and so would all that it starts.
            for signal in [libc::SIGINT, libc::SIGTERM] {
                libc::signal(signal, libc::SIG_DFL);
            }
            Ok(())
        })
    }
}

/// Ends it as Ctrl-C would; it is an error where more is needed.
pub fn end(child: &mut Child, name: &str) -> Outcome {
    end_patiently(child, name, PATIENCE)
}

fn end_patiently(child: &mut Child, name: &str, patience: Duration) -> Outcome {
    for (signal, signal_name) in SIGNALS {
        // SAFETY: it takes plain numbers; the pid is our child's, whom only `ended` below reaps.
        unsafe { libc::kill(child.id().cast_signed(), signal) };
        if ended(child, name, patience)? {
            return match signal {
                libc::SIGINT => Ok(()),
                _ => Err(format!("{name} did not end by SIGINT in {patience:?}: {signal_name} ended it")),
            };
        }
    }
    Err(format!("{name} does not end, not even by SIGKILL in {patience:?}"))
}

/// Waits for its end, so long at most; whether it came.
fn ended(child: &mut Child, name: &str, patience: Duration) -> Outcome<bool> {
    let deadline = Instant::now() + patience;
    loop {
        let status = child.try_wait().map_err(|error| format!("cannot wait for {name}: {error}"))?;
        if status.is_some() || Instant::now() >= deadline {
            return Ok(status.is_some());
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::Stdio,
    };

    use super::*;

    #[test]
    fn the_child_of_a_background_job_ends_by_sigint() {
        let mut command = Command::new("sleep");
        command.arg("60");
        // SAFETY: signal is async-signal-safe and takes plain numbers.
        unsafe {
            command.pre_exec(|| {
                libc::signal(libc::SIGINT, libc::SIG_IGN);
                Ok(())
            });
        }
        let mut child = dies_with_us(&mut command).spawn().expect("sleep");
        assert_eq!(end(&mut child, "sleep"), Ok(()));
    }

    #[test]
    fn who_ignores_what_is_asked_is_killed_and_named() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' INT TERM; echo ready; exec sleep 60"]).stdout(Stdio::piped());
        let mut child = dies_with_us(&mut command).spawn().expect("sh");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let said = end_patiently(&mut child, "the deaf", Duration::from_millis(50)).expect_err("deaf");
        assert!(said.contains("the deaf") && said.contains("SIGKILL ended it"), "{said}");
    }
}
