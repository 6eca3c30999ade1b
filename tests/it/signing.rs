//! Signed records: written by git as it is configured, verified by plain git.

use std::path::Path;
use std::process::Command;

use crate::support::{Checkout, TestEnvironment, insist_on};

/// Creates a key, and has git sign tags with it and trust it.
fn sign_with_ssh(checkout: &Checkout<'_>) {
    let environment = checkout.environment;
    let key = environment.path("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "ada", "-f"])
        .arg(&key)
        .output()
        .is_ok_and(|output| output.status.success());
    insist_on("ssh-keygen", made);
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let trusted = environment.path("trusted");
    std::fs::write(&trusted, format!("ada@example.com {public}")).unwrap();
    for (name, value) in [
        ("tag.gpgSign", "true"),
        ("gpg.format", "ssh"),
        ("user.signingKey", key.to_str().unwrap()),
        ("gpg.ssh.allowedSignersFile", trusted.to_str().unwrap()),
    ] {
        checkout.git(&["config", name, value]);
    }
}

/// The names of all records in the checkout.
fn records(checkout: &Checkout<'_>) -> Vec<String> {
    checkout.git(&["fetch", "--quiet", "origin", "refs/tags/atmos/*:refs/tags/atmos/*"]);
    checkout.git(&["tag", "--list", "atmos/deployments/*"]).lines().map(str::to_owned).collect()
}

fn verifies(checkout: &Checkout<'_>, tag: &str) -> bool {
    let mut command = checkout.environment.command("git", &checkout.path);
    command.args(["verify-tag", tag]).output().unwrap().status.success()
}

#[test]
#[cfg_attr(without_ssh_keygen, ignore = "needs ssh-keygen")]
fn records_are_signed_where_git_signs_tags() {
    let environment = TestEnvironment::new();
    let (checkout, _remote) = environment.with_remote();
    checkout.atmos("deployment rollout payment-service --target dev").succeeded();
    let unsigned = records(&checkout);
    sign_with_ssh(&checkout);
    checkout.atmos("deployment rollout payment-service --target staging --promote-from dev").succeeded();
    let all = records(&checkout);
    assert_eq!((unsigned.len(), all.len()), (3, 6));
    for tag in &all {
        assert_eq!(verifies(&checkout, tag), !unsigned.contains(tag), "{tag}");
    }
    // A signed record has the same content as an unsigned one, and is parsed alike.
    let signed = all.iter().find(|tag| tag.contains("/staging/api/")).unwrap();
    let text = checkout.git(&["cat-file", "-p", signed]);
    assert!(text.contains(&format!("\ntag {signed}\ntagger Ada <ada@example.com> ")), "{text}");
    assert!(
        text.contains("\n\natmos.tools/v1alpha1\nkind: Deployment\n---\ndeployment: payment-service\n"),
        "{text}"
    );
    assert!(text.trim_end().ends_with("-----END SSH SIGNATURE-----"), "{text}");
    let history = checkout.json("deployment history payment-service --target staging --component api");
    assert_eq!(history["records"][0]["promoted_from"], "dev");
    // A signature of an untrusted key does not verify.
    std::fs::write(environment.path("trusted"), "").unwrap();
    assert!(!verifies(&checkout, signed));
}

#[test]
#[cfg_attr(without_ssh_keygen, ignore = "needs ssh-keygen")]
fn a_key_that_is_missing_is_found_before_anything_is_applied() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    sign_with_ssh(&checkout);
    std::fs::remove_file(environment.path("key")).unwrap();
    std::fs::remove_file(environment.path("key.pub")).unwrap();
    let before = remote.snapshot();
    checkout
        .atmos("deployment rollout payment-service --target dev")
        .refused(2, "records are to be signed (tag.gpgSign), and cannot be");
    assert_eq!(environment.applied(), [""; 0]);
    assert_eq!(remote.snapshot(), before);
    // Commands that only read, and plans, need no signing key.
    checkout.atmos("deployment rollout payment-service --target dev --plan").succeeded();
    checkout.atmos("deployment status payment-service").succeeded();
}

#[test]
#[cfg_attr(without_ssh_keygen, ignore = "needs ssh-keygen")]
fn a_key_that_fails_later_does_not_cost_the_record() {
    let environment = TestEnvironment::new();
    let (checkout, remote) = environment.with_remote();
    sign_with_ssh(&checkout);
    let key = environment.path("key");
    let script = std::fs::read_to_string(checkout.path.join("services/api/deploy.sh")).unwrap();
    checkout.write_script(
        "services/api/deploy.sh",
        &format!("{script}\nrm -f {} {}.pub\n", key.display(), key.display()),
    );
    checkout.commit("Lose the key");
    checkout.git(&["push", "--quiet"]);
    checkout
        .atmos("deployment rollout payment-service --target dev --component api")
        .succeeded()
        .says("is not signed");
    assert_eq!(remote.records("payment-service", "dev", "api").len(), 1);
}

#[test]
#[cfg_attr(without_ssh_keygen, ignore = "needs ssh-keygen")]
fn what_the_environment_configures_counts_and_so_do_all_kinds_of_repositories() {
    for format in ["sha1", "sha256"] {
        let mut environment = TestEnvironment::new();
        for (number, (name, value)) in [("tag.gpgSign", "true"), ("gpg.format", "ssh")].iter().enumerate() {
            environment.set(&format!("GIT_CONFIG_KEY_{number}"), name);
            environment.set(&format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        environment.set("GIT_CONFIG_COUNT", "2");
        let checkout = environment.payment_service_with("checkout", &[&format!("--object-format={format}")]);
        // The environment's setting alone makes git look for a key, in vain.
        checkout.atmos("deployment rollout payment-service --target dev").refused(2, "cannot be");
        sign_with_ssh(&checkout);
        checkout.atmos("deployment rollout payment-service --target dev").succeeded();
        let tags = checkout.git(&["tag", "--list", "atmos/deployments/*"]);
        assert_eq!(tags.lines().count(), 3);
        assert!(tags.lines().all(|tag| verifies(&checkout, tag)), "{tags}");
        assert!(checkout.git(&["fsck", "--no-dangling"]).is_empty());
        assert!(no_folder_is_left(&environment.path("tmp")));
    }
}

fn no_folder_is_left(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().next().is_none()
}
