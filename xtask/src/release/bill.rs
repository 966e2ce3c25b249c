//! The bill of materials of a program, as CycloneDX 1.5 in JSON: what was handed to the linker, and nothing else.
//!
//! Must not guess: the packages are those that cargo says it compiled for the program, the C library is the one that the compiler names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use super::{Built, hash};
use crate::{
    shell::{Outcome, cargo, output, source_date_epoch},
    vm::Arch,
};

/// The bill of this program, which was made of what was built.
pub fn bill(built: &Built, program: &Path) -> Outcome<String> {
    let metadata = output(cargo().current_dir(&built.sources).args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
    ]))?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let lock = built.sources.join("Cargo.lock");
    let lock =
        fs::read_to_string(&lock).map_err(|error| format!("cannot read {}: {error}", lock.display()))?;
    let checksums = checksums(&lock);
    let linked: BTreeSet<&str> = built.linked.iter().map(String::as_str).collect();
    let packages: Vec<&Value> =
        list(&metadata["packages"]).filter(|one| linked.contains(text(&one["id"]))).collect();
    if packages.len() != linked.len() || linked.is_empty() {
        return Err(format!(
            "cargo metadata knows {} of {} packages that were linked",
            packages.len(),
            linked.len()
        ));
    }
    let (own, others): (Vec<_>, Vec<_>) = packages.into_iter().partition(|one| one["name"] == "probe");
    let own = own.first().ok_or("the program itself was not linked")?;
    let mut components: Vec<Value> = others.iter().map(|one| component(one, &checksums)).collect();
    let standard_library = json!({
        "type": "library", "bom-ref": "rust-std", "name": "rust-std", "version": built.rustc,
        "licenses": [{"expression": "MIT OR Apache-2.0"}],
    });
    components.extend([standard_library, c_library(built.arch)?]);
    let refs: BTreeMap<&str, String> =
        others.iter().chain([own]).map(|one| (text(&one["id"]), purl(one))).collect();
    let dependencies: Vec<Value> = list(&metadata["resolve"]["nodes"])
        .filter_map(|node| {
            let mut on: Vec<&String> =
                list(&node["dependencies"]).filter_map(|id| refs.get(text(id))).collect();
            on.sort_unstable();
            Some(json!({"ref": refs.get(text(&node["id"]))?, "dependsOn": on}))
        })
        .collect();
    let epoch = source_date_epoch()?;
    let committed = epoch
        .parse()
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .ok_or_else(|| format!("not a time of a commit: {epoch}"))?;
    let bill = json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": committed.to_string(),
            "component": {
                "type": "application", "bom-ref": purl(own), "name": "reapwatch", "version": own["version"],
                "purl": purl(own), "licenses": [{"expression": own["license"]}],
                "hashes": [{"alg": "SHA-256", "content": hash(program)?}],
            },
        },
        "components": components,
        "dependencies": dependencies,
    });
    let mut text = serde_json::to_string_pretty(&bill).map_err(|error| error.to_string())?;
    text.push('\n');
    Ok(text)
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let key = (text(&package["name"]).to_owned(), text(&package["version"]).to_owned());
    let mut component = json!({
        "type": "library", "bom-ref": purl(package), "name": key.0, "version": key.1, "purl": purl(package),
    });
    // Older packages separate licences by a slash, which means OR.
    if let Some(license) = package["license"].as_str() {
        component["licenses"] = json!([{"expression": license.replace(" / ", " OR ").replace('/', " OR ")}]);
    }
    if let Some(repository) = package["repository"].as_str() {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    if let Some(checksum) = checksums.get(&key) {
        component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    component
}

/// The C library that a static program has in it.
fn c_library(arch: Arch) -> Outcome<Value> {
    let compiler = match arch {
        Arch::X86_64 if cfg!(target_arch = "x86_64") => "cc".to_owned(),
        _ => format!("{}-linux-gnu-gcc", arch.linux()),
    };
    let path = output(Command::new(compiler).arg("-print-file-name=libc.a"))?;
    let path = fs::canonicalize(&path).map_err(|error| format!("the C library {path}: {error}"))?;
    let owner = output(Command::new("dpkg-query").arg("--search").arg(&path))?;
    let package = owner.split(": ").next().unwrap_or_default();
    let version = output(Command::new("dpkg-query").args(["--show", "--showformat=${Version}", package]))?;
    Ok(json!({
        "type": "library", "bom-ref": "glibc", "name": "glibc", "version": version,
        "description": format!("libc.a of Debian's package {package}"),
        "licenses": [{"license": {"id": "LGPL-2.1-or-later"}}],
        "hashes": [{"alg": "SHA-256", "content": hash(&path)?}],
    }))
}

fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(&package["name"]), text(&package["version"]))
}

/// Of the packages from registries, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    lock.split("[[package]]")
        .filter_map(|package| {
            let value = |key: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
                Some(line.trim_end_matches('"').to_owned())
            };
            Some(((value("name")?, value("version")?), value("checksum")?))
        })
        .collect()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_the_checksum_of_its_own_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"r\"\nchecksum = \"11\"\n\n\
                    [[package]]\nname = \"a\"\nversion = \"2.0.0\"\nsource = \"r\"\nchecksum = \"22\"\ndependencies = [\n \"b\",\n]\n\n\
                    [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n";
        let found = checksums(lock);
        assert_eq!(found[&("a".to_owned(), "2.0.0".to_owned())], "22");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_component_says_its_licence_as_an_expression() {
        let package = json!({"name": "a", "version": "1.0.0", "license": "MIT/Apache-2.0"});
        let component = component(&package, &BTreeMap::new());
        assert_eq!(component["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(component["purl"], "pkg:cargo/a@1.0.0");
        assert!(component.get("hashes").is_none());
    }
}
