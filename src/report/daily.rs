//! The daily set: all reports, the managers' page and the manifest, from one
//! stream of cases.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use strum::VariantArray;

use super::ReportName;
use super::file::{DescribedFile, create_directory};
use super::manifest::{History, Manifest, publish};
use super::rows::NoticeRow;
use super::summary::{Counters, Summary, page};
use super::table::{Report, Scope};
use super::writer::{Dialect, Format};
use crate::case::{Case, Evaluation, Exception};

/// The managers' page.
const SUMMARY_NAME: &str = "summary.html";

/// All reports of a day on their way to a directory. Nothing appears there
/// under its name before [`DailySet::finish`].
pub struct DailySet<'r> {
    directory: PathBuf,
    scope: Scope<'r>,
    dialect: Dialect,
    reports: Vec<Report<'r, DescribedFile>>,
    counters: Counters,
}

/// A daily set that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daily {
    /// What the managers' page says.
    pub summary: Summary,
    /// The manifest, with the names of all other files.
    pub manifest: Manifest,
}

impl<'r> DailySet<'r> {
    /// Begins a set; the directory is made if it is not there.
    pub fn create(directory: &Path, scope: Scope<'r>, dialect: Dialect) -> io::Result<Self> {
        create_directory(directory)?;
        let reports = ReportName::VARIANTS.iter().map(|name| {
            let file = DescribedFile::create(&directory.join(format!("{name}.csv")))?;
            Report::new(*name, Format::Csv(dialect), scope, file)
        });
        Ok(Self {
            directory: directory.to_owned(),
            scope,
            dialect,
            reports: reports.collect::<io::Result<_>>()?,
            counters: Counters::new(&scope),
        })
    }

    /// Takes a case. They come in the order of their `order_ref`, bytewise.
    pub fn add(&mut self, case: &Case, evaluation: &Evaluation) -> io::Result<()> {
        self.counters.add(case, evaluation, &self.scope)?;
        let mut reports = self.reports.iter_mut();
        reports.try_for_each(|report| report.add(case, evaluation))
    }

    /// Takes a case that could not be evaluated: an exception.
    pub fn add_failed(&mut self, order_ref: &str, error: &impl fmt::Display) -> io::Result<()> {
        let mut reports = self.reports.iter_mut();
        reports.try_for_each(|report| report.add_failed(order_ref, error))
    }

    /// Takes an exception that only the store knows.
    pub fn add_exception(&mut self, exception: &Exception) -> io::Result<()> {
        let mut reports = self.reports.iter_mut();
        reports.try_for_each(|report| report.add_exception(exception))
    }

    /// Takes a notice.
    pub fn add_notice(&mut self, notice: &NoticeRow) -> io::Result<()> {
        let calendar = &self.scope.rules.calendar;
        self.counters.add_notice(notice, calendar);
        let mut reports = self.reports.iter_mut();
        reports.try_for_each(|report| report.add_notice(notice))
    }

    /// Puts the set in its place.
    pub fn finish(self, history: History) -> io::Result<Daily> {
        let finished = self.reports.into_iter().map(Report::finish);
        let finished = finished.collect::<io::Result<Vec<_>>>()?;
        let summary = self.counters.finish(&self.scope, &finished);
        let mut file = DescribedFile::create(&self.directory.join(SUMMARY_NAME))?;
        file.write_all(page(&self.scope, &summary)?.as_bytes())?;

        let reports = finished.into_iter().map(|report| {
            let name = format!("{}.csv", report.name);
            (name, Some(report.rows), report.out)
        });
        let page = (SUMMARY_NAME.to_owned(), None, file);
        let manifest = publish(
            &self.directory,
            &self.scope,
            self.dialect,
            history,
            reports.chain([page]),
        )?;
        Ok(Daily { summary, manifest })
    }
}
