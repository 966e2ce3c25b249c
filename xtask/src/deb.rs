//! `deb`: the Debian package of reapwatch, with the unit of the agent.
//!
//! Owns what is in the package and where. Must not install it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    deb_lifecycle,
    release::{self, binutil},
    shell::{Outcome, output, root, run, source_date_epoch, target_directory},
    vm::Arch,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");
// cargo gives an empty text where the manifest of xtask does not take the workspace's, and the package then has no homepage.
const _: () = assert!(!REPOSITORY.is_empty(), "xtask/Cargo.toml needs repository.workspace = true");
/// GitHub's address for what nobody is to answer: reports go to the repository's issues.
const MAINTAINER: &str = "The authors of reapwatch <reapwatch@users.noreply.github.com>";
const DESCRIPTION: &str = "finds the processes that do not reap their dead children
 reapwatch watches how every process on a Linux host ends, measures how long
 each parent leaves its dead children (zombies) unreaped, and says which
 parent leaks, why, and what to do about it. It loads eBPF programs.
 .
 The service reapwatch-agent has metrics for Prometheus on 127.0.0.1:9779 and
 writes alerts as JSON lines to the journal.";

/// A file of the package: where it comes from, where it goes to, its mode, and whether it is compressed.
struct Placed {
    from: PathBuf,
    to: String,
    mode: u32,
    is_compressed: bool,
}

/// Builds the package under target/debian. `program`: package this one instead of the static one of `release`. `try_in`: a Debian, as debootstrap
/// makes one, in which it is installed, upgraded, removed and purged.
pub fn deb(arch: Arch, program: Option<&Path>, try_in: Option<&Path>) -> Outcome {
    let from = program.map_or_else(|| release::program(arch), |given| Ok(given.to_owned()))?;
    let directory = target_directory().join("debian").join(arch.debian());
    if directory.exists() {
        fs::remove_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    for file in files()? {
        place(&directory, &file)?;
    }
    let placed = Placed { from, to: "usr/bin/reapwatch".into(), mode: 0o755, is_compressed: false };
    place(&directory, &placed)?;
    // What `release` has published is packaged as it is, so that its checksum holds.
    if program.is_some() {
        run(Command::new(binutil(arch, "strip"))
            .args(["--strip-unneeded", "--remove-section=.comment"])
            .arg(directory.join(&placed.to)))?;
    }
    changelog(&directory)?;
    control(&directory, arch)?;
    let package = target_directory().join(format!("debian/reapwatch_{VERSION}_{}.deb", arch.debian()));
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", source_date_epoch()?)
        .args(["--root-owner-group", "-Zxz", "--build"])
        .arg(&directory)
        .arg(&package))?;
    println!("{}", package.display());
    try_in.map_or(Ok(()), |debian| deb_lifecycle::try_in(debian, &package))
}

/// Everything but the program and what dpkg itself reads.
fn files() -> Outcome<Vec<Placed>> {
    let root = root();
    let placed = |from: &str, to: &str, is_compressed| Placed {
        from: root.join(from),
        to: to.into(),
        mode: 0o644,
        is_compressed,
    };
    let mut files = vec![
        placed(
            "dist/systemd/reapwatch-agent.service",
            "usr/lib/systemd/system/reapwatch-agent.service",
            false,
        ),
        placed("dist/debian/default", "etc/default/reapwatch-agent", false),
        placed("dist/debian/copyright", "usr/share/doc/reapwatch/copyright", false),
        placed("CHANGELOG.md", "usr/share/doc/reapwatch/CHANGELOG.md", false),
        placed("docs/completions/reapwatch.bash", "usr/share/bash-completion/completions/reapwatch", false),
        placed("docs/completions/_reapwatch", "usr/share/zsh/vendor-completions/_reapwatch", false),
        placed(
            "docs/completions/reapwatch.fish",
            "usr/share/fish/vendor_completions.d/reapwatch.fish",
            false,
        ),
        placed(
            "dist/prometheus/reapwatch.rules.yml",
            "usr/share/doc/reapwatch/examples/reapwatch.rules.yml",
            false,
        ),
        placed(
            "dist/grafana/reapwatch.json",
            "usr/share/doc/reapwatch/examples/grafana-dashboard.json",
            false,
        ),
    ];
    for (from, to, is_compressed) in
        [("docs", "usr/share/doc/reapwatch", false), ("docs/man", "usr/share/man/man1", true)]
    {
        let entries = fs::read_dir(root.join(from)).map_err(|error| format!("{from}: {error}"))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if [".md", ".1"].iter().any(|end| name.ends_with(end)) {
                files.push(placed(&format!("{from}/{name}"), &format!("{to}/{name}"), is_compressed));
            }
        }
    }
    Ok(files)
}

fn place(directory: &Path, file: &Placed) -> Outcome {
    let to = directory.join(&file.to);
    let failed = |error: std::io::Error| format!("{} to {}: {error}", file.from.display(), to.display());
    let parent = to.parent().unwrap_or(directory);
    fs::create_dir_all(parent).map_err(failed)?;
    fs::copy(&file.from, &to).map_err(failed)?;
    fs::set_permissions(&to, fs::Permissions::from_mode(file.mode)).map_err(failed)?;
    if file.is_compressed {
        run(Command::new("gzip").args(["-9", "--no-name", "--force"]).arg(&to))?;
    }
    Ok(())
}

/// The changelog that a Debian package has: it names the version, and where the changes are told.
fn changelog(directory: &Path) -> Outcome {
    let date = output(Command::new("git").current_dir(root()).args(["log", "-1", "--format=%cD"]))?;
    let text = format!(
        "reapwatch ({VERSION}) unstable; urgency=medium\n\n  * See /usr/share/doc/reapwatch/CHANGELOG.md.\n\n -- {MAINTAINER}  {date}\n"
    );
    let from = target_directory().join("debian/changelog");
    fs::write(&from, text).map_err(|error| format!("{}: {error}", from.display()))?;
    let to = "usr/share/doc/reapwatch/changelog".into();
    place(directory, &Placed { from, to, mode: 0o644, is_compressed: true })
}

/// What dpkg reads: who it is, what it needs, which files are the administrator's, and what is run when.
fn control(directory: &Path, arch: Arch) -> Outcome {
    let size = output(Command::new("du").args(["--apparent-size", "-sk"]).arg(directory))?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    let needs = match least_libc(arch, &directory.join("usr/bin/reapwatch"))? {
        Some(version) => format!("libc6 (>= {version}), init-system-helpers (>= 1.54)"),
        None => "init-system-helpers (>= 1.54)".to_owned(),
    };
    let text = format!(
        "Package: reapwatch\nVersion: {}\nArchitecture: {}\nMaintainer: {MAINTAINER}\nInstalled-Size: {size}\n\
         Depends: {needs}\nSection: admin\nPriority: optional\nHomepage: {REPOSITORY}\n\
         Description: {DESCRIPTION}\n",
        VERSION,
        arch.debian()
    );
    let debian = directory.join("DEBIAN");
    let write = |name: &str, text: &str| {
        fs::create_dir_all(&debian)
            .and_then(|()| fs::write(debian.join(name), text))
            .map_err(|error| format!("{name}: {error}"))
    };
    write("control", &text)?;
    write("conffiles", "/etc/default/reapwatch-agent\n")?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = root().join("dist/debian").join(script);
        place(
            directory,
            &Placed { from, to: format!("DEBIAN/{script}"), mode: 0o755, is_compressed: false },
        )?;
    }
    Ok(())
}

/// The oldest C library that has every symbol which the program takes from it; none where it is static.
fn least_libc(arch: Arch, program: &Path) -> Outcome<Option<String>> {
    let symbols = output(Command::new(binutil(arch, "readelf")).args(["--dyn-syms", "--wide"]).arg(program))?;
    let versions = symbols.split("@GLIBC_").skip(1).filter_map(|rest| {
        let version = rest.split(|one: char| !(one.is_ascii_digit() || one == '.')).next()?;
        let parts: Vec<u32> = version.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        Some((parts, version.to_owned()))
    });
    Ok(versions.max().map(|(_, newest)| newest))
}
