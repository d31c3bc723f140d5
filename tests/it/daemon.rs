//! The real daemon: it is started, watched by its log, and told to stop.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, Command, Stdio};

use chrono::{Datelike, NaiveDate, NaiveTime};
use warrantyd::clock;
use warrantyd::jobs::JOBS;

use crate::shop::{Shop, at, many_units, one_unit};

/// All jobs but these are off.
pub fn all_off_but(jobs: &[&str]) -> String {
    let others = JOBS.iter().map(|job| job.name.to_string());
    let others = others.filter(|name| !jobs.contains(&name.as_str()));
    let off = |job: String| format!("[jobs.{job}]\nenabled = false\n");
    others.map(off).collect()
}

/// `enforce` every second, and nothing else.
pub fn every_second() -> String {
    let others = all_off_but(&["enforce"]);
    format!("[jobs.enforce]\nschedule = \"* * * * * *\"\n{others}")
}

/// The process. A test that fails does not leave it behind, nor does it wait
/// for ever: `timeout` hands signals on.
pub struct Daemon {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    pub fn start(shop: &Shop) -> Self {
        Self::start_with(shop, &[])
    }

    /// The same with more in its environment.
    pub fn start_with(shop: &Shop, env: &[(&str, &str)]) -> Self {
        let mut child = shop
            .command_by(&["timeout", "-k", "5", "60"], &["daemon"])
            .env("RUST_LOG", "warrantyd=debug")
            .envs(env.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, log }
    }

    /// Reads the log up to a line that holds a text.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        for line in self.log.by_ref().map_while(Result::ok) {
            if line.contains(text) {
                return line;
            }
            read.push(line);
        }
        panic!("the daemon ended and never said `{text}`: {read:#?}");
    }

    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end, which must be a good one.
    pub fn ended(mut self) {
        self.wait_for("stopped");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.terminate();
            let _ = self.child.wait();
        }
    }
}

pub const TWICE: &str =
    "SELECT job, slot_at FROM job_runs GROUP BY job, slot_at HAVING count(*) > 1";
const NOT_DONE: &str = "SELECT job, state, error FROM job_runs WHERE state <> 'done'";

#[tokio::test]
async fn it_runs_each_slot_once_and_stops_when_told() {
    let shop = Shop::new(&every_second());
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    // Planned before the job was switched off.
    shop.execute("INSERT INTO job_runs (job, slot_at, state) VALUES ('report', 1, 'planned')")
        .await;
    let mut daemon = Daemon::start(&shop);
    daemon.wait_for("started");
    for _ in 0..2 {
        let ran = daemon.wait_for(" ran ");
        assert!(ran.contains("enforce"), "{ran}");
    }
    daemon.terminate();
    daemon.wait_for("stopping");
    daemon.ended();
    assert_eq!(shop.rows(TWICE).await, [""; 0]);
    let ran = "SELECT DISTINCT job FROM job_runs WHERE started_at IS NOT NULL";
    assert_eq!(shop.rows(ran).await, ["enforce"]);
    let slots = "SELECT count(*) >= 2, count(slot_at) = count(*), \
                        sum(slot_at % 1000000) FROM job_runs WHERE state = 'done'";
    assert_eq!(shop.rows(slots).await, ["1|1|0"]);
    assert_eq!(shop.rows("SELECT count(*) FROM deadlines").await, ["3"]);
}

#[tokio::test]
async fn a_job_that_is_told_to_stop_ends_after_its_page_and_the_next_start_goes_on() {
    let shop = Shop::new(&every_second());
    shop.import(&many_units(8_800)).await;
    let mut daemon = Daemon::start(&shop);
    // In the first of five pages: it cannot go far while nobody reads its log.
    daemon.wait_for("planned");
    daemon.terminate();
    daemon.ended();
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    let left: usize = shop.rows(waiting).await[0].parse().unwrap();
    assert!((1..8_800).contains(&left), "{left}");
    // The slot is not done.
    let slot = "SELECT job, state, error FROM job_runs";
    assert_eq!(shop.rows(slot).await, ["enforce|running|-"]);
    let mut daemon = Daemon::start(&shop);
    daemon.wait_for(" ran ");
    daemon.terminate();
    daemon.ended();
    assert_eq!(shop.rows(waiting).await, ["0"]);
    // The slot of the next second may have been planned.
    let begun = format!("{NOT_DONE} AND state <> 'planned'");
    assert_eq!(shop.rows(&begun).await, [""; 0]);
    let first = "SELECT fence, counts FROM job_runs ORDER BY id LIMIT 1";
    let first = shop.rows(first).await.remove(0);
    assert!(
        first.starts_with("2|") && first.contains("\"found\":8800"),
        "{first}"
    );
}

/// A slot a year: no test meets the next one.
pub const YEARLY: &str = "schedule = \"0 0 1 1 *\"\n";

/// The slot of so many years ago, in microseconds.
fn new_year(back: i32) -> i64 {
    let year = clock::now().year() - back;
    let day = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

#[tokio::test]
async fn missed_slots_are_made_up_for_by_the_jobs_rule() {
    let others = all_off_but(&["enforce", "report"]);
    let shop = Shop::new(&format!(
        "[reports]\ndir = \"reports\"\n{others}[jobs.enforce]\n{YEARLY}[jobs.report]\n{YEARLY}"
    ));
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    let three = new_year(3);
    let done = format!("('enforce', {three}, 'done'), ('report', {three}, 'done')");
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state) VALUES {done}"
    ))
    .await;
    let mut daemon = Daemon::start(&shop);
    // The newest slot of the scan, and each of the three reports.
    for _ in 0..4 {
        daemon.wait_for(" ran ");
    }
    daemon.terminate();
    daemon.ended();
    let slots = "SELECT job, slot_at FROM job_runs WHERE started_at IS NOT NULL \
                  ORDER BY job, slot_at";
    let expected = [("enforce", 0), ("report", 2), ("report", 1), ("report", 0)];
    let expected = expected.map(|(job, back)| format!("{job}|{}", new_year(back)));
    assert_eq!(shop.rows(slots).await, expected);
    assert_eq!(shop.rows(NOT_DONE).await, [""; 0]);
    assert_eq!(shop.rows(TWICE).await, [""; 0]);
    let days = std::fs::read_dir(shop.path("reports")).unwrap().count();
    assert_eq!(days, 3);
}

#[tokio::test]
async fn a_slot_that_a_process_died_over_is_done_again() {
    let others = all_off_but(&["enforce"]);
    let shop = Shop::new(&format!("[jobs.enforce]\n{YEARLY}{others}"));
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state, started_at) \
         VALUES ('enforce', {}, 'running', 0)",
        new_year(0)
    ))
    .await;
    let mut daemon = Daemon::start(&shop);
    daemon.wait_for(" ran ");
    daemon.terminate();
    daemon.ended();
    assert_eq!(shop.rows(NOT_DONE).await, [""; 0]);
    assert_eq!(shop.rows("SELECT count(*) FROM job_runs").await, ["1"]);
    assert_eq!(shop.rows("SELECT count(*) FROM deadlines").await, ["3"]);
}

#[tokio::test]
async fn status_says_which_jobs_are_late() {
    let shop = Shop::new("[jobs.deliver]\nenabled = false\n");
    shop.open().await.store.close().await;
    let now = clock::now().timestamp_micros();
    // Of the 3rd of January 2025, and of now.
    let old = at("2025-01-03T10:00:01Z").timestamp_micros();
    shop.execute(&format!(
        "INSERT INTO job_runs (job, state, started_at, finished_at) VALUES \
         ('report', 'done', {old}, {old}), ('deliver', 'done', {old}, {old}), \
         ('enforce', 'done', {old}, {old}), ('enforce', 'done', {now}, {now})"
    ))
    .await;
    let json = shop.run_to(0, &["status", "--format", "json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let late = json["jobs"].as_array().unwrap().iter();
    let late: Vec<String> = late
        .filter(|job| !job["late_since"].is_null())
        .map(|job| format!("{} {}", job["job"], job["late_since"]))
        .collect();
    assert_eq!(late, ["\"report\" \"2025-01-04T06:00:00+00:00\""]);
    let told = String::from_utf8(shop.run_to(0, &["status"]).stdout).unwrap();
    let report = told.lines().find(|line| line.trim().starts_with("report"));
    assert!(report.unwrap().contains("2025-01-04 06:00:00"), "{told}");
}
