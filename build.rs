//! How the program is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // The library that unwinds the stack is built in, as any other: finding and loading it takes longer at every start than
    // most of what the program does then. Whole, since the linker has met the shared one by the time it reads this.
    let is = |variable: &str, value: &str| std::env::var(variable).is_ok_and(|found| found == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo::rustc-link-arg-bins=-Wl,--whole-archive,-l:libgcc_eh.a,--no-whole-archive");
    }
}
