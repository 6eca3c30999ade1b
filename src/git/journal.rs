//! A journal of the lock files that git creates for us, to recognise stale ones of killed processes
//! (`ledger.md`, "What crashes and refusals may not do").
//!
//! Git locks a ref with a file beside it, which a killed git leaves behind for ever. Before a
//! transaction or a fetch, the refs that it will lock are written to a file of this process in
//! `<git dir>/atmos/transactions`. That file is locked (`flock`) while the process lives,
//! which other containers see as well.
//!
//! Invariant: a command removes only lock files that a journal names whose process is dead.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use crate::deployment::ref_names::is_own;

use super::configuration::common_dir;
use super::error::GitError;
use super::shared_locks::SharedLocks;

/// The minimum age of a stale lock file of a ref. Git holds one for moments.
const REF_AGE: Duration = Duration::from_secs(2);

/// The journal of one repository.
#[derive(Debug)]
pub(super) struct Journal {
    git_dir: PathBuf,
    /// The common folder of all worktrees, found on first use.
    common_dir: OnceLock<PathBuf>,
    /// This process's journal file, created on first use.
    own: Mutex<Option<Own>>,
}

#[derive(Debug)]
struct Own {
    path: PathBuf,
    file: File,
    written: BTreeSet<String>,
    /// Whether a killed command may have left a lock file, so that the journal file must stay.
    stays: bool,
}

impl Journal {
    pub(super) fn new(git_dir: &Path) -> Self {
        Self { git_dir: git_dir.to_owned(), common_dir: OnceLock::new(), own: Mutex::default() }
    }

    fn repository(&self) -> &Path {
        self.common_dir.get_or_init(|| common_dir(&self.git_dir))
    }

    fn folder(&self) -> PathBuf {
        self.repository().join("atmos").join("transactions")
    }

    /// Writes down the refs that a command is about to lock; prefixes of names end in `*`. On first
    /// use, stale lock files of dead processes are removed.
    ///
    /// A failed write is ignored: the command runs, and stale lock files of it
    /// are reported instead of removed.
    pub(super) fn note<'n>(&self, names: impl Iterator<Item = &'n str>) {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_none() {
            self.clear(None);
            *own = self.begin().ok();
        }
        let Some(own) = own.as_mut() else { return };
        let mut text = String::new();
        for name in names {
            if own.written.insert(name.to_owned()) {
                text.push_str(name);
                text.push('\n');
            }
        }
        if let Err(error) = own.file.write_all(text.as_bytes()) {
            tracing::debug!(%error, "cannot write the journal of lock files");
        }
    }

    fn begin(&self) -> std::io::Result<Own> {
        let folder = self.folder();
        fs::create_dir_all(&folder)?;
        loop {
            let path = folder.join(uuid::Uuid::now_v7().simple().to_string());
            let file = File::options().append(true).create_new(true).open(&path)?;
            file.lock()?;
            // Race: before this file was locked, another process may
            // have removed it as a dead one's.
            if path.exists() {
                return Ok(Own { path, file, written: BTreeSet::new(), stays: false });
            }
        }
    }

    fn own_path(&self) -> Option<PathBuf> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|own| own.path.clone())
    }

    /// Notes the start of a command.
    pub(super) fn begins(&self) -> SharedLocks {
        SharedLocks::look(self.repository())
    }

    /// Notes the end of a command. The journal of a killed one stays, because of its lock files.
    pub(super) fn ended<T>(&self, begun: &SharedLocks, result: Result<T, GitError>) -> Result<T, GitError> {
        if result.as_ref().is_err_and(GitError::was_killed) {
            self.stay();
            begun.clear();
        }
        result
    }

    /// Keeps the journal file for the next process.
    fn stay(&self) {
        if let Some(own) = self.own.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            own.stays = true;
        }
    }

    /// Removes a stale lock file that is in the way, once it is old enough. Returns whether it did.
    pub(super) fn make_way(&self, lock: &Path) -> bool {
        let Ok(inside) = lock.strip_prefix(self.repository()) else { return false };
        let Some(inside) = inside.to_str() else { return false };
        self.clear(Some(inside)) && !lock.exists()
    }

    /// Removes stale lock files of dead processes. Waits until `wanted` is old enough.
    /// Returns whether one was removed.
    ///
    /// Only for refs of the ledger: `packed-refs.lock` and `shallow.lock` may be held by any live
    /// git, and their owner is unknown.
    fn clear(&self, wanted: Option<&str>) -> bool {
        let Ok(entries) = fs::read_dir(self.folder()) else { return false };
        // This process's own journal does not protect a lock file: this process wants it.
        let own = wanted.and_then(|_| self.own_path());
        let mut living = BTreeSet::new();
        let mut dead = Vec::new();
        for path in entries.flatten().map(|entry| entry.path()).filter(|path| Some(path) != own.as_ref()) {
            let Ok(file) = File::open(&path) else { continue };
            let is_dead = file.try_lock().is_ok();
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let names = text.lines().map(str::to_owned);
            if is_dead {
                dead.push((path, names.collect::<BTreeSet<_>>(), file));
            } else {
                living.extend(names);
            }
        }
        let mut removed = false;
        for (path, names, _held) in &dead {
            let mut is_done = true;
            for lock in self.lock_files(names) {
                if living.iter().any(|name| covers(name, &lock)) {
                    // A live process may hold it.
                    is_done = false;
                    continue;
                }
                let file = self.repository().join(&lock);
                let left = REF_AGE.saturating_sub(age(&file));
                if left > Duration::ZERO && wanted != Some(lock.as_str()) {
                    is_done = false;
                    continue;
                }
                let before = fs::metadata(&file).and_then(|file| file.modified()).ok();
                sleep(left);
                // Race: another git may have removed and created it meanwhile.
                let is_same = fs::metadata(&file).and_then(|file| file.modified()).ok() == before;
                if is_same && fs::remove_file(&file).is_ok() {
                    tracing::info!(lock, "removed a lock file that a killed process had left");
                    removed = true;
                } else {
                    is_done &= !file.exists();
                }
            }
            if is_done {
                let _ = fs::remove_file(path);
            }
        }
        removed
    }

    /// The existing lock files of the refs that a journal names.
    fn lock_files(&self, names: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for name in names {
            if is_own(name) && !name.contains("..") {
                let lock = format!("{name}.lock");
                if let Some(prefix) = name.strip_suffix('*') {
                    self.lock_files_below(prefix, &mut found);
                } else if self.repository().join(&lock).exists() {
                    found.insert(lock);
                }
            }
        }
        found
    }

    fn lock_files_below(&self, prefix: &str, found: &mut BTreeSet<String>) {
        let Some((folder, _)) = prefix.rsplit_once('/') else { return };
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(self.repository().join(&folder)) else { continue };
            for entry in entries.flatten() {
                let Some(name) = entry.file_name().to_str().map(|name| format!("{folder}/{name}")) else {
                    continue;
                };
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(name);
                } else if name.ends_with(".lock") && name.starts_with(prefix) {
                    found.insert(name);
                }
            }
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        let own = self.own.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = own.take().filter(|own| !own.stays) {
            let _ = fs::remove_file(own.path);
        }
    }
}

/// Whether a name of a journal, or a prefix, is that of a lock file.
fn covers(name: &str, lock: &str) -> bool {
    match name.strip_suffix('*') {
        Some(prefix) => lock.starts_with(prefix),
        None => lock.strip_suffix(".lock") == Some(name),
    }
}

fn age(file: &Path) -> Duration {
    let modified = fs::metadata(file).and_then(|file| file.modified()).ok();
    modified.and_then(|modified| SystemTime::now().duration_since(modified).ok()).unwrap_or_default()
}

/// The age of a lock file; `None` where it is gone.
pub(super) fn age_of(lock: &Path) -> Option<Duration> {
    lock.exists().then(|| age(lock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::ref_names::OWN_PREFIXES;

    const OURS: &str = "refs/atmos/latest/a/b/c";

    fn repository(locks: &[&str], seconds: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for lock in locks {
            let file = folder.path().join(lock);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            let file = File::create(file).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        }
        folder
    }

    /// A process that noted this and was killed.
    fn killed(folder: &Path, names: &[&str]) {
        let journal = Journal::new(folder);
        journal.note(names.iter().copied());
        journal.stay();
    }

    fn is_left(folder: &Path, lock: &str) -> bool {
        folder.join(lock).exists()
    }

    #[test]
    fn the_next_process_removes_what_a_dead_one_has_noted_and_nothing_else() {
        let others = "refs/heads/main.lock";
        let (lock, mirror) = (format!("{OURS}.lock"), "refs/atmos-remotes/origin/latest/x.lock");
        let folder = repository(&[&lock, mirror, others, "refs/atmos/other.lock", "packed-refs.lock"], 60);
        killed(folder.path(), &[OURS, "refs/atmos-remotes/origin/*", "refs/heads/main"]);
        Journal::new(folder.path()).note([OURS].into_iter());
        let left = [&lock, mirror, others, "refs/atmos/other.lock", "packed-refs.lock"];
        let left = left.map(|lock| is_left(folder.path(), lock));
        assert_eq!(left, [false, false, true, true, true]);
        assert_eq!(fs::read_dir(folder.path().join("atmos/transactions")).unwrap().count(), 0);
    }

    #[test]
    fn a_lock_file_below_any_prefix_of_ours_is_removed() {
        for prefix in OWN_PREFIXES {
            let name = format!("{prefix}origin/default");
            let lock = format!("{name}.lock");
            let folder = repository(&[&lock], 60);
            killed(folder.path(), &[&name]);
            Journal::new(folder.path()).note([OURS].into_iter());
            assert!(!is_left(folder.path(), &lock), "{lock}");
        }
    }

    #[test]
    fn what_a_living_process_has_noted_stays() {
        let lock = format!("{OURS}.lock");
        let folder = repository(&[&lock], 60);
        let living = Journal::new(folder.path());
        fs::remove_file(folder.path().join(&lock)).unwrap();
        living.note([OURS].into_iter());
        killed(folder.path(), &[OURS]);
        let file = File::create(folder.path().join(&lock)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
        assert!(!Journal::new(folder.path()).make_way(&folder.path().join(&lock)));
        drop(living);
        assert!(Journal::new(folder.path()).make_way(&folder.path().join(&lock)));
    }

    #[test]
    fn a_lock_that_was_just_taken_is_waited_for_where_it_is_in_the_way() {
        let lock = format!("{OURS}.lock");
        let folder = repository(&[&lock], 0);
        killed(folder.path(), &[OURS]);
        let next = Journal::new(folder.path());
        next.note([OURS].into_iter());
        assert!(is_left(folder.path(), &lock));
        assert!(next.make_way(&folder.path().join(&lock)));
    }
}
