//! The real daemon under a clock that leaves time: days on which clocks change,
//! a clock that is set, a machine that sleeps. What it takes for the system's
//! clock is libfaketime's, which goes by a file that the tests write.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::TimeDelta;

use crate::daemon::{TWICE, all_off_but};
use crate::nodes::{BLOCK, GOES_WITH_THE_TEST, Node, until};
use crate::observe::{LISTEN, get};
use crate::shop::{Engine, Shop, at, many_units, one_unit};

/// The library that shows another clock; `tests/run.sh` installs it.
fn library() -> PathBuf {
    let mut found = fs::read_dir("/usr/lib").unwrap();
    let found = found.find_map(|dir| {
        let library = dir.unwrap().path().join("faketime/libfaketimeMT.so.1");
        library.exists().then_some(library)
    });
    found.expect("libfaketime is not installed: `apt-get install libfaketime`")
}

/// Writes what the clock of a shop's daemon shows from now on, in UTC; `x60`
/// behind it lets it go 60 times as fast.
pub fn show(shop: &Shop, time: &str) {
    shop.write("clock.next", format!("@{time}\n"));
    fs::rename(shop.path("clock.next"), shop.path("clock")).unwrap();
}

/// The daemon of a shop in a zone, with a clock of its own.
pub fn start(shop: &Shop, zone: &str, time: &str) -> Node {
    // What elapses is what it was.
    start_with(shop, zone, time, &["FAKETIME_DONT_FAKE_MONOTONIC=1"])
}

/// The same with more in its environment; with nothing more, what elapses is
/// what its clock shows.
pub fn start_with(shop: &Shop, zone: &str, time: &str, more: &[&str]) -> Node {
    show(shop, time);
    let preload = |path: &Path| format!("LD_PRELOAD={}", path.display());
    let (preload, clock) = (preload(&library()), shop.path("clock"));
    let clock = format!("FAKETIME_TIMESTAMP_FILE={}", clock.display());
    let zone = format!("WARRANTYD_BUSINESS__TIMEZONE={zone}");
    let own = [
        "env",
        &preload,
        &clock,
        "FAKETIME_NO_CACHE=1",
        "TZ=UTC",
        &zone,
    ];
    let by = [&GOES_WITH_THE_TEST[..], &own, more].concat();
    Node::started(shop, "daemon", shop.command_by(&by, &["daemon"]))
}

/// How many of the daemon's statements wait for somebody else's.
const STUCK: &str = "SELECT count(*) FROM pg_stat_activity \
                      WHERE datname = current_database() AND wait_event_type = 'Lock'";

async fn says(daemon: &Node, text: &str) {
    until(text, || daemon.lines(text) > 0).await;
}

/// A shop whose tables are there, with jobs that are on.
async fn shop(jobs: &[&str], settings: &str) -> Shop {
    let shop = Shop::new(&format!(
        "[reports]\ndir = \"reports\"\n{}{settings}",
        all_off_but(jobs)
    ));
    shop.open().await.store.close().await;
    shop
}

/// Slots that were run before a test begins.
async fn were_run(shop: &Shop, slots: &[(&str, &str)]) {
    let slots = slots.iter().map(|(job, slot)| {
        let slot = at(slot).timestamp_micros();
        format!("('{job}', {slot}, 'done')")
    });
    let slots = slots.collect::<Vec<_>>().join(", ");
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state) VALUES {slots}"
    ))
    .await;
}

/// A slot's row once it is run.
fn row(job: &str, slot: &str) -> String {
    format!("{job}|{}", at(slot).timestamp_micros())
}

/// Waits until a slot is run.
async fn is_run(shop: &Shop, job: &str, slot: &str) {
    let slot = at(slot).timestamp_micros();
    let state = format!(
        "SELECT count(*) FROM job_runs \
          WHERE job = '{job}' AND slot_at = {slot} AND state NOT IN ('planned', 'running')"
    );
    shop.until(&state, &["1"]).await;
}

/// The slots that were run since the test began.
async fn slots(shop: &Shop) -> Vec<String> {
    assert_eq!(shop.rows(TWICE).await, [""; 0]);
    let sql = "SELECT job, slot_at FROM job_runs WHERE started_at IS NOT NULL \
                ORDER BY job, slot_at";
    shop.rows(sql).await
}

/// Plays a night in Berlin, in seconds. `report` is the slot of `30 2 * * *`;
/// `thirds` say from when on how many slots of `*/20 0-4 * * *` there are. The
/// slots of every hour are the hours of UTC.
async fn play_the_night(from: &str, until: &str, report: &str, thirds: &[(&str, i32)]) {
    let all = "catch_up = \"all\"\n";
    let settings = format!(
        "[jobs.report]\nschedule = \"30 2 * * *\"\n\
         [jobs.import]\nschedule = \"0 * * * *\"\n{all}\
         [jobs.housekeeping]\nschedule = \"*/20 0-4 * * *\"\n{all}"
    );
    let jobs = ["import", "report", "housekeeping"];
    let shop = shop(&jobs, &settings).await;
    were_run(&shop, &jobs.map(|job| (job, from))).await;
    let start_at = at(from).format("%Y-%m-%d %H:%M:%S x4000").to_string();
    let daemon = start(&shop, "Europe/Berlin", &start_at);
    is_run(&shop, "import", until).await;
    is_run(&shop, "report", report).await;
    daemon.ended().await;
    let every = |job: &'static str, from: &str, minutes: i64, count: i32| {
        let from = at(from);
        (0..count).map(move |nth| {
            let slot = from + TimeDelta::minutes(minutes) * nth;
            format!("{job}|{}", slot.timestamp_micros())
        })
    };
    let mut expected: Vec<String> = thirds
        .iter()
        .flat_map(|(from, count)| every("housekeeping", from, 20, *count))
        .collect();
    let hours = i32::try_from((at(until) - at(from)).num_hours()).unwrap();
    let first = (at(from) + TimeDelta::hours(1)).to_rfc3339();
    expected.extend(every("import", &first, 60, hours));
    expected.push(row("report", report));
    // It goes on while it is told to stop.
    let last = at(until).timestamp_micros();
    let mut found = slots(&shop).await;
    found.retain(|row| row.split_once('|').unwrap().1.parse::<i64>().unwrap() <= last);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn the_night_in_spring_has_each_slot_once() {
    play_the_night(
        "2025-03-29T22:00:00Z",
        "2025-03-30T05:00:00Z",
        // In the gap: at its end, 3 o'clock.
        "2025-03-30T01:00:00Z",
        &[("2025-03-29T23:00:00Z", 12)],
    )
    .await;
}

#[tokio::test]
async fn the_night_in_autumn_has_each_slot_once() {
    play_the_night(
        "2025-10-25T21:00:00Z",
        "2025-10-26T05:00:00Z",
        "2025-10-26T00:30:00Z",
        // Not in the hour that comes again.
        &[("2025-10-25T22:00:00Z", 9), ("2025-10-26T02:00:00Z", 6)],
    )
    .await;
}

#[tokio::test]
async fn a_clock_that_is_set_ahead_makes_up_for_what_the_rule_says() {
    let shop = shop(
        &["report", "housekeeping"],
        "[jobs.report]\ncatch_up_within = \"3 days\"\n\
         [jobs.housekeeping]\nschedule = \"0 * * * *\"\n",
    )
    .await;
    were_run(&shop, &[("report", "2025-05-31T06:00:00Z")]).await;
    were_run(&shop, &[("housekeeping", "2025-06-01T05:00:00Z")]).await;
    // It was planned, and nobody came to it.
    let waiting = at("2025-05-29T06:00:00Z").timestamp_micros();
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state) VALUES ('report', {waiting}, 'planned')"
    ))
    .await;
    let daemon = start(&shop, "UTC", "2025-06-01 06:00:10");
    is_run(&shop, "report", "2025-06-01T06:00:00Z").await;
    says(&daemon, "missed slots are given up job=report slots=1").await;
    // By hours, and by days.
    show(&shop, "2025-06-01 11:30:00");
    is_run(&shop, "housekeeping", "2025-06-01T11:00:00Z").await;
    show(&shop, "2025-06-07 12:30:00");
    is_run(&shop, "report", "2025-06-07T06:00:00Z").await;
    says(&daemon, "the clock went ahead of time").await;
    says(&daemon, "missed slots are given up job=report slots=3").await;
    daemon.ended().await;
    let expected = [
        row("housekeeping", "2025-06-01T06:00:00Z"),
        row("housekeeping", "2025-06-01T11:00:00Z"),
        row("housekeeping", "2025-06-07T12:00:00Z"),
        row("report", "2025-06-01T06:00:00Z"),
        row("report", "2025-06-05T06:00:00Z"),
        row("report", "2025-06-06T06:00:00Z"),
        row("report", "2025-06-07T06:00:00Z"),
    ];
    assert_eq!(slots(&shop).await, expected);
    let told = shop.run_to(0, &["status"]).stdout;
    let told = String::from_utf8(told).unwrap();
    let line = "4 missed slots of report, the newest of 2025-06-04 06:00:00";
    assert!(told.contains(line), "{told}");
}

#[tokio::test]
async fn a_machine_that_slept_for_hours_makes_up_for_each_slot() {
    let hourly = "[jobs.housekeeping]\nschedule = \"0 * * * *\"\ncatch_up = \"all\"\n";
    let shop = shop(&["housekeeping"], hourly).await;
    were_run(&shop, &[("housekeeping", "2025-06-01T05:00:00Z")]).await;
    let daemon = start(&shop, "UTC", "2025-06-01 06:00:10");
    is_run(&shop, "housekeeping", "2025-06-01T06:00:00Z").await;
    daemon.signal("-STOP");
    show(&shop, "2025-06-01 11:10:00");
    daemon.signal("-CONT");
    is_run(&shop, "housekeeping", "2025-06-01T11:00:00Z").await;
    daemon.ended().await;
    let hours = ["06", "07", "08", "09", "10", "11"];
    let expected = hours.map(|hour| row("housekeeping", &format!("2025-06-01T{hour}:00:00Z")));
    assert_eq!(slots(&shop).await, expected);
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_days_and_is_set_right_does_nothing_twice() {
    let shop = shop(&["enforce", "report"], "").await;
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    were_run(&shop, &[("report", "2025-06-09T06:00:00Z")]).await;
    were_run(&shop, &[("enforce", "2025-06-10T05:55:00Z")]).await;
    let daemon = start(&shop, "UTC", "2025-06-10 06:00:10");
    is_run(&shop, "report", "2025-06-10T06:00:00Z").await;
    show(&shop, "2025-06-12 12:05:10");
    is_run(&shop, "report", "2025-06-12T06:00:00Z").await;
    // Across the slots of two days, and back by hours more.
    show(&shop, "2025-06-10 12:05:10");
    is_run(&shop, "enforce", "2025-06-10T12:05:00Z").await;
    says(&daemon, "the clock was set back").await;
    show(&shop, "2025-06-10 07:10:10");
    is_run(&shop, "enforce", "2025-06-10T07:10:00Z").await;
    until("the second jump", || daemon.lines("was set back") == 2).await;
    // Time has caught up.
    show(&shop, "2025-06-12 12:10:10");
    is_run(&shop, "enforce", "2025-06-12T12:10:00Z").await;
    let failed = daemon.lines(" ERROR ");
    daemon.ended().await;
    let expected = [
        row("enforce", "2025-06-10T06:00:00Z"),
        row("enforce", "2025-06-10T07:10:00Z"),
        row("enforce", "2025-06-10T12:05:00Z"),
        row("enforce", "2025-06-12T12:05:00Z"),
        row("enforce", "2025-06-12T12:10:00Z"),
        row("report", "2025-06-10T06:00:00Z"),
        row("report", "2025-06-11T06:00:00Z"),
        row("report", "2025-06-12T06:00:00Z"),
    ];
    assert_eq!(slots(&shop).await, expected);
    // The two that were refused: each is told of once.
    let sql = "SELECT job, slot_at FROM job_runs WHERE state = 'failed' \
                AND error LIKE '%is before 2025-06-12 12:0%' ORDER BY slot_at";
    assert_eq!(shop.rows(sql).await, expected[1..3]);
    assert_eq!(failed, 2);
}

#[tokio::test]
async fn a_first_start_by_a_clock_that_was_ahead_silences_nobody() {
    let often = "[jobs.housekeeping]\nschedule = \"* * * * * *\"\n";
    let shop = shop(&["housekeeping"], often).await;
    let daemon = start(&shop, "UTC", "2025-06-10 06:00:10");
    let done_before = |day: &str| {
        let before = at(&format!("{day}T00:00:00Z")).timestamp_micros();
        format!("SELECT count(*) > 0 FROM job_runs WHERE state = 'done' AND slot_at < {before}")
    };
    shop.until(&done_before("2025-06-11"), &["1"]).await;
    show(&shop, "2025-06-08 10:00:00");
    shop.until(&done_before("2025-06-09"), &["1"]).await;
    daemon.ended().await;
    assert_eq!(shop.rows(TWICE).await, [""; 0]);
}

#[tokio::test]
async fn a_clock_that_nobody_believes_holds_customers_until_it_is_set_right() {
    let shop = shop(&["enforce"], "").await;
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    were_run(&shop, &[("enforce", "2025-06-10T05:55:00Z")]).await;
    let daemon = start(&shop, "UTC", "2025-06-10 06:00:10");
    is_run(&shop, "enforce", "2025-06-10T06:00:00Z").await;
    let held = || {
        let status = shop.run_to(0, &["status", "--format", "json"]).stdout;
        let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
        !status["customers_held_since"].is_null()
    };
    assert!(!held());
    show(&shop, "2025-07-10 12:05:10");
    is_run(&shop, "enforce", "2025-07-10T12:05:00Z").await;
    assert!(held());
    show(&shop, "2025-06-10 06:10:10");
    is_run(&shop, "enforce", "2025-06-10T06:10:00Z").await;
    assert!(!held());
    daemon.ended().await;
    let failed = "SELECT job, slot_at, error FROM job_runs WHERE state = 'failed'";
    assert_eq!(shop.rows(failed).await, [""; 0]);
}

#[tokio::test]
async fn what_was_given_back_on_sqlite_goes_on_though_the_clock_was_set_back() {
    let off = all_off_but(&["enforce"]);
    let shop = Shop::on(Engine::Sqlite, &off);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    // Its lease ended by a clock that was ahead by a day.
    let slot = at("2025-06-10T06:00:00Z").timestamp_micros();
    let ahead = at("2025-06-11T06:00:00Z").timestamp_micros();
    shop.execute(&format!(
        "INSERT INTO job_runs (job, slot_at, state, node, fence, started_at, lease_until) \
         VALUES ('enforce', {slot}, 'running', 'other:1', 1, {slot}, {ahead})"
    ))
    .await;
    let daemon = start(&shop, "UTC", "2025-06-10 06:01:00");
    is_run(&shop, "enforce", "2025-06-10T06:00:00Z").await;
    daemon.ended().await;
    let run = "SELECT state, fence FROM job_runs";
    assert_eq!(shop.rows(run).await, ["done|2"]);
}

#[tokio::test]
async fn a_worker_that_is_stuck_is_told_to_whoever_asks_until_it_gets_on() {
    let settings = "[jobs.enforce]\nschedule = \"* * * * * *\"\n";
    let others = all_off_but(&["enforce"]);
    let shop = Shop::on(Engine::Postgres, &format!("{LISTEN}{settings}{others}"));
    shop.import(&many_units(1)).await;
    // It waits for the server, which no clock ends.
    let mut block = shop.connection().await;
    block.rows(BLOCK).await;
    let daemon = start_with(&shop, "UTC", "2025-06-10 06:00:10", &[]);
    shop.until(STUCK, &["1"]).await;
    let line = daemon.line("metrics are served");
    let address = line.split_once("address=").unwrap().1.trim();
    assert_eq!(get(address, "/healthz").0, 200);
    show(&shop, "2025-06-10 07:00:10");
    let (status, problem) = get(address, "/healthz");
    assert!(
        problem.starts_with("the job enforce was last seen 3"),
        "{problem}"
    );
    assert_eq!(status, 503);
    block.rows("ROLLBACK").await;
    until("its health", || get(address, "/healthz").0 == 200).await;
    daemon.ended().await;
}

#[tokio::test]
async fn a_report_whose_start_is_spread_is_of_its_slot() {
    let settings = "[jobs.report]\nschedule = \"0 6 1 * *\"\njitter = \"20 days\"\n";
    let shop = shop(&["report"], settings).await;
    were_run(&shop, &[("report", "2025-05-01T06:00:00Z")]).await;
    let daemon = start(&shop, "UTC", "2025-06-01 06:00:10");
    let last = "SELECT state FROM job_runs ORDER BY slot_at DESC LIMIT 1";
    shop.until(last, &["planned"]).await;
    show(&shop, "2025-06-21 06:00:00");
    is_run(&shop, "report", "2025-06-01T06:00:00Z").await;
    daemon.ended().await;
    let later = at("2025-06-21T06:00:00Z").timestamp_micros();
    let waited = format!("SELECT count(*) FROM job_runs WHERE started_at >= {later}");
    assert_eq!(shop.rows(&waited).await, ["1"]);
    let manifest = fs::read_to_string(shop.path("reports/2025-06-01/manifest.json")).unwrap();
    assert!(manifest.contains("2025-06-01T06:00:00"), "{manifest}");
    let status = shop.run_to(0, &["status", "--format", "json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    let mut jobs = status["jobs"].as_array().unwrap().iter();
    let report = jobs.find(|job| job["job"] == "report").unwrap();
    // Behind the start, not behind the slot.
    let lag = report["lag_seconds"].as_f64().unwrap();
    let jitter = TimeDelta::days(20).as_seconds_f64();
    assert!((0.0..jitter).contains(&lag), "{report}");
    assert!(
        report["duration_seconds"].as_f64().unwrap() > 0.0,
        "{report}"
    );
}

#[tokio::test]
async fn a_run_that_takes_too_long_ends_where_its_work_is_whole() {
    let settings = "[jobs.enforce]\nschedule = \"* * * * * *\"\ntime_limit = \"1 s\"\n";
    let others = all_off_but(&["enforce"]);
    let shop = Shop::on(Engine::Postgres, &format!("{settings}{others}"));
    shop.import(&many_units(4_400)).await;
    let mut block = shop.connection().await;
    block.rows(BLOCK).await;
    let command = shop.command_by(&GOES_WITH_THE_TEST, &["daemon"]);
    let daemon = Node::started(&shop, "daemon", command);
    says(&daemon, "takes longer than its time_limit: told to end").await;
    says(&daemon, "was told to end and is still at work").await;
    let running = "SELECT state FROM job_runs";
    assert_eq!(shop.rows(running).await, ["running"]);
    block.rows("ROLLBACK").await;
    // Runs after it do the rest.
    let waiting = "SELECT count(*) FROM agenda WHERE next_at = 0";
    shop.until(waiting, &["0"]).await;
    daemon.ended().await;
    let first = "SELECT state, error, counts FROM job_runs ORDER BY id LIMIT 1";
    let first = shop.rows(first).await.remove(0);
    let expected = "failed|took longer than jobs.enforce.time_limit (1s): told to end, and ended \
                    where its work was whole|";
    assert!(first.starts_with(expected), "{first}");
    assert!(first.contains("\"found\":2000"), "{first}");
}
