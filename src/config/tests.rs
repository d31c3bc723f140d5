use std::path::{Path, PathBuf};

use chrono::{NaiveDate, NaiveTime, TimeDelta, Weekday};
use chrono_tz::Tz;

use super::settings::first_of;
use super::*;

const LEAST: &str = "database.url = \"sqlite://w.db\"\n\
    business.name = \"Shop\"\n\
    business.timezone = \"Europe/Rome\"\n";

const MAIL: &str = "[mail]\ntransport = \"file\"\ndir = \"out\"\nfrom = \"a@example.com\"\n";

pub(super) fn parse(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let env = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::parse(Path::new("/etc/w/w.toml"), text, env)
}

pub(super) fn today() -> NaiveDate {
    "2026-03-01".parse().unwrap()
}

#[test]
fn what_the_least_configuration_leaves_out_has_its_default() {
    let config = parse(LEAST, &[]).unwrap();
    assert_eq!(config.database, Database::Sqlite("/etc/w/w.db".into()));
    assert_eq!(config.business.stuck_after, TimeDelta::days(14));
    assert_eq!(config.calendar.zone, Tz::Europe__Rome);
    assert_eq!(config.calendar.weekend(), [Weekday::Sat, Weekday::Sun]);
    assert_eq!(config.notices.live_from, None);
    assert_eq!(config.notices.stale_after, TimeDelta::days(3));
    assert_eq!(config.notices.outcome_delay, TimeDelta::days(1));
    assert_eq!(config.contacts.ops, [""; 0]);
    assert_eq!(config.mail, None);
    assert_eq!(config.reports.dir, None);
    assert_eq!(
        (config.reports.csv_delimiter, config.reports.csv_bom),
        (b',', false)
    );
    let enforce = &config.jobs[&JobName::Enforce];
    assert_eq!((&enforce.schedule, enforce.catch_up), (&None, None));
    assert_eq!(
        (enforce.catch_up_within, enforce.jitter, enforce.time_limit),
        (None, TimeDelta::zero(), None)
    );
    assert_eq!(
        (enforce.timezone, enforce.enabled),
        (Tz::Europe__Rome, true)
    );
}

#[test]
fn mail_has_its_defaults_once_a_transport_is_set() {
    let mail = parse(&format!("{LEAST}{MAIL}"), &[]).unwrap().mail.unwrap();
    let dir = PathBuf::from("/etc/w/out");
    assert_eq!(mail.transport, Transport::File { dir });
    assert_eq!(mail.give_up_after, TimeDelta::days(3));
    assert_eq!(mail.surge_limit, 500);
    assert_eq!(mail.on_uncertain, OnUncertain::Resend);
    let at = |hour| NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    assert_eq!(
        (mail.send_between.from, mail.send_between.until),
        (at(8), at(20))
    );
}

#[test]
fn sending_hours_may_last_until_midnight() {
    let mail = format!("{LEAST}{MAIL}send_between = \"00:00-24:00\"");
    let hours = parse(&mail, &[]).unwrap().mail.unwrap().send_between;
    let last = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).unwrap();
    assert!(hours.from == NaiveTime::MIN && last < hours.until);
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    for (text, expected) in [
        (
            "x = 1",
            "4: x: unknown key, expected one of database, business, policy, contacts, notices, alarms, mail, import, reports, metrics, jobs",
        ),
        (
            "[import]\nmaxage = \"1 day\"",
            "5: import.maxage: unknown key, expected one of dir, settle, max_age, keep_done_days, orders, units, claims, waits",
        ),
        (
            "[mail]\nlimit = 1",
            "5: mail.limit: unknown key, expected one of transport, url, username, password_file, ca_file, dir, templates, from, reply_to, reply_to_inside, unsubscribe_to, unsubscribe_url, send_between, surge_limit, give_up_after, on_uncertain, keep_days, keep_inside_days, sessions, max_per_minute, max_per_day, redirect_all_to, allow_domains",
        ),
        (
            "[jobs.enforc]\nschedule = \"* * * * *\"",
            "4: jobs.enforc: unknown key, expected one of import, enforce, deliver, report, worklists, compliance_weekly, compliance_monthly, housekeeping",
        ),
        (
            "[jobs.enforce]\n\nevery = 1",
            "6: jobs.enforce.every: unknown key, expected one of schedule, timezone, enabled, catch_up, catch_up_within, jitter, time_limit",
        ),
        (
            "[jobs.enforce]\nschedule = \"* * * *\"",
            "5: jobs.enforce.schedule: found \"* * * *\", expected a cron expression of 5 or 6 fields such as \"*/5 * * * *\" (Invalid pattern: Pattern must have 5 or 6 fields when years are disallowed)",
        ),
        (
            "[jobs.enforce]\nschedule = \"0 25 * * *\"",
            "5: jobs.enforce.schedule: found \"0 25 * * *\", expected a cron expression of 5 or 6 fields such as \"*/5 * * * *\" (Component error: Number out of bounds)",
        ),
        (
            "[jobs.enforce]\nschedule = \"0 0 30 2 *\"",
            "5: jobs.enforce.schedule: found \"0 0 30 2 *\", expected a cron expression of 5 or 6 fields such as \"*/5 * * * *\" (it never comes)",
        ),
        (
            "[jobs.enforce]\ntimezone = \"Mars\"",
            "5: jobs.enforce.timezone: found \"Mars\", expected an IANA name such as \"Europe/Rome\"",
        ),
        (
            "[jobs.enforce]\nenabled = \"yes\"",
            "5: jobs.enforce.enabled: found \"yes\", expected true or false",
        ),
        (
            "[jobs.report]\ncatch_up = \"none\"",
            "5: jobs.report.catch_up: found \"none\", expected \"latest\" or \"all\"",
        ),
        (
            "[jobs.report]\ncatch_up_within = \"59 s\"",
            "5: jobs.report.catch_up_within: found \"59 s\", expected a span of at least 1 minute",
        ),
        (
            "[jobs.report]\njitter = 5",
            "5: jobs.report.jitter: found 5, expected a span such as \"3 days\", at most 10 years",
        ),
        (
            "[jobs.report]\ntime_limit = \"0 s\"",
            "5: jobs.report.time_limit: found \"0 s\", expected a span of at least 1 second",
        ),
        (
            "business.weekend = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]",
            "4: business.weekend: every day of the week is in the weekend: expected at least one working day",
        ),
        (
            "business.weekend = [\n  \"sat\",\n  \"funday\",\n]",
            "4: business.weekend: found \"funday\", expected a day such as \"sat\"",
        ),
        (
            "business.holidays = [2026-12-25, \"26 December\"]",
            "4: business.holidays: found \"26 December\", expected a date such as 2026-12-25",
        ),
        (
            "business.stuck_after = 14",
            "4: business.stuck_after: found 14, expected a span such as \"3 days\", at most 10 years",
        ),
        (
            "business.stuck_after = \"14\"",
            "4: business.stuck_after: found \"14\", expected a span such as \"3 days\", at most 10 years",
        ),
        (
            "business.stuck_after = \"99 years\"",
            "4: business.stuck_after: found \"99 years\", expected a span such as \"3 days\", at most 10 years",
        ),
        (
            "business.address = \"1 Market Street\"",
            "4: business.address: found \"1 Market Street\", expected a list of lines in square brackets",
        ),
        (
            "business.phone = \"1\\n2\"",
            "4: business.phone: found \"1\\n2\", expected one line of text",
        ),
        (
            "contacts.ops = \"ops@example.com\"",
            "4: contacts.ops: found \"ops@example.com\", expected a list of e-mail addresses such as [\"ops@example.com\"]",
        ),
        (
            "contacts.ops = [\"ops at example.com\"]",
            "4: contacts.ops: found \"ops at example.com\", expected an e-mail address such as \"ops@example.com\"",
        ),
        (
            "alarms.ping_url = \"example.com/{job}\"",
            "4: alarms.ping_url: found \"example.com/{job}\", expected an address such as \"https://example.com/ping/{job}\"",
        ),
        (
            "reports.csv_delimiter = \"|\"",
            "4: reports.csv_delimiter: found \"|\", expected \",\", \";\" or \"tab\"",
        ),
        (
            "reports.recipients = [\"Ops <ops@example.com>\"]",
            "4: reports.recipients: found \"Ops <ops@example.com>\", expected an e-mail address such as \"ops@example.com\"",
        ),
        (
            "notices.live_from = 2026-13-01",
            "4: notices.live_from: invalid date, expected month between 01 and 12",
        ),
        (
            "notices.live_from = 2026-12-01T10:00:00",
            "4: notices.live_from: found 2026-12-01T10:00:00, expected a date such as 2026-12-25",
        ),
        (
            "mail = \"smtp\"",
            "4: mail: found \"smtp\", expected a table [mail]",
        ),
        (
            "mail.transport = \"ftp\"",
            "4: mail.transport: found \"ftp\", expected \"smtp\" or \"file\"",
        ),
        (
            "mail.transport = \"file\"",
            "4: mail.dir: missing, expected a directory",
        ),
        (
            "mail.transport = \"smtp\"",
            "4: mail.url: missing, expected the server's, such as smtp://HOST",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"out\"",
            "4: mail.from: missing, expected the sender's address",
        ),
        (
            "[mail]\ntransport = \"smtp\"\nurl = \"http://x\"",
            "6: mail.url: found \"http://x\", expected smtp://HOST[:PORT] or smtps://HOST[:PORT]",
        ),
        (
            "[mail]\ntransport = \"smtp\"\nurl = \"smtp://u:secret@x\"",
            "6: mail.url: found a login in the URL, expected it in mail.username and mail.password_file",
        ),
        (
            "[mail]\ntransport = \"smtp\"\nurl = \"smtp://x\"\nusername = \"u\"",
            "4: mail.password_file: missing, expected the file with the login's password",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\nsend_between = \"20:00-08:00\"",
            "8: mail.send_between: found \"20:00-08:00\", expected hours such as \"08:00-20:00\"",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\non_uncertain = \"drop\"",
            "8: mail.on_uncertain: found \"drop\", expected \"resend\" or \"hold\"",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\nmax_per_day = 0",
            "8: mail.max_per_day: found 0, expected a number from 1 to 1000000000",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\nallow_domains = []",
            "8: mail.allow_domains: found [], expected a list of domains such as [\"example.com\"]",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\nallow_domains = [\"@b\"]",
            "8: mail.allow_domains: found \"@b\", expected a domain such as \"example.com\"",
        ),
        (
            "[mail]\ntransport = \"file\"\ndir = \"o\"\nfrom = \"a@b.example\"\nunsubscribe_url = \"https://b.example/stop\"",
            "8: mail.unsubscribe_url: found \"https://b.example/stop\", expected a page with a place for the message, such as \"https://example.com/stop/{id}\"",
        ),
        (
            "= 5",
            "4: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
        ),
        ("[mail\n", "4: mail: unclosed table, expected `]`"),
        (
            "business.phone = 1 2",
            "4: business.phone: string values must be quoted, expected literal string",
        ),
    ] {
        let error = parse(&format!("{LEAST}{text}"), &[])
            .unwrap_err()
            .to_string();
        assert_eq!(error, format!("/etc/w/w.toml:{expected}"), "{text}");
    }
}

#[test]
fn what_must_be_there_is_missed() {
    for (from, to, expected) in [
        (
            "database.url",
            "# ",
            " database.url: missing, expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
        ),
        (
            "business.name",
            "# ",
            "3: business.name: missing, expected the name that customers know",
        ),
        (
            "business.timezone",
            "# ",
            "2: business.timezone: missing, expected an IANA name such as \"Europe/Rome\"",
        ),
        (
            "\"Shop\"",
            "\" \"",
            "2: business.name: found \" \", expected one line of text",
        ),
        (
            "Europe/Rome",
            "Europe/Atlantis",
            "3: business.timezone: found \"Europe/Atlantis\", expected an IANA name such as \"Europe/Rome\"",
        ),
        (
            "sqlite://w.db",
            "mysql://u:secret@h/d",
            "1: database.url: found mysql://: expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
        ),
        (
            "sqlite://w.db",
            "w.db",
            "1: database.url: found \"w.db\", expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
        ),
        (
            "sqlite://w.db",
            "sqlite://:memory:",
            "1: database.url: found \"sqlite://:memory:\", expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
        ),
        (
            "sqlite://w.db",
            "sqlite://w.db?mode=ro",
            "1: database.url: found \"sqlite://w.db?mode=ro\", expected sqlite://PATH or postgres://[USER@]HOST[:PORT]/DATABASE",
        ),
    ] {
        let text = LEAST.replace(from, to);
        let error = parse(&text, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("/etc/w/w.toml:{expected}"), "{text}");
    }
}

#[test]
fn the_environment_stands_above_the_file() {
    let text = format!("{LEAST}[contacts]\nops = [\"file@example.com\"]\n{MAIL}");
    let config = parse(
        &text,
        &[
            ("WARRANTYD_DATABASE__URL", "sqlite:///var/lib/w.db"),
            ("WARRANTYD_BUSINESS__PHONE", "5550100"),
            ("WARRANTYD_BUSINESS__NAME", "Nuts, bolts"),
            (
                "WARRANTYD_BUSINESS__ADDRESS",
                "[\"1 Market Street\", \"Springfield\"]",
            ),
            ("WARRANTYD_BUSINESS__WEEKEND", "fri, sat"),
            ("WARRANTYD_BUSINESS__HOLIDAYS", "2026-12-25"),
            ("WARRANTYD_CONTACTS__OPS", "a@example.com,b@example.com"),
            ("WARRANTYD_NOTICES__LIVE_FROM", "2026-03-01"),
            ("WARRANTYD_JOBS__ENFORCE__SCHEDULE", "0 9 * * MON"),
            ("WARRANTYD_JOBS__ENFORCE__ENABLED", "false"),
            ("WARRANTYD_LOG", "debug"),
            ("HOME__X", "/"),
        ],
    )
    .unwrap();
    assert_eq!(config.database, Database::Sqlite("/var/lib/w.db".into()));
    assert_eq!(config.business.phone.as_deref(), Some("5550100"));
    assert_eq!(config.business.name, "Nuts, bolts");
    assert_eq!(config.business.address, ["1 Market Street", "Springfield"]);
    assert_eq!(config.calendar.weekend(), [Weekday::Fri, Weekday::Sat]);
    let holidays: Vec<_> = config.calendar.holidays().collect();
    assert_eq!(holidays, ["2026-12-25".parse().unwrap()]);
    assert_eq!(config.contacts.ops, ["a@example.com", "b@example.com"]);
    assert_eq!(config.notices.live_from, Some(today()));
    let enforce = &config.jobs[&JobName::Enforce];
    assert_eq!(enforce.schedule, Some("0 9 * * MON".parse().unwrap()));
    assert!(!enforce.enabled);
}

#[test]
fn a_variable_that_cannot_be_meant_is_named() {
    for (name, value, expected) in [
        (
            "MAIL__TRANSPRT",
            "file",
            "unknown key, expected one of transport, url, username, password_file, ca_file, dir, templates, from, reply_to, reply_to_inside, unsubscribe_to, unsubscribe_url, send_between, surge_limit, give_up_after, on_uncertain, keep_days, keep_inside_days, sessions, max_per_minute, max_per_day, redirect_all_to, allow_domains",
        ),
        (
            "SHOP__NAME",
            "x",
            "unknown key, expected one of database, business, policy, contacts, notices, alarms, mail, import, reports, metrics, jobs",
        ),
        (
            "BUSINESS__TIMEZONE",
            "Mars",
            "found \"Mars\", expected an IANA name such as \"Europe/Rome\"",
        ),
        (
            "BUSINESS__WEEKEND",
            "mon,tue,wed,thu,fri,sat,sun",
            "every day of the week is in the weekend: expected at least one working day",
        ),
        (
            "CONTACTS__OPS",
            "a@example.com,b",
            "found \"b\", expected an e-mail address such as \"ops@example.com\"",
        ),
        (
            "JOBS__ENFORCE__ENABLED",
            "perhaps",
            "found \"perhaps\", expected true or false",
        ),
    ] {
        let name = format!("WARRANTYD_{name}");
        let error = parse(LEAST, &[(&name, value)]).unwrap_err().to_string();
        assert_eq!(error, format!("{name}: {expected}"));
    }
}

#[test]
fn a_password_is_one_line_of_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "{LEAST}[mail]\ntransport = \"smtp\"\nurl = \"smtp://mail.example.com\"\n\
         from = \"a@example.com\"\nusername = \"u\"\npassword_file = \"secret\"\n"
    );
    let login = |env: &[(&str, &str)]| match parse(&text, env).unwrap().mail.unwrap().transport {
        Transport::Smtp { login, .. } => login.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(login(&[]).password_file, PathBuf::from("/etc/w/secret"));
    let login = login(&[("CREDENTIALS_DIRECTORY", dir.path().to_str().unwrap())]);
    let error = login.password().unwrap_err().to_string();
    assert!(
        error.starts_with("mail.password_file: cannot read /"),
        "{error}"
    );
    for (text, expected) in [
        ("pass word\n", Some("pass word")),
        ("p\r\n", Some("p")),
        ("a\nb", None),
        ("\n", None),
    ] {
        std::fs::write(dir.path().join("secret"), text).unwrap();
        assert_eq!(login.password().ok().as_deref(), expected, "{text:?}");
    }
}

#[test]
fn the_first_file_that_exists_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let [absent, first, second] = ["a", "b", "c"].map(|name| dir.path().join(name));
    for file in [&first, &second] {
        std::fs::write(file, file.display().to_string()).unwrap();
    }
    let found = first_of(&[&absent, &first, &second]).unwrap();
    assert_eq!(found, (first.as_path(), first.display().to_string()));
    assert_eq!(
        first_of(&[&absent, &absent]).unwrap_err().to_string(),
        format!(
            "{0}, {0}: found no such file, expected a configuration: write one with \
             `warrantyd init`, or name one with --config FILE",
            absent.display()
        )
    );
    let error = first_of(&[dir.path(), &first]).unwrap_err();
    assert!(error.problem.starts_with("cannot be read: "), "{error}");
}

#[test]
fn the_starter_file_is_loaded_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("w.toml");
    std::fs::write(&file, starter(today())).unwrap();
    let config = Config::load(Some(&file), std::iter::empty()).unwrap();
    assert_eq!(
        config.database,
        Database::Sqlite(dir.path().join("warrantyd.db"))
    );
    assert_eq!(config.notices.live_from, Some(today()));
}

#[test]
fn metrics_are_served_to_this_machine_alone() {
    let listen = |address: &str| {
        let text = format!("{LEAST}[metrics]\nlisten = \"{address}\"\n");
        let config = parse(&text, &[]).map_err(|error| error.problem);
        config.map(|config| config.metrics_listen.map(|address| address.to_string()))
    };
    for address in ["127.0.0.1:9464", "127.0.0.2:1", "[::1]:9464"] {
        assert_eq!(listen(address), Ok(Some(address.to_owned())));
    }
    for (address, expected) in [
        ("0.0.0.0:9464", "expected a loopback address such as"),
        (
            "192.0.2.1:9464",
            "so put a proxy with TLS and a login in front of it",
        ),
        ("[::]:9464", "expected a loopback address such as"),
        ("localhost:9464", "expected an address with a port such as"),
        ("127.0.0.1", "expected an address with a port such as"),
    ] {
        let problem = listen(address).unwrap_err();
        assert!(problem.contains(expected), "{address}: {problem}");
    }
}
