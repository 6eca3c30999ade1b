//! Benchmark of loading stacks: all 2,000 files of a repository, and the five that a deployment
//! imports, in one run. `docs/benchmarks.md` explains the results.
//!
//! `cargo bench --bench stacks`; `-- --quick` takes a tenth of the files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The layers of an account. Each is a stack file of its own, and an account's files form one
/// stack.
const LAYERS: [&str; 5] = ["network", "data", "compute", "apps", "monitoring"];
/// Runs of each command; the fastest counts.
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let accounts = if quick { 40 } else { 400 };
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("stacks-bench");
    generate(&root, accounts)?;
    let atmos = |arguments: &[&str]| run(&root, arguments);
    let all = ["describe", "stacks", "--format", "json"];
    let filtered = ["describe", "stacks", "--stack", "t0-s1", "--format", "json"];
    let one = ["describe", "component", "apps-api", "--stack", "t0-s1", "--format", "json"];
    let scoped = ["deployment", "describe", "shop", "--target", "live", "--sources", "--format", "json"];
    let mut times = [Duration::MAX; 4];
    let mut answers = [Value::Null, Value::Null, Value::Null, Value::Null];
    for _ in 0..ROUNDS {
        for (index, arguments) in [&all[..], &filtered, &one, &scoped].into_iter().enumerate() {
            let began = Instant::now();
            let output = atmos(arguments)?;
            times[index] = times[index].min(began.elapsed());
            answers[index] = serde_json::from_slice(&output)?;
        }
    }
    let [everything, _, _, described] = &answers;
    let compared = compare(everything, described)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} stack files with 5 imports each; {compared} components have identical values\n",
        accounts * 5
    )?;
    writeln!(out, "| command | time | compared |\n| --- | --- | --- |")?;
    let commands = [
        "describe stacks",
        "describe stacks --stack",
        "describe component",
        "deployment describe (5 stacks)",
    ];
    for (command, time) in commands.into_iter().zip(times) {
        let ratio = times[0].as_secs_f64() / time.as_secs_f64();
        writeln!(out, "| `{command}` | {:.1} ms | {ratio:.1} × faster |", time.as_secs_f64() * 1e3)?;
    }
    Ok(())
}

/// Checks that the deployment's components have the values that they have in their stack. Returns
/// their number.
fn compare(everything: &Value, described: &Value) -> Result<usize> {
    let components = described["components"].as_array().context("the deployment has no components")?;
    for component in components {
        let name = component["component"].as_str().context("a component without a name")?;
        let alone = &everything["t0-s1"]["components"]["terraform"][name]["vars"];
        ensure!(alone == &component["vars"], "{name} has {} in its stack, but {}", alone, component["vars"]);
        ensure!(alone.as_object().is_some_and(|vars| vars.len() > 10), "{name} has too few values");
    }
    Ok(components.len())
}

fn run(root: &Path, arguments: &[&str]) -> Result<Vec<u8>> {
    let output = Command::new(env!("CARGO_BIN_EXE_atmos")).args(arguments).current_dir(root).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "atmos {}: {said}", arguments.join(" "));
    Ok(output.stdout)
}

/// Writes the repository: a catalog, mixins, defaults of tenants, and five stack files for each
/// account.
fn generate(root: &Path, accounts: usize) -> Result<()> {
    if root.exists() {
        std::fs::remove_dir_all(root)?;
    }
    let write = |path: &str, text: &str| -> Result<()> {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().context("a file stands in a folder")?)?;
        Ok(std::fs::write(path, text)?)
    };
    write(
        "atmos.yaml",
        "stacks:\n  base_path: stacks\n  included_paths: [orgs/**/*]\n  excluded_paths: [\"**/_defaults.yaml\"]\n  \
         name_pattern: \"{tenant}-{stage}\"\n",
    )?;
    for layer in LAYERS {
        let settings: Vec<_> =
            (0..12).map(|number| format!("        setting_{number}: {layer}-{number}")).collect();
        let defaults = settings.join("\n");
        let base = format!(
            "components:\n  terraform:\n    {layer}/defaults:\n      metadata: {{ type: abstract }}\n      vars:\n{defaults}\n        \
             name: \"{{{{ .vars.tenant }}}}-{{{{ .vars.stage }}}}-{layer}\"\n        tags: {{ layer: {layer} }}\n"
        );
        write(&format!("stacks/catalog/{layer}/defaults.yaml"), &base)?;
        let more = format!(
            "settings: {{ {layer}: {{ owner: platform }} }}\nterraform:\n  vars: {{ tags: {{ managed_by: atmos }} }}\n"
        );
        write(&format!("stacks/catalog/{layer}/settings.yaml"), &more)?;
    }
    for region in 0..4 {
        write(
            &format!("stacks/mixins/region/r{region}.yaml"),
            &format!("vars: {{ region: r{region}, zones: [a, b, c] }}\n"),
        )?;
    }
    for account in 0..accounts {
        let (tenant, stage) = (account / 20, account % 20);
        if stage == 0 {
            let defaults = format!("vars: {{ tenant: t{tenant}, tags: {{ tenant: t{tenant} }} }}\n");
            write(&format!("stacks/orgs/t{tenant}/_defaults.yaml"), &defaults)?;
        }
        write(&format!("stacks/mixins/stage/s{stage}.yaml"), &format!("vars: {{ stage: s{stage} }}\n"))?;
        for layer in LAYERS {
            let stack = format!(
                "import:\n  - orgs/t{tenant}/_defaults\n  - mixins/stage/s{stage}\n  - mixins/region/r{}\n  \
                 - catalog/{layer}/defaults\n  - catalog/{layer}/settings\ncomponents:\n  terraform:\n    \
                 {layer}-main:\n      metadata: {{ component: {layer}, inherits: [{layer}/defaults] }}\n      \
                 vars: {{ size: {account}, tags: {{ part: main }} }}\n    \
                 {layer}-api:\n      metadata: {{ component: {layer}, inherits: [{layer}/defaults] }}\n      \
                 vars: {{ size: {stage}, replicas: 2 }}\n",
                stage % 4
            );
            write(&format!("stacks/orgs/t{tenant}/s{stage}/{layer}.yaml"), &stack)?;
        }
    }
    let stacks: Vec<_> = LAYERS.iter().map(|layer| format!("orgs/t0/s1/{layer}")).collect();
    let components: Vec<_> =
        LAYERS.iter().map(|layer| format!("      {layer}-main: {{}}\n      {layer}-api: {{}}")).collect();
    let components = components.join("\n");
    let deployment = format!(
        "deployment:\n  name: shop\n  stacks: [{}]\n  components:\n    terraform:\n{components}\n  targets: {{ live: {{}} }}\n",
        stacks.join(", ")
    );
    write("deployments/shop.yaml", &deployment)?;
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(root).status()?;
    ensure!(git.success(), "git init failed");
    Ok(())
}
