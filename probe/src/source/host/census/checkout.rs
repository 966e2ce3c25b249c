//! Git checkouts: which one a file belongs to, and when its HEAD moved, read from its files without running git.
//!
//! Owns how far is looked for one and how much of it is read. Must not say what a movement means. All of it may have been
//! written by a hostile user: what leaves this file are numbers, hashes and the path.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::root::Root;
use crate::model::{Checkout, MOVES_MAX, Move, MovedBy};

/// How many directories upwards are looked through.
const LEVELS_MAX: usize = 24;
/// How much of the log of HEAD is read, from its end.
const LOG_MAX: u64 = 64 * 1_024;
/// Longest file that says where the repository of a worktree is.
const POINTER_MAX: u64 = 4_096;
/// How much of an index is searched.
const INDEX_MAX: u64 = 32 << 20;

/// What code is looked for in a checkout.
#[derive(Clone, Copy, Debug)]
pub enum Code<'a> {
    /// This file.
    File(&'a Path),
    /// This module of Python, in a directory.
    Module { directory: &'a Path, name: &'a [u8] },
}

/// The checkout that keeps this code, and the log of its HEAD; `None` where it is in none, or git does not know the file.
pub(super) fn of(root: &Root, code: Code<'_>) -> Option<Checkout> {
    let begin = match code {
        Code::File(path) => path.parent()?,
        Code::Module { directory, .. } => directory,
    };
    let (top, repository) =
        begin.ancestors().take(LEVELS_MAX).find_map(|level| Some((level, repository(root, level)?)))?;
    let inside = |path: &Path| Some(path.strip_prefix(top).ok()?.as_os_str().as_bytes().to_vec());
    let names = match code {
        Code::File(path) => vec![[inside(path)?, vec![0]].concat()],
        Code::Module { directory, name } => {
            let name: Vec<u8> = name.iter().map(|byte| if *byte == b'.' { b'/' } else { *byte }).collect();
            let path = inside(&directory.join(OsStr::from_bytes(&name)))?;
            vec![[&path[..], b"/__main__.py\0"].concat(), [&path[..], b".py\0"].concat()]
        }
    };
    let index = root.beginning(&repository.join("index"), INDEX_MAX)?;
    names.iter().any(|name| keeps(&index, name)).then_some(())?;
    let log = root.last_lines(&repository.join("logs/HEAD"), LOG_MAX)?;
    let mut moves: Vec<Move> = log.split(|byte| *byte == b'\n').filter_map(parse).collect();
    moves.drain(..moves.len().saturating_sub(MOVES_MAX));
    Some(Checkout { root: top.as_os_str().as_bytes().to_vec(), moves })
}

/// The directory of the repository whose checkout has its top here.
fn repository(root: &Root, level: &Path) -> Option<PathBuf> {
    let path = level.join(".git");
    let found = root.look(&path).ok()??;
    if found.is_directory {
        return Some(path);
    }
    let pointer = root.beginning(&path, POINTER_MAX)?;
    let target = pointer.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    (!target.is_empty() && !target.contains(&0)).then(|| level.join(OsStr::from_bytes(target)))
}

/// Whether the index has an entry of this path, which ends in a NUL. The paths in version 4 are shortened: then it may.
pub fn keeps(index: &[u8], path: &[u8]) -> bool {
    let Some(rest) = index.strip_prefix(b"DIRC\0\0\0") else { return false };
    match rest.first() {
        Some(2 | 3) => rest.windows(path.len()).enumerate().any(|(place, part)| {
            part == path && [2, 4].iter().any(|back| has_length(&rest[..place], *back, path.len() - 1))
        }),
        Some(4) => true,
        _ => false,
    }
}

/// Whether the flags that stand so far before a path say that it is so long: else it is only the end of a longer one.
fn has_length(before: &[u8], back: usize, length: usize) -> bool {
    let Some(flags) = before.len().checked_sub(back).and_then(|place| before.get(place..place + 2)) else {
        return false;
    };
    usize::from(flags[0] & 0x0f) << 8 | usize::from(flags[1]) == length.min(0xfff)
}

/// A line `FROM TO NAME <ADDRESS> SECONDS ZONE<tab>WHAT: MORE`.
pub fn parse(line: &[u8]) -> Option<Move> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (who, what) = (&line[..tab], &line[tab + 1..]);
    let hash = |from: usize| -> Option<[u8; 12]> {
        let digits = who.get(from..from + 40)?;
        digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
        digits[..12].try_into().ok()
    };
    let mut words = who.rsplit(|byte| *byte == b' ');
    let (_zone, seconds) = (words.next()?, words.next()?);
    let by = if what.starts_with(b"commit") { MovedBy::Commit } else { MovedBy::Other };
    Some(Move { time_s: std::str::from_utf8(seconds).ok()?.parse().ok()?, from: hash(0)?, to: hash(41)?, by })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";

    fn line(what: &str) -> Vec<u8> {
        format!("{OLD} {NEW} A <a> 1 B <a@b.c> 1700000000 +0100\t{what}").into_bytes()
    }

    #[test]
    fn a_line_of_the_log_is_read_whatever_the_name() {
        let found = parse(&line("pull: Fast-forward")).expect("a line");
        assert_eq!((found.time_s, found.by), (1_700_000_000, MovedBy::Other));
        assert_eq!((&found.from[..], &found.to[..]), (&b"111111111111"[..], &b"222222222222"[..]));
        for commit in ["commit: x", "commit (amend): x", "commit (initial): x"] {
            assert_eq!(parse(&line(commit)).map(|one| one.by), Some(MovedBy::Commit), "{commit}");
        }
        for damaged in ["", "\t", "a b c\td", "zz zz n <a> 1 +0\tpull"] {
            assert_eq!(parse(damaged.as_bytes()), None, "{damaged}");
        }
    }

    /// A checkout as git makes it, without git.
    fn checkout(directory: &Path) {
        fs::create_dir_all(directory.join(".git/logs")).expect("directories");
        fs::create_dir_all(directory.join("app/deep")).expect("directories");
        let index = b"DIRC\0\0\0\x02....\0\x10app/deep/main.py\0....\0\x0fapp/__main__.py\0....".to_vec();
        fs::write(directory.join(".git/index"), index).expect("an index");
        let log = [line("commit: x"), line("pull: y"), b"damaged".to_vec()].join(&b'\n');
        fs::write(directory.join(".git/logs/HEAD"), log).expect("a log");
    }

    #[test]
    fn the_checkout_is_found_upwards_and_only_for_what_git_keeps() {
        let directory = tempfile::tempdir().expect("a directory");
        checkout(directory.path());
        let root = Root::ours().expect("/");
        let moves = |code: Code<'_>| of(&root, code).map(|found| found.moves.len());
        let at = |name: &str| directory.path().join(name);
        assert_eq!(moves(Code::File(&at("app/deep/main.py"))), Some(2));
        assert_eq!(moves(Code::File(&at("app/deep/other.py"))), None, "not kept by git");
        assert_eq!(moves(Code::File(&at("main.py"))), None, "the end of another's path");
        let module = |name| moves(Code::Module { directory: directory.path(), name });
        assert_eq!((module(b"app"), module(b"app.deep.main"), module(b"json")), (Some(2), Some(2), None));
        assert_eq!(moves(Code::File(Path::new("/proc/self/x"))), None);
    }

    #[test]
    fn a_worktree_points_at_its_repository() {
        let directory = tempfile::tempdir().expect("a directory");
        checkout(directory.path());
        fs::create_dir_all(directory.path().join("tree/app/deep")).expect("directories");
        fs::write(directory.path().join("tree/.git"), "gitdir: ../.git\n").expect("a pointer");
        let root = Root::ours().expect("/");
        let found =
            of(&root, Code::File(&directory.path().join("tree/app/deep/main.py"))).expect("a checkout");
        assert!(found.root.ends_with(b"/tree"));
        assert_eq!(found.moves.len(), 2);
    }
}
