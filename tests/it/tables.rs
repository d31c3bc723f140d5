//! A report as a page, in a browser and on paper.

use std::fs;
use std::path::PathBuf;

use strum::VariantArray;
use warrantyd::jobs::{self, Holding};
use warrantyd::report::ReportName;

use crate::browser::{browser, on_paper};
use crate::shop::{Shop, at, many_units, named, stderr};

/// Orders, each held for a reason of many lines.
const ORDERS: usize = 30;

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

fn written(shop: &Shop, report: &str) -> PathBuf {
    let name = format!("{report}.html");
    shop.run_to(
        0,
        &[
            "report", report, "--at", AT, "--format", "html", "--out", &name,
        ],
    );
    shop.path(&name)
}

/// The sheets of a report on paper, without spaces.
fn printed(shop: &Shop, report: &str) -> Vec<String> {
    let sheets = on_paper(shop, &written(shop, report));
    let without_spaces = |sheet: &String| sheet.split_whitespace().collect();
    sheets.iter().map(without_spaces).collect()
}

#[tokio::test]
async fn on_paper_the_head_is_repeated_and_no_row_is_cut() {
    let shop = shop().await;
    let exceptions = printed(&shop, "exceptions");
    let deadlines = printed(&shop, "deadlines");
    for (name, sheets) in [
        (ReportName::Exceptions, &exceptions),
        (ReportName::Deadlines, &deadlines),
    ] {
        assert!(sheets.len() > 2, "{name}: {} sheets", sheets.len());
        for sheet in sheets {
            // The last one may hold the number of rows alone.
            let has_rows = sheet.contains("O-") || sheet.contains("U-");
            for column in name.columns() {
                assert!(
                    !has_rows || sheet.contains(column),
                    "{name}, {column}: {sheet}"
                );
            }
        }
    }
    for nth in 0..ORDERS {
        let holds = |mark: String| exceptions.iter().position(|sheet| sheet.contains(&mark));
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
            let text = fs::read_to_string(written(&shop, name.into())).unwrap();
            (name.to_string(), text)
        })
        .collect();
    // The end of a script may not stand in one.
    let pages_text = serde_json::to_string(&pages).unwrap().replace("</", "<\\/");
    shop.write("harness.html", HARNESS.replace("PAGES", &pages_text));
    let ran = browser(&shop, &shop.path("harness.html"), &["--dump-dom"]);
    let dom = String::from_utf8_lossy(&ran.stdout);
    let expected = format!("DONE {} []", ReportName::VARIANTS.len());
    let end = dom.len().saturating_sub(500);
    assert!(dom.contains(&expected), "{}\n{}", &dom[end..], stderr(&ran));
}
