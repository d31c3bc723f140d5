//! A mail server for tests: on loopback, it plays a script to each connection.

use std::sync::Arc;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// One act of the script.
pub(super) enum Act {
    /// Sends this and CRLF.
    Say(&'static str),
    /// Reads a line, which must begin so.
    Hear(&'static str),
    /// Reads a message up to the final dot.
    Body,
    /// Encrypts the connection.
    Encrypt(Arc<ServerConfig>),
    /// Says nothing until the client goes away.
    Stall,
}
use Act::{Body, Hear, Say};

/// Greets without any extension.
pub(super) fn greet() -> Vec<Act> {
    vec![
        Say("220 mail.example"),
        Hear("EHLO shop.example"),
        Say("250 mail.example"),
    ]
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
        let mut bodies = Vec::new();
        for script in scripts {
            let (stream, _) = listener.accept().await.unwrap();
            play(stream, script, &mut bodies).await;
        }
        bodies
    });
    (port, server)
}

trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

async fn play(stream: TcpStream, script: Vec<Act>, bodies: &mut Vec<String>) {
    let mut stream: Box<dyn Duplex> = Box::new(stream);
    for act in script {
        match act {
            Say(line) => stream
                .write_all(format!("{line}\r\n").as_bytes())
                .await
                .unwrap(),
            Hear(start) => {
                let line = read_to(&mut stream, "\r\n").await;
                assert!(
                    line.starts_with(start),
                    "expected {start:?}, heard {line:?}"
                );
            }
            Body => bodies.push(read_to(&mut stream, "\r\n.\r\n").await),
            Act::Encrypt(config) => {
                match TlsAcceptor::from(config).accept(stream).await {
                    Ok(encrypted) => stream = Box::new(encrypted),
                    // The client does not trust us.
                    Err(_) => return,
                }
            }
            Act::Stall => while stream.read_u8().await.is_ok() {},
        }
    }
    let _closed = stream.shutdown().await;
}

/// Reads one byte at a time: nothing beyond `end` may be taken.
async fn read_to(stream: &mut Box<dyn Duplex>, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        match stream.read_u8().await {
            Ok(byte) => read.push(byte),
            Err(error) => panic!("{error} after {:?}", String::from_utf8_lossy(&read)),
        }
    }
    String::from_utf8(read).unwrap()
}

/// The parts of a script, one after the other.
pub(super) fn script(parts: impl IntoIterator<Item = Vec<Act>>) -> Vec<Act> {
    parts.into_iter().flatten().collect()
}
