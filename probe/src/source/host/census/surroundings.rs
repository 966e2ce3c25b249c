//! What the environment of a process says of where it was started: in a session over SSH, by CI, by an agent.
//!
//! Owns which variables are looked for. No value leaves this file but the number of a process: values are secrets as a rule.

use procfs::process::Process;

use crate::{model::Origin, source::host::process_directory::part};

/// How much of an environment is read.
const ENVIRONMENT_MAX: usize = 128 * 1_024;
/// The variables that say where a process was started.
const VARIABLES: [&str; 13] = [
    "SSH_CONNECTION",
    "TMUX",
    "STY",
    "CI",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "JENKINS_URL",
    "BUILDKITE",
    "CLAUDECODE",
    "CURSOR_AGENT",
    "GEMINI_CLI",
    "PYTEST_CURRENT_TEST",
    "AGENT_SESSION_PID",
];

pub fn read(process: &Process) -> Origin {
    parse(&part(process, "environ", ENVIRONMENT_MAX))
}

/// What an environ file says.
pub fn parse(environment: &[u8]) -> Origin {
    let mut origin = Origin::default();
    for variable in environment.split(|byte| *byte == 0) {
        let Some(place) = variable.iter().position(|byte| *byte == b'=') else { continue };
        let (name, value) = (&variable[..place], &variable[place + 1..]);
        let Some(known) = VARIABLES.iter().find(|known| known.as_bytes() == name) else { continue };
        if !origin.variables.contains(known) {
            origin.variables.push(known);
        }
        if *known == "AGENT_SESSION_PID" {
            origin.agent_pid = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
        }
    }
    origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_from_the_list_and_the_agents_pid_are_kept() {
        let origin =
            parse(b"HOME=/root\0AGENT_SESSION_PID=4711\0SSH_CONNECTION=10.0.0.1 1 2 3\0TMUX\0CI=1\0CI=2\0");
        assert_eq!(origin.variables, ["AGENT_SESSION_PID", "SSH_CONNECTION", "CI"]);
        assert_eq!(origin.agent_pid, Some(4711));
        assert_eq!(parse(b"AGENT_SESSION_PID=-1\0").agent_pid, None);
        assert_eq!(parse(b""), Origin::default());
    }
}
