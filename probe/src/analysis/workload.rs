//! The published form of a workload.
//!
//! Must not escape: that is `render`'s.

use crate::{
    model::{self, Runtime, WORKLOAD_NAME_MAX},
    report::{Workload, WorkloadKind, words},
};

pub fn workload(known: &model::Workload) -> Workload {
    let named = |kind, name: String| Workload { kind, name: name.into(), container: None, runtime: None };
    match known {
        model::Workload::Unit(name) => named(WorkloadKind::Unit, name.clone()),
        model::Workload::Container { runtime, id } => {
            Workload { runtime: Some(runtime_name(*runtime)), ..named(WorkloadKind::Container, id.clone()) }
        }
        model::Workload::Pod { uid, container } => {
            Workload { container: container.clone(), ..named(WorkloadKind::Pod, uid.clone()) }
        }
        model::Workload::Session { user } => named(WorkloadKind::Session, user.to_string()),
        model::Workload::Program { user, executable } => {
            // The end of a path tells more than its beginning.
            let tail = &executable[executable.len().saturating_sub(WORKLOAD_NAME_MAX)..];
            named(WorkloadKind::Program, format!("{user}:{}", words::called(&super::text(tail))))
        }
    }
}

fn runtime_name(runtime: Runtime) -> &'static str {
    match runtime {
        Runtime::Docker => "docker",
        Runtime::Containerd => "containerd",
        Runtime::CriO => "cri-o",
        Runtime::Podman => "podman",
        Runtime::Lxc => "lxc",
        Runtime::Nspawn => "nspawn",
        Runtime::Machine => "machine",
        Runtime::Libvirt => "libvirt",
        Runtime::BuildKit => "buildkit",
        Runtime::Garden => "garden",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_is_bounded_and_valid_text_whatever_its_path() {
        let executable = [b"/start".to_vec(), vec![0xff; 5_000], b"/end".to_vec()].concat();
        let found = workload(&model::Workload::Program { user: 7, executable });
        assert_eq!(found.kind, WorkloadKind::Program);
        assert!(found.name.starts_with("7:") && found.name.ends_with("/end") && found.name.len() < 800);
    }

    #[test]
    fn a_pod_says_which_of_its_containers() {
        let pod = |container: Option<&str>| {
            workload(&model::Workload::Pod { uid: "u".into(), container: container.map(Into::into) })
        };
        assert_eq!((pod(Some("c")).container, pod(None).container), (Some("c".into()), None));
        assert_ne!(pod(Some("c")), pod(Some("d")), "each container has counts of its own");
    }
}
