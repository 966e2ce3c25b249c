//! Kernels to boot: which, and how they come from Debian's archive into a cache of ours.
//!
//! The system's own package sources are read, never changed: apt works in a directory of its own. Must not know how a
//! kernel is booted.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::shell::{Outcome, output, run, target_directory};

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "aarch64")]
    Arm64,
}

impl Arch {
    /// As Linux and Rust call it.
    pub fn linux(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// As Debian calls it.
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// A kernel that is fetched by name.
pub struct Known {
    pub name: &'static str,
    pub arch: Arch,
    /// Suite of Debian's archive.
    suite: &'static str,
    /// How its version begins; empty: the newest of the suite.
    series: &'static str,
    /// The rung on which it runs every test, if there is one; on the others it runs those that depend on the hooks.
    whole: Option<&'static str>,
}

/// The matrix. Each rung is the whole one of some kernel. 6.18 has none, because the host of CI runs it, and of arm64 one is
/// enough: each whole rung takes minutes under emulation.
pub const KNOWN: &[Known] = &[
    known("5.10", Arch::X86_64, "bullseye-security", "5.10.", Some("tracepoint")),
    known("6.1", Arch::X86_64, "bookworm-security", "6.1.", Some("kprobe")),
    known("6.12", Arch::X86_64, "trixie-security", "6.12.", Some("fentry")),
    known("6.18", Arch::X86_64, "trixie-backports", "6.18.", None),
    known("newest", Arch::X86_64, "trixie-backports", "", Some("fentry")),
    known("6.12-arm64", Arch::Arm64, "trixie-security", "6.12.", None),
    known("newest-arm64", Arch::Arm64, "trixie-backports", "", Some("fentry")),
];

/// A whole rung that no kernel has.
const NO_RUNG: &str = "none";

const fn known(
    name: &'static str,
    arch: Arch,
    suite: &'static str,
    series: &'static str,
    whole: Option<&'static str>,
) -> Known {
    Known { name, arch, suite, series, whole }
}

/// An image to boot.
#[derive(Clone, Debug)]
pub struct Image {
    pub name: String,
    pub arch: Arch,
    pub path: PathBuf,
    /// Of the matrix: every rung must work.
    pub known: bool,
    /// The rung on which every test runs; none: each.
    pub whole: Option<&'static str>,
}

/// The image of a name of [`KNOWN`], or of a path.
pub fn image(name: &str) -> Outcome<Image> {
    if let Some(known) = KNOWN.iter().find(|known| known.name == name) {
        let path = fetch(known)?;
        return Ok(Image {
            name: name.to_owned(),
            arch: known.arch,
            path,
            known: true,
            whole: Some(known.whole.unwrap_or(NO_RUNG)),
        });
    }
    let path = PathBuf::from(name);
    if !path.is_file() {
        let names: Vec<&str> = KNOWN.iter().map(|known| known.name).collect();
        return Err(format!("{name} is neither a file nor one of {}", names.join(", ")));
    }
    let arch = arch_of(&path)?;
    Ok(Image { name: name.to_owned(), arch, path, known: false, whole: None })
}

/// From the magic numbers of the boot protocols.
fn arch_of(path: &Path) -> Outcome<Arch> {
    let bytes = fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    match (bytes.get(0x202..0x206), bytes.get(0x38..0x3c), bytes.get(4..8)) {
        (Some(b"HdrS"), _, _) => Ok(Arch::X86_64),
        (_, Some(b"ARM\x64"), _) | (_, _, Some(b"zimg")) => Ok(Arch::Arm64),
        _ => Err(format!("{} is no bootable image of x86-64 or arm64", path.display())),
    }
}

fn fetch(known: &Known) -> Outcome<PathBuf> {
    let base = target_directory().join("vm");
    let apt = private_apt(known.suite, known.arch)?;
    let package = apt.newest(known.series)?;
    let directory = base.join("kernels").join(format!("{package}-{}", known.arch.debian()));
    let image = directory.join("vmlinuz");
    if image.is_file() {
        return Ok(image);
    }
    let parts = directory.join("parts");
    fs::create_dir_all(&parts).map_err(|error| format!("cannot create {}: {error}", parts.display()))?;
    run(apt.command("apt-get").current_dir(&parts).args(["-qq", "download", &package]))?;
    let script =
        "set -o pipefail; dpkg-deb --fsys-tarfile *.deb | tar -xO --wildcards '*/vmlinuz*' > ../image";
    run(Command::new("bash").current_dir(&parts).args(["-c", script]))?;
    let fresh = directory.join("image");
    arch_of(&fresh).map_err(|error| format!("{package}: {error}"))?;
    fs::rename(&fresh, &image).map_err(|error| error.to_string())?;
    let _ = fs::remove_dir_all(parts);
    Ok(image)
}

/// apt for one suite and one architecture.
pub fn private_apt(suite: &str, arch: Arch) -> Outcome<Apt> {
    Apt::open(&target_directory().join("vm/apt"), suite, arch)
}

/// apt with lists and cache of its own.
pub struct Apt {
    directory: PathBuf,
    arch: Arch,
}

impl Apt {
    fn open(base: &Path, suite: &str, arch: Arch) -> Outcome<Self> {
        let directory = base.join(format!("{suite}-{}", arch.debian()));
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(directory.join(part))
                .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
        }
        let (uri, signed_by) = archive(suite.ends_with("-security"))?;
        let line = format!("deb [signed-by={signed_by}] {uri} {suite} main\n");
        fs::write(directory.join("sources.list"), line).map_err(|error| error.to_string())?;
        let apt = Self { directory, arch };
        run(apt.command("apt-get").args(["-qq", "update"]))?;
        Ok(apt)
    }

    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let at = |part: &str| self.directory.join(part).display().to_string();
        for option in [
            format!("Dir::Etc::sourcelist={}", at("sources.list")),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::Lists={}", at("lists")),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", at("cache")),
            "APT::Sandbox::User=root".to_owned(),
            format!("APT::Architecture={}", self.arch.debian()),
            format!("APT::Architectures={}", self.arch.debian()),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// The package that holds the newest cloud image of a series. From 6.19 on images are in `linux-binary-…`.
    fn newest(&self, series: &str) -> Outcome<String> {
        let suffix = format!("-cloud-{}", self.arch.debian());
        let names = output(self.command("apt-cache").arg("pkgnames"))?;
        names
            .lines()
            .filter_map(|name| {
                let (holds_binary, rest) = match name.strip_prefix("linux-binary-") {
                    Some(rest) => (true, rest),
                    None => (false, name.strip_prefix("linux-image-")?),
                };
                let version = rest.strip_suffix(&suffix)?;
                let fits = version.starts_with(|one: char| one.is_ascii_digit())
                    && version.starts_with(series)
                    && version.contains('.')
                    && !version.contains("rt");
                let numbers: Vec<u64> = version
                    .split(|one: char| !one.is_ascii_digit())
                    .filter_map(|part| part.parse().ok())
                    .collect();
                // A metapackage such as linux-image-6.12-cloud-amd64 holds nothing.
                (fits && numbers.len() > 2).then(|| (numbers, holds_binary, name.to_owned()))
            })
            .max()
            .map(|(_, _, name)| name)
            .ok_or_else(|| format!("no kernel {series}* in {}", self.directory.display()))
    }
}

/// Address and key of Debian's archive, or of its security archive, as this system has them.
fn archive(security: bool) -> Outcome<(String, String)> {
    const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut texts: Vec<String> = Vec::new();
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        texts.extend(entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()));
    }
    texts.extend(fs::read_to_string("/etc/apt/sources.list").ok());
    let mut addresses = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        if line.starts_with("URIs:") || line.starts_with("deb ") {
            addresses.extend(line.split_whitespace().find(|word| word.contains("://")));
        }
    }
    addresses
        .into_iter()
        .filter(|uri| {
            uri.trim_end_matches('/').ends_with(if security { "debian-security" } else { "debian" })
        })
        .map(|uri| (uri.to_owned(), KEYRING.to_owned()))
        .next()
        .ok_or_else(|| "this system's package sources do not name Debian's archive".into())
}
