//! `jti`: 128 random bits (RFC 9449 §4.2).

use std::cell::RefCell;

use super::MakeError;

/// Random bytes for this many are drawn at once: asking the generator costs more than what it gives.
const AT_ONCE: usize = 64;
const LENGTH: usize = 16;

thread_local! {
    static DRAWN: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; AT_ONCE * LENGTH], left: 0 }) };
}

/// Random bytes that nobody has used. They need not be kept secret: every proof shows those of its `jti`.
struct Drawn {
    bytes: [u8; AT_ONCE * LENGTH],
    left: usize,
}

/// The bytes of a `jti` that was never made before.
pub(super) fn draw() -> Result<[u8; LENGTH], MakeError> {
    DRAWN.with_borrow_mut(Drawn::next)
}

impl Drawn {
    fn next(&mut self) -> Result<[u8; LENGTH], MakeError> {
        if self.left == 0 {
            aws_lc_rs::rand::fill(&mut self.bytes).map_err(|_| MakeError::NoRandomness)?;
            self.left = AT_ONCE;
        }
        self.left -= 1;
        let (chunks, _) = self.bytes.as_chunks::<LENGTH>();
        chunks.get(self.left).copied().ok_or(MakeError::NoRandomness)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{AT_ONCE, LENGTH, draw};

    #[test]
    fn none_comes_twice_also_from_several_threads() {
        let draw_many = || (0..5 * AT_ONCE).map(|_| draw().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(draw_many)).collect();
        let all: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).chain(draw_many()).collect();
        let different: HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), 4 * 5 * AT_ONCE);
        assert!(!different.contains(&[0; LENGTH]));
    }
}
