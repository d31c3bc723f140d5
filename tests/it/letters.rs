//! Letters as people meet them: previews, templates of one's own, `doctor`, and
//! a browser that shows them as wide as a phone and as a mail program.

use std::fmt::Write as _;
use std::fs;

use strum::VariantArray;
use warrantyd::case::Finding;

use super::browser::browser;
use super::deliver::{Server, configure, mail, taken};
use super::shop::{CLAIMS, FILE_MAIL, Shop, named, one_unit};

const TEMPLATES: &str = "templates = \"letters\"\n";

fn shop_with(templates: &[(&str, &str)]) -> Shop {
    let shop = Shop::new(&format!("{FILE_MAIL}{TEMPLATES}"));
    fs::create_dir(shop.path("letters")).unwrap();
    for (name, text) in templates {
        let path = shop.path("letters").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    shop
}

fn printed(output: &std::process::Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[tokio::test]
async fn a_customer_gets_the_shop_s_own_letter_in_their_language() {
    let shop = shop_with(&[("vi/closing.txt", "Thân mến,")]);
    let [(orders, text), units] = one_unit("2025-01-05T10:00:00Z");
    let (head, row) = text.split_once('\n').unwrap();
    let orders_text = format!("customer_locale,{head}\nvi_VN,{row}");
    shop.import(&[(orders, orders_text), units]).await;
    shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-05T09:00:00Z")).await.unwrap();
    let mut mails = fs::read_dir(shop.path("outbox")).unwrap();
    let raw = fs::read(mails.next().unwrap().unwrap().path()).unwrap();
    let parsed = mail_parser::MessageParser::default().parse(&raw).unwrap();
    assert_eq!(
        parsed.subject(),
        Some("Thời hạn bảo hành của sản phẩm Lamp kết thúc vào thứ Sáu, ngày 4 tháng 7 năm 2025")
    );
    for body in [parsed.body_text(0), parsed.body_html(0)] {
        let body = body.unwrap();
        assert!(
            body.contains("Kính gửi Ada,") && body.contains("Thân mến,"),
            "{body}"
        );
    }
    assert!(mails.next().is_none());
}

#[tokio::test]
async fn a_template_that_cannot_be_used_stops_nothing_silently() {
    let shop = shop_with(&[("en/closing.txt", "{{ adressee }}")]);
    shop.run_to(0, &["status"]);
    let output = shop.run_to(1, &["doctor"]);
    let found = printed(&output);
    assert!(found.contains("en/warranty_ends"), "{found}");
    assert!(found.contains("undefined value"), "{found}");
    assert!(!found.contains("vi/"), "{found}");
    // What cannot be read as templates is a wrong config.
    fs::write(shop.path("letters/en/closing.txt"), "{{").unwrap();
    let output = shop.run_to(2, &["mail", "preview", "warranty_ends"]);
    assert!(
        said(&output).contains("mail.templates: en/closing.txt, line 1"),
        "{output:?}"
    );
    let found = printed(&shop.run_to(1, &["doctor", "--format", "json"]));
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    let templates = found.as_array().unwrap().iter();
    let templates: Vec<_> = templates.filter(|row| row["what"] == "templates").collect();
    assert_eq!(templates.len(), 1);
    assert_eq!(templates[0]["health"], "fail");
}

#[tokio::test]
async fn what_cannot_be_written_waits() {
    let shop = shop_with(&[("en/closing.txt", "{{ adressee }}")]);
    shop.import(&one_unit("2025-01-05T10:00:00Z")).await;
    let at = ["--at", "2025-06-05T09:00:00Z"];
    shop.run_to(0, &[&["run", "enforce"][..], &at].concat());
    let deliver = [&["run", "deliver"][..], &at].concat();
    let waits = "SELECT disposition, count(*) FROM notices GROUP BY 1";
    shop.run_to(3, &deliver);
    assert_eq!(shop.rows(waits).await, ["queued|1"]);
    shop.write("letters/en/closing.txt", "{{");
    shop.run_to(2, &deliver);
    assert_eq!(shop.rows(waits).await, ["queued|1"]);
    shop.write("letters/en/closing.txt", "Bye,");
    shop.run_to(0, &deliver);
    assert_eq!(shop.rows(waits).await, ["sent|1"]);
}

#[test]
fn doctor_says_what_fails() {
    let login = "[mail]\ntransport = \"smtp\"\nurl = \"smtp://localhost\"\n\
                 from = \"shop@example.com\"\nusername = \"shop\"\npassword_file = \"none\"\n";
    let shop = Shop::new(login);
    let found = printed(&shop.run_to(1, &["doctor"]));
    let line = found
        .lines()
        .find(|line| line.contains("mail.password_file"));
    assert!(line.is_some_and(|line| line.contains("fail")), "{found}");
}

#[tokio::test]
async fn doctor_asks_the_mail_server() {
    let shop = Shop::new("");
    let server = Server::start(&shop, &[]);
    let settings = mail(server.port, "");
    configure(&shop, &settings);
    let found = printed(&shop.run_to(0, &["doctor"]));
    assert!(found.contains("messages can be sent"), "{found}");
    server.stop();
    assert_eq!(taken(&shop).len(), 0);
    let found = printed(&shop.run_to(1, &["doctor"]));
    assert!(found.contains("Connection refused"), "{found}");
}

#[test]
fn every_finding_is_told_to_a_customer() {
    let variants: Vec<String> = warrantyd::mail::samples("en")
        .into_iter()
        .map(|sample| sample.variant)
        .collect();
    for finding in Finding::VARIANTS {
        assert!(
            variants.contains(&format!("declined-{finding}")),
            "{finding}"
        );
    }
}

#[test]
fn doctor_is_content_with_what_is_built_in() {
    let shop = Shop::new(FILE_MAIL);
    let found = printed(&shop.run_to(0, &["doctor"]));
    assert!(
        found.contains("letters were written from samples, in en, vi"),
        "{found}"
    );
}

#[tokio::test]
async fn a_preview_is_of_samples_or_of_a_real_subject() {
    let shop = Shop::new(FILE_MAIL);
    let sample = printed(&shop.run_to(0, &["mail", "preview", "warranty_ends"]));
    assert!(
        sample.starts_with("Subject: The warranty of your Photo Frame 10 ends on"),
        "{sample}"
    );
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{row}"));
    shop.import(&[orders, units, claims]).await;
    let at = ["--at", "2025-06-20T10:00:00Z"];
    let preview = |letter, name| [&["mail", "preview", letter, "--ref", name][..], &at].concat();
    // The unit's own, to come in two weeks; an order stands for all of it.
    let real = printed(&shop.run_to(0, &preview("warranty_ends", "U-1")));
    assert!(
        real.contains("Friday 4 July 2025") && real.contains("Dear Ada,"),
        "{real}"
    );
    let of_order = printed(&shop.run_to(0, &preview("repair_started", "O-1")));
    assert!(of_order.contains("by Thursday 10 July 2025"), "{of_order}");
    let vi = [&preview("repair_started", "C-1")[..], &["--locale", "vi"]].concat();
    assert!(printed(&shop.run_to(0, &vi)).contains("Kính gửi Ada,"));
    let refused = shop.run_to(2, &preview("refund_late", "C-1"));
    let why = said(&refused);
    assert!(
        why.contains("found no letter `refund_late` about C-1, expected all, inside_late"),
        "{why}"
    );
    let why = said(&shop.run_to(2, &preview("refund_late", "C-2")));
    assert!(
        why.contains("there is no order, unit or claim `C-2`"),
        "{why}"
    );
    assert_eq!(shop.rows("SELECT count(*) FROM messages").await, ["0"]);
}

/// Counts what of a letter is wider than its window, and each ref, amount and
/// phone number that a line breaks in, in one page that holds every letter
/// twice.
const HARNESS: &str = r#"<!DOCTYPE html><meta charset="utf-8"><body><script>
const WIDTHS = [320, 600];
const letters = LETTERS;
const PIECES = /[A-Z]+-[0-9]+|[A-Z]{3} [0-9][0-9.,]*|[0-9][0-9.,]* [A-Z]{3}|\+00 [0-9 ]+[0-9]/g;
const found = [];
let pieces = 0;
function broken(name, page) {
  const range = page.createRange();
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) for (const piece of texts.currentNode.data.matchAll(PIECES)) {
    range.setStart(texts.currentNode, piece.index);
    range.setEnd(texts.currentNode, piece.index + piece[0].length);
    pieces++;
    if (range.getBoundingClientRect().height > 30) found.push(`${name}: ${piece[0]}`);
  }
}
let left = WIDTHS.length * letters.length;
for (const [name, html] of letters) for (const width of WIDTHS) {
  const frame = document.createElement("iframe");
  frame.style = `border:0;height:99px;width:${width}px`;
  frame.onload = () => {
    const page = frame.contentDocument.documentElement;
    if (page.scrollWidth > width) found.push(`${name} ${width}: ${page.scrollWidth}`);
    broken(`${name} ${width}`, frame.contentDocument);
    if (--left === 0) document.body.textContent = `DONE ${letters.length} [${found.join("; ")}] ${pieces > 2000}`;
  };
  frame.srcdoc = html;
  document.body.append(frame);
}
</script>"#;

#[test]
fn no_letter_is_wider_than_a_phone_nor_breaks_what_belongs_together() {
    let shop = Shop::new(FILE_MAIL);
    let with_phone = "name = \"Corner shop\"\nphone = \"+00 000 000 00 00\"";
    let config = super::shop::CONFIG.replace("name = \"Corner shop\"", with_phone);
    shop.write("warrantyd.toml", config.clone() + FILE_MAIL);
    // A name without a gap is the worst that a letter can hold.
    let long = "A".repeat(60);
    shop.write(
        "long.toml",
        config.replace("Corner shop", &long) + FILE_MAIL,
    );
    let mut letters = String::from("[");
    let mut count = 0;
    for (config, locale) in [("warrantyd.toml", "en"), ("long.toml", "vi")] {
        let out = format!("out-{locale}");
        let args = [
            "--config", config, "mail", "preview", "all", "--locale", locale, "--out", &out,
        ];
        shop.run_to(0, &args);
        for entry in fs::read_dir(shop.path(&out)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            // Less to say, or the same but for a reason, is no wider.
            let is_wide = !name.contains("bare") && !name.contains("-declined-");
            if is_wide && name.ends_with(".html") {
                let html = serde_json::to_string(&fs::read_to_string(&path).unwrap()).unwrap();
                // The end of a script may not stand in one.
                let html = html.replace("</", "<\\/");
                write!(letters, "[{:?}, {html}],", format!("{locale} {name}")).unwrap();
                count += 1;
            }
        }
    }
    letters.push(']');
    shop.write("harness.html", HARNESS.replace("LETTERS", &letters));
    let ran = browser(&shop, &shop.path("harness.html"), &["--dump-dom"]);
    let dom = printed(&ran);
    let expected = format!("DONE {count} [] true");
    assert!(
        dom.contains(&expected),
        "{}\n{}",
        &dom[dom.len().saturating_sub(2_000)..],
        said(&ran)
    );
    assert!(count > 150, "{count} letters");
}
