//! The config, what it keeps secret, and the directories that it names.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::Check;
use crate::config::{Config, Database, JobName, Transport};

/// Whether anybody on the machine may read, or write.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// Where the config was found, and whether others can change it or read what
/// is secret.
pub(super) fn config(config: &Config) -> Vec<Check> {
    let file = &config.file;
    let shown = file.display();
    let mut checks = Vec::new();
    let mode = fs::metadata(file).map_or(0, |found| found.permissions().mode());
    let has_password = match &config.database {
        Database::Postgres(url) => {
            let text = fs::read_to_string(file).unwrap_or_default();
            has_password(url) && text.contains(url)
        }
        Database::Sqlite(_) => false,
    };
    if mode & OTHERS_WRITE != 0 {
        let found = format!("{shown}: everybody can change it: `chmod o-w {shown}`");
        checks.push(Check::warn("config", found));
    } else if mode & OTHERS_READ != 0 && has_password {
        let found = format!(
            "{shown}: everybody can read the password in database.url: `chmod o-r {shown}`, or \
             put it into ~/.pgpass"
        );
        checks.push(Check::warn("config", found));
    } else {
        checks.push(Check::ok("config", shown.to_string()));
    }
    checks.extend(password(config));
    checks.extend(user(config));
    checks
}

fn has_password(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| {
        let mut query = url.query_pairs();
        url.password().is_some() || query.any(|(name, _)| name == "password")
    })
}

/// Whether others can read the password of the mail server. That it can be
/// used at all is the mail's to say.
fn password(config: &Config) -> Option<Check> {
    let Transport::Smtp { login, .. } = &config.mail.as_ref()?.transport else {
        return None;
    };
    let file = &login.as_ref()?.password_file;
    let mode = fs::metadata(file).ok()?.permissions().mode();
    let shown = file.display();
    Some(match mode & OTHERS_READ {
        0 => Check::ok("secrets", format!("{shown}: not everybody can read it")),
        _ => Check::warn(
            "secrets",
            format!("{shown}: everybody can read it: `chmod o-r {shown}`"),
        ),
    })
}

/// What root can do says nothing of the service.
fn user(config: &Config) -> Option<Check> {
    let Database::Sqlite(path) = &config.database else {
        return None;
    };
    let uid = |found: io::Result<Metadata>| found.ok().map(|found| found.uid());
    let (ours, owner) = (uid(fs::metadata("/proc/self"))?, uid(fs::metadata(path))?);
    (ours == 0 && owner != 0).then(|| {
        let found = format!(
            "the database belongs to user {owner} and this is root, who may do anything: run \
             `doctor` as that user"
        );
        Check::warn("user", found)
    })
}

/// The directories of jobs that are on. Those of policies and letters are
/// looked at with what is in them, that of messages with the mail.
pub(super) fn directories(config: &Config) -> Vec<Check> {
    let is_on = |name: JobName| config.jobs.get(&name).is_some_and(|job| job.enabled);
    let writes = [
        JobName::Report,
        JobName::ComplianceWeekly,
        JobName::ComplianceMonthly,
    ];
    let on: Vec<String> = writes
        .into_iter()
        .filter(|name| is_on(*name))
        .map(|name| name.to_string())
        .collect();
    let reports = match &config.reports.dir {
        Some(dir) => Some(written("reports.dir", dir, true)),
        None if on.is_empty() => None,
        None => Some(Check::warn(
            "directories",
            format!(
                "reports.dir is not set: {} refuse to run; set it, or switch them off",
                on.join(", ")
            ),
        )),
    };
    let import = config.import_dir.as_ref();
    let import = import.filter(|_| is_on(JobName::Import));
    let import = import.map(|dir| written("import.dir", dir, false));
    reports.into_iter().chain(import).collect()
}

/// Whether files can be read and made in a directory, which may be made when
/// it is needed.
fn written(key: &str, dir: &Path, is_made: bool) -> Check {
    let shown = dir.display();
    let fail = |place: &Path, error: io::Error| {
        let what = "expected a directory that this user can read and write: create it, or set the \
                    key right";
        Check::fail(
            "directories",
            format!("{key}: {}: {error}: {what}", place.display()),
        )
    };
    if is_made && !dir.exists() {
        let above = dir.ancestors().skip(1).find(|above| above.exists());
        let above = above.unwrap_or(Path::new("."));
        return match tempfile::NamedTempFile::new_in(above) {
            Ok(_) => {
                let found = format!("{key}: {shown} is made when it is needed");
                Check::ok("directories", found)
            }
            Err(error) => fail(above, error),
        };
    }
    let tried = fs::read_dir(dir).and_then(|_| tempfile::NamedTempFile::new_in(dir));
    match tried {
        Ok(_) => Check::ok("directories", format!("{key}: {shown}")),
        Err(error) => fail(dir, error),
    }
}
