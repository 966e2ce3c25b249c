//! `cargo xtask`: one module a command. Must not be needed to build or use reapwatch.

mod bench;
mod book;
mod build_ebpf;
mod crates;
mod deb;
mod deb_lifecycle;
mod demo;
mod docs;
mod fleet;
mod frames;
mod goldens;
mod growth;
mod instructions;
mod release;
mod setup;
mod shell;
#[path = "../../probe/source_hash.rs"]
mod source_hash;
mod test;
mod unit;
mod vm;
#[cfg(test)]
mod workflow_tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "What reapwatch's developers and CI run")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build reapwatch and show it the leak of a real program
    Demo,
    /// Run the tests, as root, because the live ones load eBPF programs; installs Python where it is missing
    Test(test::TestArgs),
    /// Install what `test --all` and `build-ebpf` need (Debian packages, bpf-linker, cargo-deny, mdbook)
    Setup,
    /// Build the eBPF object that is committed beside the sources
    BuildEbpf {
        /// Only fail where the committed object is not what the sources give
        #[arg(long)]
        check: bool,
    },
    /// Run the live tests on many kernels in QEMU, on every rung; prints the table
    Vm(vm::VmArgs),
    /// Measure what being watched costs, beside other tracers; writes docs/performance.md
    Bench(bench::BenchArgs),
    /// Count the instructions that the collector takes per life and per report; fails where they have grown
    Instructions {
        /// Write what is counted to tests/data
        #[arg(long)]
        freeze: bool,
    },
    /// Say what the metrics of an agent come to, and measure what a Prometheus needs for many nodes (docs/deploying.md)
    Fleet(fleet::FleetArgs),
    /// Write anew what replays of the recordings in tests/data must give
    Goldens {
        /// Have the live tests make those recordings anew before, on a kernel in QEMU
        #[arg(long)]
        record: bool,
    },
    /// Build what is published of a version: static programs, debug information, bills of materials, checksums
    Release(release::ReleaseArgs),
    /// Pack the crates as for a registry, install the program from what was packed, and try it
    Crates,
    /// Build the Debian package, with the unit of the agent, under target/debian
    Deb {
        /// The architecture that it is for
        #[arg(long, default_value = "x86_64")]
        target: vm::Arch,
        /// Package this program instead of the static one of `release`
        #[arg(long)]
        program: Option<std::path::PathBuf>,
        /// Install, upgrade, remove and purge it in this directory, a Debian that debootstrap has made; needs root
        #[arg(long)]
        try_in: Option<std::path::PathBuf>,
    },
    /// Check every link and every command of the documentation, and make a book of docs/ under target/book; installs mdbook
    Book,
    /// Write man pages, shell completions and the reference to docs/, and draw the live table into the pages that show it
    Docs {
        /// Only fail where the committed ones differ
        #[arg(long)]
        check: bool,
        /// Then have bash, zsh and fish complete command lines by the scripts
        #[arg(long)]
        shells: bool,
    },
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Demo => demo::demo(),
        Command::Test(args) => test::test(&args),
        Command::Setup => setup::setup(),
        Command::BuildEbpf { check } => build_ebpf::build_ebpf(check),
        Command::Vm(args) => vm::vm(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::Instructions { freeze } => instructions::instructions(freeze),
        Command::Fleet(args) => fleet::fleet(&args),
        Command::Goldens { record } => goldens::goldens(record),
        Command::Release(args) => release::release(&args),
        Command::Crates => crates::crates(),
        Command::Deb { target, program, try_in } => deb::deb(target, program.as_deref(), try_in.as_deref()),
        Command::Book => book::book(),
        Command::Docs { check, shells } => docs::docs(check, shells),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
