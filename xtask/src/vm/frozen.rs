//! What stays of a boot in tests/data: the kernel's BTF, cut down, and how much work our programs are for its verifier.
//!
//! Must not boot anything.

use std::{collections::BTreeMap, fs};

use super::boot::Booted;
use crate::shell::{Outcome, root};

/// Growth beyond this is to be seen and committed on purpose.
const GROWTH_MAX_PERCENT: u64 = 10;

/// Instructions by kernel, rung and program.
type Verified = BTreeMap<String, BTreeMap<String, BTreeMap<String, u64>>>;

const VERIFIED: &str = "tests/data/verifier.json";

/// Writes both for the kernels that booted; the others keep what they have.
pub fn freeze(booted: &[(&str, &Booted)]) -> Outcome {
    let directory = root().join("tests/data/btf");
    fs::create_dir_all(&directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    let mut verified = committed()?;
    for (name, booted) in booted {
        let path = directory.join(format!("{name}.btf"));
        fs::write(&path, &booted.btf).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        verified.entry((*name).to_owned()).or_default().extend(booted.verified.clone());
    }
    let mut text = serde_json::to_string_pretty(&verified).map_err(|error| error.to_string())?;
    text.push('\n');
    fs::write(root().join(VERIFIED), text).map_err(|error| format!("cannot write {VERIFIED}: {error}"))
}

fn committed() -> Outcome<Verified> {
    match fs::read_to_string(root().join(VERIFIED)) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| format!("{VERIFIED}: {error}")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Verified::new()),
        Err(error) => Err(format!("cannot read {VERIFIED}: {error}")),
    }
}

/// Programs that are more work than what is committed allows.
pub fn grown(name: &str, booted: &Booted) -> Outcome<Vec<String>> {
    let committed = committed()?;
    let mut grown = Vec::new();
    for (rung, programs) in &booted.verified {
        for (program, now) in programs {
            let before = committed.get(name).and_then(|rungs| rungs.get(rung)?.get(program)).copied();
            let allowed = before.unwrap_or(0) * (100 + GROWTH_MAX_PERCENT) / 100;
            if *now > allowed {
                grown.push(format!(
                    "{rung}: the verifier goes through {now} instructions of {program}, committed are {}: `cargo xtask \
                     vm --freeze` if that is right",
                    before.map_or("none".to_owned(), |before| before.to_string())
                ));
            }
        }
    }
    Ok(grown)
}
