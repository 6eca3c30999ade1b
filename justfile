# What contributors run, by name. `just` lists it; each line also works without `just`.

# Lists the recipes.
default:
    @just --list

# Formats the code.
format:
    cargo fmt

# Checks formatting and lints, as the CI does.
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# Runs everything that needs Rust and git alone.
test *arguments:
    cargo test {{ arguments }}

# Accepts changed snapshots, and writes the schemas and generated documents anew.
update:
    INSTA_UPDATE=always UPDATE_SCHEMA=1 UPDATE_DOCS=1 cargo test --lib
    # Schemas are compiled in: what is generated from them follows in a second run.
    INSTA_UPDATE=always UPDATE_SCHEMA=1 UPDATE_DOCS=1 cargo test --lib

# Plays a deployment's life in a throw-away repository.
story:
    examples/payment-service/story

# Rolls out while everything goes wrong: `just campaign --rollouts 200`.
campaign *arguments:
    cargo build
    tests/campaign/run {{ arguments }}

# Changes one module and looks which tests notice: `just mutants src/ledger/step.rs`. Needs cargo-mutants.
mutants path:
    cargo mutants --file '{{ path }}' -- --lib

# Does what the CI does, from a cold start to the second tier.
ci *arguments:
    .ci/run {{ arguments }}
