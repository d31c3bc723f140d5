//! Whatever lies in the spool blocks nothing, and is told.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::{KEPT, RUN, lies, spool, text_of};
use crate::shop::{Engine, ORDERS, many_units, stderr};

#[tokio::test]
async fn hostile_files_are_told_and_block_nothing() {
    let shop = spool(Engine::of_this_run(), "");
    let [(_, orders), (_, units)] = many_units(2);
    shop.write("spool/good-orders.csv", &orders);
    shop.write("spool/good-units.csv", units);
    let utf_16: Vec<u8> = format!("\u{feff}{orders}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let junk: Vec<u8> = (0..100_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let long_row = format!("{ORDERS}{}\n", "x".repeat(8 << 20));
    let table: [(&str, &[u8], &str); 9] = [
        (
            "a-orders.csv",
            b"",
            "is empty: expected a first row of column names",
        ),
        (
            "b-orders.csv",
            b"\x1f\x8b\x08\0",
            "is compressed (gzip): expected CSV",
        ),
        (
            "c-orders.csv",
            b"PK\x03\x04...",
            "is a spreadsheet (.xlsx, .ods) or a zip archive",
        ),
        (
            "d-orders.csv",
            &utf_16,
            "is UTF-16LE, expected UTF-8: save it as that, or set `encoding = \"utf-16le\"` in [import.orders]",
        ),
        ("e-orders.csv", &junk, "the header: "),
        (
            "f-orders.csv",
            b"order_ref;total\n",
            "the columns must be separated by commas, as `delimiter` in [import.orders] has it",
        ),
        (
            "g-orders.csv.gz",
            b"\x1f\x8b\x08\0",
            "has no name of an import file",
        ),
        (
            "h-orders.xlsx",
            b"PK\x03\x04...",
            "has no name of an import file",
        ),
        ("i-orders.csv", b"\n\n\r\n", "is empty"),
    ];
    for (name, bytes, _) in &table {
        shop.write(&format!("spool/{name}"), bytes);
    }
    shop.write("spool/j-orders.csv", long_row);
    // A line of 10 GB, as far as anybody can tell.
    let huge = File::create(shop.path("spool/k-orders.csv")).unwrap();
    huge.set_len(10 << 30).unwrap();
    fs::create_dir(shop.path("spool/l-orders.csv")).unwrap();
    symlink("/etc/passwd", shop.path("spool/m-orders.csv")).unwrap();
    let made = Command::new("mkfifo")
        .arg(shop.path("spool/n-orders.csv"))
        .status();
    assert!(made.unwrap().success());
    let odd = shop
        .path("spool")
        .join(OsStr::from_bytes(b"\xff-orders.csv"));
    fs::write(&odd, &orders).unwrap();
    // As long as a name can be.
    let long = format!("{}-orders.csv", "z".repeat(244));
    shop.write(&format!("spool/{long}"), "no,orders\n");
    // Those are somebody else's.
    let others = [
        ".p-orders.csv",
        "q-orders.csv.part",
        "r-orders.csv.TMP",
        "notes.txt",
        "shop.db",
        "s-orders.csv.rejects.csv",
    ];
    for name in others {
        shop.write(&format!("spool/{name}"), "half");
    }
    fs::create_dir(shop.path("spool/archive")).unwrap();
    let output = shop.run_to(3, &RUN);
    let said = stderr(&output);
    assert!(
        said.ends_with("import: 15 failed, 3 files, 5 found, 4 new, 1 rejected\n"),
        "{said}"
    );
    assert_eq!(shop.rows(KEPT).await, ["2|2|0|0|1"]);
    assert_eq!(
        lies(&shop, "spool/done"),
        ["good-orders.csv", "good-units.csv", "j-orders.csv"]
    );
    let mut expected: Vec<(&str, &str)> =
        table.iter().map(|(name, _, why)| (*name, *why)).collect();
    expected.extend([
        ("k-orders.csv", "has no line end in its first 64 KiB"),
        ("l-orders.csv", "is a directory: expected a file"),
        ("m-orders.csv", "is a symbolic link: expected a file"),
        ("n-orders.csv", "is a named pipe: expected a file"),
        ("\u{fffd}-orders.csv", "has no name of an import file"),
    ]);
    for (name, why) in expected {
        let found = text_of(&shop, "spool/rejected", &format!("{name}.error.txt"));
        let first = found.lines().next().unwrap();
        assert!(
            first.starts_with(&format!("{name}: ")) && first.contains(why),
            "{first}"
        );
        assert!(
            lies(&shop, "spool/rejected").contains(&name.to_owned()),
            "{name}"
        );
        assert!(said.contains(name), "{name}: {said}");
    }
    let rejects = text_of(&shop, "spool/rejected", "j-orders.csv.rejects.csv");
    assert!(rejects.contains("order_ref: is longer than 65536 bytes"));
    let ends_long = |name: &&String| name.ends_with("zzz-orders.csv.error.txt");
    assert_eq!(
        lies(&shop, "spool/rejected")
            .iter()
            .filter(ends_long)
            .count(),
        1
    );
    let mut left: Vec<&str> = others[1..].to_vec();
    left.extend(["archive", "done", "rejected"]);
    left.sort_unstable();
    assert_eq!(lies(&shop, "spool"), left);
    // Nothing of it comes again.
    shop.run_to(0, &RUN);
}
