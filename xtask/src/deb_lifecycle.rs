//! `deb --try-in`: the life of the package in a Debian of its own: installed, upgraded, removed and purged.
//!
//! Must not touch this host: everything happens in a directory that debootstrap has made.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::shell::{Outcome, output, run};

const CONFIGURED: &str = "etc/default/reapwatch-agent";
const WANTED: &str = "etc/systemd/system/multi-user.target.wants/reapwatch-agent.service";
/// What dpkg and the helpers of services keep of every package for themselves.
const KEPT: [&str; 4] = ["var/lib/dpkg", "var/log", "var/lib/systemd", "var/cache"];

/// Goes through it in the Debian at this directory, which has init-system-helpers.
pub fn try_in(directory: &Path, package: &Path) -> Outcome {
    let inside = |program: &str| {
        let mut command = Command::new("chroot");
        command.arg(directory).arg(program).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    fs::copy(package, directory.join("reapwatch.deb")).map_err(|error| error.to_string())?;
    let before = files(directory)?;
    run(inside("dpkg").args(["--install", "/reapwatch.deb"]))?;
    let said = output(inside("/usr/bin/reapwatch").arg("--version"))?;
    require(said.starts_with("reapwatch "), "the program runs")?;
    let checked = output(inside("/usr/bin/reapwatch").args(["agent", "--check-config"]))?;
    require(checked == "the configuration is good", "the configuration is good")?;
    require(directory.join(WANTED).is_symlink(), "the unit is enabled")?;
    // What the administrator changed stays.
    let changed = "REAPWATCH_LISTEN=none\n";
    fs::write(directory.join(CONFIGURED), changed).map_err(|error| error.to_string())?;
    run(inside("dpkg").args(["--force-confold", "--install", "/reapwatch.deb"]))?;
    let kept = || fs::read_to_string(directory.join(CONFIGURED)).unwrap_or_default();
    require(kept() == changed, "an upgrade keeps what was configured")?;
    run(inside("dpkg").args(["--remove", "reapwatch"]))?;
    require(!directory.join("usr/bin/reapwatch").exists(), "a removal takes the program")?;
    require(kept() == changed, "a removal keeps what was configured")?;
    fs::create_dir_all(directory.join("var/log/reapwatch")).map_err(|error| error.to_string())?;
    run(inside("dpkg").args(["--purge", "reapwatch"]))?;
    require(!directory.join("var/log/reapwatch").exists(), "a purge takes what the agent has written")?;
    let left: Vec<_> = files(directory)?.difference(&before).cloned().collect();
    require(left.is_empty(), &format!("a purge leaves nothing behind: {left:?}"))?;
    println!("installed, upgraded, removed and purged in {}", directory.display());
    Ok(())
}

fn require(is_so: bool, what: &str) -> Outcome {
    if is_so { Ok(()) } else { Err(format!("not so: {what}")) }
}

/// Every file below it, but for what is kept.
fn files(directory: &Path) -> Outcome<BTreeSet<String>> {
    let all = output(Command::new("find").arg(directory).args(["-xdev", "-printf", "%P\\n"]))?;
    Ok(all
        .lines()
        .filter(|path| !KEPT.iter().any(|kept| path.starts_with(kept)))
        .map(str::to_owned)
        .collect())
}
