//! Server-sent events (HTML §9.2), as far as MCP uses them: the data of each event.

/// Reads events from what comes in any pieces.
#[derive(Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
}

/// The longest event, in bytes. A longer one ends the stream.
const MAX_EVENT: usize = 16 * 1_048_576;

/// An event was longer than any that is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct TooLong;

impl Events {
    /// Takes a piece, and gives back the data of the events that it ends.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, TooLong> {
        let mut ended = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\r' | b'\n' => ended.extend(self.end_line()),
                byte => self.line.push(*byte),
            }
            if self.line.len().saturating_add(self.data.len()) > MAX_EVENT {
                return Err(TooLong);
            }
        }
        Ok(ended)
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let had = std::mem::take(&mut self.has_data);
            let data = std::mem::take(&mut self.data);
            return had.then_some(data);
        }
        if let Some(value) = line.strip_prefix(b"data") {
            let value = match value {
                [b':', b' ', value @ ..] | [b':', value @ ..] => value,
                [] => &[],
                _ => return None,
            };
            if self.has_data {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(value);
            self.has_data = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_events_in_any_pieces() {
        let text =
            b": hello\r\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 7\ndata:x\n\nretry: 5\n\ndata\n\n";
        for size in 1..text.len() {
            let mut events = Events::default();
            let read: Vec<_> = text.chunks(size).flat_map(|piece| events.push(piece).unwrap()).collect();
            assert_eq!(read, [b"{\"a\":\n1}".to_vec(), b"x".to_vec(), Vec::new()], "pieces of {size}");
        }
    }

    #[test]
    fn what_never_ends_is_given_up() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1_048_576];
        assert!((0..20).any(|_| events.push(&piece) == Err(TooLong)));
    }
}
