//! The managers' page in a real browser, loaded from disk, without a network.

use std::fs;

use super::browser::{browser, on_paper};
use super::shop::{CLAIMS, Engine, ORDERS, Shop, UNITS};

/// When the page is of. Repairs are promised within 20 days.
const AT: &str = "2025-07-01T06:00:00Z";

/// On paper this takes more lines than a browser keeps together by itself.
const ASSIGNEE: &str =
    "tom-of-the-workshop-in-which-all-the-lamps-are-repaired@the-northern-district.example.com";

/// What refunds are owed in.
const CURRENCIES: [&str; 4] = ["EUR", "KWD", "USD", "VND"];

/// The colours that a reader may have chosen, as the browser is told.
const LIGHT: &str = "--blink-settings=preferredColorScheme=1";
const DARK: &str = "--blink-settings=preferredColorScheme=0";

/// A shop that is late with so many repairs, one a day later than the next,
/// that keeps some promises, and that owes refunds.
fn late_shop(count: usize) -> Shop {
    let shop = Shop::on(Engine::Sqlite, "[reports]\ndir = \"reports\"\n");
    let (mut orders, mut units, mut claims) =
        (ORDERS.to_owned(), UNITS.to_owned(), CLAIMS.to_owned());
    let mut add = |name: String, received: &str, repaired: &str| {
        orders +=
            &format!("O-{name},K-{name},Ada,ada@example.com,2024-12-20,2025-01-05,EUR,9.00\n");
        units += &format!("U-{name},O-{name},Lamp,hardware,,\n");
        claims +=
            &format!("C-{name},U-{name},repair,2025-01-06,{ASSIGNEE},,{received},,,{repaired},\n");
    };
    for n in 0..count {
        let day = 10 + n % 20;
        let month = 1 + n % 5;
        add(
            format!("{n:06}"),
            &format!("2025-{month:02}-{day} 09:00"),
            "",
        );
    }
    for (n, repaired) in ["2025-06-05", "2025-06-30", "2025-06-29"]
        .iter()
        .enumerate()
    {
        add(
            format!("kept-{n}"),
            "2025-06-01 09:00",
            &format!("{repaired} 10:00"),
        );
    }
    add("open".to_owned(), "2025-06-15 09:00", "");
    let mut cancelled =
        "order_ref,customer_ref,customer_email,placed_at,paid_at,cancelled_at,currency,total\n"
            .to_owned();
    for currency in CURRENCIES {
        cancelled += &format!(
            "O-{currency},K-{currency},ada@example.com,2025-06-01,2025-06-02,2025-06-29,{currency},12345678\n"
        );
    }
    shop.write("cancelled.csv", cancelled);
    shop.run_to(0, &["import", "--as", "orders", "cancelled.csv"]);
    fs::create_dir(shop.path("facts")).unwrap();
    shop.write("facts/orders.csv", orders);
    shop.write("facts/units.csv", units);
    shop.write("facts/claims.csv", claims);
    shop.run_to(0, &["import", "facts"]);
    shop.run_to(0, &["run", "report", "--at", AT]);
    shop
}

fn page_of(shop: &Shop) -> std::path::PathBuf {
    shop.path("reports/2025-07-01/summary.html")
}

/// What a script finds in the page, with a window of a size around it.
fn found(shop: &Shop, size: (u16, u16), script: &str) -> String {
    found_in(LIGHT, shop, size, script)
}

/// The same where the reader has chosen light or dark colours.
fn found_in(scheme: &str, shop: &Shop, (width, height): (u16, u16), script: &str) -> String {
    let harness = format!(
        r#"<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="frame" style="border:0;width:{width}px;height:{height}px" src="{page}"></iframe><script>
frame.onload = () => {{
  const page = frame.contentDocument;
  const all = (selector) => Array.from(page.querySelectorAll(selector));
  const found = (() => {{ {script} }})();
  document.body.textContent = "FOUND<" + found + ">";
}};
</script>"#,
        page = page_of(shop).display(),
    );
    shop.write("harness.html", harness);
    let size = format!("--window-size={width},{height}");
    let ran = browser(
        shop,
        &shop.path("harness.html"),
        &["--dump-dom", &size, scheme],
    );
    let dom = String::from_utf8(ran.stdout).unwrap();
    let found = dom
        .split_once("FOUND&lt;")
        .and_then(|(_, rest)| rest.split_once("&gt;"));
    found.unwrap_or_else(|| panic!("{dom}")).0.to_owned()
}

const OVERDUE: &str = r#"const table = page.querySelector("[aria-label=Overdue] table");
const rows = () => Array.from(table.tBodies[0].rows).filter((row) => !row.hidden);
const press = (name) => Array.from(table.tHead.rows[0].cells)
  .find((head) => head.textContent.startsWith(name)).querySelector("button").click();
const column = (n) => rows().slice(0, 3).map((row) => row.cells[n].textContent).join();"#;

#[test]
fn the_page_opens_from_disk_and_its_tables_can_be_sorted_and_filtered() {
    let shop = late_shop(230);
    // By itself, with its script allowed and nothing else.
    let ran = browser(&shop, &page_of(&shop), &["--dump-dom"]);
    let dom = String::from_utf8(ran.stdout).unwrap();
    assert!(
        dom.contains("<button type=\"button\">Days late</button>"),
        "{dom}"
    );

    let found = |script: &str| found(&shop, (1280, 800), &format!("{OVERDUE}{script}"));
    assert_eq!(found("return rows().length;"), "200");
    // The worst first, without a script's help.
    assert_eq!(found("return column(0);"), "152,152,152");
    assert_eq!(
        found(
            r#"press("Days late"); const up = rows()[0].cells[0].textContent;
            const sorted = table.querySelector("[aria-sort]").getAttribute("aria-sort");
            press("Days late"); const down = rows()[0].cells[0].textContent;
            return [up, sorted, down, table.querySelector("[aria-sort]").ariaSort].join();"#
        ),
        "23,ascending,152,descending"
    );
    // Rows that tie stay in the order of the file, up and down and up again.
    assert_eq!(
        found(
            r#"const late = () => rows().filter((row) => row.cells[0].textContent === "152")
              .map((row) => row.cells[3].textContent).join();
            const before = late();
            const same = [1, 2, 3].map(() => { press("Days late"); return late() === before; });
            press("Subject"); press("Days late"); press("Days late");
            return [before.split(",").length > 2, ...same, late() === before].join();"#
        ),
        "true,true,true,true,true"
    );
    assert_eq!(
        found(r#"press("Subject"); return column(3);"#),
        "claim C-000000,claim C-000001,claim C-000002"
    );
    assert_eq!(
        found(
            r#"const filter = page.querySelector("[aria-label=Overdue]").previousElementSibling;
            const field = filter.querySelector("input");
            field.value = "c-00001"; field.dispatchEvent(new Event("input"));
            const some = rows().length + " " + filter.querySelector("[aria-live]").textContent;
            field.value = ""; field.dispatchEvent(new Event("input"));
            return some + " " + rows().length + filter.querySelector("output").textContent;"#
        ),
        "8 8 of 200 rows 200"
    );
}

#[test]
fn the_figures_stand_on_the_first_screen_and_nothing_is_wider_than_a_phone() {
    let shop = late_shop(230);
    let lowest = found(
        &shop,
        (1280, 800),
        r#"return all(".figures div, .top tr").map((one) => one.getBoundingClientRect().bottom)
            .reduce((one, other) => Math.max(one, other));"#,
    );
    assert!(lowest.parse::<f64>().unwrap() < 800.0, "{lowest}");
    // The figures and their changes need no scrolling, and a long table does
    // not push away what follows.
    for width in [390, 500, 600, 900, 1140, 1280] {
        let wide = found(
            &shop,
            (width, 800),
            r#"const next = all("h2").find((one) => one.textContent.startsWith("Falls due"));
            return [
                page.documentElement.scrollWidth,
                all(".top .table").every((one) => one.scrollWidth <= one.clientWidth),
                next.getBoundingClientRect().top < 2000,
            ].join();"#,
        );
        assert_eq!(wide, format!("{width},true,true"));
    }
}

/// WCAG 2.2, 1.4.3: text stands out 4.5 to 1 from what is behind it.
#[test]
fn every_text_can_be_read_in_light_and_in_dark() {
    let shop = late_shop(30);
    let script = r#"
const style = (one) => page.defaultView.getComputedStyle(one);
const parts = (color) => color.match(/[\d.]+/g).map(Number);
const linear = (part) => part <= 10 ? part / 3294.6 : ((part / 255 + 0.055) / 1.055) ** 2.4;
const light = (color) => {
  const [red, green, blue] = parts(color).map(linear);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
};
const behind = (one) => parts(style(one).backgroundColor)[3] === 0
  ? behind(one.parentElement) : style(one).backgroundColor;
const isPale = (one) => {
  const ink = light(one.closest("svg") ? style(one).fill : style(one).color);
  const ratio = ink / light(behind(one));
  return Math.max(ratio, 1 / ratio) < 4.5;
};
const hasText = (one) => Array.from(one.childNodes)
  .some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "");
const texts = all("body *").filter((one) => !one.matches("script, title, desc") && hasText(one));
const pale = texts.filter(isPale).map((one) => one.outerHTML).join();
return [texts.length > 100, light(style(page.body).backgroundColor) > 0.5, pale].join();"#;
    for (is_light, scheme) in [(true, LIGHT), (false, DARK)] {
        let found = found_in(scheme, &shop, (1280, 800), script);
        assert_eq!(found, format!("true,{is_light},"));
    }
}

#[test]
fn every_chart_is_named_and_has_its_numbers_beside() {
    let shop = late_shop(30);
    let charts = found(
        &shop,
        (1280, 800),
        r#"return all("svg[role=img]").map((chart) => {
            const named = chart.getAttribute("aria-labelledby").split(" ");
            const texts = named.map((id) => page.getElementById(id).textContent.trim());
            const numbers = chart.closest("section").querySelectorAll("table").length;
            return texts.every((text) => text !== "") && numbers > 0;
        }).join();"#,
    );
    assert_eq!(charts, "true,true,true,true");
}

#[test]
fn on_paper_no_table_is_cut() {
    let shop = late_shop(230);
    let sheets = on_paper(&shop, &page_of(&shop));
    // A reference begins, and an address ends, on the sheet where its row stands.
    let rows = |sheet: &str| sheet.matches("C-").count();
    assert_eq!(sheets.iter().map(|sheet| rows(sheet)).sum::<usize>(), 201);
    assert!(sheets.iter().filter(|sheet| rows(sheet) > 1).count() > 4);
    for sheet in &sheets {
        assert_eq!(sheet.matches("example").count(), rows(sheet), "{sheet}");
        // One row alone is that of what falls due.
        assert!(rows(sheet) < 2 || sheet.contains("Level"), "{sheet}");
    }
}
