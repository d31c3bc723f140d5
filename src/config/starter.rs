//! The configuration that a shop starts with.

use std::path::Path;

use chrono::NaiveDate;

/// The commented configuration that `warrantyd init` writes. `today` becomes
/// `notices.live_from`, so that going live on old data mails nobody about the
/// past (spec, section 5, rule 4).
pub fn starter(today: NaiveDate) -> String {
    include_str!("../../templates/system/warrantyd.toml").replace("{{today}}", &today.to_string())
}

/// The same, with what the program writes below a directory, and not beside
/// the config.
pub fn starter_below(today: NaiveDate, dir: &Path) -> String {
    let below = |name: &str| toml::Value::from(dir.join(name).display().to_string()).to_string();
    let url = format!("sqlite://{}", dir.join("warrantyd.db").display());
    starter(today)
        .replace(
            "\"sqlite://warrantyd.db\"",
            &toml::Value::from(url).to_string(),
        )
        .replace(
            "\ndir = \"outbox\"",
            &format!("\ndir = {}", below("outbox")),
        )
        .replace(
            "\ndir = \"reports\"",
            &format!("\ndir = {}", below("reports")),
        )
}

#[cfg(test)]
mod tests {
    use super::super::settings::known_keys;
    use super::super::tests::{parse, today};
    use super::super::{Mail, Transport};
    use super::*;

    /// The starter file with its commented keys switched on.
    fn switched_on() -> String {
        let is_key = |line: &str| {
            line.split_once(" = ")
                .is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        };
        let starter = starter(today());
        let lines = starter.lines().map(|line| match line.strip_prefix("# ") {
            Some(rest) if is_key(rest) => rest,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_starter_file_has_every_key_and_no_other() {
        let mut section = String::new();
        let mut found = Vec::new();
        for line in switched_on().lines().filter(|line| !line.starts_with('#')) {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']').to_owned();
            } else if let Some((key, _)) = line.split_once(" = ") {
                found.push(format!("{section}.{key}"));
            }
        }
        assert_eq!(found, known_keys());
    }

    #[test]
    fn what_is_written_can_be_below_a_directory() {
        let text = starter_below(today(), Path::new("/var/lib/it's"));
        let config = parse(&text, &[]).unwrap();
        let dir = Path::new("/var/lib/it's");
        let database = super::super::Database::Sqlite(dir.join("warrantyd.db"));
        assert_eq!(config.database, database);
        assert_eq!(config.reports.dir, Some(dir.join("reports")));
        let transport = config.mail.unwrap().transport;
        assert!(matches!(transport, Transport::File { dir: to } if to == dir.join("outbox")));
    }

    #[test]
    fn the_starter_file_shows_defaults_and_sound_examples() {
        let starter = parse(&starter(today()), &[]).unwrap();
        let full = parse(&switched_on(), &[]).unwrap();
        assert_eq!(full.business.stuck_after, starter.business.stuck_after);
        assert_eq!(full.calendar, starter.calendar);
        assert_eq!(full.contacts, starter.contacts);
        assert_eq!(full.notices, starter.notices);
        assert_eq!(full.reports, starter.reports);
        // The others have no default.
        let defaults = |mail: Mail| {
            (
                mail.transport,
                mail.send_between,
                mail.give_up_after,
                mail.on_uncertain,
                mail.sessions,
            )
        };
        assert_eq!(full.mail.map(defaults), starter.mail.map(defaults));
        for (name, job) in &full.jobs {
            assert!(job.schedule.is_some() && job.catch_up.is_some(), "{name}");
            assert_eq!(
                (job.timezone, job.enabled),
                (starter.jobs[name].timezone, true)
            );
        }
        let smtp = parse(&switched_on(), &[("WARRANTYD_MAIL__TRANSPORT", "smtp")]);
        let smtp = smtp.unwrap().mail.unwrap().transport;
        assert!(matches!(
            smtp,
            Transport::Smtp {
                login: Some(_),
                ca_file: Some(_),
                ..
            }
        ));
    }
}
