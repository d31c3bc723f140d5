//! A report as a page, in a browser and on paper.

use std::fs;
use std::path::Path;
use std::process::Command;

use strum::VariantArray;
use warrantyd::jobs::{self, Holding};
use warrantyd::report::ReportName;

use crate::browser::browser;
use crate::shop::{Shop, at, many_units, named, stderr};

/// Orders, each held for a reason of many lines.
const ORDERS: usize = 60;

const AT: &str = "2025-06-05T09:00:00Z";

async fn shop() -> Shop {
    let shop = Shop::new("");
    shop.import(&many_units(ORDERS)).await;
    let open = shop.open().await;
    for nth in 0..ORDERS {
        let name = &format!("O-{nth}");
        let holding = Holding { name, kind: None };
        let reason = format!("begin{nth}. {} end{nth}.", "Asked to wait. ".repeat(120));
        jobs::hold(&open, holding, &reason, None, at(AT))
            .await
            .unwrap();
    }
    open.store.close().await;
    shop.enforce(named(AT)).await.unwrap();
    shop
}

fn written(shop: &Shop, report: &str) -> String {
    let name = format!("{report}.html");
    shop.run_to(
        0,
        &[
            "report", report, "--at", AT, "--format", "html", "--out", &name,
        ],
    );
    format!("file://{}", shop.path(&name).display())
}

/// The pages of a report on paper, without spaces.
fn printed(shop: &Shop, report: &str) -> Vec<String> {
    let page = written(shop, report);
    let pdf = shop.path("printed.pdf");
    let to = format!("--print-to-pdf={}", pdf.display());
    browser(shop.dir(), &["--no-pdf-header-footer", &to, &page]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = Command::new(root.join("target/venv/bin/python"))
        .arg(root.join("tests/read_pdf.py"))
        .arg(pdf)
        .output()
        .expect("there is no pypdf: run `bash tests/run.sh`");
    assert!(read.status.success(), "{}", stderr(&read));
    let pages: Vec<String> = serde_json::from_slice(&read.stdout).unwrap();
    let without_spaces = |page: &String| page.split_whitespace().collect();
    pages.iter().map(without_spaces).collect()
}

#[tokio::test]
async fn on_paper_the_head_is_repeated_and_no_row_is_cut() {
    let shop = shop().await;
    for (report, starts) in [("exceptions", "code"), ("deadlines", "order_ref")] {
        let pages = printed(&shop, report);
        assert!(pages.len() > 2, "{report}: {} pages", pages.len());
        let columns = report.parse::<ReportName>().unwrap().columns();
        assert_eq!(columns[0], starts);
        for page in &pages {
            // The last page may hold the number of rows alone.
            let is_table = page.contains("O-") || page.contains("U-");
            for column in columns {
                assert!(
                    !is_table || page.contains(column),
                    "{report}, {column}: {page}"
                );
            }
        }
    }
    let pages = printed(&shop, "exceptions");
    for nth in 0..ORDERS {
        let holds = |mark: String| pages.iter().position(|page| page.contains(&mark));
        let begin = holds(format!("begin{nth}."));
        assert!(begin.is_some(), "begin{nth}");
        assert_eq!(begin, holds(format!("end{nth}.")), "row {nth} is cut");
    }
}

/// As wide as a phone, and as a screen.
const HARNESS: &str = r#"<!DOCTYPE html><meta charset="utf-8"><body><script>
const pages = PAGES;
const found = [];
let left = 2 * pages.length;
for (const [name, html] of pages) for (const width of [390, 1280]) {
  const frame = document.createElement("iframe");
  frame.style = `border:0;height:800px;width:${width}px`;
  frame.onload = () => {
    const page = frame.contentDocument;
    if (page.documentElement.scrollWidth > width) found.push(`${name} ${width}`);
    const table = page.querySelector(".table");
    if (width == 390 && table.scrollWidth <= table.clientWidth) found.push(`${name} is narrow`);
    if (--left === 0) document.body.textContent = `DONE ${pages.length} [${found.join("; ")}]`;
  };
  frame.srcdoc = html;
  document.body.append(frame);
}
</script>"#;

#[tokio::test]
async fn the_table_scrolls_and_the_page_does_not() {
    let shop = shop().await;
    let pages: Vec<(String, String)> = ReportName::VARIANTS
        .iter()
        .map(|name| {
            let path = written(&shop, name.into());
            let text = fs::read_to_string(path.trim_start_matches("file://")).unwrap();
            (name.to_string(), text)
        })
        .collect();
    // The end of a script may not stand in one.
    let pages_text = serde_json::to_string(&pages).unwrap().replace("</", "<\\/");
    shop.write("harness.html", HARNESS.replace("PAGES", &pages_text));
    let harness = format!("file://{}", shop.path("harness.html").display());
    let ran = browser(
        shop.dir(),
        &["--dump-dom", "--virtual-time-budget=60000", &harness],
    );
    let dom = String::from_utf8_lossy(&ran.stdout);
    let expected = format!("DONE {} []", ReportName::VARIANTS.len());
    let end = dom.len().saturating_sub(500);
    assert!(dom.contains(&expected), "{}\n{}", &dom[end..], stderr(&ran));
}
