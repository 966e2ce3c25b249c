//! `setup`: installs what tests and `build-ebpf` need. Building and using reapwatch needs none of it.
//!
//! Must not run a test.

use std::{fs, process::Command};

use crate::shell::{Outcome, as_root, cargo, cargo_bin, output, root, run, target_directory};

/// Debian packages: the toolchain of the eBPF object, the programs that tests start, and what boots other kernels.
const PACKAGES: &[&str] = &[
    "gcc",
    "libc6-dev",
    "python3",
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "llvm-22-dev",
    "systemd",
    // Counts the collector's instructions.
    "valgrind",
    // Real programs of tests/cases.
    "bubblewrap",
    "golang-go",
    "musl-tools",
    "nodejs",
    "perl",
    "php-cli",
    "tini",
    "tmux",
    "util-linux",
    // And healthy ones.
    "apache2",
    "cron",
    "git",
    "gunicorn",
    "make",
    "nginx-light",
    "php-fpm",
    "postgresql",
    "python3-celery",
    "supervisor",
    "uwsgi-core",
    "uwsgi-plugin-python3",
    // Shells that complete the command line.
    "fish",
    "procps",
    "zsh",
    // What receives metrics and alerts in tests/agent.
    "prometheus",
    "python3-venv",
    "rsyslog",
    // What reads lines of trace in tests/trace.
    "jq",
    // What reads pages and JUnit XML in tests/ci.
    "chromium",
    "libxml2-utils",
    "cpio",
    "qemu-system-x86",
    "qemu-system-arm",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
];
/// Where llvm-22-dev is.
pub const LLVM: &str = "/usr/lib/llvm-22";
const BPF_LINKER: &str = "0.13.0";
/// Makes the book. Without its server and its search, which is half of its dependencies.
const MDBOOK: &str = "0.5.4";
/// The receiver of OTLP, of PyPI. Its program comes in the package.
const ROTEL: &str = "0.0.1a15";
/// Debian's own Python, for which Debian has the library that the receiver needs.
const PYTHON: &str = "/usr/bin/python3";

/// One at a time: where a package of another origin is in the way of two, apt solves each but not both at once. Without
/// what is only recommended, or with it where that is what apt finds a way for.
fn install(package: &str) -> Outcome {
    let apt = || {
        let mut apt = as_root("apt-get");
        // RUNLEVEL: servers are started by the tests alone.
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1")
            .args(["-qq", "-y", "install", package]);
        apt
    };
    run(apt().arg("--no-install-recommends")).or_else(|_| run(&mut apt()))
}

/// Installs what is missing for everything.
pub fn setup() -> Outcome {
    install_missing(PACKAGES)?;
    install_tools()?;
    install_mdbook()?;
    install_otlp_receiver()?;
    install_pytest()?;
    install_databases()
}

/// Of PyPI: what reads lines of trace in tests/trace.
const DATABASES: [&str; 2] = ["duckdb==2.0.1", "chdb==4.4.0"];

/// A virtual environment under target/.
fn install_databases() -> Outcome {
    let directory = target_directory().join("databases");
    let python = directory.join("bin/python");
    if output(Command::new(&python).args(["-c", "import duckdb, chdb"])).is_ok() {
        return Ok(());
    }
    eprintln!("setup: a virtual environment with {} in {}", DATABASES.join(", "), directory.display());
    run(Command::new("python3").args(["-m", "venv"]).arg(&directory))?;
    run(Command::new(&python)
        .args(["-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--only-binary=:all:"])
        .args(DATABASES))
}

/// Installs what makes the book, if it is missing.
pub fn install_mdbook() -> Outcome {
    if cargo_bin("mdbook").is_some() {
        return Ok(());
    }
    eprintln!("setup: cargo install mdbook {MDBOOK}");
    run(cargo().env_remove("CARGO_TARGET_DIR").args([
        "install",
        "mdbook",
        "--version",
        MDBOOK,
        "--locked",
        "--no-default-features",
    ]))
}

/// Installs Python where it is missing: the live tests start it, and the build does not need it.
pub fn setup_live_tests() -> Outcome {
    if output(Command::new("python3").arg("--version")).is_ok() {
        return Ok(());
    }
    install_missing(&["python3"])
}

fn install_missing(packages: &[&str]) -> Outcome {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| {
            let mut query = Command::new("dpkg-query");
            query.args(["-W", "-f", "${Status}", package]);
            !output(&mut query).is_ok_and(|status| status == "install ok installed")
        })
        .copied()
        .collect();
    if !missing.is_empty() {
        eprintln!("setup: apt-get install {}", missing.join(" "));
        run(as_root("apt-get").args(["-qq", "update"]))?;
        for package in missing {
            install(package)?;
        }
    }
    Ok(())
}

/// Into a virtual environment below target/, where tests/agent looks for it.
fn install_otlp_receiver() -> Outcome {
    let directory = target_directory().join("rotel");
    let installed = directory.join(ROTEL);
    if installed.exists() {
        return Ok(());
    }
    let minor = "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}')";
    let version = output(Command::new(PYTHON).args(["-c", minor]))?;
    install_missing(&[&format!("libpython{version}")])?;
    eprintln!("setup: pip install rotel {ROTEL}");
    run(Command::new(PYTHON).args(["-m", "venv"]).arg(&directory))?;
    run(Command::new(directory.join("bin/pip"))
        .args(["install", "--quiet", "--no-deps", "--only-binary=:all:"])
        .arg(format!("rotel=={ROTEL}")))?;
    std::fs::write(&installed, "").map_err(|error| format!("{}: {error}", installed.display()))
}

/// Python packages of tests/ci, of which pytest's sources hold the schema of JUnit XML that Jenkins uses.
const PYTEST: &str = "pytest==8.4.2";
const XDIST: &str = "pytest-xdist==3.8.0";
const JUNIT_SCHEMA: &str = "pytest-8.4.2/testing/example_scripts/junit-10.xsd";

/// A virtual environment under target/ with pytest and our plugin, which is used from the sources; and the schema beside it.
fn install_pytest() -> Outcome {
    let directory = target_directory().join("python");
    let (python, schema) = (directory.join("venv/bin/python"), directory.join("junit-10.xsd"));
    let has_plugin = || output(Command::new(&python).args(["-c", "import xdist, pytest_reapwatch"])).is_ok();
    if schema.exists() && has_plugin() {
        return Ok(());
    }
    eprintln!("setup: a virtual environment with {PYTEST} in {}", directory.display());
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
    run(Command::new("python3").args(["-m", "venv"]).arg(directory.join("venv")))?;
    let pip = || {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--quiet", "--disable-pip-version-check"]);
        pip
    };
    run(pip().args(["install", PYTEST, XDIST, "--editable"]).arg(root().join("integrations/pytest")))?;
    let sources = directory.join("sdist");
    run(pip().args(["download", "--no-deps", "--no-binary", "pytest", PYTEST, "--dest"]).arg(&sources))?;
    let packed = sources.join("pytest-8.4.2.tar.gz");
    let text = output(Command::new("tar").arg("xzOf").arg(&packed).arg(JUNIT_SCHEMA))?;
    fs::write(&schema, text).map_err(|error| format!("cannot write {}: {error}", schema.display()))
}

fn install_tools() -> Outcome {
    if cargo_bin("bpf-linker").is_none() {
        eprintln!("setup: cargo install bpf-linker {BPF_LINKER}");
        run(cargo()
            .env("LLVM_PREFIX", LLVM)
            .env_remove("CARGO_TARGET_DIR")
            .args(["install", "bpf-linker", "--version", BPF_LINKER, "--locked"])
            .args(["--no-default-features", "--features", "llvm-22"]))?;
    }
    if cargo_bin("cargo-deny").is_none() {
        eprintln!("setup: cargo install cargo-deny");
        run(cargo().env_remove("CARGO_TARGET_DIR").args(["install", "cargo-deny", "--locked"]))?;
    }
    Ok(())
}
