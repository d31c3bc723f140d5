//! What counts as recorded later is told by the order in which sets of changes
//! became visible, whatever times they bear.

use std::fs;

use warrantyd::case::Entity;
use warrantyd::jobs::import::{files, import_files};
use warrantyd::jobs::{self, Holding};
use warrantyd::store;

use super::{
    CLAIM, LATER, REPORTS, assert_names, filled, named_changes, published, verdict, verify,
};
use crate::shop::{CLAIMS, Engine, Shop, at, named, one_unit};

const REPAIRED: &str = "claim_ref,unit_ref,type,opened_at,repaired_at\n\
     C-1,U-1,repair,2025-01-08,2025-01-12T00:00:00Z\n";
const NAMED: &str = "claims C-1: repaired_at null → 2025-01-12T00:00:00Z, recorded ";

/// Takes a repair in, as of a time; a day and a week are published after all
/// was staged, and before it is merged.
async fn import_around(shop: &Shop, recorded_at: &str, published_at: &str) {
    shop.write("repaired.csv", REPAIRED);
    let open = shop.open().await;
    let file = shop.path("repaired.csv");
    let files = files(&open.config.dialects, &[file], Some(Entity::Claims), None).unwrap();
    let mut jobs = ["report", "compliance_weekly"].into_iter();
    let mut progress = |_| {
        for job in jobs.by_ref() {
            shop.run_to(0, &["run", job, "--at", published_at]);
        }
    };
    let imported = import_files(&open, &files, at(recorded_at), &mut progress).await;
    imported.unwrap();
    open.store.close().await;
}

/// A shop with a repair under way.
async fn in_repair() -> Shop {
    let shop = Shop::new(REPORTS);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let claims = ("claims.csv", format!("{CLAIMS}{CLAIM}"));
    shop.import(&[orders, units, claims]).await;
    shop
}

#[tokio::test]
async fn an_import_that_was_merged_after_a_set_was_published_explains_it() {
    let shop = in_repair().await;
    import_around(&shop, "2025-02-03T07:00:00Z", "2025-02-03T08:00:00Z").await;
    for set in ["2025-02-03", "2025-W05"] {
        let found = verify(&shop, set, 3);
        assert_names(&found, NAMED);
        let text = fs::read_to_string(shop.path(&format!("reports/{set}/manifest.json"))).unwrap();
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(manifest["change_set"], 1, "{text}");
    }
}

/// The earlier times are those of a clock that went back, or of another node.
#[tokio::test]
async fn what_was_recorded_later_as_of_an_earlier_time_explains_a_set() {
    let shop = published().await;
    shop.import_at("2025-01-02T00:00:00Z", &[("claims.csv", REPAIRED)])
        .await;
    assert_names(&verify(&shop, "2025-03-01", 3), NAMED);

    let held = published().await;
    hold(&held, "2025-01-02T00:00:00Z").await;
    let found = verify(&held, "2025-03-01", 3);
    assert_names(&found, "hold customer K-1: begun, ");
}

async fn hold(shop: &Shop, now: &str) {
    let open = shop.open().await;
    let holding = Holding {
        name: "K-1",
        kind: None,
    };
    let held = jobs::hold(&open, holding, "a question", None, at(now)).await;
    assert!(held.unwrap().is_some());
    open.store.close().await;
}

/// A run that began before a report and went on after it.
#[tokio::test]
async fn notices_that_came_after_a_set_was_published_explain_it() {
    let shop = published().await;
    shop.enforce(named("2025-02-20T08:00:00Z")).await.unwrap();
    let found = verify(&shop, "2025-03-01", 3);
    let told = verdict(&found, "notices.csv");
    assert!(told.ends_with("recorded_later"), "{found}");
    assert!(!found.contains("not_explained"), "{found}");
}

#[tokio::test]
async fn a_hold_is_not_taken_for_what_a_change_after_it_moves() {
    let shop = published().await;
    hold(&shop, "2025-03-04T00:00:00Z").await;
    let sku = "unit_ref,order_ref,product_name,kind,sku\nU-1,O-1,Lamp,hardware,L-1\n";
    shop.import_at(LATER, &[("units.csv", sku)]).await;
    let found = verify(&shop, "2025-03-01", 3);
    assert_names(&found, "hold customer K-1: begun, ");
}

#[tokio::test]
async fn a_manifest_that_names_no_set_of_this_database_is_verified_by_its_time() {
    for named in [None, Some("\"change_set\": 2,")] {
        let shop = published().await;
        let path = "reports/2025-03-01/manifest.json";
        let text = fs::read_to_string(shop.path(path)).unwrap();
        assert!(text.contains("\"change_set\": 1,"), "{text}");
        let other = text.replace("\"change_set\": 1,", named.unwrap_or_default());
        shop.write(path, other);
        verify(&shop, "2025-03-01", 0);
        shop.import_at(LATER, &[("claims.csv", REPAIRED)]).await;
        assert_names(&verify(&shop, "2025-03-01", 3), NAMED);
    }
}

#[tokio::test]
async fn a_set_of_a_shop_without_facts_is_explained_by_the_first_of_them() {
    let shop = Shop::new(REPORTS);
    shop.run_to(0, &["run", "report", "--at", "2025-03-01T08:00:00Z"]);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    shop.import(&[orders, units]).await;
    let found = verify(&shop, "2025-03-01", 3);
    assert!(!named_changes(&found).is_empty(), "{found}");
}

#[tokio::test]
async fn what_was_known_at_a_time_is_all_up_to_the_last_set_recorded_by_then() {
    let shop = published().await;
    let claim = |field: &str, value: &str| {
        let head = "claim_ref,unit_ref,type,opened_at";
        format!("{head},{field}\nC-1,U-1,repair,2025-01-08,{value}\n")
    };
    let repaired = claim("repaired_at", "2025-01-12T00:00:00Z");
    shop.import_at(LATER, &[("claims.csv", repaired)]).await;
    let closed = claim("closed_at", "2025-01-13T00:00:00Z");
    shop.import_at("2025-02-01T00:00:00Z", &[("claims.csv", closed)])
        .await;
    let claims = |known_at: &str| {
        let args = ["report", "claims", "--at", "2025-03-06T00:00:00Z"];
        let output = shop.run_to(0, &[&args[..], &["--known-at", known_at]].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let known = ["2025-01-31T00:00:00Z", "2025-02-02T00:00:00Z", LATER].map(claims);
    assert!(known[0].contains("in_repair"), "{known:?}");
    assert!(!known[1].contains("in_repair"), "{known:?}");
    assert_eq!(known[1], known[2]);
}

#[tokio::test]
async fn sets_of_changes_become_visible_in_the_order_of_their_numbers() {
    // Whoever writes to a file of SQLite is alone.
    let shop = filled(Shop::on(Engine::Postgres, REPORTS)).await;
    let open = shop.open().await;
    let mut tx = open.store.write().await.unwrap();
    let slow = store::change_set_begin(&mut tx, "a slow one", at(LATER)).await;
    let slow = slow.unwrap();
    let commands = [
        &["hold", "K-1", "--reason", "a question"][..],
        &["record", "claim", "C-1", "repaired_at=2025-01-12T00:00:00Z"],
        &["forget", "K-1"],
        &["mail", "release"],
    ];
    let started = commands.map(|args| shop.command(args).spawn().unwrap());
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event = 'advisory'";
    shop.until(waiting, &["4"]).await;
    let newest = "SELECT max(id) FROM change_sets";
    assert_eq!(shop.rows(newest).await, [(slow - 1).to_string()]);
    tx.commit().await.unwrap();
    open.store.close().await;
    for (mut child, args) in started.into_iter().zip(commands) {
        assert!(child.wait().unwrap().success(), "{args:?}");
    }
    let later = format!("SELECT count(*) FROM change_sets WHERE id > {slow}");
    assert_eq!(shop.rows(&later).await, ["3"]);
}
