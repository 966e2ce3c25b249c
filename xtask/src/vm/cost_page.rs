//! Instructions per life as tables, and as docs/instructions.md. Must not count any.

use super::cost::{Kernel, Kernels, Programs};

pub const PAGE: &str = "docs/instructions.md";

const RUNGS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];
const LOADS: [&str; 5] = ["fork", "fork+exec", "vfork", "short-parents", "four-threads"];

const HEAD: &str = "# Instructions per life

Written by `cargo xtask vm --cost --freeze`. It boots each kernel in QEMU with a clock that advances by one ns an instruction, on
one CPU. There the kernel's own count of the time in BPF programs (`bpf_stats`) is a count of instructions, the same in every
boot to about 1 %. CI counts them anew and fails where a sum of ours has grown by more than 3 %. The sums of *four-threads* depend
on which thread runs when, and may differ by more.

In each cell: all instructions in our programs per life, the kernel's two readings of its clock a run included; in brackets
without what as many runs of programs that do nothing cost. *script*: two programs that do what a bpftrace script of two hooks
does (exit and free, four entries of hash maps made and taken away, a histogram). A life of *short-parents* is a child and its
parent, which counts as two.

*attach, close*: how long attaching takes and closing what is attached, by the same clock: an instruction takes a ns, which is
three to four times slower than a CPU of today, and waiting for the kernel's grace periods takes as long as it does there. *empty*
attaches three programs that do nothing, one or two of them on the rung's own hooks. They are shown, not judged.

What it does not show is cache misses: there [performance.md](performance.md) is the judge.
";

/// The page.
pub fn page(kernels: &Kernels) -> String {
    format!("{HEAD}\n{}", tables(kernels))
}

/// Three tables a kernel: the sums, the programs of the first load in `watch`, and how long attaching and closing took.
pub fn tables(kernels: &Kernels) -> String {
    kernels
        .iter()
        .map(|(name, kernel)| format!("{}{}{}", sums(name, kernel), programs(kernel), spans(kernel)))
        .collect()
}

fn spans(kernel: &Kernel) -> String {
    let mut text = "\n| attach, close (ms) |".to_owned();
    text += &RUNGS.map(|rung| format!(" {rung} |")).concat();
    text += &format!("\n|---|{}\n", "---|".repeat(RUNGS.len()));
    for mode in ["watch", "trace", "run", "empty"] {
        text += &format!("| {mode} |");
        for rung in RUNGS {
            let span = kernel.spans.get(rung).and_then(|modes| modes.get(mode));
            let ms = |ns: u64| ns as f64 / 1e6;
            let cell = span.map(|span| format!("{:.0}, {:.0}", ms(span.attach_ns), ms(span.close_ns)));
            text += &format!(" {} |", cell.unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

fn sums(name: &str, kernel: &Kernel) -> String {
    let mut text = format!("\n## {name} ({})\n\n| load | mode |", kernel.release);
    text += &RUNGS.map(|rung| format!(" {rung} |")).concat();
    text += &format!("\n|---|---|{}\n", "---|".repeat(RUNGS.len()));
    for load in LOADS {
        for mode in ["watch", "trace", "run", "script"] {
            text += &format!("| {load} | {mode} |");
            for rung in RUNGS {
                text += &format!(" {} |", sum(kernel, rung, mode, load).unwrap_or_default());
            }
            text.push('\n');
        }
    }
    text
}

fn of<'a>(kernel: &'a Kernel, rung: &str, mode: &str, load: &str) -> Option<(&'a Programs, &'a Programs)> {
    let get = |rungs: &'a super::cost::Rungs| rungs.get(rung)?.get(mode)?.get(load);
    Some((get(&kernel.rungs)?, get(&kernel.runs)?))
}

fn sum(kernel: &Kernel, rung: &str, mode: &str, load: &str) -> Option<String> {
    let (instructions, runs) = of(kernel, rung, mode, load)?;
    let all: f64 = instructions.values().sum();
    let called: f64 = runs.iter().map(|(program, runs)| runs * empty(kernel, rung, program)).sum();
    Some(format!("{all:.0} ({:.0})", all - called))
}

/// What a program of the kind of `program` costs that does nothing.
fn empty(kernel: &Kernel, rung: &str, program: &str) -> f64 {
    let kind = match program {
        "release_fentry" | "release_again" => "release_fentry",
        "notify_fexit" => "notify_fexit",
        "release_kprobe" | "notify_kprobe" => "release_kprobe",
        "notify_kretprobe" => "notify_kretprobe",
        "exit_wait4" | "exit_waitid" => "sys_exit_wait4",
        _ => "sched_process_fork",
    };
    let each = || {
        let (instructions, runs) = of(kernel, rung, "empty", LOADS[0])?;
        Some(instructions.get(kind)? / runs.get(kind)?)
    };
    each().unwrap_or(0.0)
}

fn programs(kernel: &Kernel) -> String {
    let mut text = "\n`watch`, fork, by program: ".to_owned();
    for rung in RUNGS {
        let Some((instructions, _)) = of(kernel, rung, "watch", LOADS[0]) else { continue };
        let mut each: Vec<_> = instructions.iter().filter(|(_, count)| **count >= 0.5).collect();
        each.sort_by(|one, other| other.1.total_cmp(one.1));
        let each: Vec<String> = each.iter().map(|(name, count)| format!("{name} {count:.0}")).collect();
        text += &format!("**{rung}** {}. ", each.join(", "));
    }
    text.trim_end().to_owned() + "\n"
}
