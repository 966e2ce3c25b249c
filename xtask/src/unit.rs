//! `unit`: whether systemd takes the unit file, and how exposed it finds it.
//!
//! Must not start the unit.

use std::{fs, process::Command};

use crate::shell::{Outcome, output, root, target_directory};

/// systemd's exposure level (0 to 10) that the unit may not exceed, times 10.
const EXPOSURE_MAX: &str = "25";

/// `systemd-analyze verify` and `security`, without a running systemd.
pub fn unit() -> Outcome {
    let path = root().join("docs/systemd/reapwatch.service");
    let text =
        fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    // verify wants the program to exist: give it the one built here.
    let directory = target_directory().join("unit");
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let copy = directory.join("reapwatch.service");
    let built = target_directory().join("release/reapwatch");
    let text = text
        .replace("/usr/local/bin/reapwatch", &built.display().to_string())
        .replace("Documentation=man:reapwatch(1)\n", "");
    fs::write(&copy, text).map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
    let verify = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&copy)
        .output()
        .map_err(|error| format!("systemd-analyze: {error}"))?;
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    if !verify.status.success() || said.contains("reapwatch.service") {
        return Err(format!("systemd-analyze verify: {}\n{said}", verify.status));
    }
    let security = output(
        Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE_MAX])
            .arg(&copy),
    )?;
    println!("    {}", security.lines().last().unwrap_or_default().trim());
    Ok(())
}
