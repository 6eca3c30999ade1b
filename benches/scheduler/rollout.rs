//! Rollouts of components that do nothing through the whole program: with a ledger in the
//! repository itself, and with one on a remote on this machine.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Numbers of components that are rolled out. A cost that grows with their square shows in the
/// last.
const SIZES: [usize; 3] = [250, 500, 1_000];
/// The same, where git pushes to a remote.
const SIZES_WITH_REMOTE: [usize; 2] = [125, 500];
const SLOTS: usize = 8;

/// Prints the time of each rollout, by component, and that of the bare processes.
pub(crate) fn measure() {
    println!("rollouts of components that run `true`, {SLOTS} slots");
    for (remote, sizes) in [(false, SIZES.as_slice()), (true, SIZES_WITH_REMOTE.as_slice())] {
        println!("  {}", if remote { "recorded on a remote" } else { "recorded here" });
        for &number in sizes {
            let (took, bare) = measure_one(number, remote);
            let number = u32::try_from(number).expect("it is a small number");
            let each = took / number;
            println!("  {number:6}: {took:7.2?}, {each:.2?} a component; the processes alone {bare:.2?}");
        }
    }
}

fn measure_one(number: usize, remote: bool) -> (Duration, Duration) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    repository(folder.path(), number, remote);
    let mut atmos = Command::new(env!("CARGO_BIN_EXE_atmos"));
    atmos.args(["deployment", "rollout", "shop", "--target", "dev", "--quiet"]);
    atmos.arg(format!("--parallelism={SLOTS}"));
    let took = timed(in_repository(&mut atmos, folder.path()));
    let mut bare = Command::new("sh");
    bare.args(["-c", &format!("seq {number} | xargs -P {SLOTS} -n 1 true")]);
    (took, timed(in_repository(&mut bare, folder.path())))
}

/// Creates a repository with this many components, half of which need another one.
fn repository(folder: &Path, number: usize, remote: bool) {
    let mut text =
        "deployment:\n  name: shop\n  targets: { dev: {} }\n  components:\n    command:\n".to_owned();
    for at in 0..number {
        let needs = if at % 2 == 0 { String::new() } else { format!("component-{:04}", at - 1) };
        writeln!(
            text,
            "      component-{at:04}: {{ metadata: {{ depends_on: [{needs}] }}, settings: {{ command: {{ apply: ['true'] }} }} }}"
        )
        .expect("a string takes everything");
    }
    std::fs::create_dir(folder.join("deployments")).expect("a folder can be made");
    std::fs::write(folder.join("deployments/shop.yaml"), text).expect("a file can be written");
    let here = ["init --quiet --initial-branch=main", "add deployments", "commit --quiet --message=Shop"];
    let there =
        ["init --quiet --bare remote.git", "remote add origin ./remote.git", "push --quiet origin main"];
    for line in here.iter().chain(there.iter().filter(|_| remote)) {
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
