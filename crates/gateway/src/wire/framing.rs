//! Where messages of HTTP/1.1 begin and end, read strictly (RFC 9112 §2.2, §5, §6, §7.1).
//!
//! The server behind is lenient in places where two readers of the same bytes can come to different ends: it takes a
//! bare line feed for a line's end, and lets one of two lengths win. Here each of these is a fault, found before the
//! server sees the byte that makes it one. Between faults both read alike, because whatever the server takes more
//! strictly ends the connection anyway.

use memchr::memchr;

use super::head::HeadLines;

/// Reads along with the server and finds faults.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    line: Vec<u8>,
    /// Bytes of the head or the trailers so far.
    read: usize,
    max_head: usize,
}

#[derive(Debug)]
enum State {
    Head(HeadLines),
    Sized(u64),
    Chunked(Chunk),
    Trailers,
    /// The head is too long for the server, which says so itself; nothing is read along any more.
    TooLong,
    /// Another protocol by now; nothing is read along.
    Blind,
}

/// Where in a chunk.
#[derive(Clone, Copy, Debug)]
enum Chunk {
    Size { digits: u8, size: u64 },
    Extension { size: u64, length: u16 },
    SizeEnd { size: u64 },
    Data(u64),
    DataEnd,
    DataEndLine,
}

/// A byte at which a message stops being one that everybody reads alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    /// Its place in what was read last.
    pub(super) at: usize,
    pub(super) kind: FaultKind,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FaultKind {
    BareLineFeed,
    BareCarriageReturn,
    Folding,
    FieldName,
    ContentLength,
    TransferEncoding,
    BothLengths,
    ChunkSize,
    ChunkExtension,
    ChunkEnd,
    TrailersTooLong,
}

/// How a message's body is framed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyFraming {
    Sized(u64),
    Chunked,
}

const MAX_EXTENSION: u16 = 1_024;
const MAX_TRAILERS: usize = 16 * 1_024;

impl Framing {
    /// Reads along from the first byte of a connection. Heads of more than `max_head` bytes are the server's affair.
    pub(super) fn new(max_head: usize) -> Self {
        Self { state: State::Head(HeadLines::default()), line: Vec::new(), read: 0, max_head }
    }

    /// Reads no further: the connection changes protocol.
    pub(super) fn go_blind(&mut self) {
        self.state = State::Blind;
    }

    /// True from the first byte of a head to its last.
    pub(super) const fn is_in_head(&self) -> bool {
        matches!(self.state, State::Head(_)) && self.read > 0
    }

    /// True when what was read ended with a message, or nothing was read yet.
    pub(super) const fn is_between(&self) -> bool {
        matches!(self.state, State::Head(_)) && self.read == 0
    }

    /// True while the client still owes a part of a message whose head the server has seen or refused.
    pub(super) const fn is_owed_more(&self) -> bool {
        matches!(self.state, State::Sized(_) | State::Chunked(_) | State::Trailers | State::TooLong)
    }

    /// Reads `bytes`, which follow what was read before.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += self.read_some(rest).map_err(|(within, kind)| Fault { at: at + within, kind })?;
        }
        Ok(())
    }

    /// Reads at least one byte of `bytes`, up to where the state changes; gives how many, or the place of a fault.
    fn read_some(&mut self, bytes: &[u8]) -> Result<usize, (usize, FaultKind)> {
        match &mut self.state {
            State::Blind | State::TooLong => Ok(bytes.len()),
            State::Sized(left) => {
                let taken = skip(left, bytes);
                if *left == 0 {
                    self.next_message();
                }
                Ok(taken)
            }
            State::Chunked(Chunk::Data(left)) => {
                let taken = skip(left, bytes);
                if *left == 0 {
                    self.state = State::Chunked(Chunk::DataEnd);
                }
                Ok(taken)
            }
            State::Chunked(chunk) => {
                self.state = chunk.step(bytes[0]).map_err(|kind| (0, kind))?;
                Ok(1)
            }
            State::Head(_) | State::Trailers => {
                let end = memchr(b'\n', bytes);
                let taken = end.map_or(bytes.len(), |end| end + 1);
                let read = self.read_line(&bytes[..taken], end.is_some());
                read.map(|()| taken).map_err(|kind| (taken - 1, kind))
            }
        }
    }

    /// Reads a part of a line. Most lines come whole, and are read where they are.
    fn read_line(&mut self, part: &[u8], is_end: bool) -> Result<(), FaultKind> {
        self.count(part.len())?;
        if matches!(self.state, State::TooLong) {
            return Ok(());
        }
        if is_end && self.line.is_empty() {
            return self.end_line(part);
        }
        self.line.extend_from_slice(part);
        if !is_end {
            return Ok(());
        }
        let line = std::mem::take(&mut self.line);
        self.end_line(&line)
    }

    fn count(&mut self, bytes: usize) -> Result<(), FaultKind> {
        self.read += bytes;
        match self.state {
            State::Trailers if self.read > MAX_TRAILERS => return Err(FaultKind::TrailersTooLong),
            State::Head(_) if self.read > self.max_head => {
                self.state = State::TooLong;
                self.line = Vec::new();
            }
            State::Head(_) | State::Trailers | State::Sized(_) | State::Chunked(_) | State::TooLong | State::Blind => {}
        }
        Ok(())
    }

    /// Reads a line with its end.
    fn end_line(&mut self, line: &[u8]) -> Result<(), FaultKind> {
        let line = line.strip_suffix(b"\r\n").ok_or(FaultKind::BareLineFeed)?;
        if memchr(b'\r', line).is_some() {
            return Err(FaultKind::BareCarriageReturn);
        }
        let is_last = match &mut self.state {
            State::Head(lines) => lines.read(line)?,
            State::Trailers => super::head::read_trailer(line)?,
            State::Sized(_) | State::Chunked(_) | State::TooLong | State::Blind => false,
        };
        if is_last {
            self.end_section()?;
        }
        Ok(())
    }

    fn end_section(&mut self) -> Result<(), FaultKind> {
        let body = match &self.state {
            State::Head(lines) => lines.body()?,
            State::Trailers | State::Sized(_) | State::Chunked(_) | State::TooLong | State::Blind => {
                BodyFraming::Sized(0)
            }
        };
        self.next_message();
        match body {
            BodyFraming::Sized(0) => (),
            BodyFraming::Sized(length) => self.state = State::Sized(length),
            BodyFraming::Chunked => self.state = State::Chunked(Chunk::START),
        }
        Ok(())
    }

    fn next_message(&mut self) {
        self.state = State::Head(HeadLines::default());
        self.line.clear();
        self.read = 0;
    }
}

/// Skips what `left` bytes are in `bytes`; gives how many.
fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    taken
}

impl Chunk {
    const START: Self = Self::Size { digits: 0, size: 0 };
    const MAX_DIGITS: u8 = 16;

    fn step(self, byte: u8) -> Result<State, FaultKind> {
        let next = match self {
            Self::Size { digits, size } => match (byte, char::from(byte).to_digit(16)) {
                (_, Some(digit)) if digits < Self::MAX_DIGITS => {
                    Self::Size { digits: digits + 1, size: size << 4 | u64::from(digit) }
                }
                (b'\r', _) if digits > 0 => Self::SizeEnd { size },
                (b';', _) if digits > 0 => Self::Extension { size, length: 0 },
                _ => return Err(FaultKind::ChunkSize),
            },
            Self::Extension { size, length } => match byte {
                b'\r' => Self::SizeEnd { size },
                b'\t' | 0x20..=0x7e | 0x80.. if length < MAX_EXTENSION => Self::Extension { size, length: length + 1 },
                _ => return Err(FaultKind::ChunkExtension),
            },
            Self::SizeEnd { size } => match (byte, size) {
                (b'\n', 0) => return Ok(State::Trailers),
                (b'\n', _) => Self::Data(size),
                _ => return Err(FaultKind::BareCarriageReturn),
            },
            Self::Data(left) => Self::Data(left),
            Self::DataEnd if byte == b'\r' => Self::DataEndLine,
            Self::DataEndLine if byte == b'\n' => Self::START,
            Self::DataEnd | Self::DataEndLine => return Err(FaultKind::ChunkEnd),
        };
        Ok(State::Chunked(next))
    }
}
