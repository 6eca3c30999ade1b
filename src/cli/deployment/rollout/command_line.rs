//! The command that was typed, for hints: what they say to paste asks for the same rollout, with one thing changed.

use std::fmt;

use super::Args;

/// A `rollout` command.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    words: Vec<String>,
}

impl Args {
    /// The command that asks for this rollout.
    pub(super) fn command_line(&self) -> CommandLine {
        let mut line = CommandLine::of_rollout(self.deployment.as_str());
        let mut option = |name: &str, value: Option<&str>| {
            line.words.extend(value.into_iter().flat_map(|value| [format!("--{name}"), quoted(value)]));
        };
        option("target", self.target.as_ref().map(AsRef::as_ref));
        option("git-sha", self.git_sha.as_deref());
        option("promote-from", self.promote_from.as_deref());
        for component in &self.component {
            option("component", Some(&component.0));
        }
        for (name, pairs) in [("context", &self.context), ("metadata", &self.metadata)] {
            for pair in pairs {
                option(name, Some(&format!("{}={}", pair.key, pair.value)));
            }
        }
        option("reason", self.reason.as_deref());
        for (name, is_set) in [
            ("skip-promotion-check", self.skip_promotion_check),
            ("require-uniform", self.require_uniform),
            ("allow-partial", self.allow_partial),
            ("allow-rollback", self.allow_rollback),
        ] {
            line.words.extend(is_set.then(|| format!("--{name}")));
        }
        line
    }
}

impl CommandLine {
    /// A rollout of a deployment, of which nothing else is said yet.
    pub(super) fn of_rollout(deployment: &str) -> Self {
        Self { words: vec![format!("atmos deployment rollout {}", quoted(deployment))] }
    }

    /// Adds a flag, unless it is there.
    pub(super) fn flag(&mut self, name: &str) -> &mut Self {
        let flag = format!("--{name}");
        if !self.words.contains(&flag) {
            self.words.push(flag);
        }
        self
    }

    /// Adds an option beside those of this name.
    pub(super) fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.words.extend([format!("--{name}"), quoted(value)]);
        self
    }

    /// Sets an option, in place of every one of this name.
    pub(super) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.without(name).add(name, value)
    }

    /// Takes out an option, with its values, or a flag.
    pub(super) fn without(&mut self, name: &str) -> &mut Self {
        let option = format!("--{name}");
        while let Some(at) = self.words.iter().position(|word| *word == option) {
            self.words.remove(at);
            if self.words.get(at).is_some_and(|word| !word.starts_with("--")) {
                self.words.remove(at);
            }
        }
        self
    }

    /// Only shows what it would do.
    pub(super) fn plan(&mut self) -> &mut Self {
        self.flag("plan")
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/=@:,+-%".contains(&byte);
    if !word.is_empty() && !word.starts_with("--") && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &str) -> CommandLine {
        let args = ["atmos", "deployment", "rollout"].into_iter().chain(words.split(' '));
        let line: Vec<std::ffi::OsString> = args.map(Into::into).collect();
        let parsed = crate::cli::parse(&line).unwrap();
        let crate::cli::Command::Deployment(arguments) = parsed.command else { panic!("{words}") };
        let crate::cli::deployment::Verb::Rollout(args) = arguments.into_inner().verb else {
            panic!("{words}")
        };
        args.command_line()
    }

    #[test]
    fn a_hint_asks_for_what_was_asked_for() {
        let words =
            "api --target prod --git-sha abc --component a --component b --context x=1 --metadata pr=2";
        let mut line = typed(words);
        assert_eq!(line.to_string(), format!("atmos deployment rollout {words}"));
        line.flag("allow-rollback").flag("allow-rollback").without("component").set("git-sha", "def");
        assert_eq!(
            line.to_string(),
            "atmos deployment rollout api --target prod --context x=1 --metadata pr=2 --allow-rollback --git-sha def"
        );
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        for (word, expected) in [
            ("why not", "'why not'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
            ("$(date)", "'$(date)'"),
            ("--plan", "'--plan'"),
            ("image.tag=1.2", "image.tag=1.2"),
            ("#482", "'#482'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
