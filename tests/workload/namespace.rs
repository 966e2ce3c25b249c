//! A command in a PID namespace of its own, as in a container.

use std::os::unix::process::CommandExt;

use crate::process::{Pid, exit, wait};

/// Runs it as PID 1, with a /proc of that namespace; ends as it does.
pub fn run(command: &[String]) -> ! {
    // SAFETY: fork-like clone without sharing memory.
    let init = unsafe {
        libc::syscall(libc::SYS_clone, libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::SIGCHLD, 0, 0, 0, 0)
    } as Pid;
    match init {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        0 => {
            mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_PRIVATE);
            mount(c"proc", c"/proc", c"proc", 0);
            let (program, arguments) = command.split_first().expect("a command");
            let error = std::process::Command::new(program).args(arguments).exec();
            panic!("exec {program}: {error}")
        }
        init => {
            let status = wait(init);
            exit(if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                128 + libc::WTERMSIG(status)
            })
        }
    }
}

fn mount(source: &std::ffi::CStr, target: &std::ffi::CStr, kind: &std::ffi::CStr, flags: libc::c_ulong) {
    // SAFETY: NUL-terminated strings that live on; no data.
    let result =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, std::ptr::null()) };
    assert_eq!(result, 0, "mount {target:?}: {}", std::io::Error::last_os_error());
}
