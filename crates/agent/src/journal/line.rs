//! Writing a line: what the serializer would write, without its structures. Two lines go with every request.

use serde_json::Error;

use crate::journal::entry::Entry;
use crate::peer::ProcessInfo;

/// Where a line stands in the chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Its number.
    pub(super) seq: u64,
    /// When, in seconds since 1970.
    pub(super) time: i64,
    /// The hash of the line before, or what stands in its place: nothing that a text would have to escape.
    pub(super) prev: &'a [u8],
}

/// Appends the line of `entry`, with its place in place of what the entry says of it, and without the end of the line.
pub(super) fn append(entry: &Entry<'_>, place: Place<'_>, line: &mut Vec<u8>) -> Result<(), Error> {
    line.extend_from_slice(br#"{"seq":"#);
    serde_json::to_writer(&mut *line, &place.seq)?;
    line.extend_from_slice(br#","time":"#);
    serde_json::to_writer(&mut *line, &place.time)?;
    line.extend_from_slice(br#","prev":""#);
    line.extend_from_slice(place.prev);
    line.extend_from_slice(br#"","event":""#);
    line.extend_from_slice(entry.event.as_str().as_bytes());
    line.push(b'"');
    text(r#","binding":"#, entry.binding.as_deref(), line)?;
    number(r#","request":"#, entry.request, line)?;
    for (name, value) in [
        (r#","method":"#, &entry.method),
        (r#","path":"#, &entry.path),
        (r#","mcp":"#, &entry.mcp),
        (r#","tool":"#, &entry.tool),
        (r#","arguments":"#, &entry.arguments),
        (r#","code":"#, &entry.code),
    ] {
        text(name, value.as_deref(), line)?;
    }
    number(r#","status":"#, entry.status.map(u64::from), line)?;
    number(r#","approval":"#, entry.approval, line)?;
    number(r#","seconds":"#, entry.seconds.map(u64::from), line)?;
    text(r#","jkt":"#, entry.jkt.as_deref(), line)?;
    number(r#","uid":"#, entry.uid.map(u64::from), line)?;
    processes(&entry.process, line)?;
    if let Some(verified) = entry.verified {
        line.extend_from_slice(if verified { br#","verified":true"# } else { br#","verified":false"# });
    }
    text(r#","note":"#, entry.note.as_deref(), line)?;
    line.push(b'}');
    Ok(())
}

fn processes(processes: &[ProcessInfo], line: &mut Vec<u8>) -> Result<(), Error> {
    for (place, process) in processes.iter().enumerate() {
        line.extend_from_slice(if place == 0 { br#","process":[{"pid":"# } else { br#",{"pid":"# });
        serde_json::to_writer(&mut *line, &process.pid)?;
        text(r#","exe":"#, Some(&process.exe), line)?;
        line.push(b'}');
    }
    if !processes.is_empty() {
        line.push(b']');
    }
    Ok(())
}

/// A member, where there is something to say.
#[inline(never)]
fn number(name: &str, value: Option<u64>, line: &mut Vec<u8>) -> Result<(), Error> {
    let Some(value) = value else { return Ok(()) };
    line.extend_from_slice(name.as_bytes());
    serde_json::to_writer(line, &value)
}

/// A member, where there is something to say. Hardly ever is there anything to escape, which is quick to see.
#[inline(never)]
fn text(name: &str, value: Option<&str>, line: &mut Vec<u8>) -> Result<(), Error> {
    let Some(value) = value else { return Ok(()) };
    line.extend_from_slice(name.as_bytes());
    if !value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return serde_json::to_writer(line, value);
    }
    line.push(b'"');
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;
    use crate::journal::entry::Event;

    fn texts() -> impl Strategy<Value = Option<Cow<'static, str>>> {
        let text = prop_oneof!["[ -~]{0,12}", ".{0,12}", "[\"\\\\\u{0}-\u{1f}\u{7f}é\u{2028}]{0,4}"];
        proptest::option::of(text.prop_map(Cow::Owned))
    }

    fn entries() -> impl Strategy<Value = Entry<'static>> {
        let texts = (texts(), texts(), texts(), texts(), texts(), texts(), texts(), texts());
        let numbers = any::<(Option<u64>, Option<u16>, Option<u64>, Option<u32>, Option<u32>, Option<bool>)>();
        let process = ("[ -~é]{0,8}", any::<i32>()).prop_map(|(exe, pid)| ProcessInfo { pid, exe });
        let processes = proptest::collection::vec(process, 0..3);
        let event = proptest::sample::select(Event::ALL.as_slice());
        (event, texts, numbers, processes).prop_map(|(event, texts, numbers, processes)| {
            let (binding, method, path, mcp, tool, arguments, code, note) = texts;
            let (request, status, approval, seconds, uid, verified) = numbers;
            let (jkt, process) = (code.clone(), Cow::Owned(processes));
            let entry = Entry { binding, request, method, path, mcp, tool, arguments, code, ..Entry::new(event) };
            Entry { status, approval, seconds, jkt, uid, process, verified, note, ..entry }
        })
    }

    proptest! {
        #[test]
        fn a_line_is_what_the_serializer_writes(entry in entries(), seq: u64, time: i64, prev in "[A-Za-z0-9_-]{0,43}") {
            let mut line = b"before".to_vec();
            append(&entry, Place { seq, time, prev: prev.as_bytes() }, &mut line).expect("JSON");
            let placed = Entry { seq, time, prev: Cow::Owned(prev), ..entry };
            let expected = format!("before{}", serde_json::to_string(&placed).expect("JSON"));
            prop_assert_eq!(String::from_utf8(line), Ok(expected));
        }
    }
}
