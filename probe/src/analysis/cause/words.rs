//! Numbers of wait calls and children in words.
//!
//! Must not know causes.

/// What cannot be told of a parent that may wait for its children one after the other.
pub const IN_TURN: &str = "it has children that live, and none of those left was started after another of them had died: it may wait for all in turn";

/// The same of one that is in a wait call.
pub const IN_WAIT: &str = "it is in a wait call for another child, and may wait for those left after it";

/// What cannot be told of a parent that reads from a pipe.
pub const AFTER_READING: &str = "it reads from a pipe that others hold open and has children that live: it may wait for all once the pipe ends";
/// The same, where a process that one of the dead left behind holds it open: as its origin tells, or as far as can be told.
pub const END_OF_PIPE: &str = "it reads from a pipe that a dead child left open, and may wait at its end";
pub const PERHAPS_END_OF_PIPE: &str =
    "it reads from a pipe that a dead child left open, as far as can be told, and may wait at its end";
/// The same, where nobody is known who could write to the pipe.
pub const END_OF_SOME_PIPE: &str =
    "it reads from a pipe, and who else holds it open is not known: a dead child may have left it open";
/// What cannot be told of a parent whose calls have certain flags.
pub const FLAGS: &str = "some of its calls may name those left and not take them away: they look only (WNOWAIT), or see no children of other \
     threads (__WNOTHREAD) or with another exit signal (no __WALL)";
/// What cannot be told of Node and its like.
pub const LIBUV: &str = "its runtime waits by pid for each child that it started whenever its event loop runs: the loop may be blocked";

/// `1 wait call`, `2 wait calls`.
pub fn wait_calls(count: u64) -> String {
    format!("{count} wait {}", if count == 1 { "call" } else { "calls" })
}

/// `1 dead child`, `2 dead children`.
pub fn dead_children(count: u64) -> String {
    format!("{count} dead {}", if count == 1 { "child" } else { "children" })
}

/// `its 3 dead children`, or `2 of its 3 dead children`, with the verb that goes with it.
pub fn of_its(count: u64, all: u64, was: &str, were: &str) -> String {
    let its = format!("its {}", dead_children(all));
    match count {
        _ if count >= all => format!("{its} {}", if all == 1 { was } else { were }),
        1 => format!("1 of {its} {was}"),
        _ => format!("{count} of {its} {were}"),
    }
}
