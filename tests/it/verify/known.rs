//! Whatever is recorded, what was known gives the bytes of then, and a
//! published day is explained.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::prelude::*;
use warrantyd::case::{Entity, FactType, Field};
use warrantyd::jobs::import::{files, import_files};
use warrantyd::jobs::{self, ReportRequest, Verdict};
use warrantyd::report::{By, Dialect, Format, Period, ReportName};

use super::{LATER, REPORTS, filled};
use crate::shop::{Shop, at, named};

/// All that follow from facts alone.
const NAMES: [ReportName; 7] = [
    ReportName::Deadlines,
    ReportName::Overdue,
    ReportName::Upcoming,
    ReportName::Claims,
    ReportName::Compliance,
    ReportName::Refunds,
    ReportName::Exceptions,
];

fn config() -> ProptestConfig {
    let is_full = std::env::var_os("WARRANTYD_FULL").is_some();
    ProptestConfig {
        cases: if is_full { 64 } else { 6 },
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A row with a value for one of its facts: the kind of row, which of them,
/// which fact, which value. Where the row is not there yet, it is entered.
type Change = (usize, usize, usize, usize);

/// The required facts of the rows; row `n` hangs on row `n`, and a unit on the
/// order before, so that an order may have none or two.
fn required(entity: Entity, n: usize) -> Vec<String> {
    match entity {
        Entity::Orders => vec![
            format!("O-{n}"),
            format!("K-{}", n / 2),
            "ada@example.com".to_owned(),
            "2025-01-01".to_owned(),
            "EUR".to_owned(),
            "100.00".to_owned(),
        ],
        Entity::Units => vec![
            format!("U-{n}"),
            format!("O-{}", n.saturating_sub(1)),
            "Lamp".to_owned(),
            if n == 3 { "software" } else { "hardware" }.to_owned(),
        ],
        Entity::Claims => vec![
            format!("C-{n}"),
            format!("U-{}", n / 2),
            ["repair", "return", "refund", "exchange"][n].to_owned(),
            "2025-01-08".to_owned(),
        ],
        Entity::Waits => vec![format!("C-{n}"), "2025-01-20".to_owned()],
    }
}

/// Values that a fact may have.
fn values(field: &Field) -> [&'static str; 3] {
    match (field.name, field.fact_type) {
        ("serial" | "reported_serial", _) => ["S-0", "s-1", "null"],
        ("replaces_unit_ref", _) => ["U-0", "U-1", "null"],
        ("policy", _) => ["standard", "null", "standard"],
        ("placed_at", _) => ["2024-12-30", "2025-01-03", "2025-01-01"],
        ("opened_at", _) => ["2025-01-07", "2025-01-28", "2025-01-08"],
        (_, FactType::Time) => ["2025-01-12", "2025-02-03 10:00", "null"],
        (_, FactType::Ref) => ["K-0", "K-1", "K-7"],
        (_, FactType::Text) => ["vi", "en", "null"],
        (_, FactType::Email) => ["tech@example.com", "other@example.com", "null"],
        (_, FactType::Money) => ["55.00", "9.00", "0.00"],
        (_, FactType::Currency) => ["USD", "KWD", "EUR"],
        (_, FactType::Flag) => ["true", "false", "true"],
        (_, FactType::Kind) => ["hardware", "software", "hardware"],
        (_, FactType::ClaimType) => ["repair", "refund", "return"],
        (_, FactType::Findings) => ["seal_broken", "box_damaged", "null"],
    }
}

/// The file of a change.
fn file_of((kind, n, fact, value): Change) -> (String, String) {
    let entity = [Entity::Orders, Entity::Units, Entity::Claims, Entity::Waits][kind];
    let fields = entity.fields();
    let head = fields.iter().filter(|field| field.required);
    let mut cells: Vec<(&str, String)> = head
        .map(|field| field.name)
        .zip(required(entity, n))
        .collect();
    let field = &fields[fact % fields.len()];
    let value = values(field)[value].to_owned();
    // A row keeps its name and what it hangs on.
    let is_name = ["order_ref", "unit_ref", "claim_ref", "from"].contains(&field.name);
    if !is_name {
        match cells.iter_mut().find(|(name, _)| *name == field.name) {
            Some((_, cell)) => *cell = value,
            None => cells.push((field.name, value)),
        }
    }
    let (head, cells): (Vec<&str>, Vec<String>) = cells.into_iter().unzip();
    let text = format!("{}\n{}\n", head.join(","), cells.join(","));
    (format!("{entity}.csv"), text)
}

/// Takes in a batch of changes, as one import; `progress` is told of its rows
/// before they are merged.
async fn import(
    shop: &Shop,
    open: &jobs::Shop,
    now: &str,
    batch: Vec<Change>,
    progress: &mut (dyn FnMut(u64) + Send),
) {
    let named = |(n, change)| {
        let (file, text) = file_of(change);
        let name = format!("{n}-{file}");
        shop.write(&name, text);
        shop.path(&name)
    };
    let names: Vec<PathBuf> = batch.into_iter().enumerate().map(named).collect();
    let files = files(&open.config.dialects, &names, None, None).unwrap();
    import_files(open, &files, at(now), progress).await.unwrap();
}

/// A shop with a few of these rows.
async fn shop() -> Shop {
    let shop = Shop::new(REPORTS);
    let open = shop.open().await;
    let facts = [
        (0, Entity::Orders.field("delivered_at")),
        (1, Entity::Units.field("serial")),
        (2, Entity::Claims.field("received_at")),
    ];
    let rows = facts.map(|(kind, fact)| [0, 1].map(|n| (kind, n, fact.unwrap(), 0)));
    import(
        &shop,
        &open,
        "2025-01-01T00:00:00Z",
        rows.concat(),
        &mut |_| {},
    )
    .await;
    open.store.close().await;
    let claims = shop
        .rows("SELECT claim_ref FROM claims ORDER BY claim_ref")
        .await;
    assert_eq!(claims, ["C-0", "C-1"]);
    shop
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_known_gives_the_bytes_of_then(
        batches in vec(
            (vec((0..4usize, 0..4usize, 0..19usize, 0..3usize), 1..8), any::<bool>()),
            1..5,
        ),
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let shop = shop().await;
            let open = shop.open().await;
            let mut then = Vec::new();
            for (n, (batch, is_merged_late)) in batches.into_iter().enumerate() {
                let recorded_at = format!("2025-03-0{}T00:00:00Z", n + 1);
                let mut is_published = false;
                let mut progress = |_| {
                    if is_merged_late && !is_published {
                        tokio::task::block_in_place(|| runtime.block_on(publish(&open, n)));
                        is_published = true;
                    }
                };
                import(&shop, &open, &recorded_at, batch, &mut progress).await;
                then.push((recorded_at, reports(&open, None).await));
                if !is_published {
                    publish(&open, n).await;
                }
            }
            for (recorded_at, expected) in &then {
                let found = reports(&open, Some(recorded_at)).await;
                assert_eq!(&found, expected, "{recorded_at}");
            }
            for entry in fs::read_dir(shop.path("reports")).unwrap() {
                is_explained(&open, &entry.unwrap().path()).await;
            }
            open.store.close().await;
        });
    }
}

/// Publishes a day, and the first time the week and the month before it.
async fn publish(open: &jobs::Shop, n: usize) {
    let when = named(&format!("2025-03-0{}T08:00:00Z", n + 1));
    jobs::daily_report(open, when).await.unwrap();
    if n == 0 {
        for period in [Period::Week, Period::Month] {
            jobs::compliance_report(open, when, period).await.unwrap();
        }
    }
}

/// Where a published set differs, what was recorded later explains it and is
/// named.
async fn is_explained(open: &jobs::Shop, dir: &Path) {
    let verified = jobs::verify(open, dir).await.unwrap();
    let verdicts = verified.files.iter().map(|file| file.verdict);
    let differing: Vec<Verdict> = verdicts
        .filter(|verdict| *verdict != Verdict::Equal)
        .collect();
    assert_eq!(
        differing.is_empty(),
        verified.explaining.is_empty(),
        "{dir:?}: {verified:?}"
    );
    let is_later = |verdict: &Verdict| *verdict == Verdict::RecordedLater;
    assert!(differing.iter().all(is_later), "{dir:?}: {verified:?}");
}

async fn reports(open: &jobs::Shop, known_at: Option<&str>) -> Vec<String> {
    let mut all = Vec::new();
    for name in NAMES {
        let request = ReportRequest {
            name,
            at: at("2025-02-20T00:00:00Z"),
            known_at: known_at.map(at),
            from: None,
            to: None,
            days: 7,
            by: By::Started,
            format: Format::Csv(Dialect::default()),
        };
        let (out, _) = jobs::one_report(open, request, Vec::new()).await.unwrap();
        all.push(String::from_utf8(out).unwrap());
    }
    all
}

#[tokio::test]
async fn what_is_explained_is_what_was_known() {
    let shop = filled(Shop::new(REPORTS)).await;
    shop.enforce(named("2025-01-12T08:00:00Z")).await.unwrap();
    let explain = |known_at: &str| {
        let args = ["explain", "C-1", "--at", "2025-02-20T00:00:00Z"];
        let output = shop.run_to(0, &[&args[..], &["--known-at", known_at]].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let then = explain("2025-03-04T00:00:00Z");
    assert!(
        then.contains(", known by Tue 2025-03-04 00:00 (UTC)"),
        "{then}"
    );
    assert!(then.contains("in_repair"), "{then}");

    let repaired = "claim_ref,unit_ref,type,opened_at,repaired_at\n\
         C-1,U-1,repair,2025-01-08,2025-01-12T00:00:00Z\n";
    shop.import_at(LATER, &[("claims.csv", repaired)]).await;
    shop.run_to(0, &["hold", "C-1", "--reason", "a question"]);
    shop.enforce(named("2025-03-06T08:00:00Z")).await.unwrap();
    // What became of a notice has no history.
    let again = explain("2025-03-04T00:00:00Z");
    assert_eq!(again.replace("moot", "queued"), then);
    let later = explain(LATER);
    assert!(later.contains("resolved"), "{later}");

    let args = ["explain", "C-1", "--known-at", "2024-12-01T00:00:00Z"];
    let error = shop.run_to(2, &args).stderr;
    let error = String::from_utf8(error).unwrap();
    assert!(
        error.contains("no order, unit or claim `C-1` known by then"),
        "{error}"
    );
}
