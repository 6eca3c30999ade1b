//! Damage of a repository, from git's messages.

/// The damaged part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// Objects of this repository.
    Objects,
    /// The `packed-refs` of this repository.
    PackedRefs,
    /// The remote's objects, or refs that lead to none.
    Remote,
}

impl Damage {
    /// The command that examines it: `git fsck`, in this repository or the remote's.
    #[must_use]
    pub const fn examined_by(self) -> &'static str {
        match self {
            Self::Objects | Self::PackedRefs => "`git fsck` shows which",
            Self::Remote => "`git fsck` in its repository shows which",
        }
    }

    /// The damage as the subject of a message.
    #[must_use]
    pub const fn as_words(self) -> &'static str {
        match self {
            Self::Objects => "objects of this repository are damaged or missing",
            Self::PackedRefs => "the file packed-refs of this repository is damaged",
            Self::Remote => "the remote has lost objects that its refs lead to",
        }
    }
}

/// Messages that are always about the remote.
const REMOTE: [&str; 3] = [
    "not our ref",
    "missing necessary objects",
    "aborting due to possible repository corruption on the remote side",
];
/// Paths in messages of the remote's process, which runs inside of its repository.
const OF_REMOTE: [&str; 2] = ["./objects", "./packed-refs"];
/// Messages about local objects.
const OBJECTS: [&str; 13] = [
    "inflate: data stream error",
    "is corrupt",
    "unable to unpack",
    "unable to parse object",
    "object file is empty",
    "garbage at end of loose object",
    "hash mismatch",
    "bad object ",
    "unable to read tree",
    "unable to read sha1 file of",
    "unable to read blob object",
    "unable to read object",
    "unable to read commit",
];

/// The damage that git's stderr reports.
pub(super) fn damage(stderr: &str) -> Option<Damage> {
    if REMOTE.iter().any(|text| stderr.contains(text)) {
        return Some(Damage::Remote);
    }
    let is_damage = |line: &str| OBJECTS.iter().any(|text| line.contains(text)) || is_of_packed_refs(line);
    if stderr.lines().any(|line| is_damage(line) && OF_REMOTE.iter().any(|place| line.contains(place))) {
        return Some(Damage::Remote);
    }
    let ours = || stderr.lines().filter(|line| line.starts_with("fatal: ") || line.starts_with("error: "));
    if ours().any(is_of_packed_refs) {
        return Some(Damage::PackedRefs);
    }
    ours().any(is_damage).then_some(Damage::Objects)
}

fn is_of_packed_refs(line: &str) -> bool {
    line.contains("unexpected line in ") || line.contains("unterminated line in ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_told_from_what_git_says() {
        for (stderr, expected) in [
            ("error: inflate: data stream error (incorrect header check)\n", Some(Damage::Objects)),
            ("fatal: loose object 274e (stored in .git/objects/27/4e) is corrupt\n", Some(Damage::Objects)),
            (
                "error: object file .git/objects/da/06 is empty\nfatal: bad object da06\n",
                Some(Damage::Objects),
            ),
            ("fatal: unexpected line in .git/packed-refs: 193aa refs/tags/a...\n", Some(Damage::PackedRefs)),
            ("fatal: unterminated line in .git/packed-refs: 193aa\n", Some(Damage::PackedRefs)),
            ("fatal: git upload-pack: not our ref 1cb3\n", Some(Damage::Remote)),
            ("fatal: remote error: upload-pack: not our ref 1cb3\n", Some(Damage::Remote)),
            ("fatal: unable to access 'http://x/': Could not resolve host: x\n", None),
            ("fatal: Could not read from remote repository.\n", None),
            ("remote: error: inflate: data stream error\n", None),
            (
                "error: inflate: data stream error\nfatal: loose object 2f (stored in ./objects/2f/1) is corrupt\n",
                Some(Damage::Remote),
            ),
            ("fatal: unterminated line in ./packed-refs: 193aa\n", Some(Damage::Remote)),
            (
                "error: unable to read askpass response from '/bin/false'\nfatal: could not read Username\n",
                None,
            ),
            ("fatal: expected packfile to be sent after 'ready'\n", None),
        ] {
            assert_eq!(damage(stderr), expected, "{stderr}");
        }
    }
}
