//! Profiles of forks as files of pprof in a directory, of which the newest are kept.
//!
//! Owns the names of the files, and that no half of one is seen under such a name. Other files of the directory are left alone.
//! Must not know what a profile says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    forwarder::{Carrier, Failed, Forwarder},
    whole_file::{self, Writing},
};
use crate::{render::pprof, report::profile::Profile};

const BEGINNING: &str = "reapwatch-";
const ENDING: &str = ".pb.gz";
/// A file has this name until it is whole.
const UNFINISHED: &str = ".reapwatch-unfinished";

/// Where they go, and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub directory: PathBuf,
    pub keep: usize,
}

/// Starts the sink, within the runtime.
pub fn start(settings: Settings) -> Forwarder<Arc<Profile>> {
    let name = format!("profiles {}", settings.directory.display());
    Forwarder::start(name, Writer { settings, writing: Writing::default() }, true)
}

struct Writer {
    settings: Settings,
    writing: Writing,
}

impl Carrier for Writer {
    type Item = Arc<Profile>;

    async fn deliver(&mut self, items: &[Arc<Profile>]) -> Result<u64, Failed> {
        for profile in items {
            let (settings, profile) = (self.settings.clone(), Arc::clone(profile));
            self.writing.run(move || write(&settings, &profile)).await?;
        }
        Ok(0)
    }
}

/// Whether files can be made in a directory, before anything is attached.
pub fn check(directory: &Path) -> io::Result<()> {
    whole_file::check(&directory.join(UNFINISHED))
}

fn write(settings: &Settings, profile: &Profile) -> io::Result<()> {
    let mut bytes = Vec::new();
    pprof::pprof(&mut bytes, profile)?;
    let directory = &settings.directory;
    whole_file::write(&directory.join(UNFINISHED), &directory.join(name(profile)?), &bytes)?;
    remove_oldest(settings)
}

/// By the moment at which it ends, in an order that sorts by time.
fn name(profile: &Profile) -> io::Result<String> {
    let ended_ns = i128::from(profile.time_ns) + i128::from(profile.duration_ns);
    let ended = jiff::Timestamp::from_nanosecond(ended_ns).map_err(io::Error::other)?;
    Ok(format!("{BEGINNING}{}{ENDING}", ended.strftime("%Y%m%dT%H%M%SZ")))
}

fn remove_oldest(settings: &Settings) -> io::Result<()> {
    let mut ours: Vec<String> = fs::read_dir(&settings.directory)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| is_ours(name))
        .collect();
    ours.sort_unstable();
    let too_many = ours.len().saturating_sub(settings.keep);
    ours[..too_many].iter().try_for_each(|name| fs::remove_file(settings.directory.join(name)))
}

fn is_ours(name: &str) -> bool {
    let time = name.strip_prefix(BEGINNING).and_then(|rest| rest.strip_suffix(ENDING));
    time.is_some_and(|time| jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).is_ok())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, os::unix::fs::MetadataExt};

    use super::*;

    fn profile(second: i64) -> Profile {
        Profile {
            time_ns: 1_767_225_600_000_000_000,
            duration_ns: second as u64 * 1_000_000_000,
            ..Profile::default()
        }
    }

    fn names(directory: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(directory).expect("a directory").flatten();
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn the_newest_files_are_kept_and_others_are_left_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let settings = Settings { directory: directory.path().to_owned(), keep: 2 };
        for other in ["reapwatch-mine.pb.gz", "a.pb.gz", "reapwatch-20260101T000000Z.pb.gz.old"] {
            fs::write(directory.path().join(other), "").expect("a file");
        }
        for second in [1, 3, 2, 4] {
            write(&settings, &profile(second)).expect("written");
        }
        let found = names(directory.path());
        let expected = [
            "a.pb.gz",
            "reapwatch-20260101T000000Z.pb.gz.old",
            "reapwatch-20260101T000003Z.pb.gz",
            "reapwatch-20260101T000004Z.pb.gz",
            "reapwatch-mine.pb.gz",
        ];
        assert_eq!(found, expected.map(str::to_owned).into());
        let newest =
            fs::metadata(directory.path().join("reapwatch-20260101T000004Z.pb.gz")).expect("it is there");
        assert_eq!((newest.mode() & 0o777, newest.len() > 20), (0o640, true));
    }

    #[test]
    fn a_link_in_its_way_is_not_followed_and_a_directory_that_is_none_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").expect("a file");
        let inner = directory.path().join("profiles");
        fs::create_dir(&inner).expect("a directory");
        std::os::unix::fs::symlink(&victim, inner.join(UNFINISHED)).expect("a link");
        let settings = Settings { directory: inner.clone(), keep: 2 };
        write(&settings, &profile(1)).expect("written");
        assert_eq!(fs::read_to_string(&victim).expect("it is there"), "precious");
        assert_eq!(names(&inner).len(), 1);
        assert!(check(&inner).is_ok() && names(&inner).len() == 1);
        assert!(check(&victim).is_err() && check(Path::new("/nonexistent")).is_err());
    }
}
