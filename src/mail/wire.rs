//! Lines to and from a mail server, each with a timeout.

use std::io;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use super::Server;
use super::answer::{Answer, Fault, cleaned};
use super::stream::{Encryption, Handshake, Stream, connect};

/// A connection to a server. Once anything went wrong on it, or somebody
/// stopped waiting in the middle, it is gone: an answer that comes late must
/// not be taken for that to a later command.
pub(super) struct Wire(Option<BufReader<Box<dyn Stream>>>);

impl Wire {
    /// Connects within `limit`, with TLS from the first byte if the setting
    /// asks for it.
    pub(super) async fn connect(
        server: &Server,
        encryption: &Encryption,
        limit: Duration,
    ) -> Result<Self, String> {
        let stream = within(limit, connect(server, encryption, limit)).await?;
        Ok(Self(Some(BufReader::new(stream))))
    }

    /// Sends a command and hears its answer, which must have one of the codes
    /// `expected`; each within `limit`.
    pub(super) async fn ask(
        &mut self,
        command: &str,
        expected: &[u16],
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let written = self.write(command.as_bytes(), limit).await;
        written.map_err(Fault::Broken)?;
        self.hear(expected, limit).await
    }

    /// Writes all bytes within `limit`. After an error the last of them is
    /// certainly not on its way, neither in the clear nor in a whole TLS record.
    pub(super) async fn write(&mut self, bytes: &[u8], limit: Duration) -> Result<(), String> {
        let mut stream = self.take()?;
        let writing = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        within(limit, writing).await?;
        self.0 = Some(stream);
        Ok(())
    }

    /// The next answer, which must have one of the codes `expected`.
    pub(super) async fn hear(
        &mut self,
        expected: &[u16],
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let mut stream = self.take().map_err(Fault::Broken)?;
        let answer = within(limit, Answer::read(&mut stream)).await;
        let judged = answer.map_err(Fault::Broken)?.expect(expected);
        if let Ok(_) | Err(Fault::Refused { .. }) = judged {
            self.0 = Some(stream);
        }
        judged
    }

    /// Whether nothing has come that was not heard, as far as is known without
    /// waiting; the end of the connection would have.
    pub(super) fn is_silent(&mut self) -> bool {
        let stream = self.0.as_mut();
        stream.is_some_and(|stream| stream.fill_buf().now_or_never().is_none())
    }

    /// Encrypts the connection within `limit`.
    pub(super) async fn encrypt(
        &mut self,
        handshake: &Handshake,
        limit: Duration,
    ) -> Result<(), String> {
        let stream = self.take()?;
        // Whoever is between us and the server could have put it there.
        if !stream.buffer().is_empty() {
            return Err("expected the TLS handshake, found more in the clear".to_owned());
        }
        let encrypted = within(limit, handshake.encrypt(stream.into_inner())).await?;
        self.0 = Some(BufReader::new(encrypted));
        Ok(())
    }

    fn take(&mut self) -> Result<BufReader<Box<dyn Stream>>, String> {
        let gone = || "the connection is closed".to_owned();
        self.0.take().ok_or_else(gone)
    }
}

async fn within<T>(
    limit: Duration,
    talk: impl Future<Output = io::Result<T>>,
) -> Result<T, String> {
    match timeout(limit, talk).await {
        Ok(result) => result.map_err(|error| cleaned(&error.to_string())),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}
