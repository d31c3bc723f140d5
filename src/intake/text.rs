//! A file's bytes as UTF-8, whatever its encoding.

use std::io::{self, Chain, Cursor, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// So much of a file is looked at before it is read; it holds the header.
const HEAD: u64 = 64 << 10;

/// What stands for bytes that no character is: it is never UTF-8.
const NO_CHARACTER: u8 = 0xff;

/// What files begin with that are no text.
const OTHERS: [(&[u8], &str); 8] = [
    (
        b"\x1f\x8b",
        "is compressed (gzip): expected CSV, so unpack it",
    ),
    (b"BZh", "is compressed (bzip2): expected CSV, so unpack it"),
    (
        b"\xfd7zXZ\0",
        "is compressed (xz): expected CSV, so unpack it",
    ),
    (
        b"\x28\xb5\x2f\xfd",
        "is compressed (zstd): expected CSV, so unpack it",
    ),
    (
        b"7z\xbc\xaf",
        "is an archive (7z): expected CSV, so unpack it",
    ),
    (
        b"PK\x03\x04",
        "is a spreadsheet (.xlsx, .ods) or a zip archive: expected CSV, so save or unpack it as that",
    ),
    (
        b"\xd0\xcf\x11\xe0",
        "is a spreadsheet (.xls) or a document: expected CSV, so save it as that",
    ),
    (b"%PDF-", "is a PDF: expected CSV"),
];

/// A file's text in UTF-8.
pub(super) enum Text<R> {
    Plain(Chain<Cursor<Vec<u8>>, R>),
    Decoded(Box<Decoded<R>>),
}

impl<R: Read> Text<R> {
    /// Looks at the beginning of a file. A byte order mark stands above
    /// `encoding`; `section` is where that is set. The inner error says why the
    /// file is no text.
    pub fn open(
        mut input: R,
        encoding: &'static Encoding,
        section: &str,
    ) -> io::Result<Result<Self, String>> {
        let mut head = Vec::new();
        input.by_ref().take(HEAD).read_to_end(&mut head)?;
        if let Some((_, what)) = OTHERS.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Ok(Err((*what).to_owned()));
        }
        let is_wide = |encoding| [UTF_16LE, UTF_16BE].contains(&encoding);
        let encoding = match Encoding::for_bom(&head) {
            Some((marked, _)) if is_wide(marked) && !is_wide(encoding) => {
                let (found, expected) = (marked.name(), encoding.name());
                return Ok(Err(format!(
                    "is {found}, expected {expected}: save it as that, or set `encoding = \
                     \"{}\"` in [{section}]",
                    found.to_ascii_lowercase()
                )));
            }
            Some((marked, _)) => marked,
            None => encoding,
        };
        let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
        if head.len() as u64 == HEAD && !head.iter().any(is_end) {
            let why = "has no line end in its first 64 KiB: expected a first row of column names, \
                       as CSV";
            return Ok(Err(why.to_owned()));
        }
        let input = Cursor::new(head).chain(input);
        Ok(Ok(match encoding == UTF_8 {
            true => Self::Plain(input),
            false => Self::Decoded(Box::new(Decoded::new(input, encoding))),
        }))
    }

    /// The encoding that it is read from.
    pub fn encoding(&self) -> &'static Encoding {
        match self {
            Self::Plain(_) => UTF_8,
            Self::Decoded(decoded) => decoded.decoder.encoding(),
        }
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(input) => input.read(into),
            Self::Decoded(decoded) => decoded.read(into),
        }
    }
}

/// Text of another encoding. What cannot be decoded becomes a byte that is not
/// UTF-8, for whoever reads on to tell.
pub(super) struct Decoded<R> {
    input: Chain<Cursor<Vec<u8>>, R>,
    decoder: Decoder,
    raw: Box<[u8]>,
    from: usize,
    until: usize,
    is_end: bool,
    is_done: bool,
    owes_mark: bool,
}

impl<R: Read> Decoded<R> {
    fn new(input: Chain<Cursor<Vec<u8>>, R>, encoding: &'static Encoding) -> Self {
        Self {
            input,
            decoder: encoding.new_decoder_with_bom_removal(),
            raw: vec![0; 1 << 15].into_boxed_slice(),
            from: 0,
            until: 0,
            is_end: false,
            is_done: false,
            owes_mark: false,
        }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.owes_mark {
                self.owes_mark = false;
                let Some(first) = into.first_mut() else {
                    return Ok(0);
                };
                *first = NO_CHARACTER;
                return Ok(1);
            }
            if self.is_done {
                return Ok(0);
            }
            if self.from == self.until && !self.is_end {
                self.until = self.input.read(&mut self.raw)?;
                self.from = 0;
                self.is_end = self.until == 0;
            }
            let raw = self.raw.get(self.from..self.until).unwrap_or_default();
            let (result, read, written) =
                self.decoder
                    .decode_to_utf8_without_replacement(raw, into, self.is_end);
            self.from += read;
            match result {
                DecoderResult::InputEmpty => self.is_done = self.is_end,
                DecoderResult::Malformed(..) => self.owes_mark = true,
                // Whoever reads has room for a character.
                DecoderResult::OutputFull if written == 0 => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
                DecoderResult::OutputFull => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    /// Gives a byte at a time.
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(1);
            self.0.read(into.get_mut(..most).unwrap_or_default())
        }
    }

    fn read(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
        let mut text = Text::open(Slow(bytes), encoding, "import.orders");
        let mut input = BufReader::new(text.as_mut().unwrap().as_mut().unwrap());
        let mut read = Vec::new();
        loop {
            let more = input.fill_buf().unwrap().to_vec();
            if more.is_empty() {
                return read;
            }
            input.consume(more.len());
            read.extend(more);
        }
    }

    #[test]
    fn characters_are_whole_wherever_a_read_ends() {
        // More than is looked at before, and no character where that ends.
        let text = format!("a\n{}", "é€𝄞 ".repeat(20_000));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(read(&wide, UTF_16LE) == text.as_bytes());
        assert!(read(text.as_bytes(), UTF_8) == text.as_bytes());
    }

    #[test]
    fn what_is_no_character_is_no_text() {
        for (bytes, expected) in [
            (&b"a\0\n\0\0\xd8b\0"[..], &b"a\n\xffb"[..]),
            (b"a\0\n\0\0\xd8", b"a\n\xff"),
            (b"a\0\n\0b", b"a\n\xff"),
        ] {
            assert_eq!(read(bytes, UTF_16LE), expected, "{bytes:?}");
        }
    }
}
