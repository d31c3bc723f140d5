//! What a mail server answers (RFC 5321, 4.2).

use std::fmt;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::Blame;
use super::text::{one_line, shorten};

/// The longest answer that is read, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// The longest text that is kept of an answer, in characters.
const TEXT_LIMIT: usize = 300;

/// One answer, of one or several lines.
pub(super) struct Answer {
    /// 200 to 599.
    pub code: u16,
    lines: Vec<String>,
}

/// Why a command did not go as it should.
pub(super) enum Fault {
    /// The server refused it; the conversation goes on.
    Refused { for_good: bool, answer: String },
    /// It wants a login or encryption first (RFC 4954, 6; RFC 3207, 4): that
    /// condemns no message.
    Barred(String),
    /// The server is closing the conversation (421).
    Closing(String),
    /// The connection is of no use any more.
    Broken(String),
}

impl Answer {
    /// Reads one answer and not a byte more.
    pub(super) async fn read(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        let mut stream = stream.take(MOST_BYTES);
        let mut lines = Vec::new();
        let mut first_code = None;
        loop {
            let mut line = Vec::new();
            stream.read_until(b'\n', &mut line).await?;
            if line.pop() != Some(b'\n') {
                let problem = match stream.limit() {
                    0 => "an answer without an end",
                    _ => "the server closed the connection",
                };
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, problem));
            }
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end();
            let (code, text, is_last) = parse(line).ok_or_else(|| no_answer(line))?;
            if *first_code.get_or_insert(code) != code {
                return Err(no_answer(line));
            }
            lines.push(text.to_owned());
            if is_last {
                return Ok(Self { code, lines });
            }
        }
    }

    /// The answer, if its code is one of those expected.
    pub(super) fn expect(self, expected: &[u16]) -> Result<Self, Fault> {
        let answer = match self.code {
            code if expected.contains(&code) => return Ok(self),
            _ => self.to_string(),
        };
        Err(match self.code {
            421 => Fault::Closing(answer),
            530 | 535 | 538 => Fault::Barred(answer),
            400..=599 => Fault::Refused {
                for_good: self.code >= 500,
                answer,
            },
            _ if expected.is_empty() => {
                Fault::Broken(format!("expected nothing yet, found {answer}"))
            }
            _ => {
                let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
                let expected = expected.join(" or ");
                Fault::Broken(format!("expected the answer {expected}, found {answer}"))
            }
        })
    }

    /// What an answer to EHLO says of an extension: its parameters. `None`:
    /// the server does not offer it.
    pub(super) fn extension(&self, keyword: &str) -> Option<Vec<&str>> {
        let mut lines = self.lines.iter().skip(1);
        lines.find_map(|line| {
            let mut words = line.split_whitespace();
            let is_it = words.next()?.eq_ignore_ascii_case(keyword);
            is_it.then(|| words.collect())
        })
    }
}

/// The code and the text on one line. A status that every line repeats (RFC
/// 2034) is said once.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, others) = self.lines.split_first().ok_or(fmt::Error)?;
        let status = first.split(' ').next().filter(|word| is_status(word));
        let others = others.iter().map(|line| {
            let rest = status.and_then(|status| line.strip_prefix(status));
            rest.filter(|rest| rest.starts_with(' ')).unwrap_or(line)
        });
        let text = others.fold(format!("{} {first}", self.code), |text, line| {
            text + " " + line
        });
        f.write_str(&cleaned(&text))
    }
}

/// Whether it is a status such as `5.7.1` (RFC 3463).
fn is_status(word: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    word.split('.').count() == 3 && word.split('.').all(is_number)
}

impl Fault {
    /// What it is the fault of, where no message is.
    pub(super) fn blame(&self) -> Blame {
        match self {
            Self::Refused { for_good: true, .. } | Self::Barred(_) => Blame::Us,
            Self::Refused { .. } | Self::Closing(_) | Self::Broken(_) => Blame::Transport,
        }
    }

    /// What went wrong.
    pub(super) fn cause(self) -> String {
        match self {
            Self::Refused { answer, .. } => answer,
            Self::Barred(cause) | Self::Closing(cause) | Self::Broken(cause) => cause,
        }
    }
}

/// The code and the text of a line, and whether it is the answer's last.
fn parse(line: &str) -> Option<(u16, &str, bool)> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.parse().ok().filter(|code| (200..600).contains(code))?;
    match rest.strip_prefix('-') {
        Some(text) => Some((code, text, false)),
        None if rest.is_empty() => Some((code, rest, true)),
        None => Some((code, rest.strip_prefix(' ')?, true)),
    }
}

fn no_answer(line: &str) -> io::Error {
    let problem = format!("expected an answer such as `250 OK`, found `{line}`");
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// A server's text on one line, without the addresses that it may repeat:
/// answers are logged and shown.
pub(super) fn cleaned(text: &str) -> String {
    let words: Vec<&str> = text
        .split_whitespace()
        .map(|word| {
            if word.contains('@') {
                "<address>"
            } else {
                word
            }
        })
        .collect();
    shorten(&one_line(&words.join(" ")), TEXT_LIMIT)
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    /// What is read when the bytes come in pieces of this size.
    async fn read(text: &[u8], piece: usize) -> Result<String, String> {
        let mut stream = BufReader::with_capacity(piece, text);
        let answer = Answer::read(&mut stream).await;
        answer
            .map(|answer| answer.to_string())
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn answers_are_read_one_by_one_in_pieces_of_any_size() {
        let group = b"250-a\r\n250-\r\n250 b\r\n550 5.1.1 no\r\n354\r\n";
        for piece in 1..=group.len() {
            let mut stream = BufReader::with_capacity(piece, group.as_slice());
            for expected in ["250 a b", "550 5.1.1 no", "354"] {
                let answer = Answer::read(&mut stream).await.unwrap();
                assert_eq!(answer.to_string(), expected, "pieces of {piece}");
            }
            assert!(Answer::read(&mut stream).await.is_err());
        }
    }

    #[tokio::test]
    async fn an_answer_is_told_on_one_line() {
        let long = format!("250 {}\r\n", "a".repeat(1_000));
        let told = format!("250 {}…", "a".repeat(TEXT_LIMIT - 5));
        for (text, expected) in [
            (
                "550-5.7.25 no PTR\r\n550 5.7.25 for you\r\n".as_bytes(),
                "550 5.7.25 no PTR for you",
            ),
            (b"550-5.7.2 a\r\n550 5.7.25 b\r\n", "550 5.7.2 a 5.7.25 b"),
            (b"550 <ana@a.example>: no\r\n", "550 <address> no"),
            (b"250 K\xf6ln\n", "250 K\u{fffd}ln"),
            (long.as_bytes(), &told),
        ] {
            assert_eq!(read(text, 64).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_named() {
        let endless = b"250-a\r\n".repeat(10_000);
        for (text, problem) in [
            (b"hello\r\n".as_slice(), "found `hello`"),
            (b"\r\n", "found ``"),
            (b"25\r\n", "found `25`"),
            (b"250ok\r\n", "found `250ok`"),
            (b"100 go\r\n", "found `100 go`"),
            (b"\xf6\xf6 a\r\n", "expected an answer"),
            (b"250-a\r\n550 b\r\n", "found `550 b`"),
            (b"250 o", "closed"),
            (b"", "closed"),
            (endless.as_slice(), "without an end"),
        ] {
            let error = read(text, 64).await.unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
