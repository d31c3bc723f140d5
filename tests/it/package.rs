//! The service as a system takes it: its units, and the Debian package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exposure that a unit may have, as systemd counts it.
const MOST_EXPOSED: f64 = 1.5;

const UNITS: [&str; 2] = ["warrantyd.service", "warrantyd@.service"];

fn unit(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("templates/system").join(name)
}

/// The value of a unit's key.
fn value(name: &str, key: &str) -> String {
    let text = fs::read_to_string(unit(name)).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap().trim_start_matches('=').to_owned()
}

#[test]
fn the_units_expose_little() {
    for name in UNITS {
        let judged = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager"])
            .arg(unit(name))
            .output()
            .unwrap();
        let judged = String::from_utf8(judged.stdout).unwrap();
        let overall = judged.split("Overall exposure level for ").nth(1);
        let (_, level) = overall.unwrap().split_once(": ").unwrap();
        let level: f64 = level.split(' ').next().unwrap().parse().unwrap();
        assert!(level <= MOST_EXPOSED, "{name}: {judged}");
    }
}

#[test]
fn a_business_of_several_is_served_as_one_alone() {
    let one = fs::read_to_string(unit(UNITS[0])).unwrap();
    let several = one
        .replace("=warrantyd, the", "=warrantyd for %i, the")
        .replace("/etc/warrantyd/warrantyd.toml", "/etc/warrantyd/%i.toml")
        .replace(
            "StateDirectory=warrantyd\n",
            "StateDirectory=warrantyd/%i\n",
        )
        .replace("smtp-password", "%i.smtp-password");
    assert_eq!(fs::read_to_string(unit(UNITS[1])).unwrap(), several);
}

#[test]
fn it_is_given_longer_to_stop_than_its_longest_wait() {
    // For a mail server's last word.
    let answer = warrantyd::mail::Timeouts::default().answer;
    let stop = value(UNITS[0], "TimeoutStopSec");
    let stop: u64 = stop.strip_suffix("min").unwrap().parse().unwrap();
    assert!(answer.as_secs() < 60 * stop, "{answer:?}");
    let watchdog = value(UNITS[0], "WatchdogSec");
    let watchdog: u64 = watchdog.strip_suffix("min").unwrap().parse().unwrap();
    assert!(answer.as_secs() < 60 * watchdog, "{answer:?}");
}

/// Runs a script of the sources', which must end well; gives what it printed.
fn script(name: &str, args: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("bash");
    let done = command.arg(root.join(name)).args(args).output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (said(&done.stdout), said(&done.stderr));
    assert!(done.status.success(), "{name}: {out}\n{err}");
    out
}

#[test]
fn the_package_is_installed_upgraded_removed_and_purged() {
    let program = env!("CARGO_BIN_EXE_warrantyd");
    let built = script("templates/system/package.sh", &[program]);
    script("tests/package.sh", &[built.trim(), program]);
}
