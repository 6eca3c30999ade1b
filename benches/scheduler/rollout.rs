//! Rollouts of components that do nothing through the whole program, onto a remote on this machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How many components are rolled out. A cost that grows with their square shows in the last.
const SIZES: [usize; 3] = [125, 500, 2_000];
const SLOTS: usize = 8;

/// Prints what a component costs beside the process that it starts.
pub(crate) fn measure() {
    println!("rollouts of components that run `true`, {SLOTS} slots");
    for number in SIZES {
        let folder = tempfile::tempdir().expect("a folder can be made");
        repository(folder.path(), number);
        let mut atmos = Command::new(env!("CARGO_BIN_EXE_atmos"));
        atmos.args(["deployment", "rollout", "shop", "--target", "dev", "--quiet"]);
        atmos.arg(format!("--parallelism={SLOTS}"));
        let took = timed(in_repository(&mut atmos, folder.path()));
        let mut bare = Command::new("sh");
        bare.args(["-c", &format!("seq {number} | xargs -P {SLOTS} -n 1 true")]);
        let bare = timed(in_repository(&mut bare, folder.path()));
        let number = u32::try_from(number).expect("it is a small number");
        println!(
            "  {number:5}: {took:8.2?}, {:.2?} a component; the processes alone {bare:.2?}",
            took / number
        );
    }
}

/// A repository with so many components in chains of ten, and its remote.
fn repository(folder: &Path, number: usize) {
    let mut text =
        "deployment:\n  name: shop\n  targets: { dev: {} }\n  components:\n    command:\n".to_owned();
    for at in 0..number {
        let needs = if at % 10 == 0 { String::new() } else { format!("component-{:04}", at - 1) };
        writeln!(
            text,
            "      component-{at:04}: {{ metadata: {{ depends_on: [{needs}] }}, settings: {{ command: {{ apply: ['true'] }} }} }}"
        )
        .expect("a string takes everything");
    }
    std::fs::create_dir(folder.join("deployments")).expect("a folder can be made");
    std::fs::write(folder.join("deployments/shop.yaml"), text).expect("a file can be written");
    for line in [
        "init --quiet --initial-branch=main",
        "init --quiet --bare remote.git",
        "remote add origin ./remote.git",
        "add deployments",
        "commit --quiet --message=Shop",
        "push --quiet origin main",
    ] {
        let mut git = Command::new("git");
        timed(in_repository(git.args(line.split(' ')), folder));
    }
}

fn in_repository<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    let identity = [("NAME", "Ada"), ("EMAIL", "ada@example.com")];
    for (part, value) in identity {
        command.env(format!("GIT_AUTHOR_{part}"), value).env(format!("GIT_COMMITTER_{part}"), value);
    }
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").current_dir(folder).stdout(Stdio::null())
}

fn timed(command: &mut Command) -> Duration {
    let began = Instant::now();
    let status = command.status().expect("the program can be started");
    assert!(status.success(), "{command:?} failed");
    began.elapsed()
}
