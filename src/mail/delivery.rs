//! Ways out, and what came of a message.

use super::address::{can_never_exist, parse_address};
use super::file::FileTransport;
use super::session::SmtpTransport;

/// Who hands a message to whom (RFC 5321, 2.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's address: bounces go there.
    pub from: String,
    /// The recipient's address.
    pub to: String,
}

/// What came of one try to deliver a message. The texts hold no addresses.
///
#[doc = include_str!("faults.md")]
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Delivery {
    /// The server took the message over.
    Delivered {
        /// Its answer.
        answer: String,
    },
    /// The message can never be delivered: another try is of no use.
    RefusedForGood {
        /// The server's answer.
        answer: String,
    },
    /// The server asks to try this message again later.
    RefusedForNow {
        /// The server's answer.
        answer: String,
    },
    /// The server certainly does not have the message.
    NotSent {
        /// What went wrong.
        cause: String,
        /// What it is the fault of.
        blame: Blame,
    },
    /// The whole message was handed over and no answer came: the server may
    /// or may not have it.
    Uncertain {
        /// What went wrong.
        cause: String,
    },
}

/// What a message that was not sent is held against. What every message would
/// meet is not the message's: stop sending for now, and count no try of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// This message's try failed.
    Message,
    /// The transport cannot be used (connection, TLS, a server that is going
    /// down, a directory): it may be well at any time.
    Transport,
    /// The server refuses us (login, sender, or us as a client): whoever asks
    /// too often is locked out.
    Us,
}

/// A way out for messages.
#[derive(Debug)]
pub enum Transport {
    /// To a mail server.
    Smtp(Box<SmtpTransport>),
    /// Into a directory.
    File(FileTransport),
}

impl Transport {
    /// The same way out once more, for use at the same time: with a connection
    /// of its own, which is made when it is first needed.
    pub fn another(&self) -> Self {
        match self {
            Self::Smtp(smtp) => Self::Smtp(Box::new(smtp.another())),
            Self::File(file) => Self::File(file.clone()),
        }
    }

    /// Tries once to deliver `raw`, a whole message with CRLF line ends.
    /// `message_name` names the file where messages become files. A recipient
    /// below `.invalid` is refused for good by either transport.
    pub async fn send(&mut self, envelope: &Envelope, raw: &[u8], message_name: &str) -> Delivery {
        let to = match parse_address(&envelope.to) {
            Ok(to) => to,
            Err(problem) => {
                return Delivery::RefusedForGood {
                    answer: format!("recipient: {problem}"),
                };
            }
        };
        if can_never_exist(&to) {
            let answer = "recipient: the domain `.invalid` can never exist (RFC 2606, RFC 6761)";
            return Delivery::RefusedForGood {
                answer: answer.to_owned(),
            };
        }
        let from = match parse_address(&envelope.from) {
            Ok(from) => from,
            Err(problem) => {
                let cause = format!("sender: {problem}");
                return Delivery::NotSent {
                    cause,
                    blame: Blame::Transport,
                };
            }
        };
        match self {
            Self::Smtp(smtp) => smtp.send(&from, &to, raw).await,
            Self::File(file) => match file.write(message_name, raw).await {
                Ok(path) => Delivery::Delivered {
                    answer: format!("written to {}", path.display()),
                },
                Err(cause) => Delivery::NotSent {
                    cause,
                    blame: Blame::Transport,
                },
            },
        }
    }

    /// Whether messages could be sent now: connects and logs in, or writes an
    /// empty file and removes it. Says what is wrong.
    pub async fn check(&mut self) -> Result<(), String> {
        match self {
            Self::Smtp(smtp) => smtp.check().await,
            Self::File(file) => file.check(),
        }
    }

    /// Ends the connection to a server politely.
    pub async fn close(self) {
        if let Self::Smtp(smtp) = self {
            smtp.close().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(to: &str) -> Envelope {
        Envelope {
            from: "service@shop.example".into(),
            to: to.into(),
        }
    }

    #[tokio::test]
    async fn a_message_becomes_a_file() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("out/mail");
        let mut transport = Transport::File(FileTransport::new(&dir));
        for _ in 0..2 {
            let delivery = transport
                .send(&envelope("ana@a.example"), b"A: b\r\n\r\nc", "../m-1")
                .await;
            assert!(
                matches!(delivery, Delivery::Delivered { .. }),
                "{delivery:?}"
            );
        }
        let names: Vec<_> = dir
            .read_dir()
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(names, ["___m-1.eml"]);
        assert_eq!(
            std::fs::read(dir.join("___m-1.eml")).unwrap(),
            b"A: b\r\n\r\nc"
        );
        assert_eq!(transport.check().await, Ok(()));
        assert_eq!(dir.read_dir().unwrap().count(), 1);
        transport.close().await;
    }

    #[tokio::test]
    async fn a_directory_that_cannot_be_written_is_the_transport_s_fault() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut transport = Transport::File(FileTransport::new(file.path()));
        let delivery = transport
            .send(&envelope("ana@a.example"), b"x", "m-1")
            .await;
        let problem = transport.check().await.unwrap_err();
        assert!(
            problem.starts_with(&file.path().display().to_string()),
            "{problem}"
        );
        assert!(
            matches!(
                delivery,
                Delivery::NotSent {
                    blame: Blame::Transport,
                    ..
                }
            ),
            "{delivery:?}"
        );
    }

    #[tokio::test]
    async fn recipients_that_cannot_exist_are_refused_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let mut transport = Transport::File(FileTransport::new(dir.path()));
        for (to, expected) in [("ana@shop.INVALID", "RFC 2606"), ("ana", "name@domain")] {
            let delivery = transport.send(&envelope(to), b"x", "m-1").await;
            let Delivery::RefusedForGood { answer } = delivery else {
                panic!("{delivery:?}")
            };
            assert!(
                answer.contains(expected) && !answer.contains("ana@"),
                "{answer}"
            );
        }
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }
}
