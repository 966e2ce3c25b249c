//! Completions for bash, zsh and fish: what clap writes from the command line, and what only the host knows: process ids, parents of
//! zombies, and the topics of `help`.
//!
//! Must not know an option but those that take a process id, nor install anything.

use std::process::{self, Command};

use clap::CommandFactory;
use clap_complete::Shell;
use probe::{cli::Cli, report::CauseKind};

use crate::shell::{Outcome, output, root};

/// Functions behind the script for bash: it calls clap's function, and adds what that one cannot know.
const BASH: &str = r#"
# What only the host knows.
_reapwatch_pids() {
    local directory
    for directory in /proc/[0-9]*; do
        printf '%s\n' "${directory#/proc/}"
    done
}

_reapwatch_parents_of_zombies() {
    ps -eo stat=,ppid= 2>/dev/null | while read -r stat parent; do
        [[ "${stat}" == Z* ]] && printf '%s\n' "${parent}"
    done
}

_reapwatch_with_values() {
    _reapwatch "$@"
    local word command=""
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "${word}" in
            COMMANDS)
                command="${word}"
                break
                ;;
        esac
    done
    case "$3" in
        --pid)
            COMPREPLY=($(compgen -W "$(_reapwatch_pids)" -- "$2"))
            return
            ;;
        --yes|--dry-run|--nudge|--stats|--log-programs) ;;
        # The value of an option.
        -*) return ;;
    esac
    [[ "$2" == -* ]] && return
    case "${command}" in
        explain) COMPREPLY=($(compgen -W "$(_reapwatch_pids)" -- "$2")) ;;
        reap) COMPREPLY=($(compgen -W "$(_reapwatch_parents_of_zombies)" -- "$2")) ;;
        help) COMPREPLY=($(compgen -W "TOPICS" -- "$2")) ;;
    esac
}
"#;

/// The scripts, with their names.
pub fn scripts() -> Outcome<Vec<(&'static str, Vec<u8>)>> {
    Ok(vec![
        ("reapwatch.bash", bash(&generated(Shell::Bash)?)?.into_bytes()),
        ("_reapwatch", zsh(&generated(Shell::Zsh)?)?.into_bytes()),
        ("reapwatch.fish", fish(&generated(Shell::Fish)?).into_bytes()),
    ])
}

fn generated(shell: Shell) -> Outcome<String> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "reapwatch", &mut script);
    String::from_utf8(script).map_err(|error| format!("completions for {shell}: {error}"))
}

/// What `help` takes.
fn topics() -> Vec<String> {
    let causes = CauseKind::ALL.into_iter().map(CauseKind::name);
    Cli::command_names().into_iter().chain(["causes".to_owned()]).chain(causes).collect()
}

/// `text` with `from` replaced wherever it stands; an error if it is nowhere, for then clap writes something else by now.
fn replaced(text: &str, from: &str, to: &str) -> Outcome<String> {
    if text.contains(from) {
        Ok(text.replace(from, to))
    } else {
        Err(format!("the completions have no {from:?}"))
    }
}

fn bash(script: &str) -> Outcome<String> {
    let added =
        BASH.replace("COMMANDS", &Cli::command_names().join("|")).replace("TOPICS", &topics().join(" "));
    let (functions, registration) =
        script.rsplit_once("\nif [[").ok_or("the completions for bash end in another way")?;
    let registration =
        replaced(registration, "complete -F _reapwatch ", "complete -F _reapwatch_with_values ")?;
    Ok(format!("{functions}{added}\nif [[{registration}"))
}

fn zsh(script: &str) -> Outcome<String> {
    let mut script = replaced(script, ":PID:_default'", ":PID:_pids'")?;
    for (begin, values) in
        [("':pid -- ", "_pids".to_owned()), ("'*::topic -- ", format!("({})", topics().join(" ")))]
    {
        let mut found = false;
        let lines: Vec<String> = script
            .lines()
            .map(|line| match line.split_once(":_default'") {
                Some((before, after)) if line.starts_with(begin) => {
                    found = true;
                    format!("{before}:{values}'{after}")
                }
                _ => line.to_owned(),
            })
            .collect();
        if !found {
            return Err(format!("the completions for zsh have no line that begins {begin:?}"));
        }
        script = lines.join("\n") + "\n";
    }
    // Only the first of several words of a topic is completed.
    replaced(&script, "'*::topic -- ", "'*:topic -- ")
}

fn fish(script: &str) -> String {
    let mut script = script.to_owned();
    script.push_str("# What only the host knows.\n");
    let of =
        |command: &str| format!("complete -c reapwatch -n \"__fish_reapwatch_using_subcommand {command}\"");
    for command in ["explain", "reap"] {
        script.push_str(&format!("{} -f -a '(__fish_complete_pids)'\n", of(command)));
    }
    for command in ["trace", "profile"] {
        script.push_str(&format!("{} -l pid -x -a '(__fish_complete_pids)'\n", of(command)));
    }
    script.push_str(&format!("{} -f -a '{}'\n", of("help"), topics().join(" ")));
    script
}

/// Has each shell complete process ids, topics and files.
pub fn try_them() -> Outcome {
    // A zombie of ours for as long as this runs.
    let mut zombie = Command::new("true").spawn().map_err(|error| format!("cannot start true: {error}"))?;
    let own = process::id().to_string();
    let found = try_bash(&own).and_then(|()| try_fish(&own)).and_then(|()| try_zsh(&own));
    zombie.wait().map_err(|error| format!("cannot wait for true: {error}"))?;
    found
}

fn expect(shell: &str, typed: &str, offered: &str, wanted: &str) -> Outcome {
    let words = offered.split(|one: char| one.is_whitespace() || one.is_control());
    if words.into_iter().any(|word| word == wanted) {
        return Ok(());
    }
    Err(format!("{shell}: `reapwatch {typed}` does not complete to {wanted}; it offers: {offered}"))
}

fn try_bash(own: &str) -> Outcome {
    for (words, typed, wanted) in [
        ("explain", "", own),
        ("trace --pid", "", own),
        ("reap --dry-run", "", own),
        ("help", "never", "never_waits"),
        ("help", "wat", "watch"),
        ("explain --from", "docs/ni", "docs/night.rec"),
    ] {
        let before = words.split(' ').next_back().unwrap_or_default();
        let script = format!(
            "source docs/completions/reapwatch.bash; COMP_WORDS=(reapwatch {words} '{typed}'); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _reapwatch_with_values reapwatch '{typed}' '{before}'; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = output(Command::new("bash").current_dir(root()).args(["--norc", "-c", &script]))?;
        expect("bash", &format!("{words} {typed}"), &offered, wanted)?;
    }
    Ok(())
}

fn try_fish(own: &str) -> Outcome {
    for (typed, wanted) in [
        ("explain ", own),
        ("reap ", own),
        ("trace --pid ", own),
        ("help never", "never_waits"),
        ("replay docs/ni", "docs/night.rec"),
    ] {
        let script = format!("source docs/completions/reapwatch.fish; complete -C 'reapwatch {typed}'");
        let offered = output(Command::new("fish").current_dir(root()).args(["--no-config", "-c", &script]))?;
        expect("fish", typed, &offered, wanted)?;
    }
    Ok(())
}

/// zsh completes only where there is a terminal: its own module makes one.
fn try_zsh(own: &str) -> Outcome {
    for (typed, wanted) in [
        ("help never", "never_waits"),
        ("explain --from docs/night.r", "docs/night.rec"),
        (&format!("explain {}", &own[..own.len().saturating_sub(1)]), own),
    ] {
        let script = format!(
            "zmodload zsh/zpty || exit 1\n\
             zpty z zsh -f -i\n\
             zpty -w z 'PS1=; fpath=({}/docs/completions $fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=100000; \
             zstyle \":completion:*\" menu no; zstyle \":completion:*:processes\" command \"ps -e\"; print READY$((1))'\n\
             zpty -r -m z line '*READY1*'\n\
             zpty -w -n z $'reapwatch {typed}\\t\\t'\n\
             zpty -r -m z line '*{wanted}*' && print found\n",
            root().display()
        );
        // A pattern that never comes is waited for.
        let mut zsh = Command::new("timeout");
        zsh.current_dir(root()).args(["20", "zsh", "-f", "-c", &script]);
        if output(&mut zsh).ok().as_deref() != Some("found") {
            return Err(format!("zsh: `reapwatch {typed}` does not complete to {wanted}"));
        }
    }
    Ok(())
}
