//! Programs that tests write, by another process. Otherwise a child that another test forks at that
//! moment would inherit a descriptor that is open for writing, and `exec` would fail with
//! `ETXTBSY`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes a script, and creates the folders that it is in.
pub(crate) fn write_program(path: &Path, script: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}

/// Copies a program.
pub(crate) fn copy_program(from: &str, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success());
}
