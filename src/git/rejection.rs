//! Rejections of ref changes, by a remote or locally: parses git's messages into
//! values on which the ledger decides.
//!
//! The messages are those of stock git (`send-pack`, `receive-pack`, the ref backends) and of known
//! servers. An unknown message is final and shown unchanged: nothing justifies a retry.

use std::collections::BTreeMap;
use std::fmt;

/// The reason why one ref was not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// A conflict: the ref is not at the object that the lease expects.
    Stale,
    /// A conflict: the ref should have been created and exists.
    Exists,
    /// Transient: another push has changed or locked the ref, or the server is
    /// overloaded. Retry the same push.
    ///
    /// The lease held when the push began. The push that won the race may be an earlier one of this
    /// same run, whose answer was lost; the next attempt finds that out, because git compares with
    /// the refs that the remote then advertises.
    Busy(String),
    /// Nothing is wrong with this ref: the push was atomic, and another ref was rejected.
    Bystander,
    /// A refusal by a hook or a rule of the server, with its output.
    Hook(String),
    /// A refusal by the server's configuration or for lack of permission.
    Forbidden(String),
    /// The server lacks objects that its own refs lead to.
    LacksObjects(String),
    /// The ref is symbolic on the server and leads to a branch.
    SymbolicRef(String),
    /// The push changes more refs than the host allows.
    TooManyRefs(String),
    /// An unknown reason.
    Other(String),
}

/// Messages about a lease that does not hold, checked by the client against the advertised refs.
const STALE: [&str; 4] =
    ["stale info", "fetch first", "non-fast-forward", "remote ref updated since checkout"];
/// Messages of hooks and rules.
const HOOK: [&str; 3] = ["hook", "push declined", "rule violations"];
/// Messages about a ref that is not at the expected object once it is locked. From a server they
/// mean a race of two pushes, because the advertised value was as expected.
const MOVED: [&str; 4] =
    ["but expected", "already exists", "incorrect old value", "unable to resolve reference"];
/// Messages about a locked ref, and of a server that lost a process.
const BUSY: [&str; 9] = [
    "file exists",
    "failed to lock",
    "cannot lock references",
    "failed to update ref",
    "failed to write",
    "transaction",
    "internal server error",
    "timeout",
    "timed out",
];
/// Messages about permissions and the server's configuration.
const FORBIDDEN: [&str; 9] = [
    "permission",
    "denied",
    "deny",
    "not allowed",
    "not permitted",
    "prohibited",
    "protected",
    "forbidden",
    "read-only",
];

/// Messages about objects that the server has lost.
const LACKS_OBJECTS: [&str; 1] = ["missing necessary objects"];
/// Messages about a branch that would be written through a symbolic ref.
const SYMBOLIC_REF: [&str; 1] = ["trying to write non-commit object"];
/// Messages about a limit of refs per push (GitHub).
const TOO_MANY_REFS: [&str; 1] = ["pushes can not update more than"];

impl Rejection {
    /// Whether a retry of the same push may succeed.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy(_) | Self::Bystander)
    }

    /// Whether no retry will succeed, even on fresh state.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Hook(_)
                | Self::Forbidden(_)
                | Self::LacksObjects(_)
                | Self::SymbolicRef(_)
                | Self::TooManyRefs(_)
                | Self::Other(_)
        )
    }

    /// Classifies a `[rejected]`, which the client found before it sent anything.
    fn from_client(reason: String) -> Self {
        if contains_any(&reason, &STALE) {
            Self::Stale
        } else if contains_any(&reason, &["already exists"]) {
            Self::Exists
        } else if contains_any(&reason, &["atomic push fail"]) {
            Self::Bystander
        } else {
            Self::Other(reason)
        }
    }

    /// Classifies a `[remote rejected]` of the server, whose names were removed.
    fn from_server(reason: String) -> Self {
        if contains_any(&reason, &TOO_MANY_REFS) {
            Self::TooManyRefs(reason)
        } else if contains_any(&reason, &HOOK) {
            Self::Hook(reason)
        } else if contains_any(&reason, &["atomic push fail"]) {
            Self::Bystander
        } else if contains_any(&reason, &MOVED) || contains_any(&reason, &BUSY) {
            Self::Busy(reason)
        } else if contains_any(&reason, &FORBIDDEN) {
            Self::Forbidden(reason)
        } else if contains_any(&reason, &LACKS_OBJECTS) {
            Self::LacksObjects(reason)
        } else if contains_any(&reason, &SYMBOLIC_REF) {
            Self::SymbolicRef(reason)
        } else {
            Self::Other(reason)
        }
    }

    /// Adds the output of a hook or a rule, and classifies it as well.
    fn saying(reason: &str, said: &str) -> Self {
        let reason = format!("{reason}: {said}");
        if contains_any(&reason, &TOO_MANY_REFS) { Self::TooManyRefs(reason) } else { Self::Hook(reason) }
    }

    /// Classifies why a local ref could not be locked, from a message whose names were removed.
    fn from_here(reason: String) -> Self {
        if contains_any(&reason, &MOVED) { Self::Stale } else { Self::from_server(reason) }
    }
}

fn contains_any(reason: &str, texts: &[&str]) -> bool {
    let reason = reason.to_lowercase();
    texts.iter().any(|text| reason.contains(text))
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stale => "it has changed since it was read",
            Self::Exists => "it exists already",
            Self::Bystander => "another ref of the same push was rejected",
            Self::Busy(reason)
            | Self::Hook(reason)
            | Self::Forbidden(reason)
            | Self::LacksObjects(reason)
            | Self::SymbolicRef(reason)
            | Self::TooManyRefs(reason)
            | Self::Other(reason) => reason,
        })
    }
}

/// The rejected refs of `git push --porcelain`, from its stdout and stderr.
pub(super) fn rejections(stdout: &str, stderr: &str) -> Vec<(String, Rejection)> {
    let causes = causes(stderr);
    let said_by_a_hook = hook_message(stderr);
    let rejected: Vec<_> = stdout.lines().filter_map(rejected_ref).collect();
    let explains_one = rejected.iter().any(|(name, ..)| causes.contains_key(name));
    // Some servers name a ref that is not part of the push.
    let of_all = causes.values().next().filter(|_| !explains_one);
    rejected
        .into_iter()
        .map(|(name, by_server, reason)| {
            let rejection = match causes.get(name).or(of_all) {
                _ if !by_server => Rejection::from_client(reason.to_owned()),
                Some(cause) if is_vague(reason) => Rejection::from_server(cause.clone()),
                // Git rejects every ref of an atomic push and explains only the one that failed.
                None if explains_one && reason == ATOMIC => Rejection::Bystander,
                _ => Rejection::from_server(without_names(reason)),
            };
            match (rejection, &said_by_a_hook) {
                (Rejection::Hook(reason), Some(said)) => (name.to_owned(), Rejection::saying(&reason, said)),
                (rejection, _) => (name.to_owned(), rejection),
            }
        })
        .collect()
}

/// The local ref that git could not lock, and why; `None` where the error is about something else.
/// Reftables are locked as a whole, and git then names no ref.
pub(crate) fn rejection_here(stderr: &str) -> Option<(String, Rejection)> {
    if let Some((name, cause)) = stderr.lines().find_map(cause) {
        return Some((name.to_owned(), Rejection::from_here(cause)));
    }
    let line = stderr.lines().find(|line| line.contains("cannot lock references"))?;
    Some(("refs".to_owned(), Rejection::Busy(line.trim_start_matches("fatal: ").to_owned())))
}

/// Parses `!<tab>from:to<tab>[rejected] (reason)` or `[remote rejected] (reason)`: the ref, whether
/// the server rejected it, and the reason without brackets.
fn rejected_ref(line: &str) -> Option<(&str, bool, &str)> {
    let mut fields = line.strip_prefix("!\t")?.split('\t');
    let (_, name) = fields.next()?.rsplit_once(':')?;
    let summary = fields.next().unwrap_or_default();
    let reason = summary.split_once('(').map_or(summary, |(_, reason)| reason.trim_end_matches(')'));
    Some((name, summary.starts_with("[remote "), reason))
}

/// The reason that git gives for every ref of an atomic push that failed.
const ATOMIC: &str = "atomic transaction failed";

/// Whether a reason says nothing by itself, because the server printed the cause to stderr.
fn is_vague(reason: &str) -> bool {
    reason == "failed to update ref" || reason == ATOMIC
}

/// The causes that the server printed, by the refs' names.
fn causes(stderr: &str) -> BTreeMap<&str, String> {
    stderr.lines().filter_map(|line| cause(line.strip_prefix("remote: ")?)).collect()
}

/// Parses `error: cannot lock ref '<name>': <cause>` (or `update`): the ref, and the cause without
/// names. Of a symbolic ref, git names the ref that it leads to.
fn cause(line: &str) -> Option<(&str, String)> {
    ["lock", "update"].into_iter().find_map(|verb| {
        let (_, named) = line.trim_end().split_once(&format!("cannot {verb} ref '"))?;
        let (name, cause) = named.split_once("': ")?;
        Some((name, format!("cannot {verb} ref: {}", without_names(cause))))
    })
}

/// The text without its quoted parts: names of refs and files may contain any searched word.
fn without_names(text: &str) -> String {
    let unquoted: Vec<_> = text.split('\'').step_by(2).map(str::trim).collect();
    unquoted.join(" ").trim().replace(" : ", ": ").replace(" ;", ";")
}

/// The output of the server's hooks, as one line.
fn hook_message(stderr: &str) -> Option<String> {
    let lines: Vec<_> = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("remote:"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(5)
        .collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ref whose name contains the searched words.
    const NAME: &str = "refs/atmos/deployments/webhook-denied/protected/stale-info";

    /// The rejection of a push of that one ref.
    fn of(summary: &str, stderr: &str) -> Rejection {
        let found = rejections(&format!("To x\n!\tabc:{NAME}\t{summary}\nDone\n"), stderr);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, NAME);
        found[0].1.clone()
    }

    fn busy(text: &str) -> Rejection {
        Rejection::Busy(text.to_owned())
    }

    fn hook(text: &str) -> Rejection {
        Rejection::Hook(text.to_owned())
    }

    fn forbidden(text: &str) -> Rejection {
        Rejection::Forbidden(text.to_owned())
    }

    fn other(text: &str) -> Rejection {
        Rejection::Other(text.to_owned())
    }

    #[test]
    fn reasons_of_git_and_of_the_servers() {
        let table = [
            ("[rejected] (stale info)", Rejection::Stale),
            ("[rejected] (fetch first)", Rejection::Stale),
            ("[rejected] (non-fast-forward)", Rejection::Stale),
            ("[rejected] (already exists)", Rejection::Exists),
            ("[rejected] (atomic push failed)", Rejection::Bystander),
            ("[remote rejected] (atomic push failure)", Rejection::Bystander),
            ("[remote rejected] (incorrect old value provided)", busy("incorrect old value provided")),
            ("[remote rejected] (reference already exists)", busy("reference already exists")),
            ("[remote rejected] (failed to update ref)", busy("failed to update ref")),
            ("[remote rejected] (hook declined)", hook("hook declined")),
            ("[remote rejected] (deny updating a hidden ref)", forbidden("deny updating a hidden ref")),
            ("[remote rejected] (shallow update not allowed)", forbidden("shallow update not allowed")),
            ("[remote rejected] (deletion prohibited)", forbidden("deletion prohibited")),
            (
                "[remote rejected] (missing necessary objects)",
                Rejection::LacksObjects("missing necessary objects".to_owned()),
            ),
            ("[remote rejected] (unpacker error)", other("unpacker error")),
            ("[remote rejected]", other("[remote rejected]")),
            // GitHub names the ref in the reason.
            (
                "[remote rejected] (cannot lock ref 'refs/x/hook': is at a but expected b)",
                busy("cannot lock ref: is at a but expected b"),
            ),
            (
                "[remote rejected] (cannot lock ref 'refs/x/hook': reference already exists)",
                busy("cannot lock ref: reference already exists"),
            ),
            ("[remote rejected] (Internal Server Error)", busy("Internal Server Error")),
            ("[remote rejected] (protected branch hook declined)", hook("protected branch hook declined")),
            // Gitea and Forgejo
            (
                "[remote rejected] (User permission denied for writing.)",
                forbidden("User permission denied for writing."),
            ),
        ];
        for (summary, expected) in table {
            assert_eq!(of(summary, ""), expected, "{summary}");
        }
    }

    #[test]
    fn a_limit_of_refs_is_told_from_what_a_rule_or_a_hook_prints() {
        let limit = |text: &str| Rejection::TooManyRefs(text.to_owned());
        // GitHub's ruleset, and a hook with the same message.
        let rules = "remote: error: GH013: Repository rule violations found for refs/x.        \nremote:         \n\
                     remote: - Pushes can not update more than 4 branches or tags.        \n";
        let by_rules = "push declined due to repository rule violations: error: GH013: Repository rule \
                        violations found for refs/x. - Pushes can not update more than 4 branches or tags.";
        let hooks = "remote: - Pushes can not update more than 4 branches or tags.        \n";
        let by_hook = "pre-receive hook declined: - Pushes can not update more than 4 branches or tags.";
        for (reason, said, expected) in [
            ("push declined due to repository rule violations", rules, limit(by_rules)),
            ("pre-receive hook declined", hooks, limit(by_hook)),
            ("Pushes can not update more than 4 refs", "", limit("Pushes can not update more than 4 refs")),
            // Other output of a hook is its own text.
            (
                "hook declined",
                "remote: missing necessary objects\n",
                hook("hook declined: missing necessary objects"),
            ),
        ] {
            let found = of(&format!("[remote rejected] ({reason})"), said);
            assert_eq!(found, expected, "{reason}");
            assert!(found.is_final());
        }
    }

    #[test]
    fn a_symbolic_ref_to_a_branch_is_no_matter_of_time() {
        let said = "remote: error: cannot update ref 'refs/heads/main': trying to write non-commit object \
                    b74e to branch 'refs/heads/main'        \n";
        let text = "cannot update ref: trying to write non-commit object b74e to branch";
        let reason = Rejection::SymbolicRef(text.to_owned());
        assert_eq!(of("[remote rejected] (failed to update ref)", said), reason);
        assert!(reason.is_final());
    }

    #[test]
    fn the_server_s_own_line_explains_a_vague_reason() {
        let table = [
            ("is at aaa but expected bbb", busy("cannot lock ref: is at aaa but expected bbb")),
            ("reference already exists", busy("cannot lock ref: reference already exists")),
            (
                "Unable to create '/srv/hook.git/refs/x.lock': File exists.",
                busy("cannot lock ref: Unable to create: File exists."),
            ),
            (
                "Unable to create '/srv/x.git/refs/x.lock': File name too long",
                other("cannot lock ref: Unable to create: File name too long"),
            ),
            (
                "'refs/x/a' exists; cannot create 'refs/x/a/b'",
                other("cannot lock ref: exists; cannot create"),
            ),
        ];
        for (cause, expected) in table {
            let line = format!("remote: error: cannot lock ref '{NAME}': {cause}        \n");
            for reason in ["failed to update ref", "atomic transaction failed"] {
                assert_eq!(of(&format!("[remote rejected] ({reason})"), &line), expected, "{cause}");
            }
        }
    }

    #[test]
    fn a_ref_is_a_bystander_only_where_another_ref_of_the_push_is_explained() {
        let stdout = "To x\n!\ta:refs/a\t[remote rejected] (atomic transaction failed)\n\
            !\tb:refs/b\t[remote rejected] (atomic transaction failed)\nDone\n";
        let locked = "Unable to create '/srv/x.lock': File exists.";
        let why = busy("cannot lock ref: Unable to create: File exists.");
        let rejected =
            |name| rejections(stdout, &format!("remote: error: cannot lock ref '{name}': {locked}\n"));
        let named = |first: &Rejection, second: &Rejection| {
            [("refs/a".to_owned(), first.clone()), ("refs/b".to_owned(), second.clone())]
        };
        assert_eq!(rejected("refs/b"), named(&Rejection::Bystander, &why));
        assert_eq!(rejected("HEAD"), named(&why, &why));
    }

    #[test]
    fn what_locks_a_ref_here_is_told_from_what_has_moved_it() {
        let because =
            |cause: &str| format!("fatal: cannot lock ref '{NAME}': {cause}\n\nAnother git process\n");
        for (cause, expected) in [
            ("is at aaa but expected bbb", Rejection::Stale),
            ("reference already exists", Rejection::Stale),
            ("unable to resolve reference 'refs/x'", Rejection::Stale),
            (
                "Unable to create '/x/stale-info.lock': File exists.",
                busy("cannot lock ref: Unable to create: File exists."),
            ),
            (
                "Unable to create '/x/a.lock': Permission denied",
                forbidden("cannot lock ref: Unable to create: Permission denied"),
            ),
            (
                "'refs/x/a' exists; cannot create 'refs/x/a/b'",
                other("cannot lock ref: exists; cannot create"),
            ),
        ] {
            assert_eq!(rejection_here(&because(cause)), Some((NAME.to_owned(), expected)), "{cause}");
        }
        let tables = rejection_here("fatal: cannot lock references\n");
        assert_eq!(tables, Some(("refs".to_owned(), busy("cannot lock references"))));
        assert_eq!(rejection_here("fatal: not a git repository\n"), None);
    }

    #[test]
    fn a_hook_s_own_words_follow_the_reason() {
        let gitlab = "remote: GitLab: You are not allowed to create this tag as it is protected.";
        assert_eq!(
            of("[remote rejected] (pre-receive hook declined)", gitlab),
            hook(
                "pre-receive hook declined: GitLab: You are not allowed to create this tag as it is protected."
            )
        );
        let github = "remote: error: GH013: Repository rule violations found for refs/tags/atmos/x.";
        assert_eq!(
            of("[remote rejected] (push declined due to repository rule violations)", github),
            hook(
                "push declined due to repository rule violations: error: GH013: Repository rule violations found for \
                 refs/tags/atmos/x."
            )
        );
    }

    #[test]
    fn every_rejected_ref_is_named_and_no_other() {
        let stdout = "To /tmp/remote\n\
            !\tabc:refs/atmos/locks/a\t[rejected] (stale info)\n\
            !\t:refs/atmos/locks/b\t[rejected] (atomic push failed)\n\
            *\tdef:refs/x\t[new reference]\nDone\n";
        assert_eq!(
            rejections(stdout, ""),
            [
                ("refs/atmos/locks/a".to_owned(), Rejection::Stale),
                ("refs/atmos/locks/b".to_owned(), Rejection::Bystander),
            ]
        );
    }

    #[test]
    fn a_rejection_is_transient_or_final_or_needs_another_look() {
        let text = String::new;
        let needs_another_look = [Rejection::Stale, Rejection::Exists];
        assert!(needs_another_look.iter().all(|one| !one.is_transient() && !one.is_final()));
        assert!([Rejection::Busy(text()), Rejection::Bystander].iter().all(Rejection::is_transient));
        let last = [Rejection::Hook(text()), Rejection::Forbidden(text()), Rejection::Other(text())];
        assert!(last.iter().all(|one| one.is_final() && !one.is_transient()));
    }

    #[test]
    fn a_hook_s_words_are_kept() {
        assert_eq!(hook_message("remote: no \nremote:\nremote: way\nTo x\n").as_deref(), Some("no way"));
        assert_eq!(hook_message("error: failed\n"), None);
    }
}
