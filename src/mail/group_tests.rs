//! Commands in groups (PIPELINING, RFC 2920) against a scripted server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;

use super::scripted_server::Act::{self, Body, Hear, Meet, Say, Stall, Stammer};
use super::scripted_server::{greet_for_groups, group, part, script, serve};
use super::session_tests::{delivered, send, settings, transport};
use super::{Blame, Delivery, SmtpSettings, Timeouts};

const LEAVE: &str = "250 ok\r\n250 ok\r\n354 go on";
const QUEUED: &str = "250 2.0.0 queued as 7";

/// Takes a whole message.
fn take_group() -> Vec<Act> {
    vec![group(), Say(LEAVE), Body, Say(QUEUED)]
}

fn reset() -> Vec<Act> {
    vec![Hear("RSET\r\n"), Say("250 ok")]
}

fn for_good(answer: &str) -> Delivery {
    Delivery::RefusedForGood {
        answer: answer.into(),
    }
}

fn for_now(answer: &str) -> Delivery {
    Delivery::RefusedForNow {
        answer: answer.into(),
    }
}

fn not_sent(cause: &str, blame: Blame) -> Delivery {
    Delivery::NotSent {
        cause: cause.into(),
        blame,
    }
}

/// A message to a server that plays `acts` after its greeting, then another to
/// one that takes it: on the same connection, or on one more.
async fn two(acts: Vec<Act>, on_one_more: bool) -> Delivery {
    let end = script([take_group(), part()]);
    let scripts = if on_one_more {
        let first = script([greet_for_groups(), acts]);
        vec![first, script([greet_for_groups(), end])]
    } else {
        vec![script([greet_for_groups(), acts, end])]
    };
    let (port, server) = serve(scripts).await;
    let mut transport = transport(SmtpSettings {
        timeouts: Timeouts {
            command: Duration::from_secs(5),
            ..Timeouts::default()
        },
        ..settings(port, "off")
    });
    let delivery = send(&mut transport).await;
    assert_eq!(send(&mut transport).await, delivered());
    transport.close().await;
    server.await.unwrap();
    delivery
}

#[tokio::test]
async fn what_comes_before_a_message_is_one_group() {
    let apart = vec![group(), Say("250 ok"), Say("250 ok"), Say("354 go on")];
    let apart = script([apart, vec![Body, Say(QUEUED)]]);
    let slowly = vec![group(), Stammer(LEAVE), Body, Stammer(QUEUED)];
    let several_lines = "250-ok\r\n250 2.1.0 ok\r\n251-2.1.5 will\r\n251 forward\r\n354 go on";
    let several_lines = vec![group(), Say(several_lines), Body, Say(QUEUED)];
    let messages = [take_group(), apart, slowly, several_lines];
    let count = messages.len();
    let acts = script([greet_for_groups(), script(messages), part()]);
    let (port, server) = serve(vec![acts]).await;
    let mut transport = transport(settings(port, "off"));
    for _ in 0..count {
        assert_eq!(send(&mut transport).await, delivered());
    }
    transport.close().await;
    let sent = "Subject: a\r\n\r\nHello\r\n..dot\r\n.\r\n";
    assert_eq!(server.await.unwrap(), vec![sent; count]);
}

#[tokio::test]
async fn the_first_refusal_in_a_group_is_the_message_s() {
    for (answers, expected) in [
        (
            "451 4.7.1 later\r\n503 5.5.1 no sender\r\n503 5.5.1 no sender",
            for_now("451 4.7.1 later"),
        ),
        (
            "550 5.7.1 no\r\n503 5.5.1 no sender\r\n503 5.5.1 no sender",
            not_sent("the sender is refused: 550 5.7.1 no", Blame::Us),
        ),
        (
            "250 ok\r\n550 5.1.1 unknown\r\n503 5.5.1 no recipient",
            for_good("550 5.1.1 unknown"),
        ),
        (
            "250 ok\r\n450 4.2.1 busy\r\n554 5.5.1 no recipient",
            for_now("450 4.2.1 busy"),
        ),
        (
            "250 ok\r\n250 ok\r\n451 4.3.0 later",
            for_now("451 4.3.0 later"),
        ),
        ("250 ok\r\n250 ok\r\n554 5.5.1 no", for_good("554 5.5.1 no")),
    ] {
        let acts = script([vec![group(), Say(answers)], reset()]);
        assert_eq!(two(acts, false).await, expected, "{answers:?}");
    }
}

#[tokio::test]
async fn a_message_without_a_recipient_is_ended_by_a_lone_dot() {
    let answers = "250 ok\r\n550 5.1.1 unknown\r\n354 go on";
    for ended in ["554 5.5.1 no recipient", "250 ok", "451 4.3.0 later"] {
        let acts = vec![group(), Say(answers), Hear(".\r\n"), Say(ended)];
        let acts = script([acts, reset()]);
        assert_eq!(two(acts, false).await, for_good("550 5.1.1 unknown"));
    }
    let sender = "451 4.7.1 later\r\n250 ok\r\n354 go on";
    let acts = vec![group(), Say(sender), Hear(".\r\n"), Say("554 no")];
    let acts = script([acts, reset()]);
    assert_eq!(two(acts, false).await, for_now("451 4.7.1 later"));
    // Whatever becomes of the connection, the recipient was refused.
    for ended in [vec![], vec![Say("421 4.3.2 down")], vec![Say("what?")]] {
        let acts = vec![group(), Say(answers), Hear(".\r\n")];
        let delivery = two(script([acts, ended]), true).await;
        assert_eq!(delivery, for_good("550 5.1.1 unknown"));
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_is_not_taken_for_another() {
    let answers = "250 ok\r\n550 5.1.1 unknown\r\n354 go on";
    let acts = vec![group(), Say(answers), Hear(".\r\n"), Stall];
    let (port, server) = serve(vec![
        script([greet_for_groups(), acts]),
        script([greet_for_groups(), take_group()]),
    ])
    .await;
    let mut transport = transport(SmtpSettings {
        timeouts: Timeouts {
            command: Duration::from_millis(50),
            ..Timeouts::default()
        },
        ..settings(port, "off")
    });
    let delivery = send(&mut transport).await;
    assert_eq!(delivery, for_good("550 5.1.1 unknown"));
    assert_eq!(send(&mut transport).await, delivered());
    drop(transport);
    server.await.unwrap();
}

#[tokio::test]
async fn a_server_that_closes_in_a_group_has_no_message() {
    let closed = "the server closed the connection";
    let down = "421 4.3.2 down";
    for (answers, expected) in [
        (None, not_sent(closed, Blame::Transport)),
        (Some("250 ok"), not_sent(closed, Blame::Message)),
        (Some("250 ok\r\n250 ok"), not_sent(closed, Blame::Message)),
        (Some("550 5.7.1 no"), {
            not_sent("the sender is refused: 550 5.7.1 no", Blame::Us)
        }),
        (Some("250 ok\r\n550 5.1.1 no"), for_good("550 5.1.1 no")),
        (Some("421 4.3.2 down"), not_sent(down, Blame::Transport)),
        (
            Some("250 ok\r\n421 4.3.2 down"),
            not_sent(down, Blame::Message),
        ),
        (
            Some("250 ok\r\n250 ok\r\n421 4.3.2 down"),
            not_sent(down, Blame::Message),
        ),
        (
            Some("250 ok\r\n550 5.1.1 no\r\n421 4.3.2 down"),
            for_good("550 5.1.1 no"),
        ),
    ] {
        let acts = script([vec![group()], answers.map(Say).into_iter().collect()]);
        assert_eq!(two(acts, true).await, expected, "{answers:?}");
    }
}

#[tokio::test]
async fn an_answer_out_of_step_in_a_group_ends_the_connection() {
    for (answers, expected, expected_blame) in [
        (
            "354 go on\r\n250 ok\r\n250 ok",
            "250, found 354",
            Blame::Transport,
        ),
        (
            "250 ok\r\n354 go on\r\n250 ok",
            "250 or 251, found 354",
            Blame::Message,
        ),
        (
            "250 ok\r\n250 ok\r\n250 ok",
            "354, found 250",
            Blame::Message,
        ),
    ] {
        let delivery = two(vec![group(), Say(answers)], true).await;
        let Delivery::NotSent { cause, blame } = &delivery else {
            panic!("{answers:?}: {delivery:?}")
        };
        assert!(cause.contains(expected), "{cause}");
        assert_eq!(*blame, expected_blame, "{answers:?}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    for last in [vec![], vec![group()], vec![group(), Say("421 4.4.2 idle")]] {
        let first = script([take_group(), last]);
        assert_eq!(two(first, true).await, delivered());
    }
}

#[tokio::test]
async fn two_connections_are_used_at_the_same_time() {
    let both = Arc::new(Barrier::new(2));
    let acts = || {
        let taken = vec![Meet(both.clone()), Say(LEAVE), Body, Say(QUEUED)];
        script([greet_for_groups(), vec![group()], taken, part()])
    };
    let (port, server) = serve(vec![acts(), acts()]).await;
    let one = transport(settings(port, "off"));
    let other = one.another();
    let sending = [one, other].map(|mut transport| {
        tokio::spawn(async move {
            let delivery = send(&mut transport).await;
            transport.close().await;
            delivery
        })
    });
    for sent in sending {
        assert_eq!(sent.await.unwrap(), delivered());
    }
    assert_eq!(server.await.unwrap().len(), 2);
}
