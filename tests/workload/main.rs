//! The workload: processes that live and die in exactly known ways, and say on one line of JSON what they did.
//!
//! One static, multi-call binary, the same on the host and in a virtual machine. Its truth comes from its own
//! bookkeeping and clock. Must not know reapwatch.

mod account;
mod blocked;
mod exhausting;
mod fork_site;
mod hold;
mod holding;
mod hostile;
mod killing;
mod latency;
mod leak;
mod living;
mod load;
mod namespace;
mod odd;
mod process;
mod readiness;
mod reap;
mod suspect;
mod waiting;

use std::collections::HashMap;

/// Numbers given as `--name N`, with defaults by the scenario.
#[derive(Clone)]
pub struct Flags(HashMap<String, u64>);

impl Flags {
    pub fn get(&self, name: &str, default: u64) -> u64 {
        self.0.get(name).copied().unwrap_or(default)
    }
}

fn main() {
    let mut args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let scenario = args.next().unwrap_or_default();
    let mut flags = HashMap::new();
    let rest: Vec<String> = args.collect();
    if scenario == "in-pid-namespace" {
        namespace::run(&rest);
    }
    for pair in rest.chunks(2) {
        // A scenario may give itself arguments that are no flags.
        if let [name, value] = pair
            && let Some(name) = name.strip_prefix("--")
        {
            flags.insert(name.to_owned(), value.parse().expect("a number"));
        }
    }
    let flags = Flags(flags);
    let truth = match scenario.as_str() {
        "exit-now" => {
            if let signal @ 1.. = flags.get("signal", 0) {
                process::kill(process::own_pid(), signal as i32);
            }
            std::process::exit(flags.get("code", 0) as i32)
        }
        "sit" => {
            hold::hold(flags.get("ms", 1_000));
            return;
        }
        "accounts" => account::accounts(&flags),
        "reap-wait4" => reap::at_once(&flags, reap::How::Wait4),
        "reap-waitid" => reap::at_once(&flags, reap::How::Waitid),
        "reap-pidfd" => reap::at_once(&flags, reap::How::Pidfd),
        "reap-posix-spawn" => reap::spawned(&flags),
        "reap-vfork" => reap::vforked(&flags),
        "reap-threads" => reap::threads(&flags),
        "reap-delayed" => reap::delayed(&flags),
        "reap-batch" => reap::batch(&flags),
        "batches" => reap::batches(&flags),
        "wnowait" => reap::wnowait(&flags),
        "wait-kinds" => waiting::kinds(),
        "readiness" => readiness::readiness(),
        "wait-once" => {
            waiting::once();
            return;
        }
        "big-memory" => reap::big_memory(&flags),
        "storm" => reap::storm(&flags),
        "load" => load::load(&flags),
        "living-parents" => living::parents(&flags),
        "latency" => latency::latency(&flags),
        "fork-places" => fork_site::places(&flags),
        "fork-in-handler" => fork_site::in_handler(&flags),
        "fork-leak-for-ever" => fork_site::for_ever(&flags),
        "exhausting" => {
            exhausting::exhausting(&flags);
            return;
        }
        "leak-all" => leak::all(&flags),
        "leak-without-leader" => leak::without_leader(&flags),
        "leak-some" => leak::some(&flags),
        "leak-until-told" => leak::until_told(&flags),
        "exec-leaker" => leak::exec_leaker(&flags),
        "parent-dies-zombies" => leak::parent_dies_zombies(&flags),
        "parent-dies-running" => leak::parent_dies_running(&flags),
        "double-fork" => leak::double_fork(&flags),
        "subreaper" => leak::subreaper(&flags),
        "pidns" => leak::pidns(&flags),
        "hostile-names" => leak::hostile_names(&flags),
        "killed" => killing::killed(&flags),
        "killed-with-namespace" => killing::with_namespace(&flags),
        "killed-while-traced" => killing::while_traced(&flags),
        "killed-for-memory" => killing::out_of_memory(&flags),
        "kills-for-ever" => killing::for_ever(&flags),
        "sigchld-ignored" => odd::autoreap(&flags, odd::Auto::Ignored),
        "sa-nocldwait" => odd::autoreap(&flags, odd::Auto::NoCldWait),
        "dead-leader" => odd::dead_leader(&flags, false),
        "dead-leader-ignored" => odd::dead_leader(&flags, true),
        "thread-exec" => odd::thread_exec(&flags),
        "clone-parent" => odd::clone_parent(&flags),
        "no-exit-signal" => odd::no_exit_signal(&flags),
        "endings" => odd::endings(&flags),
        "traced" => odd::traced(&flags),
        "pid-reuse" => odd::pid_reuse(&flags),
        "exit-signals" => hostile::exit_signals(&flags),
        "leader-dies-leaking" => hostile::leader_dies_leaking(&flags),
        "thread-leak" => hostile::thread_leak(&flags),
        "renaming" => hostile::renaming(&flags),
        "thread-execs" => hostile::thread_execs(&flags),
        "nested-pidns" => hostile::nested_pidns(&flags),
        "exec-loop" => hostile::exec_loop(&flags),
        "chain" => hostile::chain(&flags),
        "traced-by-parent" => hostile::traced_by_parent(&flags),
        "tracer-dies" => hostile::tracer_dies(&flags),
        "vfork-leak" => hostile::vfork_leak(&flags),
        "hostile-leakers" => hostile::leakers(&flags),
        "same-instant" => hostile::same_instant(&flags),
        "blocked-sleep" => blocked::sleep(&flags),
        "blocked-read" => blocked::read(&flags),
        "blocked-poll" => blocked::poll(&flags),
        "blocked-epoll" => blocked::epoll(&flags),
        "blocked-futex" => blocked::futex(&flags),
        "blocked-sigsuspend" => blocked::sigsuspend(&flags),
        "blocked-spin" => blocked::spin(&flags),
        "blocked-in-handler" => blocked::in_handler(&flags),
        "blocked-counting-signals" => blocked::counting_signals(&flags),
        "blocked-vfork" => blocked::vfork(&flags),
        "blocked-in-32-bit-call" => blocked::in_32_bit_call(&flags),
        "blocked-threads" => blocked::threads(&flags),
        "blocked-under-seccomp" => blocked::under_seccomp(&flags),
        "blocked-held" => blocked::held(&flags),
        "blocked-with-dead-leader" => blocked::with_dead_leader(&flags),
        "blocked-without-leader" => blocked::without_leader(&flags),
        "blocked-with-late-zombie" => blocked::with_late_zombie(&flags),
        "blocked-busy" => blocked::busy(&flags),
        "blocked-timed-epoll" => blocked::timed_epoll(&flags),
        "blocked-ppoll" => blocked::ppoll(&flags),
        "blocked-timed-terminal" => blocked::timed_terminal(&flags),
        "blocked-under-supervision" => blocked::under_supervision(&flags),
        "blocked-with-late-handler" => blocked::with_late_handler(&flags),
        "holder" => holding::holder(&flags),
        "until-no-more" => holding::until_no_more(&flags),
        "stuck-init" => holding::stuck_init(&flags),
        "reaps-when-told" => holding::reaps_when_told(&flags),
        "big-arguments" => hostile::big_arguments(&flags),
        "suspect-stopped" => suspect::suspect(suspect::Doing::Stopped),
        "suspect-blocks-in-all-threads" => suspect::suspect(suspect::Doing::BlocksInAllThreads),
        "suspect-blocks-in-one-thread" => suspect::suspect(suspect::Doing::BlocksInOneThread),
        "suspect-has-handler" => suspect::suspect(suspect::Doing::HasHandler),
        "suspect-waits-for-another" => suspect::suspect(suspect::Doing::WaitsForAnother),
        "suspect-waits-for-any" => suspect::suspect(suspect::Doing::WaitsForAny),
        "suspect-waits-for-stopped" => suspect::suspect(suspect::Doing::WaitsForStopped),
        "suspect-waits-in-thread" => suspect::suspect(suspect::Doing::WaitsInThread),
        "suspect-reads-pipe" => suspect::suspect(suspect::Doing::ReadsPipe),
        "suspect-reads-own-pipe" => suspect::suspect(suspect::Doing::ReadsOwnPipe),
        "suspect-reads-pipe-of-another-user" => suspect::suspect(suspect::Doing::ReadsPipeOfAnotherUser),
        "suspect-vfork" => suspect::suspect(suspect::Doing::Vfork),
        "suspect-traced" => suspect::suspect(suspect::Doing::Traced),
        "suspect-signal-wait" => suspect::suspect(suspect::Doing::SignalWait),
        "suspect-many-threads" => suspect::suspect(suspect::Doing::ManyThreads),
        _ => {
            eprintln!("workload: no scenario {scenario:?}");
            std::process::exit(2);
        }
    };
    println!("{truth}");
}
