//! What the workflows of GitHub run exists, and the check of a release's tag takes the version and nothing else.
//!
//! No runner is here: what only GitHub has (actions, permissions, images) is not tried.

use std::{fs, process::Command};

use clap::Parser;

use crate::shell::{cargo, root};

fn workflow(name: &str) -> String {
    let path = root().join(".github/workflows").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_command_of_xtask_in_a_workflow_exists() {
    let text = workflow("release.yml");
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.split_once("cargo xtask ")).map(|(_, rest)| rest).collect();
    assert!(lines.len() >= 2, "{lines:?}");
    for target in ["x86_64", "aarch64"] {
        for line in &lines {
            let line = line.replace("${{ matrix.target }}", target);
            let words = ["xtask"].into_iter().chain(line.split_whitespace());
            if let Err(error) = crate::Cli::try_parse_from(words) {
                panic!("cargo xtask {line}: {error}");
            }
        }
    }
    assert!(root().join(".ci/run").is_file() && workflow("ci.yml").contains(".ci/run"));
}

#[test]
fn a_release_is_made_of_the_tag_that_is_its_version_alone() {
    let text = workflow("release.yml");
    let mut lines = text.lines().skip_while(|line| !line.contains("the tag is the version"));
    let check =
        lines.nth(1).and_then(|line| line.trim().strip_prefix("run: ")).expect("the check of the tag");
    let is_taken = |kind: &str, name: &str| {
        let mut bash = Command::new("bash");
        bash.current_dir(root()).args(["-e", "-c", check]);
        // The workflow says `cargo`; the one that runs this test stands first.
        let cargo = cargo().get_program().to_owned();
        if let Some(directory) = std::path::Path::new(&cargo).parent().filter(|one| one.is_absolute()) {
            let path = std::env::var("PATH").unwrap_or_default();
            bash.env("PATH", format!("{}:{path}", directory.display()));
        }
        bash.env("GITHUB_REF_TYPE", kind).env("GITHUB_REF_NAME", name);
        bash.output().expect("bash").status.success()
    };
    let version = env!("CARGO_PKG_VERSION");
    assert!(is_taken("tag", &format!("v{version}")));
    assert!(!is_taken("tag", &format!("v{version}.1")));
    assert!(!is_taken("tag", &format!("v1{version}")));
    assert!(is_taken("branch", "main"));
}
