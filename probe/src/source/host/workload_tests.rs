//! What real paths give, and what paths that lie do not.

use super::*;

const DOCKER: &str = "ee40841f79d52f66f4958c8a484bd2dfb453228874dcca1a3f2ec6e8420ec87c";
const POD: &str = "f6f2d169-f2ae-4afa-95ed-06ff2ed6b288";

fn of(cgroup: &str) -> String {
    match workload(cgroup.as_bytes(), &Viewpoint::Root) {
        None => "none".into(),
        Some(Workload::Unit(name)) => format!("unit {name}"),
        Some(Workload::Container { runtime, id }) => format!("{runtime:?} {id}"),
        Some(Workload::Pod { uid, container }) => {
            format!("pod {uid} {}", container.as_deref().unwrap_or("-"))
        }
        Some(Workload::Session { user }) => format!("session {user}"),
        Some(program @ Workload::Program { .. }) => panic!("no cgroup tells {program:?}"),
    }
}

/// Path in the unified hierarchy, and what it gives. `ID` and `UID` stand for those above.
const PATHS: &[(&str, &str)] = &[
    ("/", "none"),
    // Services, scopes and sockets of the system.
    ("/init.scope", "unit init.scope"),
    ("/system.slice/nginx.service", "unit nginx.service"),
    ("/system.slice/cron.service", "unit cron.service"),
    ("/azure.slice/walinuxagent.service", "unit walinuxagent.service"),
    ("/system.slice/system-getty.slice/getty@tty1.service", "unit getty@tty1.service"),
    ("/system.slice/system-postgresql.slice/postgresql@15-main.service", "unit postgresql@15-main.service"),
    (
        "/system.slice/snap.hello.hello-0c3f1d52-1111-2222-3333-444455556666.scope",
        "unit snap.hello.hello-0c3f1d52-1111-2222-3333-444455556666.scope",
    ),
    ("/system.slice/docker.service/_cgroup.procs.service", "unit docker.service"),
    ("/system.slice/buildkit.service/kubepods", "unit buildkit.service"),
    ("/system.slice/gone.service (deleted)", "unit gone.service"),
    // docker, by systemd and by plain directories.
    ("/system.slice/docker-ID.scope", "Docker ID"),
    ("/system.slice/docker-ID.scope (deleted)", "Docker ID"),
    ("/system.slice/docker-ID.scope/init", "Docker ID"),
    ("/docker/ID", "Docker ID"),
    ("/docker/ID/init.scope", "Docker ID"),
    ("/actions_job/ID", "Docker ID"),
    (
        "/ecs/0123456789abcdef0123456789abcdef/0123456789abcdef-1234",
        "Docker 0123456789abcdef0123456789abcdef",
    ),
    // Kubernetes: containerd and CRI-O, systemd and cgroupfs, every class of service, kind's slices, a static pod.
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUUID.slice/cri-containerd-ID.scope",
        "pod UID ID",
    ),
    ("/kubepods.slice/kubepods-podUUID.slice/crio-ID.scope/container", "pod UID ID"),
    ("/kubepods.slice/kubepods-podUUID.slice/crio-conmon-ID.scope", "pod UID -"),
    ("/kubepods.slice/kubepods-podUUID.slice", "pod UID -"),
    ("/kubepods/besteffort/podUID/ID", "pod UID ID"),
    ("/kubepods/podUID/ID", "pod UID ID"),
    ("/kubepods/burstable/podUID", "pod UID -"),
    ("/kubepods/burstable/pod0123456789abcdef0123456789abcdef/ID", "pod 0123456789abcdef0123456789abcdef ID"),
    (
        "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/\
         kubelet-kubepods-besteffort-podUUID.slice/cri-containerd-ID.scope",
        "pod UID ID",
    ),
    ("/system.slice/containerd.service/kubepods-besteffort-podUUID.slice:cri-containerd:ID", "pod UID ID"),
    // podman of root; its monitor is not in the container.
    ("/machine.slice/libpod-ID.scope/container", "Podman ID"),
    ("/machine.slice/libpod-conmon-ID.scope", "unit libpod-conmon-ID.scope"),
    ("/libpod_parent/libpod-ID", "Podman ID"),
    // LXC, nspawn, machines.
    ("/lxc.payload.web1/system.slice/nginx.service", "Lxc web1"),
    ("/lxc/web1/init.scope", "Lxc web1"),
    ("/lxc.monitor.web1", "none"),
    ("/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "Nspawn web"),
    ("/machine.slice/machine-web.scope/payload/init.scope", "Machine web"),
    (r"/machine.slice/machine-qemu\x2d1\x2ddebian12.scope/libvirt/emulator", "Libvirt qemu-1-debian12"),
    ("/garden/6f265890-5165-7fab-6b52-18d1", "Garden 6f265890-5165-7fab-6b52-18d1"),
    ("/buildkit/abc123def456ghi789jkl012m", "BuildKit abc123def456ghi789jkl012m"),
    ("/snap.lxd.daemon", "none"),
    // Sessions, and all that is delegated to a user.
    ("/user.slice/user-1000.slice/session-3.scope", "session 1000"),
    ("/user.slice/user-1000.slice/user@1000.service/init.scope", "session 1000"),
    ("/user.slice/user-1000.slice/user@1000.service/app.slice/my-agent.service", "session 1000"),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/app-org.gnome.Terminal.slice/vte-spawn-8.scope",
        "session 1000",
    ),
    ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container", "session 1000"),
    // Those that lie: the names are below what is delegated.
    ("/user.slice/user-1000.slice/user@1000.service/docker-ID.scope", "session 1000"),
    ("/user.slice/user-1000.slice/user@1000.service/system.slice/sshd.service", "session 1000"),
    (
        "/user.slice/user-1000.slice/user@1000.service/kubepods.slice/kubepods-podUUID.slice/crio-ID.scope",
        "session 1000",
    ),
    ("/user.slice/user-1000.slice/session-3.scope/kubepods/podUID/ID", "session 1000"),
    ("/system.slice/docker-ID.scope/system.slice/nginx.service", "Docker ID"),
    ("/system.slice/docker-ID.scope/docker/0000", "Docker ID"),
    ("/docker/ID/kubepods/podUID/ID", "Docker ID"),
    ("/system.slice/worker.service/kubepods-podUUID.slice:cri-containerd:ID", "unit worker.service"),
    (
        "/system.slice/containerd.service/x/kubepods-podUUID.slice:cri-containerd:ID",
        "unit containerd.service",
    ),
    ("/lxc.payload.web1/docker/ID", "Lxc web1"),
    // Names that are not what they look like.
    ("/system.slice/docker-0123.scope", "unit docker-0123.scope"),
    ("/system.slice/not-kubepods-podX.slice/crio-ID.scope", "CriO ID"),
    ("/my own/ID", "none"),
    ("/mine/ID", "none"),
    ("/docker", "none"),
    ("/docker/a b", "none"),
    ("/kubepods/burstable/podX/ID", "none"),
    ("/../system.slice/a.service", "none"),
];

#[test]
fn each_path_gives_the_workload_that_root_has_named() {
    let filled =
        |text: &str| text.replace("UUID", &POD.replace('-', "_")).replace("UID", POD).replace("ID", DOCKER);
    for (path, expected) in PATHS {
        let path = filled(path);
        assert_eq!(of(&format!("0::{path}\n")), filled(expected), "{path}");
    }
}

#[test]
fn on_hosts_of_the_first_version_the_path_of_systemd_or_else_of_any_controller_tells() {
    assert_eq!(
        of(&format!("9:pids:/docker/{DOCKER}\n1:name=systemd:/docker/{DOCKER}\n0::/\n")),
        format!("Docker {DOCKER}")
    );
    // A host without systemd.
    assert_eq!(
        of(&format!("9:pids:/docker/{DOCKER}\n5:memory:/docker/{DOCKER}\n")),
        format!("Docker {DOCKER}")
    );
    assert_eq!(of(&format!("9:pids:/kubepods/pod{POD}/{DOCKER}\n")), format!("pod {POD} {DOCKER}"));
    // A unit is what systemd says, and no controller.
    assert_eq!(
        of("9:pids:/system.slice/a.service\n1:name=systemd:/system.slice/b.service\n"),
        "unit b.service"
    );
    assert_eq!(of("9:pids:/system.slice/a.service\n"), "none");
    for damaged in ["", "\n", "0", "0:", "0::", ":::", "0:name=systemd"] {
        assert_eq!(of(damaged), "none", "{damaged:?}");
    }
}

#[test]
fn from_within_a_cgroup_namespace_only_paths_from_the_root_tell() {
    let seen = |cgroup: &str| {
        workload(cgroup.as_bytes(), &Viewpoint::Below { init: b"0::/../../init.scope\n".to_vec() })
    };
    let docker = Workload::Container { runtime: Runtime::Docker, id: DOCKER.into() };
    assert_eq!(seen(&format!("0::/../../docker/{DOCKER}\n")), Some(docker));
    assert_eq!(seen(&format!("0::/../docker/{DOCKER}\n")), None);
    assert_eq!(seen(&format!("0::/docker/{DOCKER}\n")), None);
}

#[test]
fn names_are_of_bounded_length_and_printable() {
    assert_eq!(of(&format!("0::/lxc/{}\n", "a".repeat(256))), "none");
    assert_eq!(of("0::/lxc/a\u{202e}b\n"), "none");
    assert_eq!(of("0::/lxc/a\x07b\n"), "none");
    // What a name is escaped for comes out only if it is harmless.
    assert_eq!(of(r"0::/machine.slice/machine-a\x0ab.scope"), r"unit machine-a\x0ab.scope");
    assert_eq!(of(r"0::/machine.slice/machine-a\xZZ.scope"), r"Machine a\xZZ");
}
