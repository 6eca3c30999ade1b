//! The codes of errors: a stable name, an exit code and an explanation each.
//!
//! `docs/errors.md` has the same rows, which a test compares; `UPDATE_DOCS=1 cargo test --lib`
//! writes them.

/// Exit codes, which are part of the interface.
pub mod exit {
    /// Something failed: a component, the remote, I/O.
    pub const FAILED: u8 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: u8 = 2;
    /// Refused by policy: promotion path, approval, freeze.
    pub const REFUSED: u8 = 3;
    /// Locked, or lost a race; worth another try.
    pub const LOCKED: u8 = 4;
    /// Findings: differences that were asked for.
    pub const FINDINGS: u8 = 5;
    /// Interrupted by a signal.
    pub const INTERRUPTED: u8 = 130;
}

macro_rules! codes {
    ($($exit:ident { $($variant:ident $name:literal $explanation:literal)+ })+) => {
        /// The kind of an error, as documents and hints name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($($variant,)+)+
        }

        impl Code {
            /// All of them, in the order of their exit codes.
            pub const ALL: &[Self] = &[$($(Self::$variant,)+)+];

            /// The name in documents.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $($(Self::$variant => $name,)+)+
                }
            }

            /// The exit code of the process.
            pub const fn exit_code(self) -> u8 {
                match self {
                    $($(Self::$variant)|+ => exit::$exit,)+
                }
            }

            /// The explanation of the error in Markdown, with links that are relative to `docs/`.
            pub const fn explanation(self) -> &'static str {
                match self {
                    $($(Self::$variant => $explanation,)+)+
                }
            }
        }
    };
}

codes! {
    FAILED {
        Git "git"
            "A git command failed, timed out, or git is not installed; a lock file of git is in the \
            way in this checkout ([what to do](troubleshooting.md#git-cannot-lock-what--locks)). In \
            CI also: a plan, and the remote does not answer"
        Damaged "damaged"
            "Objects or `packed-refs` of this repository are damaged, or the remote has lost objects; \
            `git fsck` there names them"
        RulesUnreachable "rules_unreachable"
            "The rules of the default branch bind, and the remote does not answer. In CI the rules \
            that were seen last do not do either: try again when it answers"
        RemoteRefused "remote_refused"
            "The remote refused a push: a hook, a protected ref, no permission, or a ref that stayed \
            locked for three minutes"
        RecordsKept "records_kept"
            "An earlier attempt of this run has deployed the same in this checkout, and its records \
            have not reached the remote: nothing is applied again. The next command that reaches the \
            remote publishes them"
        OtherHistory "other_history"
            "A record tag is another object in this checkout than on the remote, so that what has run \
            cannot be told. Where the remote's is the right one: `git tag -d <tag>`, and again"
        SymbolicRef "symbolic_ref"
            "A ref of the ledger is symbolic on the remote: a push would change, or delete, the \
            branch that it leads to. In the remote's repository: `git symbolic-ref --delete <ref>`"
        Objects "objects"
            "The repository's objects cannot be read"
        Files "files"
            "A file cannot be read, or leads out of the repository by a link"
        VendorSource "vendor_source"
            "The source of a vendored component cannot be fetched, or has no such version or folder \
            ([vendoring](vendoring.md))"
        VendorContent "vendor_content"
            "What a source holds cannot be stored safely: a path or link that leads elsewhere, names \
            that differ only in case; or something in the vendor cache is not what was stored \
            ([vendoring](vendoring.md#the-cache))"
        VendorCache "vendor_cache"
            "The vendor cache cannot be read or written"
        Checkout "checkout"
            "A commit could not be checked out for its components"
        PlatformRefused "platform_refused"
            "The hosting platform refused: what the token lacks is said"
        PlatformFailed "platform_failed"
            "The hosting platform did not answer, or with an error"
        NoteTooLarge "note_too_large"
            "A note would have more than 50 MB"
        NoteUnreadable "note_unreadable"
            "A note of another tool cannot be read or added to"
        BuildFailed "build_failed"
            "An image that a rollout lacks could not be built first; nothing was locked or applied"
        ImageMissing "image_missing"
            "An image that is to be deployed is not in its registry; nothing was applied"
        NotBuilt "not_built"
            "There is no image of the commit to test"
        TestsNotRun "tests_not_run"
            "The tests could not be run"
        UnusableReport "unusable_report"
            "The tests wrote something that is no JUnit report"
        NoSbom "no_sbom"
            "Nothing was built or attached at the commit, and its files say nothing of what \
            components without an image are made of"
        NeverRefreshed "never_refreshed"
            "Nothing is known here of what was asked, and the remote has never told this checkout of \
            it; now it was not asked (`--offline`) or did not answer: that is not to say that \
            nothing runs"
        Output "output"
            "The output cannot be written"
        Internal "internal"
            "Something that should not happen; please report it"
    }
    USAGE {
        Usage "usage"
            "The command line: an unknown flag, a missing argument, an empty one, `--offline` for \
            what is kept on the remote; or an environment variable cannot be read \
            (`ATMOS_LOCK_LEASE`, `ATMOS_OFFLINE`), or `ATMOS_RUN_ID` is too long"
        SubmoduleMissing "submodule_missing"
            "A submodule is not in this checkout at the commit that is deployed: `git submodule \
            update --init --recursive`. One with `update = none` stays empty"
        SeveralAddresses "several_addresses"
            "The remote pushes to several addresses, one by one; a ledger has one: `git config \
            --replace-all remote.<name>.pushurl <address>`"
        Configuration "configuration"
            "`atmos.yaml` or a deployment file, or something that its components need and that is not \
            there: a folder, a file, an output, a name in a template ([before anything is \
            applied](deployment-files.md#before-anything-is-applied)); `details` shows each problem \
            with its source line"
        Vendor "vendor"
            "A declaration of vendoring is wrong, contradicts another one, or is not acted on: a kind \
            of source that is not fetched, a version that is none ([vendoring](vendoring.md))"
        UnknownDeployment "unknown_deployment"
            "There is no deployment of this name; the nearest one is a hint"
        UnknownTarget "unknown_target"
            "The deployment has no target of this name; the nearest one is a hint"
        UnknownComponent "unknown_component"
            "The deployment, or the stack, has no component of this name; the nearest one is a hint"
        TooManyJobs "too_many_jobs"
            "A matrix would have more jobs than GitHub takes"
        TooManyNeeds "too_many_needs"
            "A job of a matrix would wait for more others than GitLab takes"
        RulesFrom "rules_from"
            "`deployments.rules_from` on the default branch names a branch that the remote does not \
            have: correct it there"
        ReservedMetadata "reserved_metadata"
            "`--metadata` has a key that the program alone sets (`approver`, `approval_timestamp`, \
            `promotion_check`, `source_state`, `lock_taken_over_from`): choose another one"
        NoApproval "no_approval"
            "`approve --revoke` finds no approval that still counts, or none of this id; `details` \
            says where one has been revoked or used already: `atmos deployment approvals` lists them"
        UnknownCommit "unknown_commit"
            "No commit goes by what was written"
        AmbiguousCommit "ambiguous_commit"
            "Several commits go by what was written: write more digits"
        UnknownRemote "unknown_remote"
            "There is no such remote"
        AmbiguousRemote "ambiguous_remote"
            "There are several remotes and none is named: `deployments.remote`, or `ATMOS_REMOTE`"
        NoRepository "no_repository"
            "There is no repository here, or, in a CI job, a bare one"
        NoCommit "no_commit"
            "The repository has no commit"
        NotOwned "not_owned"
            "The repository belongs to another user, whose configuration git would run: `git config \
            --global --add safe.directory <folder>`, or `ATMOS_SAFE_DIRECTORY=<folder>` ([when it is \
            needed](troubleshooting.md#ci-checkouts))"
        NothingDeployed "nothing_deployed"
            "`diff` of a target on which nothing runs"
        Dirty "dirty"
            "In CI, the checkout has changes that are in no commit, or `atmos deployment ci` would go \
            by a configuration or a deployment file that is not the one of the commit that is \
            checked out (the message names it): files, rules, or for a promotion what its deployment \
            is made of"
        Stacks "stacks"
            "A stack manifest, or an import that is not there; the message names file, line and \
            column"
        UnknownStack "unknown_stack"
            "There is no stack of this name"
        AmbiguousComponent "ambiguous_component"
            "Several components are made of the folder that was given in the place of a component"
        AbstractComponent "abstract_component"
            "The component is only there to be inherited from (`metadata.type: abstract`)"
        UnappliedKey "unapplied_key"
            "A stack has a key that decides how a component is applied, and that a rollout does not \
            act on, or asks for an output that cannot be read: the message names it and its place, \
            [stacks](stacks.md#what-a-rollout-does-not-act-on) what to do"
        SharedState "shared_state"
            "Two targets would keep the state of a component at the same place: the same backend and \
            workspace; the message names them"
        NoTests "no_tests"
            "No component that is meant has tests"
        NotSigned "not_signed"
            "Git is configured to sign tags (`tag.gpgSign`) and cannot: no key, no agent; or \
            `ATMOS_PROVENANCE_KEY` is no key"
        ImageNotBuilt "image_not_built"
            "A rollout needs an image of which there is no record, and does not build it first: a \
            rollback, a promotion, a target that requires approvals, or no container engine is here. \
            The hint is the command that builds it; nothing was applied"
        UnusableFile "unusable_file"
            "A file is not what `attach` or `scan` was told that it is"
        NoPlatform "no_platform"
            "The repository is on no platform that is known, and no CI job tells one"
        PlatformUnconfigured "platform_unconfigured"
            "The platform cannot be asked: a token or a variable is missing"
        Preflight "preflight"
            "A tool is missing or too old"
    }
    REFUSED {
        Rules "rules"
            "The rules of the default branch and of the checkout name no source in common, or call \
            the environment of a `ci` approval differently, or the default branch does not declare \
            the target and the checkout gives it rules. Check out what the default branch says, or \
            merge the rules first"
        PromotionPath "promotion_path"
            "The target is not promoted from there; the message has the path"
        NotPromoted "not_promoted"
            "The target takes this commit only by promotion: it is neither what runs nor a return to \
            a known good ([promotion](promotion.md#rollbacks))"
        CrossDeployment "cross_deployment"
            "A promotion from another deployment"
        NothingToPromote "nothing_to_promote"
            "Nothing on the source can be promoted"
        NotPromotable "not_promotable"
            "A component that was named cannot be promoted"
        Partial "partial"
            "Part of what runs on the source would stay behind. Roll that out to the source again, or \
            promote the rest with `--allow-partial` ([promotion](promotion.md#partial-promotions)); \
            what no record speaks of, with `--trust-state`"
        MixedCommits "mixed_commits"
            "`--require-uniform`, and the components sit at different commits"
        Hold "hold"
            "The target was rolled back, and no person asked for this run. Start it by hand, or \
            `unlock --hold --reason` ([promotion](promotion.md#what-is-held))"
        Backwards "backwards"
            "An automatic run would replace what runs by an ancestor of it: an old pipeline, most \
            likely. Where it is meant, `--git-sha` or `--allow-rollback` \
            ([promotion](promotion.md#going-backwards))"
        Frozen "frozen"
            "The target is frozen. `unlock` lifts the freeze"
        LockedComponent "locked_component"
            "A stack locks the component (`metadata.locked`)"
        SbomMissing "sbom_missing"
            "A component requires an SBOM (`settings.nixpack.sbom.require`), and its commit has none; \
            nothing was applied"
        ApprovalRequired "approval_required"
            "An approval is required and there is none that counts. The message says what is missing: \
            in CI also that this job did not wait for the approval that another job of the run has. \
            `details` says which plan would be approved"
        ApprovalMethod "approval_method"
            "`approve` was asked to approve for a target whose approvals are given otherwise: by the \
            reviewers of the CI's environment, say"
        NotApproved "not_approved"
            "The person who was asked did not approve, or gave no reason"
        ApprovalOutdated "approval_outdated"
            "What was approved is no longer what would be rolled out, or the approval was revoked or \
            has expired in the meantime. Look at the plan, and approve that"
        Digest "digest"
            "`--digest`, and what would be rolled out has another one. Look at the new plan"
        DigestVersion "digest_version"
            "`--digest` of another version of the program: plan again, and use that digest"
        Unbuilt "unbuilt"
            "A plan whose images are not built yet can be neither approved nor named by `--digest`. \
            Build first: `atmos deployment build`"
        ForeignHead "foreign_head"
            "In CI, a commit would run with this repository's secrets, or decide what is reported of \
            a target, that is on none of its branches and tags, or of which that is not known"
    }
    LOCKED {
        Locked "locked"
            "A component is locked by another run; `details` name the run. Where that was killed and \
            what it started is still at work, they name its processes"
        Contended "contended"
            "Others kept changing the same refs for as long as was tried"
        Moved "moved"
            "Another run recorded the same component in the meantime"
        LockLost "lock_lost"
            "The lock was taken away, by hand or because its lease ran out; what ran was ended"
        LockNotRenewed "lock_not_renewed"
            "The lock could not be renewed for as long as it lives, because the remote was away or \
            this checkout could not be used, so that others may take it over; what ran was ended"
    }
    FINDINGS {
        Incomplete "incomplete"
            "In CI, `command: status` was to [report how a target stands](ci.md#after-a-fan-out), and \
            not every component runs what the job's commit has; `details` says why, component by \
            component"
    }
    INTERRUPTED {
        Cancelled "cancelled"
            "It was stopped before anything was applied, while it waited for a lock, say; or a look \
            at health or drift was"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table below the heading of an exit code.
    fn table(exit_code: u8) -> String {
        let codes = Code::ALL.iter().filter(|code| code.exit_code() == exit_code);
        let rows: Vec<_> =
            codes.map(|code| format!("| `{}` | {} |", code.as_str(), code.explanation())).collect();
        rows.join("\n") + "\n"
    }

    /// The documentation with its tables written anew.
    fn written(docs: &str) -> String {
        let mut exit_code = None;
        let mut out = String::new();
        for line in docs.split_inclusive('\n') {
            if let Some(heading) = line.strip_prefix("## ") {
                exit_code = heading.split_once(':').and_then(|(number, _)| number.parse().ok());
            }
            match exit_code {
                Some(code) if line.starts_with("| --- ") => {
                    out.push_str(line);
                    out.push_str(&table(code));
                }
                Some(_) if line.starts_with("| `") => {}
                _ => out.push_str(line),
            }
        }
        out
    }

    #[test]
    fn every_code_is_documented_as_it_is() {
        let docs = include_str!("../../docs/errors.md");
        let written = written(docs);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/errors.md");
            std::fs::write(path, written).unwrap();
            return;
        }
        assert_eq!(docs, written, "UPDATE_DOCS=1 cargo test --lib writes it");
        let tables = docs.lines().filter(|line| line.starts_with("| --- ")).count();
        assert_eq!(tables, 6, "a table for each exit code");
    }

    #[test]
    fn names_are_unique_and_plain() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_')));
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
