//! `unit`: whether systemd takes the unit files, and how exposed it finds them.
//!
//! Must not start a unit.

use std::{fs, process::Command};

use crate::shell::{Outcome, output, root, target_directory};

/// The units, where each has the program, and systemd's exposure level (0 to 10) that it may not exceed, times 10: the agent is asked
/// over the network.
const UNITS: [(&str, &str, &str); 2] = [
    ("docs/systemd/reapwatch.service", "/usr/local/bin/reapwatch", "25"),
    ("dist/systemd/reapwatch-agent.service", "/usr/bin/reapwatch", "30"),
];

/// `systemd-analyze verify` and `security`, without a running systemd.
pub fn unit() -> Outcome {
    UNITS.iter().try_for_each(|(path, program, exposure_max)| check(path, program, exposure_max))
}

fn check(path: &str, program: &str, exposure_max: &str) -> Outcome {
    let path = root().join(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    // verify wants the program to exist: give it the one built here.
    let directory = target_directory().join("unit");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let copy = directory.join(&name);
    let built = target_directory().join("release/reapwatch");
    let without_page = |line: &&str| !line.starts_with("Documentation=man:");
    let text: Vec<&str> = text.lines().filter(without_page).collect();
    let text = text.join("\n").replace(program, &built.display().to_string());
    fs::write(&copy, text).map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&copy)
        .output()
        .map_err(|error| format!("systemd-analyze: {error}"))?;
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    if !verify.status.success() || said.contains(&name) {
        return Err(format!("systemd-analyze verify: {}\n{said}", verify.status));
    }
    let security = output(
        Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager", "--threshold", exposure_max])
            .arg(&copy),
    )?;
    println!("    {}", security.lines().last().unwrap_or_default().trim());
    Ok(())
}
