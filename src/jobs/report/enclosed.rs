//! The files of a set, as far as a mail can carry them.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::mail::{Attachment, Carried, Files};
use crate::report::FileEntry;

/// What the attachments of a mail come to at most, but for the page.
const ATTACHED_BYTES: u64 = 10 << 20;

/// Attaches the pages of a set, and its tables: each of them, all in one
/// archive if together they are too large, or none if that is too large, too.
/// The same files give the same bytes.
pub fn enclosed(files: &[FileEntry], dir: &Path, set: &str) -> Result<(Vec<Attachment>, Files)> {
    let (pages, tables): (Vec<&str>, Vec<&str>) = files
        .iter()
        .map(|file| file.name.as_str())
        .partition(|name| name.ends_with(".html"));
    let mut attachments = pages
        .iter()
        .map(|name| attachment(dir, name, "text/html; charset=utf-8"))
        .collect::<Result<Vec<_>>>()?;
    let sizes = tables.iter().map(|name| size(&dir.join(name)));
    let together: u64 = sizes.sum::<Result<_>>()?;
    let carried = if together <= ATTACHED_BYTES {
        for name in &tables {
            attachments.push(attachment(dir, name, "text/csv; charset=utf-8")?);
        }
        Carried::Each
    } else if let Some(bytes) = zipped(dir, &tables)? {
        let name = format!("{set}.zip");
        attachments.push(Attachment {
            name: name.clone(),
            content_type: "application/zip".to_owned(),
            bytes,
        });
        Carried::Zipped(name)
    } else {
        Carried::NotAtAll(dir.display().to_string())
    };
    let names = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    let files = Files {
        pages: names(pages),
        tables: names(tables),
        carried,
    };
    Ok((attachments, files))
}

fn attachment(dir: &Path, name: &str, content_type: &str) -> Result<Attachment> {
    let path = dir.join(name);
    Ok(Attachment {
        name: name.to_owned(),
        content_type: content_type.to_owned(),
        bytes: fs::read(&path).with_context(|| path.display().to_string())?,
    })
}

fn size(path: &Path) -> Result<u64> {
    let found = fs::metadata(path).with_context(|| path.display().to_string())?;
    Ok(found.len())
}

/// All tables in one archive; `None` if it is too large.
fn zipped(dir: &Path, tables: &[&str]) -> Result<Option<Vec<u8>>> {
    let archive = tempfile::tempfile().context("a file for the archive")?;
    let mut zip = ZipWriter::new(archive);
    // The time of a file says nothing that its rows do not.
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .large_file(true);
    for name in tables {
        let path = dir.join(name);
        let mut table = File::open(&path).with_context(|| path.display().to_string())?;
        zip.start_file(*name, options)?;
        io::copy(&mut table, &mut zip).with_context(|| path.display().to_string())?;
        let so_far = zip.get_ref().map(|archive| archive.metadata());
        if so_far
            .transpose()?
            .is_some_and(|found| found.len() > ATTACHED_BYTES)
        {
            return Ok(None);
        }
    }
    let mut archive = zip.finish()?;
    let mut bytes = Vec::new();
    if archive.stream_position()? > ATTACHED_BYTES {
        return Ok(None);
    }
    archive.rewind()?;
    io::Read::read_to_end(&mut archive, &mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A set of a page and two tables, one of which has so many bytes.
    fn set(large: &[u8]) -> (tempfile::TempDir, Vec<FileEntry>) {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            ("claims.csv", &b"a,b\r\n"[..]),
            ("deadlines.csv", large),
            ("summary.html", b"<!doctype html>"),
        ];
        let files = files.map(|(name, bytes)| {
            fs::write(dir.path().join(name), bytes).unwrap();
            FileEntry {
                name: name.to_owned(),
                rows: None,
                sha256: String::new(),
            }
        });
        (dir, files.to_vec())
    }

    fn names(attachments: &[Attachment]) -> Vec<&str> {
        attachments.iter().map(|file| file.name.as_str()).collect()
    }

    /// Bytes that no archive makes smaller.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let bytes = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        });
        bytes.flatten().take(len).collect()
    }

    #[test]
    fn tables_are_attached_up_to_a_limit_and_zipped_above_it() {
        let limit = usize::try_from(ATTACHED_BYTES).unwrap();
        // Five bytes are those of the other table.
        let (dir, files) = set(&vec![b'x'; limit - 5]);
        let (attachments, told) = enclosed(&files, dir.path(), "day").unwrap();
        assert_eq!(
            names(&attachments),
            ["summary.html", "claims.csv", "deadlines.csv"]
        );
        assert_eq!(told.carried, Carried::Each);
        assert_eq!(told.tables, ["claims.csv", "deadlines.csv"]);

        let (dir, files) = set(&vec![b'x'; limit - 4]);
        let (attachments, told) = enclosed(&files, dir.path(), "day").unwrap();
        assert_eq!(names(&attachments), ["summary.html", "day.zip"]);
        assert_eq!(told.carried, Carried::Zipped("day.zip".to_owned()));
        let (again, _) = enclosed(&files, dir.path(), "day").unwrap();
        assert_eq!(attachments, again);
        let zip = io::Cursor::new(&attachments[1].bytes);
        let mut zip = zip::ZipArchive::new(zip).unwrap();
        assert_eq!(zip.len(), 2);
        for name in ["claims.csv", "deadlines.csv"] {
            let mut found = Vec::new();
            io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut found).unwrap();
            assert!(found == fs::read(dir.path().join(name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn what_no_mail_can_carry_stays_where_it_is() {
        let limit = usize::try_from(ATTACHED_BYTES).unwrap();
        let (dir, files) = set(&noise(limit + 1));
        let (attachments, told) = enclosed(&files, dir.path(), "day").unwrap();
        assert_eq!(names(&attachments), ["summary.html"]);
        assert_eq!(
            told.carried,
            Carried::NotAtAll(dir.path().display().to_string())
        );
    }
}
