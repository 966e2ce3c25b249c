//! The commands that help: what ends a process, what starts a service anew.
//!
//! Owns that SIGKILL is never the first way, that nothing is ended that somebody sits at, and that no name from outside gets
//! into a command unless a shell takes it for a plain word.

use super::scene::Scene;
use crate::{
    model::{Resident, Runtime, Workload},
    report::audit::Way,
};

/// Units whose restart takes the sessions of users, or more, with it.
const NOT_RESTARTED: [&str; 8] =
    ["dbus", "dbus-broker", "systemd-logind", "gdm", "gdm3", "lightdm", "sddm", "display-manager"];

/// What asks a process to end, and what it started too.
pub fn end(scene: &Scene<'_>, one: &Resident) -> Vec<Way> {
    let pid = one.identity.tgid;
    if pid <= 1 {
        return Vec::new();
    }
    let tree: Vec<u32> = scene.descendants(one).iter().map(|one| one.identity.tgid).collect();
    let mut group = scene.group(pid).iter().filter(|other| other.lives());
    // Its group is its own only if nobody else is in it.
    let leads = one.group == pid && !tree.is_empty();
    if leads && group.all(|other| other.identity.tgid == pid || tree.contains(&other.identity.tgid)) {
        return vec![Way {
            command: format!("kill -TERM -- -{pid}"),
            does: "asks it and all of its process group to end",
        }];
    }
    vec![Way { command: format!("kill {pid}"), does: "asks it to end" }]
}

/// The same, where there are other explanations.
pub fn look_and_end(scene: &Scene<'_>, one: &Resident) -> Vec<Way> {
    let look = Way {
        command: format!("ps -o pid,ppid,user,lstart,args -p {}", one.identity.tgid),
        does: "shows it: whether it is still needed, you know better",
    };
    std::iter::once(look).chain(end(scene, one)).collect()
}

/// What has it run the code that is there now.
pub fn restart(scene: &Scene<'_>, one: &Resident) -> Vec<Way> {
    let way = |command: String, does| vec![Way { command, does }];
    if let Some(service) = one.user_service.as_deref().filter(|service| is_plain(service)) {
        return way(format!("systemctl --user restart {service}"), "starts the service anew, as its user");
    }
    match &one.workload {
        Some(Workload::Unit(unit)) if unit == "init.scope" => way(
            "systemctl daemon-reexec".into(),
            "has the service manager run its new program, and keeps all services",
        ),
        Some(Workload::Unit(unit)) if may_restart(unit) => {
            way(format!("systemctl restart {}", quoted(unit)), "starts the service anew")
        }
        Some(Workload::Container { runtime: Runtime::Docker, id }) if is_plain(id) => {
            way(format!("docker restart {id}"), "starts the container anew")
        }
        Some(Workload::Container { runtime: Runtime::Podman, id }) if is_plain(id) => {
            way(format!("podman restart {id}"), "starts the container anew")
        }
        Some(Workload::Session { .. } | Workload::Program { .. }) | None if one.terminal == 0 => {
            end(scene, one)
        }
        _ => Vec::new(),
    }
}

fn may_restart(unit: &str) -> bool {
    let is_named = |known: &&str| unit.strip_suffix(".service") == Some(known);
    unit.ends_with(".service")
        && !NOT_RESTARTED.iter().any(is_named)
        && !["user@", "getty@", "serial-getty@"].iter().any(|begin| unit.starts_with(begin))
        && !unit.contains('\'')
}

/// A name of a unit may hold backslashes.
fn quoted(unit: &str) -> String {
    if is_plain(unit) { unit.into() } else { format!("'{unit}'") }
}

/// A shell takes it for one word, and a program for no option.
fn is_plain(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"@._:-".contains(&byte);
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::audit::tests::{census, resident};

    fn restart_of(one: &Resident) -> Option<String> {
        let census = census(vec![one.clone()]);
        restart(&Scene::new(&census, &census), one).first().map(|way| way.command.clone())
    }

    #[test]
    fn a_service_is_started_anew_by_its_manager_and_what_must_not_be_is_not() {
        let in_unit = |unit: &str| {
            let mut one = resident(7, 1);
            one.workload = Some(Workload::Unit(unit.into()));
            restart_of(&one)
        };
        assert_eq!(in_unit("bot.service").as_deref(), Some("systemctl restart bot.service"));
        assert_eq!(in_unit(r"a\x2db.service").as_deref(), Some(r"systemctl restart 'a\x2db.service'"));
        assert_eq!(in_unit("init.scope").as_deref(), Some("systemctl daemon-reexec"));
        for unit in ["dbus.service", "user@1000.service", "getty@tty1.service", "run-1.scope", "a'b.service"]
        {
            assert_eq!(in_unit(unit), None, "{unit}");
        }
        let mut users = resident(7, 1);
        users.workload = Some(Workload::Session { user: 1000 });
        users.user_service = Some("bot.service".into());
        assert_eq!(restart_of(&users).as_deref(), Some("systemctl --user restart bot.service"));
        users.user_service = Some("$(reboot).service".into());
        assert_eq!(restart_of(&users).as_deref(), Some("kill 7"));
        users.terminal = 34_816;
        assert_eq!(restart_of(&users), None, "somebody sits at it");
    }

    #[test]
    fn a_group_is_ended_only_if_all_of_it_descends_from_its_leader() {
        let (leader, mut child, mut other) = (resident(7, 1), resident(8, 7), resident(9, 1));
        child.group = 7;
        let ends = |all: Vec<Resident>| {
            let census = census(all);
            end(&Scene::new(&census, &census), &census.residents[0])[0].command.clone()
        };
        assert_eq!(ends(vec![leader.clone(), child.clone()]), "kill -TERM -- -7");
        other.group = 7;
        assert_eq!(ends(vec![leader.clone(), child, other]), "kill 7");
        assert_eq!(ends(vec![leader]), "kill 7");
    }
}
