//! The session against a scripted server that fails at each phase.

use std::time::Duration;

use super::scripted_server::Act::{self, Body, Hear, Say, Stall};
use super::scripted_server::{greet, part, script, serve, take, up_to_data};
use super::{Blame, Delivery, Envelope, SmtpSettings, SmtpTransport, Timeouts, Transport};

const RAW: &[u8] = b"Subject: a\r\n\r\nHello\r\n.dot\r\n";

pub(super) fn settings(port: u16, tls: &str) -> SmtpSettings {
    SmtpSettings {
        server: match tls {
            "implicit" => format!("smtps://localhost:{port}"),
            _ => format!("smtp://localhost:{port}?tls={tls}"),
        }
        .parse()
        .unwrap(),
        login: None,
        ca_file: None,
        hello: "shop.example".into(),
        timeouts: Timeouts::default(),
    }
}

pub(super) fn transport(settings: SmtpSettings) -> Transport {
    Transport::Smtp(Box::new(SmtpTransport::new(settings).unwrap()))
}

pub(super) async fn send(transport: &mut Transport) -> Delivery {
    let envelope = Envelope {
        from: "service@shop.example".into(),
        to: "ana@customer.example".into(),
    };
    transport.send(&envelope, RAW, "m-1").await
}

pub(super) fn delivered() -> Delivery {
    Delivery::Delivered {
        answer: "250 2.0.0 queued as 7".into(),
    }
}

/// One message to a server that plays `acts` after its greeting.
async fn one(acts: Vec<Act>) -> Delivery {
    one_with(acts, Timeouts::default()).await
}

async fn one_with(acts: Vec<Act>, timeouts: Timeouts) -> Delivery {
    let (port, server) = serve(vec![script([greet(), acts])]).await;
    let mut transport = transport(SmtpSettings {
        timeouts,
        ..settings(port, "off")
    });
    let delivery = send(&mut transport).await;
    drop(transport);
    server.await.unwrap();
    delivery
}

/// The answer to the command at `refused` (0 MAIL, 1 RCPT, 2 DATA, 3 the
/// message), then what must follow it.
fn refuse(refused: usize, answer: &'static str, then: Vec<Act>) -> Vec<Act> {
    let mut acts = script([up_to_data(), vec![Body]]);
    acts.truncate(2 * refused + 1);
    acts.push(Say(answer));
    acts.extend(then);
    acts
}

fn reset() -> Vec<Act> {
    vec![Hear("RSET"), Say("250 ok")]
}

#[tokio::test]
async fn messages_share_a_connection() {
    let (port, server) = serve(vec![script([greet(), take(), take(), part()])]).await;
    let mut transport = transport(settings(port, "off"));
    for _ in 0..2 {
        assert_eq!(send(&mut transport).await, delivered());
    }
    transport.close().await;
    let sent = "Subject: a\r\n\r\nHello\r\n..dot\r\n.\r\n";
    assert_eq!(server.await.unwrap(), [sent, sent]);
}

#[tokio::test]
async fn a_refusal_is_the_message_s_and_the_session_goes_on() {
    for (at, answer, after) in [
        (0, "451 4.7.1 later", reset as fn() -> Vec<Act>),
        (1, "450 4.2.1 busy", reset),
        (1, "550 5.1.1 <ana@customer.example>: unknown", reset),
        (2, "451 4.3.0 later", reset),
        (2, "554 5.5.1 no", reset),
        (3, "452 4.3.1 full", Vec::new),
        (3, "552 5.3.4 too big", Vec::new),
    ] {
        let acts = script([greet(), refuse(at, answer, after()), take(), part()]);
        let (port, server) = serve(vec![acts]).await;
        let mut transport = transport(settings(port, "off"));
        let shown = answer.replace("<ana@customer.example>:", "<address>");
        let expected = match answer.as_bytes() {
            [b'4', ..] => Delivery::RefusedForNow { answer: shown },
            _ => Delivery::RefusedForGood { answer: shown },
        };
        assert_eq!(send(&mut transport).await, expected, "{at} {answer}");
        assert_eq!(send(&mut transport).await, delivered(), "{at} {answer}");
        transport.close().await;
        assert!(server.await.unwrap().last().unwrap().contains("Hello"));
    }
}

#[tokio::test]
async fn what_every_message_would_meet_is_the_transport_s_fault() {
    // A server that closes after the sender was taken may do so for this very
    // message: the next one shall have its turn.
    for (at, answer, expected) in [
        (0, "550 5.7.1 sender", Blame::Us),
        (0, "421 4.3.2 down", Blame::Transport),
        (1, "421 4.3.2 down", Blame::Message),
        (2, "421 4.3.2 down", Blame::Message),
        (3, "421 4.3.2 down", Blame::Message),
    ] {
        let after = if at == 0 && answer.starts_with('5') {
            reset()
        } else {
            vec![]
        };
        let delivery = one(refuse(at, answer, after)).await;
        let Delivery::NotSent { cause, blame } = &delivery else {
            panic!("{at} {answer}: {delivery:?}")
        };
        assert_eq!(*blame, expected, "{at} {answer}");
        assert!(cause.contains(answer), "{cause}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_dot_sent_nothing() {
    // At MAIL it is the transport's fault; later it may be the message's.
    for (at, expected) in [
        (0, Blame::Transport),
        (1, Blame::Message),
        (2, Blame::Message),
    ] {
        let mut acts = up_to_data();
        acts.truncate(2 * at + 1);
        let delivery = one(acts).await;
        let Delivery::NotSent { blame, .. } = delivery else {
            panic!("{delivery:?}")
        };
        assert_eq!(blame, expected, "{at}");
    }
}

#[tokio::test]
async fn no_answer_after_the_dot_is_uncertain() {
    let closed = script([up_to_data(), vec![Body]]);
    let garbage = script([up_to_data(), vec![Body, Say("queued, thank you")]]);
    let out_of_step = script([up_to_data(), vec![Body, Say("354 go on")]]);
    for acts in [closed, garbage, out_of_step] {
        let delivery = one(acts).await;
        let Delivery::Uncertain { cause } = &delivery else {
            panic!("{delivery:?}")
        };
        assert!(cause.starts_with("after the final dot: "), "{cause}");
    }
}

#[tokio::test]
async fn a_recipient_whose_mail_is_forwarded_is_taken() {
    let forwarded = vec![
        Say("251 will forward"),
        Hear("DATA"),
        Say("354 go on"),
        Body,
    ];
    let mut acts = up_to_data();
    acts.truncate(3);
    acts.extend(script([forwarded, vec![Say("250 2.0.0 queued as 7")]]));
    assert_eq!(one(acts).await, delivered());
}

#[tokio::test]
async fn an_answer_out_of_step_ends_the_connection() {
    let odd = script([greet(), vec![Hear("MAIL"), Say("354 go on")]]);
    let (port, server) = serve(vec![odd, script([greet(), take(), part()])]).await;
    let mut transport = transport(settings(port, "off"));
    let delivery = send(&mut transport).await;
    let Delivery::NotSent {
        cause,
        blame: Blame::Transport,
    } = delivery
    else {
        panic!("{delivery:?}")
    };
    assert_eq!(cause, "expected the answer 250, found 354 go on");
    assert_eq!(send(&mut transport).await, delivered());
    transport.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_kept_connection_that_died_is_replaced() {
    let timed_out = script([greet(), take(), vec![Hear("MAIL"), Say("421 4.4.2 idle")]]);
    let vanished = script([greet(), take()]);
    for first in [timed_out, vanished] {
        let (port, server) = serve(vec![first, script([greet(), take(), part()])]).await;
        let mut transport = transport(settings(port, "off"));
        for _ in 0..2 {
            assert_eq!(send(&mut transport).await, delivered());
        }
        transport.close().await;
        assert_eq!(server.await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn what_is_said_before_the_final_dot_is_no_answer_to_it() {
    for (said, expected) in [
        ("354 go on\r\n250 ok", None),
        ("354 go on\r\n354 go on", None),
        ("354 go on\r\n552 5.3.4 too big", Some(true)),
        ("354 go on\r\n452 4.3.1 full", Some(false)),
    ] {
        let delivery = one(refuse(2, said, vec![Stall])).await;
        let found = match delivery {
            Delivery::NotSent { cause, .. } => {
                assert!(cause.starts_with("expected nothing yet, found "), "{cause}");
                None
            }
            Delivery::RefusedForGood { .. } => Some(true),
            Delivery::RefusedForNow { .. } => Some(false),
            other => panic!("{said}: {other:?}"),
        };
        assert_eq!(found, expected, "{said}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_in_the_middle_of_a_message_is_heard() {
    // It reads a part of it, says why it reads no more, and waits.
    let (left, leave) = tokio::sync::oneshot::channel::<()>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        let greeting = b"220 a\r\n250 a\r\n250 ok\r\n250 ok\r\n354 go on\r\n";
        stream.write_all(greeting).await.unwrap();
        let mut part = vec![0; 1 << 20];
        stream.read_exact(&mut part).await.unwrap();
        stream.write_all(b"552 5.3.4 too big\r\n").await.unwrap();
        // What is on its way is read, so that more of it is.
        let mut rest = Vec::new();
        let _gone = stream.read_to_end(&mut rest).await;
        leave.await.unwrap();
        rest.len()
    });
    let mut transport = transport(settings(port, "off"));
    let envelope = Envelope {
        from: "a@shop.example".into(),
        to: "b@customer.example".into(),
    };
    let raw = vec![b'a'; 256 << 20];
    let delivery = transport.send(&envelope, &raw, "m-1").await;
    left.send(()).unwrap();
    let answer = "552 5.3.4 too big".to_owned();
    assert_eq!(delivery, Delivery::RefusedForGood { answer });
    assert!(server.await.unwrap() < raw.len() / 2);
}

#[tokio::test]
async fn an_answer_too_many_is_not_that_to_the_next_message() {
    let twice = script([up_to_data(), vec![Body]]);
    let twice = script([
        greet(),
        twice,
        vec![Say("250 2.0.0 queued as 7\r\n250 ok"), Stall],
    ]);
    let (port, server) = serve(vec![twice, script([greet(), take(), part()])]).await;
    let mut transport = transport(settings(port, "off"));
    for _ in 0..2 {
        assert_eq!(send(&mut transport).await, delivered());
    }
    transport.close().await;
    assert_eq!(server.await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_that_wants_a_login_first_condemns_no_message() {
    for at in 0..4 {
        let answer = "530 5.7.0 log in first";
        let delivery = one(refuse(at, answer, vec![Stall])).await;
        let cause = answer.to_owned();
        let blame = if at == 0 { Blame::Us } else { Blame::Message };
        assert_eq!(delivery, Delivery::NotSent { cause, blame }, "{at}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_is_left() {
    let short = Duration::from_millis(50);
    let command = Timeouts {
        command: short,
        ..Timeouts::default()
    };
    let delivery = one_with(vec![Hear("MAIL"), Stall], command).await;
    let cause = "no answer within 50ms".to_owned();
    assert_eq!(
        delivery,
        Delivery::NotSent {
            cause,
            blame: Blame::Transport
        }
    );

    let answer = Timeouts {
        data: short,
        answer: short,
        ..Timeouts::default()
    };
    let delivery = one_with(script([up_to_data(), vec![Body, Stall]]), answer).await;
    let cause = "after the final dot: no answer within 50ms".to_owned();
    assert_eq!(delivery, Delivery::Uncertain { cause });

    let hello = Timeouts {
        hello: short,
        ..Timeouts::default()
    };
    let (port, _server) = serve(vec![vec![Stall]]).await;
    let mut transport = transport(SmtpSettings {
        timeouts: hello,
        ..settings(port, "off")
    });
    let delivery = send(&mut transport).await;
    let cause = format!("greeting of localhost:{port}: no answer within 50ms");
    assert_eq!(
        delivery,
        Delivery::NotSent {
            cause,
            blame: Blame::Transport
        }
    );
}

#[tokio::test]
async fn a_message_that_stalls_before_the_dot_was_not_sent() {
    let data = Timeouts {
        data: Duration::from_millis(50),
        ..Timeouts::default()
    };
    // The server asks for the message and reads none of it.
    let (hold, held) = tokio::sync::oneshot::channel::<()>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"220 a\r\n250 a\r\n250 ok\r\n250 ok\r\n354 go on\r\n")
            .await
            .unwrap();
        held.await.unwrap();
    });
    let mut transport = transport(SmtpSettings {
        timeouts: data,
        ..settings(port, "off")
    });
    let envelope = Envelope {
        from: "a@shop.example".into(),
        to: "b@customer.example".into(),
    };
    let delivery = transport
        .send(&envelope, &vec![b'a'; 64 << 20], "m-1")
        .await;
    hold.send(()).unwrap();
    server.await.unwrap();
    let cause = "in the message: no answer within 50ms".to_owned();
    assert_eq!(
        delivery,
        Delivery::NotSent {
            cause,
            blame: Blame::Message
        }
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_the_transport_s_fault() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let delivery = send(&mut transport(settings(port, "off"))).await;
    let Delivery::NotSent {
        cause,
        blame: Blame::Transport,
    } = delivery
    else {
        panic!("{delivery:?}")
    };
    assert!(
        cause.starts_with(&format!("connect to localhost:{port}: ")),
        "{cause}"
    );
}

#[tokio::test]
async fn a_recipient_that_cannot_exist_meets_no_server() {
    let mut transport = transport(settings(1, "off"));
    let envelope = Envelope {
        from: "a@shop.example".into(),
        to: "b@customer.Invalid".into(),
    };
    let delivery = transport.send(&envelope, RAW, "m-1").await;
    assert!(
        matches!(delivery, Delivery::RefusedForGood { .. }),
        "{delivery:?}"
    );
}
