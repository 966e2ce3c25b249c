//! The loaded programs themselves: what is not asked for is not in them. The one live test that looks inside reapwatch.

use probe::source::bpf::{
    options::{HookChoice, Subscription, TracerOptions},
    stats::ProgramCost,
    tracer::Tracer,
};

use super::support::require_root;

#[test]
fn log_statements_that_are_off_are_not_in_the_programs() {
    require_root();
    let costs = |log_programs| {
        let options = TracerOptions {
            stats: false,
            lives: 1_024,
            parents: 1_024,
            subscription: Subscription::default(),
            btf: "/sys/kernel/btf/vmlinux".into(),
            hooks: HookChoice::Auto,
            ring_bytes: Some(1 << 16),
            log_programs,
        };
        Tracer::attach(&options).expect("attached").costs()
    };
    let (off, on) = (costs(false), costs(true));
    let bytes = |costs: &[(String, ProgramCost)], name: &str| {
        costs.iter().find(|one| one.0 == name).map(|one| one.1.translated_bytes).expect("the program")
    };
    // A log statement that stayed would cost more than this.
    assert!(bytes(&off, "process_exit") + 500 < bytes(&on, "process_exit"), "{off:?} {on:?}");
    assert_eq!(bytes(&off, "process_fork"), bytes(&on, "process_fork"), "it has no log statement");
}
