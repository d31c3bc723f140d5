//! What ops and the lead are told of, from made-up values.

use super::super::notice::Addressee;
use super::super::trouble::{AddressGone, EndedAlarm, LastingAlarm, Trouble};
use super::{LAST_DAY, Sample, ToShop};

/// A letter of each kind, and those that have more than one way to be written.
pub(super) fn troubles() -> impl Iterator<Item = Sample> {
    let clock = Trouble::Clock {
        reason: "the clock went from 2026-06-20 10:00 to 2026-06-30 10:00".to_owned(),
    };
    let restored = Trouble::Restored {
        at: "2026-06-30 10:00:00 CEST".to_owned(),
        backup_at: "2026-06-29 03:00:00 CEST".to_owned(),
    };
    let surge = Trouble::Surge {
        limit: 500,
        held: 1_204,
    };
    let paused = Trouble::Paused {
        since: "2026-06-30 10:00 CEST".to_owned(),
        until: "2026-06-30 11:20 CEST".to_owned(),
        cause: "login: 535 5.7.8 authentication failed".to_owned(),
    };
    let [all, over] = alarms();
    let [customer, unknown, inside] = gone();
    let told = [
        ("jumped", clock),
        ("none", Trouble::Feed),
        ("held", restored),
        ("held", surge),
        ("over", paused),
        ("lasting", all),
        ("over", over),
        ("customer", customer),
        ("bare", unknown),
        ("inside", inside),
    ];
    told.into_iter().map(|(variant, trouble)| Sample {
        letter: trouble.letter_name(),
        variant: variant.to_owned(),
        addressee: Addressee::Inside,
        today: LAST_DAY,
        notices: Vec::new(),
        to_shop: Some(ToShop::Trouble(trouble)),
    })
}

/// Alarms that last beside one that is over, and that one alone.
fn alarms() -> [Trouble; 2] {
    let alarm = |name: &str, detail: &str| LastingAlarm {
        name: name.to_owned(),
        detail: detail.to_owned(),
        since: "2026-06-30 09:30".to_owned(),
    };
    let lasting = vec![
        alarm(
            "enforce fails",
            "Since 2026-06-30 09:15: the database is full. `warrantyd status` shows whether it \
             still does.",
        ),
        alarm(
            "the disk of /var/lib/warrantyd/reports-of-the-whole-shop is nearly full",
            "80 MB of 20000 MB are free.",
        ),
    ];
    let over = vec![EndedAlarm {
        name: "mail inside the shop waits".to_owned(),
        ended_at: "2026-06-30 09:10".to_owned(),
    }];
    let ended = Trouble::Alarms {
        lasting: Vec::new(),
        over: over.clone(),
    };
    [Trouble::Alarms { lasting, over }, ended]
}

/// A customer's address, one of whom nothing is known, and one of the shop.
fn gone() -> [Trouble; 3] {
    let customer = AddressGone {
        id: 17,
        status: Some("5.1.1".to_owned()),
        customer_ref: Some("K-7".to_owned()),
        address: None,
        told: vec![
            ("claim".to_owned(), "C-17".to_owned()),
            ("unit".to_owned(), "U-9".to_owned()),
        ],
        message_subject: "2 matters: C-17, U-9".to_owned(),
    };
    let unknown = AddressGone {
        status: None,
        customer_ref: None,
        told: Vec::new(),
        ..customer.clone()
    };
    let inside = AddressGone {
        address: Some("tech@shop.example".to_owned()),
        ..customer.clone()
    };
    [customer, unknown, inside].map(Trouble::AddressGone)
}
