//! A mail server for tests: on loopback, it plays a script to each connection.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Barrier, Notify};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One act of the script.
pub(super) enum Act {
    /// Sends this and CRLF.
    Say(&'static str),
    /// The same, a byte at a time.
    Stammer(&'static str),
    /// Reads a line, which must begin so; nothing may come after it before
    /// something is said.
    Hear(&'static str),
    /// Reads lines that come together and must begin so; nothing may come
    /// after them before something is said.
    HearGroup(&'static [&'static str]),
    /// Reads a message up to the final dot.
    Body,
    /// Waits until as many servers have come here as it was made for.
    Meet(Arc<Barrier>),
    /// Reads nothing until it is told to go on.
    Wait(Arc<Notify>),
    /// Sends this and CRLF, whether or not anybody is there any more.
    SayLate(&'static str),
    /// Encrypts the connection.
    Encrypt(Arc<ServerConfig>),
    /// Says nothing until the client goes away, which must say nothing more.
    Stall,
}
use Act::{Body, Hear, HearGroup, Say};

/// Greets without any extension.
pub(super) fn greet() -> Vec<Act> {
    vec![
        Say("220 mail.example"),
        Hear("EHLO shop.example"),
        Say("250 mail.example"),
    ]
}

/// Greets and offers to take commands in groups.
pub(super) fn greet_for_groups() -> Vec<Act> {
    vec![
        Say("220 mail.example"),
        Hear("EHLO shop.example"),
        Say("250-mail.example\r\n250-SIZE 10240000\r\n250 Pipelining"),
    ]
}

/// Hears all that comes before the message at once.
pub(super) fn group() -> Act {
    HearGroup(&[
        "MAIL FROM:<service@shop.example>\r\n",
        "RCPT TO:<ana@customer.example>\r\n",
        "DATA\r\n",
    ])
}

/// Takes the sender and the recipient, and asks for the message.
pub(super) fn up_to_data() -> Vec<Act> {
    vec![
        Hear("MAIL FROM:<service@shop.example>"),
        Say("250 ok"),
        Hear("RCPT TO:<ana@"),
        Say("250 ok"),
        Hear("DATA"),
        Say("354 go on"),
    ]
}

/// Takes a whole message.
pub(super) fn take() -> Vec<Act> {
    let mut acts = up_to_data();
    acts.extend([Body, Say("250 2.0.0 queued as 7")]);
    acts
}

/// Hears QUIT.
pub(super) fn part() -> Vec<Act> {
    vec![Hear("QUIT"), Say("221 bye")]
}

/// Plays one script to each connection, in order, then closes it. The handle
/// gives the bodies that were taken, and panics where a script was not kept to.
pub(super) async fn serve(scripts: Vec<Vec<Act>>) -> (u16, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut plays = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            plays.push(tokio::spawn(play(stream, script)));
        }
        let mut bodies = Vec::new();
        for played in plays {
            bodies.extend(played.await.unwrap());
        }
        bodies
    });
    (port, server)
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

async fn play(stream: TcpStream, script: Vec<Act>) -> Vec<String> {
    let mut stream: Box<dyn Duplex> = Box::new(stream);
    let mut bodies = Vec::new();
    for act in script {
        match act {
            Say(line) => stream
                .write_all(format!("{line}\r\n").as_bytes())
                .await
                .unwrap(),
            Act::Stammer(line) => {
                for byte in format!("{line}\r\n").bytes() {
                    stream.write_all(&[byte]).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
            Hear(start) => hear(&mut stream, &[start]).await,
            HearGroup(starts) => hear(&mut stream, starts).await,
            Body => bodies.push(read_body(&mut stream).await),
            Act::Meet(barrier) => {
                barrier.wait().await;
            }
            Act::Wait(told) => told.notified().await,
            Act::SayLate(line) => {
                let _late = stream.write_all(format!("{line}\r\n").as_bytes()).await;
            }
            Act::Encrypt(config) => {
                match TlsAcceptor::from(config).accept(stream).await {
                    Ok(encrypted) => stream = Box::new(encrypted),
                    // The client does not trust us.
                    Err(_) => return bodies,
                }
            }
            Act::Stall => {
                let mut more = Vec::new();
                let _gone = stream.read_to_end(&mut more).await;
                let more = String::from_utf8_lossy(&more);
                assert!(more.is_empty(), "expected nothing more, heard {more:?}");
            }
        }
    }
    let _closed = stream.shutdown().await;
    bodies
}

async fn hear(stream: &mut Box<dyn Duplex>, starts: &[&str]) {
    let heard = read_to(stream, |text| text.matches("\r\n").count() >= starts.len()).await;
    let lines: Vec<&str> = heard.split_inclusive("\r\n").collect();
    let is_as_expected = lines.len() == starts.len()
        && lines
            .iter()
            .zip(starts)
            .all(|(line, start)| line.starts_with(start));
    assert!(is_as_expected, "expected {starts:?}, heard {lines:?}");
}

/// Reads up to the final dot, and not a byte more.
async fn read_body(stream: &mut Box<dyn Duplex>) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n.\r\n") {
        read.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(read).unwrap()
}

/// Reads whatever is there until it is enough.
async fn read_to(stream: &mut Box<dyn Duplex>, is_enough: impl Fn(&str) -> bool) -> String {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if is_enough(&text) {
            return text;
        }
        match stream.read_buf(&mut read).await {
            Ok(0) => panic!("the client is gone after {text:?}"),
            Ok(_) => {}
            Err(error) => panic!("{error} after {text:?}"),
        }
    }
}

/// The parts of a script, one after the other.
pub(super) fn script(parts: impl IntoIterator<Item = Vec<Act>>) -> Vec<Act> {
    parts.into_iter().flatten().collect()
}
