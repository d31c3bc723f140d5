//! A browser without a window.

use std::path::Path;
use std::process::{Command, Output};

/// Runs it with a profile of its own in a directory.
pub fn browser(dir: &Path, args: &[&str]) -> Output {
    Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .arg(format!("--user-data-dir={}", dir.join("profile").display()))
        .args(args)
        .output()
        .expect("chromium must be there: tests/run.sh installs it")
}
