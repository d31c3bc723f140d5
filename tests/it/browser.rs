//! A browser without a window and without a network.

use std::path::Path;
use std::process::{Command, Output};

use crate::shop::{Shop, stderr};

/// Opens a page from disk, which may be in a frame of another one. Nothing may
/// be said on the console.
pub fn browser(shop: &Shop, page: &Path, args: &[&str]) -> Output {
    let profile = tempfile::tempdir_in(shop.dir()).unwrap();
    let ran = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--allow-file-access-from-files",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            "--virtual-time-budget=60000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium must be there: tests/run.sh installs it");
    let said = stderr(&ran);
    let console: Vec<_> = said
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    assert!(console.is_empty(), "{console:?}");
    ran
}

/// What stands on each sheet of paper when a page is printed.
pub fn on_paper(shop: &Shop, page: &Path) -> Vec<String> {
    let pdf = shop.path("printed.pdf");
    let print = format!("--print-to-pdf={}", pdf.display());
    browser(shop, page, &["--no-pdf-header-footer", &print]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/read_pdf.py"))
        .arg(pdf)
        .output()
        .expect("there is no Python: run `bash tests/run.sh`");
    assert!(read.status.success(), "{}", stderr(&read));
    serde_json::from_slice(&read.stdout).unwrap()
}
