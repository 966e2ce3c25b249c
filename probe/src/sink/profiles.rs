//! Profiles of forks as files of pprof in a directory, of which the newest are kept.
//!
//! Owns the names of the files, and that no half of one is seen under such a name. Other files of the directory are left alone.
//! Must not know what a profile says.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::JoinHandle;

use super::forwarder::{Carrier, Failed, Forwarder};
use crate::{render::pprof, report::profile::Profile};

/// Those who may read a file: its owner and its group, because names of functions and files can be private.
const MODE: u32 = 0o640;
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
    Forwarder::start(name, Writer { settings, writing: None }, true)
}

struct Writer {
    settings: Settings,
    /// A disk may take its time: then the one before is still being written.
    writing: Option<JoinHandle<io::Result<()>>>,
}

impl Carrier for Writer {
    type Item = Arc<Profile>;

    async fn deliver(&mut self, items: &[Arc<Profile>]) -> Result<u64, Failed> {
        // There is never more than one thread that writes.
        if let Some(before) = &mut self.writing {
            let _ = before.await;
        }
        for profile in items {
            let (settings, profile) = (self.settings.clone(), Arc::clone(profile));
            let writing =
                self.writing.insert(tokio::task::spawn_blocking(move || write(&settings, &profile)));
            let outcome = writing.await;
            self.writing = None;
            outcome
                .unwrap_or_else(|error| Err(io::Error::other(error)))
                .map_err(|error| Failed::Now(format!("cannot write: {error}")))?;
        }
        Ok(0)
    }
}

/// Whether files can be made in a directory, before anything is attached.
pub fn check(directory: &Path) -> io::Result<()> {
    let probe = directory.join(UNFINISHED);
    begin(&probe)?;
    fs::remove_file(probe)
}

/// A new file of this name. Who else may write to the directory can put nothing in its way.
fn begin(path: &Path) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}

fn write(settings: &Settings, profile: &Profile) -> io::Result<()> {
    let unfinished = settings.directory.join(UNFINISHED);
    let mut bytes = Vec::new();
    pprof::pprof(&mut bytes, profile)?;
    let mut file = begin(&unfinished)?;
    let written = file.write_all(&bytes);
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, settings.directory.join(name(profile)?))?;
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
        assert_eq!((newest.mode() & 0o777, newest.len() > 20), (MODE, true));
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
