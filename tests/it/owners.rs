//! Repositories of another user: git refuses them, and so does the program, outside of the
//! workspace of a job.

use std::path::Path;

use crate::support::{TestEnvironment, insist_on};

/// Gives a folder to another user. Only root can.
fn give_away(folder: &Path) {
    let mut command = std::process::Command::new("chown");
    let given = command.args(["-R", "65534"]).arg(folder).output().unwrap().status.success();
    insist_on("root", given);
}

#[test]
#[cfg_attr(without_root, ignore = "needs root")]
fn a_repository_of_another_user_is_used_only_where_it_is_trusted() {
    let mut environment = TestEnvironment::new();
    let path = {
        let (checkout, _remote) = environment.with_remote();
        checkout.path.canonicalize().unwrap()
    };
    give_away(&path);
    let folder = path.to_str().unwrap();
    let status = "deployment status payment-service";
    {
        let checkout = crate::support::Checkout::new(&environment, path.clone());
        let run = checkout.atmos(status).refused(2, "belongs to another user");
        run.says(&format!("git config --global --add safe.directory {folder}"));
        checkout.atmos_with(status, &[("ATMOS_SAFE_DIRECTORY", folder)]).succeeded();
        checkout.atmos_with(status, &[("ATMOS_SAFE_DIRECTORY", "/elsewhere:*")]).succeeded();
        checkout.atmos_with(status, &[("ATMOS_SAFE_DIRECTORY", "/elsewhere")]).exited(2);
        for (system, workspace) in [("GITHUB_ACTIONS", "GITHUB_WORKSPACE"), ("GITLAB_CI", "CI_PROJECT_DIR")] {
            checkout.atmos_with(status, &[(system, "true"), (workspace, folder)]).succeeded();
            checkout.atmos_with(status, &[(system, "true"), (workspace, "/elsewhere")]).exited(2);
            // Outside of a job, the variable is ignored.
            checkout.atmos_with(status, &[(workspace, folder)]).exited(2);
        }
    }
    // The configuration of git itself counts.
    let configuration = environment.path("gitconfig");
    std::fs::write(&configuration, format!("[safe]\n\tdirectory = {folder}\n")).unwrap();
    environment.set("GIT_CONFIG_GLOBAL", configuration.to_str().unwrap());
    crate::support::Checkout::new(&environment, path).atmos(status).succeeded();
}
