//! The same service twice: once kept by a service manager or a container runtime, and once started by hand.
//!
//! Owns what the same service is: the same program file, script or module, arguments and user. Shells and tools are none, and
//! programs without arguments only if they share a file or a port. Workers are children of one that runs the same, and are left out.

use foldhash::{HashMap, HashMapExt, HashSet};

use super::{
    Finding,
    scene::{Scene, named, others, path},
    tool::tool,
    ways,
};
use crate::{
    model::{Code, Details, FileIdentity, Identity, Invocation, Resident, Workload},
    report::audit::{Confidence, GhostKind, Role},
};

/// Programs that do one thing for whoever starts them, and know nothing of another one.
const FOR_EVERYBODY: [&[u8]; 12] = [
    b"sleep", b"tail", b"cat", b"less", b"more", b"ssh", b"sudo", b"su", b"agetty", b"login", b"vi",
    b"timeout",
];
/// Most managed ones of a service that one by hand is compared with.
const COMPARED_MAX: usize = 16;
/// Most things in common that a finding names.
const NAMED_MAX: usize = 3;

/// What makes two processes the same service.
#[derive(PartialEq, Eq, Hash)]
struct Service<'a> {
    program: (u64, u64),
    code: ServiceCode<'a>,
    arguments: &'a [Vec<u8>],
    user: Option<u32>,
}

#[derive(PartialEq, Eq, Hash)]
enum ServiceCode<'a> {
    Program,
    Script(u64, u64),
    Module(&'a [u8]),
}

pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let mut services: HashMap<Service<'_>, Vec<(&Resident, &Details)>> = HashMap::new();
    for one in scene.residents().filter(|one| one.lives()) {
        if let (Some(service), Some(details)) = (service(one), &one.details) {
            services.entry(service).or_default().push((one, details));
        }
    }
    for same in services.values().filter(|same| same.len() > 1) {
        // Workers have a parent among them.
        let all: HashSet<Identity> = same.iter().map(|(one, _)| one.identity).collect();
        let is_worker = |one: &Resident| scene.ancestors(one).any(|above| all.contains(&above.identity));
        let mains: Vec<(&Resident, &Details)> =
            same.iter().copied().filter(|(one, _)| !is_worker(one)).collect();
        let managed: Vec<_> =
            mains.iter().filter(|(one, _)| is_managed(scene, one)).take(COMPARED_MAX).collect();
        for (by_hand, details) in mains.iter().filter(|(one, _)| is_by_hand(one)) {
            let judged = managed
                .iter()
                .filter_map(|(managed, other)| Some((*managed, judge(by_hand, details, managed, other)?)));
            let surest = judged.min_by_key(|(managed, (confidence, _))| (*confidence, managed.identity));
            if let Some((managed, (confidence, evidence))) = surest {
                found.push(finding(scene, by_hand, managed, confidence, evidence));
            }
        }
    }
}

fn service(one: &Resident) -> Option<Service<'_>> {
    let details = one.details.as_ref()?;
    let program = details.program.as_ref()?;
    let invocation = Invocation::parse(&program.path, &one.command_line);
    let of = |file: FileIdentity| (file.device, file.inode);
    let code = match invocation.code {
        Code::Native if FOR_EVERYBODY.contains(&crate::model::base_name(&program.path)) => return None,
        Code::Native => ServiceCode::Program,
        Code::Script(_) => {
            let (device, inode) = of(details.script.as_ref()?.file);
            ServiceCode::Script(device, inode)
        }
        Code::Module(module) => ServiceCode::Module(module),
        Code::Unnamed => return None,
    };
    if tool(one).is_some() {
        return None;
    }
    Some(Service { program: of(program.file), code, arguments: invocation.arguments, user: one.user })
}

/// The first process of a service or of a container.
fn is_managed(scene: &Scene<'_>, one: &Resident) -> bool {
    let is_kept = one.user_service.is_some()
        || match &one.workload {
            Some(Workload::Unit(unit)) => unit.ends_with(".service"),
            Some(Workload::Container { .. } | Workload::Pod { .. }) => true,
            _ => false,
        };
    let part_of = |one: &Resident| (one.workload.clone(), one.user_service.clone());
    is_kept && scene.parent(one).is_none_or(|parent| part_of(parent) != part_of(one))
}

fn is_by_hand(one: &Resident) -> bool {
    one.user_service.is_none()
        && matches!(one.workload, None | Some(Workload::Session { .. } | Workload::Program { .. }))
}

/// How sure it is that they get into each other's way.
fn judge(
    by_hand: &Resident,
    ours: &Details,
    managed: &Resident,
    theirs: &Details,
) -> Option<(Confidence, Vec<String>)> {
    let mut evidence = Vec::new();
    let files = ours.writes.iter().filter(|file| theirs.writes.contains(file));
    evidence.extend(files.take(NAMED_MAX).map(|file| format!("both have {} open for writing", path(file))));
    let ports = ours.ports.iter().filter(|port| theirs.ports.contains(port));
    evidence.extend(ports.take(NAMED_MAX).map(|port| format!("both listen on port {port}")));
    let is_shared = !evidence.is_empty();
    // The same program without any argument may be told by its surroundings what to do.
    if !is_shared && by_hand.command_line.len() <= 1 {
        return None;
    }
    let wanted = theirs.ports.iter().filter(|port| !ours.ports.contains(port) && names(by_hand, **port));
    evidence.extend(
        wanted
            .take(NAMED_MAX)
            .map(|port| format!("its arguments name port {port}, on which the managed one listens")),
    );
    let wants_the_same = !evidence.is_empty();
    let is_same_place = ours.directory == theirs.directory;
    if is_same_place {
        evidence.push(format!("both work in {}", path(&ours.directory)));
    }
    let confidence = match (is_shared, wants_the_same, is_same_place && ours.directory != b"/") {
        (true, ..) => Confidence::Certain,
        (false, true, _) | (false, false, true) => Confidence::Likely,
        // The same program and arguments elsewhere may do something else.
        (false, false, false) if ours.script.is_some() => Confidence::Possible,
        _ => return None,
    };
    let keeper = match (&managed.user_service, &managed.workload) {
        (Some(service), _) => format!("{service}, a service of its user"),
        (None, Some(Workload::Unit(unit))) => unit.clone(),
        (None, Some(Workload::Container { id, .. })) => format!("container {id}"),
        (None, Some(Workload::Pod { uid, .. })) => format!("pod {uid}"),
        _ => "a service".into(),
    };
    let where_from = if by_hand.terminal != 0 { "from a terminal" } else { "by hand" };
    evidence.insert(
        0,
        format!(
            "it was started {where_from} with the same program, arguments and user as {}, which {keeper} keeps",
            named(managed)
        ),
    );
    Some((confidence, evidence))
}

/// Whether one of its arguments is, or ends in, this number: `8080`, `--port=8080`, `0.0.0.0:8080`.
fn names(one: &Resident, port: u16) -> bool {
    let port = port.to_string();
    one.command_line.iter().skip(1).any(|argument| {
        argument.strip_suffix(port.as_bytes()).is_some_and(|before| {
            before.last().is_none_or(|last| !last.is_ascii_alphanumeric() && *last != b'.')
        })
    })
}

fn finding(
    scene: &Scene<'_>,
    by_hand: &Resident,
    managed: &Resident,
    confidence: Confidence,
    evidence: Vec<String>,
) -> Finding {
    let commands = match confidence {
        Confidence::Possible => ways::look_and_end(scene, by_hand),
        _ => ways::end(scene, by_hand),
    };
    Finding {
        kind: GhostKind::Duplicate,
        confidence,
        inferred: confidence != Confidence::Certain,
        about: by_hand.identity,
        takes_long: false,
        count: 1 + scene.descendants(by_hand).len() as u64,
        related: others(Role::Managed, &[managed]),
        evidence,
        commands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::audit::tests::{census, only, resident},
        model::Script,
    };

    fn bot(pid: u32, parent: u32) -> Resident {
        let mut one = resident(pid, parent);
        one.command_line = ["python3", "main.py", "--port=8080"].map(Into::into).to_vec();
        let details = one.details.as_mut().expect("readable");
        details.program.as_mut().expect("a program").path = b"/usr/bin/python3.11".into();
        details.directory = b"/srv/bot".into();
        details.script = Some(Script { path: b"/srv/bot/main.py".into(), ..Script::default() });
        one
    }

    fn managed(pid: u32, parent: u32) -> Resident {
        Resident { workload: Some(Workload::Unit("bot.service".into())), ..bot(pid, parent) }
    }

    fn confidence(all: Vec<Resident>) -> Option<Confidence> {
        let census = census(all);
        let mut found = Vec::new();
        find(&Scene::new(&census, &census), &mut found);
        assert!(found.len() <= 1);
        found.pop().map(|one| one.confidence)
    }

    #[test]
    fn one_by_hand_beside_a_managed_one_is_found_the_surer_the_more_they_share() {
        let terminal = || Resident { terminal: 34_816, ..bot(8, 3) };
        assert_eq!(confidence(vec![managed(7, 1), terminal()]), Some(Confidence::Likely));
        let (mut one, mut other) = (managed(7, 1), terminal());
        for of in [&mut one, &mut other] {
            of.details.as_mut().expect("readable").writes = vec![b"/srv/bot/state.db".into()];
        }
        assert_eq!(confidence(vec![one.clone(), other]), Some(Confidence::Certain));
        let mut elsewhere = terminal();
        elsewhere.details.as_mut().expect("readable").directory = b"/root".into();
        assert_eq!(confidence(vec![managed(7, 1), elsewhere.clone()]), Some(Confidence::Possible));
        one.details.as_mut().expect("readable").ports = vec![8080];
        assert_eq!(confidence(vec![one, elsewhere]), Some(Confidence::Likely));
    }

    #[test]
    fn workers_two_services_two_by_hand_and_other_arguments_are_none() {
        let worker = |pid| Resident { workload: None, ..bot(pid, 7) };
        assert_eq!(confidence(vec![managed(7, 1), worker(8), worker(9)]), None);
        assert_eq!(confidence(vec![managed(7, 1), managed(8, 1)]), None, "instances of a template");
        assert_eq!(confidence(vec![bot(7, 3), bot(8, 4)]), None);
        let mut other = bot(8, 3);
        other.command_line[2] = b"--port=8081".into();
        assert_eq!(confidence(vec![managed(7, 1), other]), None);
        let another_user = Resident { user: Some(1000), ..bot(8, 3) };
        assert_eq!(confidence(vec![managed(7, 1), another_user]), None);
    }

    #[test]
    fn shells_and_programs_for_everybody_are_no_service() {
        for (program, line) in [
            ("/bin/bash", "bash"),
            ("/usr/bin/sleep", "sleep 600"),
            ("/usr/bin/htop", "htop"),
            ("/usr/bin/make", "make x"),
        ] {
            let with = |mut one: Resident| {
                one.command_line = line.split(' ').map(Into::into).collect();
                let details = one.details.as_mut().expect("readable");
                details.program.as_mut().expect("a program").path = program.into();
                details.script = None;
                one
            };
            let census = census(vec![with(managed(7, 1)), with(bot(8, 3))]);
            assert_eq!(only(&census, &census, GhostKind::Duplicate), 0, "{line}");
        }
    }

    #[test]
    fn a_program_without_arguments_is_the_same_service_only_if_something_is_shared() {
        let bare = |mut one: Resident, writes: &[&str]| {
            one.command_line = vec![b"/srv/bot".to_vec()];
            let details = one.details.as_mut().expect("readable");
            details.program.as_mut().expect("a program").path = b"/srv/bot".into();
            details.script = None;
            details.writes = writes.iter().map(|path| path.as_bytes().to_vec()).collect();
            one
        };
        let both = |writes: &[&str]| vec![bare(managed(7, 1), writes), bare(bot(8, 3), writes)];
        assert_eq!(confidence(both(&[])), None);
        assert_eq!(confidence(both(&["/srv/state.db"])), Some(Confidence::Certain));
    }

    #[test]
    fn a_port_is_named_as_a_whole_number() {
        let with = |argument: &str| Resident {
            command_line: vec![b"x".to_vec(), argument.into()],
            ..Resident::default()
        };
        for argument in ["8080", "--port=8080", "0.0.0.0:8080"] {
            assert!(names(&with(argument), 8080), "{argument}");
        }
        for argument in ["18080", "v8080", "1.8080", "8080x"] {
            assert!(!names(&with(argument), 8080), "{argument}");
        }
    }
}
