use proptest::prelude::*;

use super::framing::{Fault, FaultKind, Framing};

const MAX_HEAD: usize = 1_024;

/// Reads everything at once.
fn read(bytes: &[u8]) -> Result<Framing, Fault> {
    let mut framing = Framing::new(MAX_HEAD);
    framing.read(bytes).map(|()| framing)
}

fn fault(bytes: &str) -> FaultKind {
    read(bytes.as_bytes()).map(|framing| format!("{framing:?}")).expect_err("a fault").kind
}

#[test]
fn follows_messages_of_every_framing_to_their_ends() {
    let messages = "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\
        POST / HTTP/1.1\r\ncontent-length: \t 5 \r\n\r\nhello\
        POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=\"b\"\r\nhel\n\r\r\n0A\r\n0123456789\r\n00\r\nX: y\r\n\r\n\
        POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
    let framing = read(messages.as_bytes()).unwrap();
    assert!(!framing.is_in_head() && !framing.is_owed_more(), "{framing:?}");
}

#[test]
fn knows_head_from_body_from_rest() {
    let mut framing = Framing::new(MAX_HEAD);
    assert!(!framing.is_in_head());
    framing.read(b"P").unwrap();
    assert!(framing.is_in_head());
    framing.read(b"OST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n").unwrap();
    assert!(framing.is_owed_more() && !framing.is_in_head());
    framing.read(b"x").unwrap();
    assert!(framing.is_owed_more());
    framing.read(b"y").unwrap();
    assert!(!framing.is_owed_more() && !framing.is_in_head());
}

#[test]
fn finds_what_two_readers_can_read_differently() {
    const START: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
    for (rest, expected) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", FaultKind::BothLengths),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", FaultKind::BothLengths),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", FaultKind::ContentLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", FaultKind::ContentLength),
        ("Content-Length: 5, 5\r\n", FaultKind::ContentLength),
        ("Content-Length: +5\r\n", FaultKind::ContentLength),
        ("Content-Length: -5\r\n", FaultKind::ContentLength),
        ("Content-Length: 0x5\r\n", FaultKind::ContentLength),
        ("Content-Length: 5 5\r\n", FaultKind::ContentLength),
        ("Content-Length:\r\n", FaultKind::ContentLength),
        ("Content-Length: 99999999999999999999\r\n", FaultKind::ContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding: \x0bchunked\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding: identity\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", FaultKind::TransferEncoding),
        ("Transfer-Encoding : chunked\r\n", FaultKind::FieldName),
        ("Transfer-Encoding\t: chunked\r\n", FaultKind::FieldName),
        (": x\r\n", FaultKind::FieldName),
        ("no colon\r\n", FaultKind::FieldName),
        ("X: a\r\n b\r\n", FaultKind::Folding),
        ("X: a\r\n\tb\r\n", FaultKind::Folding),
        ("X: a\n", FaultKind::BareLineFeed),
        ("\n", FaultKind::BareLineFeed),
        ("X: a\rTransfer-Encoding: chunked\r\n", FaultKind::BareCarriageReturn),
        ("X: a\r\r\n", FaultKind::BareCarriageReturn),
    ] {
        assert_eq!(fault(&format!("{START}{rest}")), expected, "{rest:?}");
    }
    assert_eq!(fault("GET / HTTP/1.1\nHost: a\r\n\r\n"), FaultKind::BareLineFeed);
    assert_eq!(fault("\n"), FaultKind::BareLineFeed);
}

#[test]
fn finds_odd_chunks() {
    const START: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = format!("5;{}\r\n", "x".repeat(1_100));
    for (rest, expected) in [
        ("\r\n", FaultKind::ChunkSize),
        ("0x5\r\n", FaultKind::ChunkSize),
        ("+5\r\n", FaultKind::ChunkSize),
        (" 5\r\n", FaultKind::ChunkSize),
        ("5 \r\n", FaultKind::ChunkSize),
        ("5\n", FaultKind::ChunkSize),
        ("ffffffffffffffff0\r\n", FaultKind::ChunkSize),
        ("5\rx", FaultKind::BareCarriageReturn),
        ("5;a\nb\r\n", FaultKind::ChunkExtension),
        (&long, FaultKind::ChunkExtension),
        ("5\r\nhello\n", FaultKind::ChunkEnd),
        ("5\r\nhello!\r\n", FaultKind::ChunkEnd),
        ("5\r\nhello\rx", FaultKind::ChunkEnd),
        ("0\r\n\n", FaultKind::BareLineFeed),
        ("0\r\nX: y\n\r\n", FaultKind::BareLineFeed),
        ("0\r\n X: y\r\n", FaultKind::Folding),
        ("0\r\nX y\r\n", FaultKind::FieldName),
    ] {
        assert_eq!(fault(&format!("{START}{rest}")), expected, "{rest:?}");
    }
    let trailers = format!("{START}0\r\n{}", "X: y\r\n".repeat(3_000));
    assert_eq!(fault(&trailers), FaultKind::TrailersTooLong);
}

#[test]
fn the_longest_chunk_size_does_not_overflow() {
    let framing = read(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nxyz").unwrap();
    assert!(framing.is_owed_more());
}

#[test]
fn a_head_too_long_for_the_server_is_left_to_it_and_held_nowhere() {
    let mut framing = Framing::new(MAX_HEAD);
    framing.read(b"GET / HTTP/1.1\r\n").unwrap();
    for _ in 0..100 {
        framing.read(&[b'x'; MAX_HEAD]).unwrap();
    }
    assert!(framing.is_owed_more() && !framing.is_in_head());
}

#[test]
fn a_connection_of_another_protocol_is_not_read() {
    let mut framing = Framing::new(MAX_HEAD);
    framing.go_blind();
    framing.read(b"\n\n\x00 anything \r").unwrap();
}

proptest! {
    #[test]
    fn never_panics_and_names_a_place_within_what_was_read(bytes: Vec<u8>) {
        if let Err(fault) = read(&bytes) {
            prop_assert!(fault.at < bytes.len());
        }
    }

    /// However the network cuts the bytes, the verdict and its place are the same.
    #[test]
    fn cuts_change_nothing(message in message(), cuts in proptest::collection::vec(0usize..200, 0..6)) {
        let whole = read(message.as_bytes());
        let mut framing = Framing::new(MAX_HEAD);
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        bounds.extend([0, message.len()]);
        bounds.sort_unstable();
        let mut parts = Ok(());
        for pair in bounds.windows(2) {
            parts = framing.read(&message.as_bytes()[pair[0]..pair[1]]).map_err(|fault| Fault { at: fault.at + pair[0], ..fault });
            if parts.is_err() {
                break;
            }
        }
        prop_assert_eq!(whole.as_ref().err(), parts.as_ref().err());
        if let Ok(whole) = whole {
            prop_assert_eq!(whole.is_owed_more(), framing.is_owed_more());
            prop_assert_eq!(whole.is_in_head(), framing.is_in_head());
        }
    }
}

/// Messages put together from pieces, right and wrong ones.
fn message() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("POST / HTTP/1.1\r\n"),
        Just("Host: a\r\n"),
        Just("Content-Length: 5\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("X: y\n"),
        Just(" folded\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("hello"),
        Just("5\r\nhello\r\n"),
        Just("0\r\n\r\n"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}
