//! `atmos deployment protect`: protects the ledger by rules of the hosting platform.

use std::process::ExitCode;

use crate::context::{Context, runtime};
use crate::error::{Code, CommandError, exit};
use crate::provider::{
    Platform, Protection, ProviderError, ProviderSettings, RetryPolicy, RuleState, connect,
};
use crate::render;
use crate::render::document::error::Hint;
use crate::render::document::protection::{ProtectionResult, RuleFound, RuleItem};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  atmos deployment protect --dry-run
  atmos deployment protect")]
pub struct Args {
    /// Show what would be done and change nothing; ends with exit code 0 whatever is found
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<ExitCode, CommandError> {
    let repository = context.repository()?;
    let project = context.project(&repository)?;
    if context.global().offline {
        return Err(CommandError::usage("a platform cannot be asked with --offline"));
    }
    let remote = context.ledger(&repository, &project.config)?.remote().map(str::to_owned);
    let urls = remote.map(|remote| repository.remote_urls(&remote)).unwrap_or_default();
    let settings = ProviderSettings::detect_or_of_remote(|name| context.variable(name), &urls)
        .map_err(|error| shown(&error))?;
    let provider = connect(settings, RetryPolicy::default());
    let runtime = runtime::on_this_thread()?;
    let found = runtime
        .block_on(async { if args.dry_run { provider.protection().await } else { provider.protect().await } })
        .map_err(|error| shown(&error))?;
    let document = document(provider.platform(), args.dry_run, found);
    context.print(&document, render::protection::text)?;
    // A dry run has shown its result; otherwise a remaining remedy is a failure.
    let is_left = !args.dry_run && document.rules.iter().any(|rule| rule.remedy.is_some());
    Ok(if is_left { ExitCode::from(exit::FAILED) } else { ExitCode::SUCCESS })
}

fn document(platform: Platform, dry_run: bool, found: Protection) -> ProtectionResult {
    let rules = found.rules.into_iter().map(|rule| RuleItem {
        description: rule.description,
        found: match rule.state {
            RuleState::InPlace => RuleFound::InPlace,
            RuleState::Differs => RuleFound::Differs,
            RuleState::Missing => RuleFound::Missing,
        },
        remedy: rule.remedy,
    });
    ProtectionResult {
        platform: platform.to_string(),
        dry_run,
        rules: rules.collect(),
        unprotected: found.unprotected,
    }
}

fn shown(error: &ProviderError) -> CommandError {
    let message = error.to_string();
    match error {
        ProviderError::Unsupported { platform, .. } => {
            // The command may run outside of a job.
            let message = match platform {
                Platform::None => {
                    "A remote on neither GitHub nor GitLab cannot protect the ledger".to_owned()
                }
                Platform::GitHub | Platform::GitLab => message,
            };
            CommandError::new(Code::NoPlatform, message).hint(Hint::note(
                "Run it in a checkout whose remote is on GitHub or GitLab, or in one of their jobs",
            ))
        }
        ProviderError::Unconfigured { .. } => CommandError::new(Code::PlatformUnconfigured, message),
        ProviderError::Refused { .. } => CommandError::new(Code::PlatformRefused, message),
        ProviderError::RateLimited { .. }
        | ProviderError::Moved { .. }
        | ProviderError::Unreachable { .. }
        | ProviderError::Unavailable { .. }
        | ProviderError::UnexpectedAnswer { .. }
        | ProviderError::TooManyComments { .. } => CommandError::new(Code::PlatformFailed, message),
    }
}
