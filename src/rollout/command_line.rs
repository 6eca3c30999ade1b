//! The typed command, for hints: the commands that they suggest request the same rollout, with one
//! change.

use std::fmt;

use super::Options;
use crate::config::AtmosConfig;
use crate::context::Context;
use crate::text::{LEFT_OUT, quoted};

/// A `rollout` command, or the `approve` command of one.
#[derive(Debug, Clone)]
pub(super) struct CommandLine {
    verb: &'static str,
    words: Vec<String>,
}

const ROLLOUT: &str = "rollout";
const APPROVE: &str = "approve";

impl Options {
    /// The command that requests this rollout. Omits the values of options and keys that are
    /// `hidden`: hints are kept in logs and comments.
    pub(super) fn command_line(&self, hidden: &dyn Fn(&str, &str) -> bool) -> CommandLine {
        let verb = if self.is_approval { APPROVE } else { ROLLOUT };
        let mut line = CommandLine::of(verb, self.deployment.as_str());
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
                let value = if hidden(name, &pair.key) { LEFT_OUT } else { &pair.value };
                option(name, Some(&format!("{}={value}", pair.key)));
            }
        }
        option("reason", if self.is_approval { &self.approve } else { &self.reason }.as_deref());
        for (name, is_set) in [
            ("skip-promotion-check", self.skip_promotion_check),
            ("require-uniform", self.require_uniform),
            ("allow-partial", self.allow_partial),
            ("trust-state", self.trust_state),
            ("allow-rollback", self.allow_rollback),
            ("locked", self.locked),
        ] {
            line.words.extend(is_set.then(|| format!("--{name}")));
        }
        line
    }
}

impl CommandLine {
    /// A rollout of a deployment, or its approval, without further arguments.
    fn of(verb: &'static str, deployment: &str) -> Self {
        let words = vec![format!("atmos deployment {verb} {}", quoted(deployment))];
        Self { verb, words }
    }

    /// A rollout of a deployment that was not typed.
    pub(super) fn rollout(deployment: &str) -> Self {
        Self::of(ROLLOUT, deployment)
    }

    /// Whether it approves a rollout instead of carrying it out.
    pub(super) fn is_approval(&self) -> bool {
        self.verb == APPROVE
    }

    /// Turns it into an approval of the rollout: without the options that only a rollout takes.
    pub(super) fn approve(&mut self) -> &mut Self {
        for option in ["metadata", "reason", "require-uniform", "allow-rollback", "locked", "approve"] {
            self.without(option);
        }
        if let Some(command) = self.words.first_mut() {
            *command = command.replacen(ROLLOUT, APPROVE, 1);
        }
        self.verb = APPROVE;
        self
    }

    /// Turns an approval into the rollout that it is for.
    pub(super) fn roll_out(&mut self) -> &mut Self {
        if self.is_approval() {
            self.without("reason");
            if let Some(command) = self.words.first_mut() {
                *command = command.replacen(APPROVE, ROLLOUT, 1);
            }
            self.verb = ROLLOUT;
        }
        self
    }

    /// Adds a flag, unless it is there.
    pub(super) fn flag(&mut self, name: &str) -> &mut Self {
        let flag = format!("--{name}");
        if !self.words.contains(&flag) {
            self.words.push(flag);
        }
        self
    }

    /// Adds an option, beside others of this name.
    pub(super) fn add(&mut self, name: &str, value: &str) -> &mut Self {
        self.words.extend([format!("--{name}"), quoted(value)]);
        self
    }

    /// Sets an option, in place of all of this name.
    pub(super) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.without(name).add(name, value)
    }

    /// Removes a flag, or an option with its values.
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

    /// Turns it into a dry run.
    pub(super) fn plan(&mut self) -> &mut Self {
        self.roll_out().flag("plan")
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words.join(" "))
    }
}

/// Whether the value of this key may be secret, by the project's configuration.
///
/// In a job, every override may be secret: the commit's module, which is not read yet, declares its
/// sensitive variables, and a job's output is kept.
pub(super) fn may_be_secret(context: &Context, config: &AtmosConfig, option: &str, key: &str) -> bool {
    let first = key.split('.').next().unwrap_or_default();
    let is_redacted = config.deployments.ledger.redact.iter().any(|name| name == key || name == first);
    is_redacted || (option == "context" && context.in_ci())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::names::ComponentReference;

    fn typed(context: &[&str]) -> Options {
        let target = Some("prod".parse().unwrap());
        let context = context.iter().map(|pair| pair.parse().unwrap()).collect();
        Options { target, context, plan: false, ..Options::plan_of("api".parse().unwrap()) }
    }

    fn line(options: &Options) -> CommandLine {
        options.command_line(&|_, key| key == "password")
    }

    #[test]
    fn a_hint_asks_for_what_was_asked_for() {
        let options = Options {
            git_sha: Some("abc".to_owned()),
            component: ["a", "b"].map(|name| ComponentReference(name.to_owned())).to_vec(),
            metadata: vec!["pr=2".parse().unwrap()],
            ..typed(&["x=1"])
        };
        let mut line = line(&options);
        assert_eq!(
            line.to_string(),
            "atmos deployment rollout api --target prod --git-sha abc --component a --component b --context x=1 \
             --metadata pr=2"
        );
        line.flag("allow-rollback").flag("allow-rollback").without("component").set("git-sha", "def");
        assert_eq!(
            line.to_string(),
            "atmos deployment rollout api --target prod --context x=1 --metadata pr=2 --allow-rollback --git-sha def"
        );
    }

    #[test]
    fn a_hint_leaves_secrets_out() {
        let line = line(&typed(&["password=s3", "x=1"])).to_string();
        assert_eq!(line, "atmos deployment rollout api --target prod --context password=… --context x=1");
    }
}
