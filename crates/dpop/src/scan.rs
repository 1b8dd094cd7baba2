//! Looking at every byte of a text from the wire.

/// Whether every byte is `good`. Looks at all of them, many at a time, which is faster for texts of hundreds of bytes
/// that nearly always are.
pub(crate) fn all(text: &[u8], good: impl Fn(u8) -> bool) -> bool {
    let bad = |so_far: u8, byte: &u8| so_far | u8::from(!good(*byte));
    let (lanes, rest) = text.as_chunks::<32>();
    let mut found = [0; 32];
    for chunk in lanes {
        for (found, byte) in found.iter_mut().zip(chunk) {
            *found = bad(*found, byte);
        }
    }
    found.iter().fold(rest.iter().fold(0, bad), |so_far, found| so_far | found) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::all;

    /// Two that are in the same place of their chunks do not make up for each other.
    #[test]
    fn several_bad_bytes_are_found_too() {
        for places in [&[0, 32][..], &[31, 63], &[3, 40], &[64, 65], &[0, 64], &[1, 2, 33, 34]] {
            let mut text = [b'a'; 70];
            for &place in places {
                text[place] = b'b';
            }
            assert!(!all(&text, |byte| byte == b'a'), "{places:?}");
        }
    }

    proptest! {
        #[test]
        fn one_bad_byte_is_found_wherever_it_is(length in 0..200_usize, at in any::<prop::sample::Index>(), bad: u8) {
            let mut text = vec![b'a'; length];
            prop_assert!(all(&text, |byte| byte == b'a'));
            if length > 0 {
                text[at.index(length)] = bad;
                prop_assert_eq!(all(&text, |byte| byte == b'a'), bad == b'a');
            }
        }
    }
}
