//! The lines of a head, as far as they say where the message ends.

use super::framing::{BodyFraming, FaultKind};

/// What the lines read so far say.
#[derive(Debug, Default)]
pub(super) struct HeadLines {
    request_line: bool,
    content_length: Option<u64>,
    chunked: bool,
}

impl HeadLines {
    /// Reads a line without its end. True when it was the empty one that ends the head.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<bool, FaultKind> {
        if !self.request_line {
            // Empty lines before a request are to be ignored (RFC 9112 §2.2).
            self.request_line = !line.is_empty();
            return Ok(false);
        }
        if line.is_empty() {
            return Ok(true);
        }
        let (name, value) = field(line)?;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.read_content_length(value)?;
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.read_transfer_encoding(value)?;
        }
        Ok(false)
    }

    /// How the body is framed, once the head has ended.
    pub(super) fn body(&self) -> Result<BodyFraming, FaultKind> {
        match (self.content_length, self.chunked) {
            (Some(_), true) => Err(FaultKind::BothLengths),
            (None, true) => Ok(BodyFraming::Chunked),
            (Some(length), false) => Ok(BodyFraming::Sized(length)),
            (None, false) => Ok(BodyFraming::Sized(0)),
        }
    }

    fn read_content_length(&mut self, value: &[u8]) -> Result<(), FaultKind> {
        let digits = value.len() <= 19 && !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match (self.content_length, length) {
            (None, Some(length)) => self.content_length = Some(length),
            // A second one is refused even when it says the same: nobody sends it by accident.
            (Some(_), _) | (_, None) => return Err(FaultKind::ContentLength),
        }
        Ok(())
    }

    fn read_transfer_encoding(&mut self, value: &[u8]) -> Result<(), FaultKind> {
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(FaultKind::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }
}

/// Reads a line of the trailers. True when it was the empty one that ends them.
pub(super) fn read_trailer(line: &[u8]) -> Result<bool, FaultKind> {
    if line.is_empty() {
        return Ok(true);
    }
    field(line).map(|_| false)
}

/// Splits a field line. No blank may stand before the name (that would be folding) or before the colon.
fn field(line: &[u8]) -> Result<(&[u8], &[u8]), FaultKind> {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return Err(FaultKind::Folding);
    }
    let colon = line.iter().position(|byte| *byte == b':').ok_or(FaultKind::FieldName)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || name.iter().any(|byte| !byte.is_ascii_graphic()) {
        return Err(FaultKind::FieldName);
    }
    Ok((name, trim(value)))
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}
