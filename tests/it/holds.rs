//! `hold`, `unhold`, `opt-out` and `opt-in`, from the command line to the mail.

use warrantyd::case::HoldKind;
use warrantyd::jobs::{self, Holding};

use crate::shop::{
    CLAIMS, FILE_MAIL, ORDERS, Shop, UNITS, assert_same, at, named, one_unit, stderr,
};

/// A claim of a customer whose repair started at nine and is due on 11 July.
async fn repair() -> Shop {
    let shop = Shop::new(FILE_MAIL);
    let [orders, units] = one_unit("2025-01-05T10:00:00Z");
    let row = "C-1,U-1,repair,2025-06-20T09:00:00Z,,,2025-06-20T09:00:00Z,,,,\n";
    let claims = ("claims.csv", format!("{CLAIMS}{row}"));
    shop.import(&[orders, units, claims]).await;
    shop
}

async fn hold(shop: &Shop, name: &str, kind: Option<HoldKind>, until: Option<&str>) {
    let open = shop.open().await;
    let (holding, until) = (Holding { name, kind }, until.map(at));
    let now = at("2025-06-20T09:30:00Z");
    let held = jobs::hold(&open, holding, "in dispute", until, now).await;
    assert!(held.unwrap().is_some());
    open.store.close().await;
}

async fn run_at(shop: &Shop, time: &str) {
    shop.enforce(named(time)).await.unwrap();
    shop.deliver(named(time)).await.unwrap();
}

const NOTICES: &str = "SELECT step, disposition, cause FROM notices WHERE ref = 'C-1' \
     AND audience = 'customer' ORDER BY fires_at, step";

const MESSAGES: &str = "SELECT state, count(*) FROM messages GROUP BY state ORDER BY state";

#[tokio::test]
async fn a_hold_stops_what_is_queued_and_what_comes_and_lets_it_go() {
    let shop = repair().await;
    shop.enforce(named("2025-06-20T09:15:00Z")).await.unwrap();
    assert_eq!(shop.rows(NOTICES).await, ["start|queued|-"]);
    hold(&shop, "O-1", None, None).await;
    // Nobody enforces in between.
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    assert_eq!(shop.rows(NOTICES).await, ["start|held|hold"]);
    assert_eq!(shop.rows(MESSAGES).await, [""; 0]);
    run_at(&shop, "2025-07-11T10:00:00Z").await;
    let expected = ["start|superseded|-", "due|held|hold"];
    assert_eq!(shop.rows(NOTICES).await, expected);
    let open = shop.open().await;
    let holding = Holding {
        name: "O-1",
        kind: None,
    };
    let now = at("2025-07-20T09:00:00Z");
    let lifted = jobs::unhold(&open, holding, now).await.unwrap();
    assert_eq!(lifted, Some(HoldKind::Order));
    assert_eq!(jobs::unhold(&open, holding, now).await.unwrap(), None);
    open.store.close().await;
    run_at(&shop, "2025-07-20T10:00:00Z").await;
    let expected = ["start|superseded|-", "due|sent|-"];
    assert_eq!(shop.rows(NOTICES).await, expected);
    let history = "SELECT h.kind, h.ref, h.reason, b.source, e.source FROM holds AS h \
         JOIN change_sets AS b ON b.id = h.began_in JOIN change_sets AS e ON e.id = h.ended_in";
    let expected = ["order|O-1|in dispute|hold order O-1|unhold order O-1"];
    assert_eq!(shop.rows(history).await, expected);
}

#[tokio::test]
async fn a_message_that_waits_is_taken_back_by_a_hold() {
    let shop = repair().await;
    run_at(&shop, "2025-06-20T07:00:00Z").await;
    shop.enforce(named("2025-06-20T10:00:00Z")).await.unwrap();
    shop.deliver(named("2025-06-20T10:00:00Z")).await.unwrap();
    // As if the server had asked to come back later.
    shop.execute(
        "UPDATE messages SET state = 'ready', sent_at = NULL, next_try_at = composed_at; \
         UPDATE notices SET disposition = 'queued' WHERE disposition = 'sent'",
    )
    .await;
    hold(&shop, "K-1", None, Some("2025-07-01T00:00:00Z")).await;
    run_at(&shop, "2025-06-20T11:00:00Z").await;
    assert_eq!(shop.rows(NOTICES).await, ["start|held|hold"]);
    assert_eq!(shop.rows(MESSAGES).await, ["dropped|1"]);
    // It ends by itself.
    run_at(&shop, "2025-07-01T09:00:00Z").await;
    assert_eq!(shop.rows(NOTICES).await, ["start|sent|-"]);
}

#[tokio::test]
async fn what_the_server_may_have_is_not_sent_again_while_it_is_held() {
    let shop = repair().await;
    run_at(&shop, "2025-06-20T10:00:00Z").await;
    shop.execute(
        "UPDATE messages SET state = 'ready', sent_at = NULL, next_try_at = composed_at, \
                             maybe_taken = TRUE; \
         UPDATE notices SET disposition = 'queued' WHERE disposition = 'sent'",
    )
    .await;
    hold(&shop, "U-1", None, None).await;
    run_at(&shop, "2025-06-20T11:00:00Z").await;
    let state = "SELECT state, tries FROM messages";
    assert_eq!(shop.rows(state).await, ["ready|1"]);
    shop.run_to(0, &["unhold", "U-1"]);
    run_at(&shop, "2025-06-20T12:00:00Z").await;
    // The same message, byte for byte.
    assert_eq!(shop.rows(state).await, ["sent|2"]);
    assert_eq!(shop.rows(NOTICES).await, ["start|sent|-"]);
}

#[tokio::test]
async fn a_hold_that_dies_half_way_was_never_there() {
    let shop = repair().await;
    shop.enforce(named("2025-06-20T09:15:00Z")).await.unwrap();
    let before = shop.dump(&[]).await;
    shop.breaks("UPDATE", "agenda", "NEW.next_at = 0").await;
    for args in [
        &["hold", "K-1", "--reason", "in dispute"][..],
        &["opt-out", "K-1"],
    ] {
        let said = stderr(&shop.run_to(1, args));
        assert!(said.contains("died here"), "{said}");
        assert_same(&shop.dump(&[]).await, &before, args[0]);
    }
    shop.mends().await;
}

#[tokio::test]
async fn a_hold_reaches_its_own_orders_alone() {
    let shop = Shop::new(FILE_MAIL);
    let orders = "O-1,K-1,Ada,ada@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n\
                  O-2,K-1,Ada,ada@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n\
                  O-3,K-3,Cyd,cyd@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    let units = "U-1,O-1,Lamp,hardware,,\nU-2,O-2,Lamp,hardware,,\nU-3,O-3,Lamp,hardware,,\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{orders}")),
        ("units.csv", format!("{UNITS}{units}")),
    ])
    .await;
    let told = "SELECT ref, disposition FROM notices ORDER BY ref";
    for (name, expected) in [
        ("K-1", ["U-1|held", "U-2|held", "U-3|queued"]),
        ("O-2", ["U-1|queued", "U-2|held", "U-3|queued"]),
        ("U-3", ["U-1|queued", "U-2|queued", "U-3|held"]),
    ] {
        let shop = shop.copy();
        hold(&shop, name, None, None).await;
        shop.enforce(named("2025-06-05T09:00:00Z")).await.unwrap();
        assert_eq!(shop.rows(told).await, expected, "{name}");
    }
}

#[tokio::test]
async fn held_and_let_go_at_once_leaves_nothing_but_history() {
    let held = repair().await;
    held.enforce(named("2025-06-20T09:15:00Z")).await.unwrap();
    let never = held.copy();
    hold(&held, "C-1", None, None).await;
    let now = "2025-06-20T10:00:00Z";
    held.enforce(named(now)).await.unwrap();
    assert_eq!(held.rows(NOTICES).await, ["start|held|hold"]);
    held.run_to(0, &["unhold", "C-1"]);
    for shop in [&held, &never] {
        shop.enforce(named(now)).await.unwrap();
    }
    let without = ["holds", "change_sets", "job_runs"];
    let expected = never.dump(&without).await;
    assert_same(&held.dump(&without).await, &expected, "held and let go");
}

#[tokio::test]
async fn the_command_line_says_what_it_did_and_what_it_refuses() {
    let shop = repair().await;
    let out = |args: &[&str]| String::from_utf8(shop.run_to(0, args).stdout).unwrap();
    let said = out(&["hold", "C-1", "--reason", "in dispute"]);
    assert_eq!(
        said,
        "claim C-1 is held: deadlines run on, customers are not told\n"
    );
    let said = out(&["hold", "C-1", "--reason", "in dispute"]);
    assert_eq!(said, "nothing changed: C-1 is held so\n");
    // Another reason takes its place.
    out(&[
        "hold",
        "C-1",
        "--reason",
        "asked for quiet",
        "--until",
        "2199-01-01",
    ]);
    let explained = out(&["explain", "C-1"]);
    let line = explained
        .lines()
        .find(|line| line.contains("on_hold"))
        .unwrap();
    assert!(
        line.ends_with(" until 2199-01-01 00:00: asked for quiet"),
        "{line}"
    );
    let report = out(&["report", "exceptions"]);
    assert_eq!(report.matches("on_hold").count(), 1, "{report}");
    assert!(out(&["unhold", "C-1"]).starts_with("claim C-1 is not held any more"));
    assert_eq!(
        out(&["unhold", "C-1"]),
        "nothing changed: C-1 is not held\n"
    );
    assert_eq!(shop.rows("SELECT count(*) FROM holds").await, ["2"]);
    // What ended is told with its end.
    let explained = out(&["explain", "C-1"]);
    let was_held = explained.lines().filter(|line| line.contains("was held"));
    let was_held: Vec<&str> = was_held.collect();
    for (line, by, why) in [
        (0, "by `hold claim C-1`", "in dispute"),
        (1, "by `unhold claim C-1`", "asked for quiet"),
    ] {
        let line = was_held[line];
        assert!(line.starts_with("  was held: claim C-1, "), "{line}");
        assert!(line.ends_with(&format!(" {by}: {why}")), "{line}");
    }
    assert!(!explained.contains("on_hold"), "{explained}");
    let before = out(&["explain", "C-1", "--at", "2025-06-20T10:00:00Z"]);
    assert!(!before.contains("held"), "{before}");
    for (args, expected) in [
        (
            &["hold", "X", "--reason", "r"][..],
            "there is no order, unit, claim or customer `X`",
        ),
        (
            &["unhold", "X"],
            "there is no order, unit, claim or customer `X`",
        ),
        (
            &["hold", "C-1", "--kind", "unit", "--reason", "r"],
            "there is no unit `C-1`",
        ),
        (
            &["hold", "C-1", "--reason", " "],
            "--reason: found \"\", expected one line of text",
        ),
        (
            &["hold", "C-1", "--reason", "r", "--until", "2025-01-01"],
            "--until: found a time that has passed, expected one to come",
        ),
        (
            &["hold", "C-1", "--reason", "r", "--until", "soon"],
            "--until: found `soon`",
        ),
        (&["opt-out", "C-1"], "there is no customer `C-1`"),
        (
            &["opt-out", "--message", "ab12"],
            "--message: there is no message to a customer with the Message-ID `ab12@…`",
        ),
    ] {
        let said = stderr(&shop.run_to(2, args));
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    shop.run_to(2, &["opt-out"]);
    shop.run_to(2, &["opt-out", "K-1", "--message", "ab12"]);
}

#[tokio::test]
async fn a_name_of_several_things_wants_to_be_told_apart() {
    let shop = Shop::new(FILE_MAIL);
    let order = "X,X,Ada,ada@example.com,2025-01-01,2025-01-05T10:00:00Z,EUR,100.00\n";
    shop.import(&[
        ("orders.csv", format!("{ORDERS}{order}")),
        ("units.csv", format!("{UNITS}X,X,Lamp,hardware,,\n")),
    ])
    .await;
    let said = stderr(&shop.run_to(2, &["hold", "X", "--reason", "r"]));
    let expected = "`X` names several things (customer, order, unit): \
                    expected --kind customer or --kind order or --kind unit";
    assert!(said.contains(expected), "{said}");
    shop.run_to(0, &["hold", "X", "--reason", "r", "--kind", "unit"]);
    // Only one of them is held.
    shop.run_to(0, &["unhold", "X"]);
    for kind in ["unit", "order"] {
        shop.run_to(0, &["hold", "X", "--reason", "r", "--kind", kind]);
    }
    shop.run_to(2, &["unhold", "X"]);
    shop.run_to(0, &["unhold", "X", "--kind", "order"]);
    let left = "SELECT kind FROM holds WHERE ended_in IS NULL";
    assert_eq!(shop.rows(left).await, ["unit"]);
}

#[tokio::test]
async fn who_opts_out_by_a_message_gets_promises_and_no_reminders() {
    let shop = repair().await;
    run_at(&shop, "2025-06-20T10:00:00Z").await;
    let sent = "SELECT message_id FROM messages WHERE state = 'sent'";
    let header = shop.rows(sent).await.remove(0);
    let name = header.trim_matches(['<', '>']);
    let (name, _) = name.split_once('@').unwrap();
    let out = |args: &[&str]| String::from_utf8(shop.run_to(0, args).stdout).unwrap();
    let said = out(&["opt-out", "--message", name]);
    assert_eq!(said, "customer K-1 gets no reminders any more\n");
    for again in [["--message", &header].as_slice(), &["K-1"]] {
        let said = out(&[&["opt-out"], again].concat());
        assert_eq!(said, "nothing changed: customer K-1 gets no reminders\n");
    }
    assert!(out(&["explain", "O-1"]).contains("no reminders: opted out"));
    run_at(&shop, "2025-07-04T10:00:00Z").await;
    run_at(&shop, "2025-07-11T10:00:00Z").await;
    let told = "SELECT \"window\", step, disposition FROM notices \
                 WHERE audience = 'customer' AND fires_at > 1750000000000000 \
                 ORDER BY fires_at, step";
    let expected = [
        "hardware_repair|start|sent",
        "hardware_warranty|-7d|stale",
        "hardware_warranty|-1d|moot",
        "hardware_warranty|due|stale",
        "hardware_repair|due|sent",
    ];
    assert_eq!(shop.rows(told).await, expected);
    assert_eq!(
        out(&["opt-in", "K-1"]),
        "customer K-1 gets reminders again\n"
    );
    let said = out(&["opt-in", "K-1"]);
    assert_eq!(said, "nothing changed: customer K-1 gets reminders\n");
    run_at(&shop, "2025-07-11T11:00:00Z").await;
    let sent = "SELECT count(*) FROM notices WHERE disposition = 'sent'";
    let before = shop.rows(sent).await;
    run_at(&shop, "2025-07-11T12:00:00Z").await;
    assert_eq!(shop.rows(sent).await, before);
    assert_eq!(shop.rows("SELECT count(*) FROM opt_outs").await, ["1"]);
}
