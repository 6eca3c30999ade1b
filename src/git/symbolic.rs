//! Symbolic refs: on a remote, where a push changes the ref that they lead to, and
//! among the program's own local refs.
//!
//! With version 2 of the protocol, `git fetch` receives them and shows them only in its packet
//! trace, which is parsed here to save another exchange.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::error::GitError;
use super::ref_files::entries_of;
use super::refs::{Expected, RefUpdate};
use super::repository::Repository;

/// The variable that makes git print its packets to stderr.
pub(super) const TRACE: &str = "GIT_TRACE_PACKET";

/// Symbolic refs by their names, and where they lead.
pub type SymbolicRefs = BTreeMap<String, String>;

/// Splits the stderr of a fetch into the symbolic refs of its packet trace and the other lines.
pub(super) fn told_in(stderr: &str) -> (SymbolicRefs, String) {
    let (packets, rest): (Vec<_>, Vec<_>) = stderr.lines().partition(|line| is_packet(line));
    let mut rest = rest.join("\n");
    if !rest.is_empty() {
        rest.push('\n');
    }
    (packets.into_iter().filter_map(told).collect(), rest)
}

/// Whether a line is of the trace: a time, a place in git's source, then `packet:`.
fn is_packet(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_digit()) && line.contains(" packet: ")
}

/// Parses `fetch< <object> <name> symref-target:<name>` of version 2 of the protocol.
fn told(line: &str) -> Option<(String, String)> {
    let (_, packet) = line.split_once(" packet: ")?;
    let mut words = packet.trim_start().strip_prefix("fetch< ")?.split(' ');
    let (_object, name) = (words.next()?, words.next()?);
    let leads_to = words.find_map(|word| word.strip_prefix("symref-target:"))?;
    Some((name.to_owned(), leads_to.to_owned()))
}

/// Parses a line of `ls-remote --symref`: `ref: <name>`, a tab, the symbolic ref.
pub(super) fn listed(line: &str) -> Option<(&str, &str)> {
    let (leads_to, name) = line.strip_prefix("ref: ")?.split_once('\t')?;
    Some((name, leads_to))
}

impl Repository {
    /// Removes symbolic refs below these prefixes (which end in `/`) of the program's own: a fetch
    /// would write through them to the refs that they lead to.
    ///
    /// # Errors
    ///
    /// Fails where the refs cannot be read or written.
    pub fn remove_symbolic_refs(&self, prefixes: &[String]) -> Result<(), GitError> {
        let mut found = Vec::new();
        if self.keeps_refs_in_files() {
            for prefix in prefixes {
                collect(&self.common_dir().join(prefix), prefix, &mut found)?;
            }
        } else {
            let list = self.git().verb("for-each-ref").arg("--format=%(symref) %(refname)").args(prefixes);
            let list = list.run()?;
            let list = String::from_utf8_lossy(&list);
            let lines = list.lines().filter_map(|line| line.split_once(' '));
            found.extend(lines.filter(|(leads_to, _)| !leads_to.is_empty()).map(|(_, name)| name.to_owned()));
        }
        let removal = |name| RefUpdate { name, new: None, expected: Expected::Anything };
        let removals: Vec<_> = found.into_iter().map(removal).collect();
        self.git().update_refs(&removals, "atmos: not symbolic")
    }
}

/// Adds the names of the symbolic refs among the files of a folder.
fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in entries_of(folder)? {
        let entry = entry?;
        // The program's refs have names in UTF-8.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let (kind, name) = (entry.file_type()?, format!("{prefix}{name}"));
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), found)?;
        } else if kind.is_symlink() || fs::read(entry.path()).is_ok_and(|file| file.starts_with(b"ref:")) {
            found.push(name);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    #[test]
    fn packets_are_told_from_what_git_says() {
        let stderr = "12:00:00.000001 pkt-line.c:86           packet:        fetch< version 2\n\
                      12:00:00.000001 pkt-line.c:86           packet:  upload-pack> 1f refs/a symref-target:refs/b\n\
                      warning: packet: of mail\n\
                      12:00:00.000001 pkt-line.c:86           packet:        fetch< 1f refs/atmos/x symref-target:refs/heads/main\n\
                      12:00:00.000001 pkt-line.c:86           packet:        fetch< 1f refs/atmos/y\n\
                      fatal: no\n";
        let (symbolic, rest) = told_in(stderr);
        let expected = [("refs/atmos/x".to_owned(), "refs/heads/main".to_owned())];
        assert_eq!(symbolic, SymbolicRefs::from(expected));
        assert_eq!(rest, "warning: packet: of mail\nfatal: no\n");
    }

    #[test]
    fn only_symbolic_refs_are_removed_and_not_what_they_lead_to() {
        for format in ["--ref-format=files", "--ref-format=reftable"] {
            let fixture = Fixture::new(&[format]);
            let prefixes = ["refs/x/".to_owned()];
            let is_file = format.ends_with("files");
            fixture.git(&["branch", "other"], "");
            fixture.git(&["update-ref", "refs/x/plain", "HEAD"], "");
            fixture.git(&["symbolic-ref", "refs/x/a/link", "refs/heads/other"], "");
            fixture.git(&["symbolic-ref", "refs/y/link", "refs/heads/other"], "");
            if is_file {
                fixture.git(&["symbolic-ref", "refs/x/a/dangling", "refs/heads/none"], "");
            }
            fixture.repository().remove_symbolic_refs(&prefixes).unwrap();
            let left = fixture.git(&["for-each-ref", "--format=%(refname)", "refs/x", "refs/y"], "");
            assert_eq!(left, "refs/x/plain\nrefs/y/link\n", "{format}");
            assert!(!is_file || !fixture.git_dir().join("refs/x/a/dangling").exists());
            fixture.git(&["rev-parse", "--verify", "other"], "");
        }
    }
}
