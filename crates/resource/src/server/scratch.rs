//! Room that a thread uses again for request after request, so that judging allocates nothing.

use std::cell::Cell;

use countersign_dpop::jose::JwsBuffer;

thread_local! {
    static TEXT: Cell<String> = const { Cell::new(String::new()) };
    static JWS: Cell<JwsBuffer> = const { Cell::new(JwsBuffer::new()) };
}

/// The room of a text; what it holds is of no meaning.
pub(super) fn take_text() -> String {
    TEXT.take()
}

/// Gives room back.
pub(super) fn put_text(text: String) {
    TEXT.set(text);
}

/// Runs `check` with a buffer for the parts of a JWS. What it held of the last proof is overwritten by the next.
pub(super) fn with_jws_buffer<T>(check: impl FnOnce(&mut JwsBuffer) -> T) -> T {
    let mut buffer = JWS.take();
    let result = check(&mut buffer);
    JWS.set(buffer);
    result
}
