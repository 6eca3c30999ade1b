//! Shared lock files (`packed-refs.lock`, `shallow.lock`), which any git may hold and
//! which do not show their owner.
//!
//! A lock file that appeared during a command that was killed belongs to that command, unless
//! another git runs in the same repository: then it stays, and is reported when it is in the way.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The timeout and the polling interval for the children of a killed git.
const SETTLING: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

const NAMES: [&str; 2] = ["shallow.lock", "packed-refs.lock"];

/// The shared lock files that were absent when a command began.
#[derive(Debug)]
pub(super) struct SharedLocks {
    /// The common folder of all worktrees.
    repository: PathBuf,
    absent: Vec<&'static str>,
}

impl SharedLocks {
    /// Notes which shared lock files are absent.
    pub(super) fn look(repository: &Path) -> Self {
        let absent = NAMES.into_iter().filter(|name| !repository.join(name).exists()).collect();
        Self { repository: repository.to_owned(), absent }
    }

    /// Removes the shared lock files of a killed command.
    pub(super) fn clear(&self) {
        let left: Vec<_> =
            self.absent.iter().map(|name| self.repository.join(name)).filter(|lock| lock.exists()).collect();
        if left.is_empty() || !is_left_alone(&self.repository) {
            return;
        }
        for lock in left {
            match fs::remove_file(&lock) {
                Ok(()) => tracing::info!(lock = %lock.display(), "removed what a killed git had left"),
                Err(error) => tracing::debug!(%error, lock = %lock.display(), "cannot remove a lock file"),
            }
        }
    }
}

/// Whether no git runs in a repository, after waiting a moment: children of a
/// killed git outlive it briefly.
fn is_left_alone(repository: &Path) -> bool {
    let until = Instant::now() + SETTLING;
    loop {
        if no_git_works_in(repository) {
            return true;
        }
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(LOOK_AGAIN);
    }
}

/// Whether certainly no git runs in a repository or its checkout; `false` also
/// where the system does not tell.
fn no_git_works_in(repository: &Path) -> bool {
    let folder = match repository.parent() {
        Some(checkout) if repository.ends_with(".git") => checkout,
        _ => repository,
    };
    let Ok(entries) = fs::read_dir("/proc") else { return false };
    let mut processes =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.join("comm").exists()).peekable();
    processes.peek().is_some()
        && !processes.any(|process| {
            let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
            let works_here = || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder));
            name.starts_with("git") && works_here()
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Fixture;

    #[test]
    #[cfg(target_os = "linux")]
    fn only_what_came_with_a_killed_command_is_removed_and_only_where_no_git_works() {
        let fixture = Fixture::new(&[]);
        let repository = fixture.repository();
        let [shallow, packed] = NAMES.map(|name| repository.common_dir().join(name));
        fs::write(&packed, "").unwrap();
        let before = SharedLocks::look(repository.common_dir());
        fs::write(&shallow, "").unwrap();
        // It waits for more input.
        let other = repository.git().verb("cat-file").arg("--batch").input(b"HEAD\n".to_vec());
        let other = other.start().unwrap();
        while no_git_works_in(repository.common_dir()) {
            thread::yield_now();
        }
        before.clear();
        assert!(shallow.exists(), "another git may hold it");
        other.finish().unwrap();
        before.clear();
        assert!(!shallow.exists() && packed.exists());
    }
}
