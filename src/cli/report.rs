//! `report NAME`: one report.

mod verify;

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use chrono::NaiveDate;

use super::ending::until_told;
use super::output::{one_of, progress};
use super::{Done, parse_date, time_of, time_or_now};
use crate::config::delimiter;
use crate::jobs::{self, Refused, ReportRequest, Shop};
use crate::report::{AtomicFile, By, Dialect, Format, ReportName};
use verify::VerifyArgs;

#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    verify: Option<Command>,
    #[command(flatten)]
    one: Option<OneArgs>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check a published day, week or month: its files, the days before it, and the database
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The report
    #[arg(value_parser = one_of::<ReportName>())]
    name: ReportName,
    /// As of a time instead of now
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// As far as had been recorded by a time, under the rules of then
    #[arg(long, value_name = "TIME")]
    known_at: Option<String>,
    /// compliance: promises that started, or fell due, on this date or later; notices: due on it or later
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    from: Option<NaiveDate>,
    /// The same, until this date
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    to: Option<NaiveDate>,
    /// compliance: which date of a promise --from and --to mean [default: started]
    #[arg(long, value_parser = one_of::<By>())]
    by: Option<By>,
    /// upcoming: so many days ahead [default: 7]
    #[arg(long)]
    days: Option<u16>,
    /// How it is written
    #[arg(long, value_enum, default_value_t)]
    format: FormatName,
    /// csv: what stands between two fields: `,`, `;` or `tab` [default: ,]
    #[arg(long, value_parser = parse_delimiter)]
    delimiter: Option<u8>,
    /// csv: begin with a byte order mark, by which spreadsheets know UTF-8
    #[arg(long)]
    bom: bool,
    /// The file, written under a temporary name and renamed; `-` is stdout
    #[arg(long, value_name = "PATH", default_value = "-")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum FormatName {
    /// For spreadsheets and programs
    #[default]
    Csv,
    /// For programs
    Json,
    /// A page to be read and printed
    Html,
}

fn parse_delimiter(text: &str) -> Result<u8, &'static str> {
    delimiter(text).ok_or("expected `,`, `;` or `tab`")
}

impl OneArgs {
    fn format(&self) -> Result<Format, Refused> {
        let format = match self.format {
            FormatName::Csv => {
                let delimiter = self.delimiter.unwrap_or(Dialect::default().delimiter);
                return Ok(Format::Csv(Dialect {
                    delimiter,
                    bom: self.bom,
                }));
            }
            FormatName::Json => Format::Json,
            FormatName::Html => Format::Html,
        };
        if self.bom || self.delimiter.is_some() {
            let why = "--bom and --delimiter are for --format csv, expected no other format";
            return Err(Refused(why.to_owned()));
        }
        Ok(format)
    }
}

/// Options that a report does not look at would promise what it does not do.
fn refuse_what_means_nothing(args: &OneArgs) -> Result<(), Refused> {
    let has_period = matches!(args.name, ReportName::Compliance | ReportName::Notices);
    let why = if (args.from.is_some() || args.to.is_some()) && !has_period {
        "--from and --to are for compliance and notices"
    } else if args.by.is_some() && args.name != ReportName::Compliance {
        "--by is for compliance"
    } else if args.days.is_some() && args.name != ReportName::Upcoming {
        "--days is for upcoming"
    } else {
        return Ok(());
    };
    Err(Refused(format!("{why}, not for {}", args.name)))
}

/// Writes a report, or checks a published set.
pub async fn run(args: Args, shop: Shop) -> Result<Done> {
    match (args.verify, args.one) {
        (Some(Command::Verify(args)), _) => verify::run(args, &shop).await,
        (None, Some(args)) => one(args, &shop).await,
        (None, None) => {
            let why = "expected the name of a report, or `verify DIR`; see `report --help`";
            Err(Refused(why.to_owned()).into())
        }
    }
}

async fn one(args: OneArgs, shop: &Shop) -> Result<Done> {
    refuse_what_means_nothing(&args)?;
    if let (Some(from), Some(to)) = (args.from, args.to)
        && from > to
    {
        let why = format!("--from {from} is after --to {to}: expected the earlier date first");
        return Err(Refused(why).into());
    }
    let request = ReportRequest {
        name: args.name,
        at: time_or_now(shop, args.at.as_deref())?,
        known_at: time_of(shop, "--known-at", args.known_at.as_deref())?,
        from: args.from,
        to: args.to,
        by: args.by.unwrap_or(By::Started),
        days: args.days.unwrap_or(jobs::UPCOMING_DAYS),
        format: args.format()?,
    };
    if args.out == Path::new("-") {
        let out = BufWriter::new(io::stdout());
        let (mut out, _) = jobs::one_report(shop, request, out).await?;
        out.flush()?;
    } else {
        let file = AtomicFile::create(&args.out)?;
        let bar = progress("{spinner} {msg} {elapsed}", args.name);
        let writing = jobs::one_report(shop, request, file);
        let written = until_told(args.name, &shop.watch, &bar, writing).await;
        bar.finish_and_clear();
        let (file, rows) = written?;
        file.commit()?;
        let noun = if rows == 1 { "row" } else { "rows" };
        eprintln!("{}: {rows} {noun}", args.out.display());
    }
    Ok(Done::Well)
}
