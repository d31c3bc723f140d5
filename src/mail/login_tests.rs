//! Encryption and login against a scripted server.

use std::io::Write;
use std::sync::Arc;

use rustls::ServerConfig;

use super::scripted_server::Act::{self, Encrypt, Hear, Say, Stall};
use super::scripted_server::{part, script, serve, take};
use super::session_tests::{delivered, send, settings, transport};
use super::{Blame, Delivery, Login, SmtpSettings, SmtpTransport};

pub(super) fn login() -> Option<Login> {
    Some(Login {
        username: "shop".into(),
        password: "secret".into(),
    })
}

pub(super) fn greet_with(extensions: &'static str) -> Vec<Act> {
    vec![Say("220 mail.example"), Hear("EHLO"), Say(extensions)]
}

pub(super) fn log_in(answer: &'static str) -> Vec<Act> {
    // Base64 of NUL shop NUL secret.
    vec![Hear("AUTH PLAIN AHNob3AAc2VjcmV0\r\n"), Say(answer)]
}

pub(super) const OFFERS_TLS: &str = "250-mail.example\r\n250 STARTTLS";
pub(super) const OFFERS_LOGIN: &str = "250-mail.example\r\n250 AUTH LOGIN PLAIN";

/// A certificate for localhost: the server's side and the file to trust it by.
pub(super) fn certificate() -> (Arc<ServerConfig>, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let mut ca_file = tempfile::NamedTempFile::new().unwrap();
    ca_file.write_all(made.cert.pem().as_bytes()).unwrap();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    (Arc::new(config), ca_file)
}

#[tokio::test]
async fn a_login_is_sent_over_tls() {
    for tls in ["implicit", "required", "opportunistic"] {
        let (config, ca_file) = certificate();
        let before = match tls {
            "implicit" => script([vec![Encrypt(config)], greet_with(OFFERS_LOGIN)]),
            _ => script([
                greet_with(OFFERS_TLS),
                vec![Hear("STARTTLS"), Say("220 go on"), Encrypt(config)],
                vec![Hear("EHLO"), Say(OFFERS_LOGIN)],
            ]),
        };
        let acts = script([before, log_in("235 welcome"), take(), part()]);
        let (port, server) = serve(vec![acts]).await;
        let mut transport = transport(SmtpSettings {
            login: login(),
            ca_file: Some(ca_file.path().to_owned()),
            ..settings(port, tls)
        });
        assert_eq!(send(&mut transport).await, delivered(), "{tls}");
        transport.close().await;
        server.await.unwrap();
    }
}

#[tokio::test]
async fn the_older_login_is_known() {
    let acts = script([
        greet_with("250-mail.example\r\n250 AUTH CRAM-MD5 login"),
        // Base64 of `Username:` and shop, `Password:` and secret.
        vec![Hear("AUTH LOGIN\r\n"), Say("334 VXNlcm5hbWU6")],
        vec![Hear("c2hvcA==\r\n"), Say("334 UGFzc3dvcmQ6")],
        vec![Hear("c2VjcmV0\r\n"), Say("235 welcome")],
        take(),
        part(),
    ]);
    let (port, server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        login: login(),
        ..settings(port, "off")
    });
    assert_eq!(send(&mut transport).await, delivered());
    transport.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_offered_in_the_clear_counts_no_more_after_starttls() {
    let (config, ca_file) = certificate();
    let acts = script([
        greet_with("250-mail.example\r\n250-PIPELINING\r\n250 STARTTLS"),
        vec![Hear("STARTTLS"), Say("220 go on"), Encrypt(config)],
        vec![Hear("EHLO"), Say("250 mail.example")],
        take(),
        part(),
    ]);
    let (port, server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        ca_file: Some(ca_file.path().to_owned()),
        ..settings(port, "required")
    });
    assert_eq!(send(&mut transport).await, delivered());
    transport.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn what_is_slipped_in_before_the_encryption_is_refused() {
    let (_, ca_file) = certificate();
    let injected = "220 go on\r\n250-mail.example\r\n250 AUTH PLAIN";
    let acts = script([
        greet_with(OFFERS_TLS),
        vec![Hear("STARTTLS"), Say(injected), Stall],
    ]);
    let (port, _server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        ca_file: Some(ca_file.path().to_owned()),
        ..settings(port, "required")
    });
    let problem = "expected the TLS handshake, found more in the clear";
    let cause = format!("STARTTLS at localhost:{port}: {problem}");
    let expected = Delivery::NotSent {
        cause,
        blame: Blame::Transport,
    };
    assert_eq!(send(&mut transport).await, expected);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_the_transport_s_fault() {
    for tls in ["implicit", "required", "opportunistic"] {
        let (config, _) = certificate();
        let acts = match tls {
            "implicit" => vec![Encrypt(config)],
            _ => script([
                greet_with(OFFERS_TLS),
                vec![Hear("STARTTLS"), Say("220 go on"), Encrypt(config)],
            ]),
        };
        let (port, server) = serve(vec![acts]).await;
        let delivery = send(&mut transport(settings(port, tls))).await;
        let Delivery::NotSent {
            cause,
            blame: Blame::Transport,
        } = delivery
        else {
            panic!("{tls}: {delivery:?}")
        };
        assert!(cause.contains("certificate"), "{cause}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn a_login_is_never_sent_in_the_clear_unasked() {
    for (tls, expected) in [
        ("required", "the server does not offer it"),
        ("opportunistic", "not sent without STARTTLS"),
    ] {
        let acts = script([greet_with(OFFERS_LOGIN), vec![Stall]]);
        let (port, _server) = serve(vec![acts]).await;
        let delivery = send(&mut transport(SmtpSettings {
            login: login(),
            ..settings(port, tls)
        }))
        .await;
        let Delivery::NotSent {
            cause,
            blame: Blame::Transport,
        } = delivery
        else {
            panic!("{tls}: {delivery:?}")
        };
        assert!(cause.contains(expected), "{cause}");
    }
    let acts = script([
        greet_with(OFFERS_LOGIN),
        log_in("235 welcome"),
        take(),
        part(),
    ]);
    let (port, server) = serve(vec![acts]).await;
    let mut asked = transport(SmtpSettings {
        login: login(),
        ..settings(port, "off")
    });
    assert_eq!(send(&mut asked).await, delivered());
    asked.close().await;
    server.await.unwrap();
}

#[tokio::test]
async fn a_login_that_is_refused_is_held_against_us() {
    let acts = script([greet_with(OFFERS_LOGIN), log_in("535 5.7.8 wrong password")]);
    let (port, server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        login: login(),
        ..settings(port, "off")
    });
    let delivery = send(&mut transport).await;
    server.await.unwrap();
    let cause = format!("login at localhost:{port}: 535 5.7.8 wrong password");
    assert_eq!(
        delivery,
        Delivery::NotSent {
            cause,
            blame: Blame::Us
        }
    );
}

#[tokio::test]
async fn a_server_without_a_login_we_know_is_the_transport_s_fault() {
    let acts = script([
        greet_with("250-mail.example\r\n250 AUTH CRAM-MD5"),
        vec![Stall],
    ]);
    let (port, _server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        login: login(),
        ..settings(port, "off")
    });
    let cause =
        format!("login at localhost:{port}: the server offers neither AUTH PLAIN nor AUTH LOGIN");
    assert_eq!(
        send(&mut transport).await,
        Delivery::NotSent {
            cause,
            blame: Blame::Transport
        }
    );
}

#[test]
fn a_file_of_roots_that_holds_none_is_named() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    for tls in ["implicit", "required"] {
        for file in ["missing/ca.pem".as_ref(), empty.path()] {
            let bad = SmtpSettings {
                ca_file: Some(file.to_owned()),
                ..settings(1, tls)
            };
            let error = SmtpTransport::new(bad).unwrap_err().to_string();
            let start = format!("root certificates {}: ", file.display());
            assert!(error.starts_with(&start), "{error}");
        }
    }
}

#[tokio::test]
async fn a_check_connects_and_the_connection_serves_a_message() {
    let acts = script([
        greet_with(OFFERS_LOGIN),
        log_in("235 welcome"),
        take(),
        part(),
    ]);
    let (port, server) = serve(vec![acts]).await;
    let mut transport = transport(SmtpSettings {
        login: login(),
        ..settings(port, "off")
    });
    assert_eq!(transport.check().await, Ok(()));
    assert_eq!(send(&mut transport).await, delivered());
    transport.close().await;
    server.await.unwrap();
}
