//! Where in a parent's program its children were forked.
//!
//! Owns names, order and units of its fields. Must not know how a site is found.

use serde::Serialize;

/// Libraries through which programs fork: what called them is of more interest.
const RUNTIME_MODULES: &[&str] = &["libc.", "libc-", "libpthread", "ld-musl", "ld-linux"];
/// Functions of runtimes that are part of the program's own file.
const RUNTIME_FUNCTIONS: &[&str] = &[
    "std::",
    "core::",
    "alloc::",
    "<std::",
    "syscall.",
    "os.",
    "os/exec.",
    "fork",
    "vfork",
    "__libc_fork",
    "_Fork",
];

/// The fork site of a parent that left the most children behind or, where none did, that forked the most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForkSite {
    /// Children that were forked there while it was watched.
    pub forks: u64,
    /// Of these, those that are unreaped.
    pub unreaped: u64,
    /// Of these, those that it left behind when it died.
    pub abandoned: u64,
    /// For how long they were zombies, all together, in ns; those that are unreaped up to the end of the window.
    pub zombie_time_ns: u64,
    /// How many other sites of this parent are known.
    pub other_sites: u64,
    /// How far its callers could be followed.
    pub depth: SiteDepth,
    /// The functions that ran, the innermost first.
    pub frames: Vec<SiteFrame>,
}

impl ForkSite {
    /// The functions of the program, without those of the runtime: the interpreted ones where there are any; else those above
    /// the runtime; else all.
    pub fn program_frames(&self) -> Vec<&SiteFrame> {
        let is_python = |frame: &&SiteFrame| frame.kind == SiteFrameKind::Python;
        let python: Vec<&SiteFrame> = self.frames.iter().filter(is_python).collect();
        if !python.is_empty() {
            return python;
        }
        let above = self.frames.iter().position(|frame| !frame.is_runtime()).unwrap_or(0);
        let mut frames = &self.frames[above..];
        // What calls main.
        while let [rest @ .., last] = frames
            && !rest.is_empty()
            && (last.is_runtime() || last.function.as_deref() == Some("_start"))
        {
            frames = rest;
        }
        frames.iter().collect()
    }

    /// The function that forks, as the program's authors see it: the innermost one of theirs with a file and a line that `is_own`
    /// takes; else the innermost one with both that is no part of a standard library; else the innermost one with both.
    pub fn place(&self, is_own: impl Fn(&str) -> bool) -> Option<(&SiteFrame, &str, u32)> {
        let frames = self.program_frames();
        let placed: Vec<(&SiteFrame, &str, u32)> = (frames.into_iter())
            .filter_map(|frame| Some((frame, frame.file.as_deref()?, frame.line?)))
            .collect();
        let first = |is: &dyn Fn(&str) -> bool| placed.iter().find(|(_, file, _)| is(file)).copied();
        first(&is_own).or_else(|| first(&|file| !is_standard_library(file))).or_else(|| first(&|_| true))
    }
}

/// Whether a source file belongs to the standard library of its language.
fn is_standard_library(file: &str) -> bool {
    let of_python = file.contains("/lib/python3") && !file.contains("-packages/");
    of_python
        || file.starts_with("<frozen ")
        || file.starts_with("/rustc/")
        || file.contains("/go/src/runtime/")
}

/// A function that ran, and where in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct SiteFrame {
    /// Its name; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// The source file; absent if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The file that the code was loaded from; absent for code that a program made itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Where in that file, or without one in memory; absent for an interpreted function.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Who runs it.
    pub kind: SiteFrameKind,
}

impl SiteFrame {
    fn is_runtime(&self) -> bool {
        let module = self.module.as_deref().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
        let function = self.function.as_deref().unwrap_or_default();
        RUNTIME_MODULES.iter().any(|prefix| module.starts_with(prefix))
            || RUNTIME_FUNCTIONS.iter().any(|prefix| match prefix.ends_with([':', '.']) {
                true => function.starts_with(prefix),
                false => function == *prefix,
            })
    }
}

/// Who runs a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteFrameKind {
    /// The processor.
    #[default]
    Native,
    /// The processor; the program made the code while it ran.
    Jit,
    /// CPython.
    Python,
}

/// How far the callers could be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteDepth {
    /// To where the thread began.
    Whole,
    /// To the end of the part of the stack that was copied.
    CopyEnded,
    /// To code that says nothing of its caller.
    NoUnwindInformation,
    /// To the most frames that are kept.
    TooDeep,
    /// Functions may be missing: see [`crate::model::Depth::Scanned`].
    Scanned,
    /// Not at all: the process had gone before its memory map could be read.
    Gone,
    /// It is not one site but all those that are not told apart.
    Other,
}

impl SiteDepth {
    /// What is missing, to follow the frames; empty where nothing is.
    pub fn words(self) -> &'static str {
        match self {
            Self::Whole => "",
            Self::CopyEnded => {
                "the callers beyond are not known: the stack is deeper than the part that is copied"
            }
            Self::NoUnwindInformation => {
                "the callers beyond are not known: this code does not say where it returns to"
            }
            Self::TooDeep => "the callers beyond are not kept",
            Self::Scanned => "some code says nothing of its caller: functions may be missing or wrong",
            Self::Gone => "the process was gone before its memory map could be read",
            Self::Other => "many sites, which are not told apart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_programs_own_and_not_the_librarys() {
        let frame = |function: &str, file: &str| SiteFrame {
            function: Some(function.into()),
            file: (!file.is_empty()).then(|| file.into()),
            line: Some(7),
            kind: SiteFrameKind::Python,
            ..SiteFrame::default()
        };
        let site = |frames: &[(&str, &str)]| ForkSite {
            forks: 1,
            unreaped: 0,
            abandoned: 0,
            zombie_time_ns: 0,
            other_sites: 0,
            depth: SiteDepth::Whole,
            frames: frames.iter().map(|(function, file)| frame(function, file)).collect(),
        };
        let python = site(&[
            ("Popen._execute_child", "/usr/lib/python3.11/subprocess.py"),
            ("nameless", ""),
            ("call", "/srv/venv/lib/python3.11/site-packages/tools/run.py"),
            ("main", "/home/ci/app/main.py"),
        ]);
        let function =
            |is_own: fn(&str) -> bool| python.place(is_own).and_then(|(frame, ..)| frame.function.clone());
        assert_eq!(function(|_| false).as_deref(), Some("call"));
        assert_eq!(function(|file| file.starts_with("/home/ci/app/")).as_deref(), Some("main"));
        let all_of_it = site(&[("fork", "/usr/lib/python3.11/os.py")]);
        assert!(all_of_it.place(|_| false).is_some());
        assert!(site(&[("nameless", "")]).place(|_| true).is_none());
    }
}
