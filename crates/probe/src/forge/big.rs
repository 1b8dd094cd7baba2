//! Arithmetic with large numbers modulo an odd one: enough to sign with any RSA key and to make Ed25519 signatures
//! that no library makes. For faults only; not in constant time.

/// `base` to the power of `exponent` modulo the odd `modulus`; all big-endian, the result as long as `modulus`.
pub(super) fn pow_mod(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Vec<u8> {
    let field = Montgomery::new(modulus);
    let base = field.enter(&limbs_of(base, field.modulus.len()));
    let mut power = field.enter(&field.one());
    for byte in exponent {
        for bit in (0..8).rev() {
            power = field.multiply(&power, &power);
            if byte >> bit & 1 == 1 {
                power = field.multiply(&power, &base);
            }
        }
    }
    bytes_of(&field.leave(&power), modulus.len())
}

/// `left` times `right` modulo the odd `modulus`; both shorter than or as long as `modulus`.
pub(super) fn multiply_mod(left: &[u8], right: &[u8], modulus: &[u8]) -> Vec<u8> {
    let field = Montgomery::new(modulus);
    let [left, right] = [left, right].map(|number| field.enter(&limbs_of(number, field.modulus.len())));
    bytes_of(&field.leave(&field.multiply(&left, &right)), modulus.len())
}

/// The sum, one byte longer than `length` if it does not fit.
pub(super) fn add(left: &[u8], right: &[u8], length: usize) -> Vec<u8> {
    let limbs = length.div_ceil(8) + 1;
    let (mut left, right) = (limbs_of(left, limbs), limbs_of(right, limbs));
    let mut carry = false;
    for (limb, other) in left.iter_mut().zip(&right) {
        let (sum, first) = limb.overflowing_add(*other);
        let (sum, second) = sum.overflowing_add(u64::from(carry));
        (*limb, carry) = (sum, first || second);
    }
    let bytes = bytes_of(&left, limbs * 8);
    let zeros = bytes.iter().take(limbs * 8 - length).take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

/// `left` less `right`, which is not the larger one, in `length` bytes.
pub(super) fn subtract(left: &[u8], right: &[u8], length: usize) -> Vec<u8> {
    let limbs = length.div_ceil(8);
    let mut left = limbs_of(left, limbs);
    subtract_limbs(&mut left, &limbs_of(right, limbs));
    bytes_of(&left, length)
}

/// Montgomery's multiplication. Numbers are little-endian limbs, as many as the modulus has.
struct Montgomery {
    modulus: Vec<u64>,
    /// −1/modulus modulo 2^64.
    inverse: u64,
    /// R² modulo the modulus, for R = 2^(64 · limbs).
    square: Vec<u64>,
}

impl Montgomery {
    fn new(modulus: &[u8]) -> Self {
        let modulus = limbs_of(modulus, modulus.len().div_ceil(8));
        let mut inverse = 1_u64;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(modulus[0].wrapping_mul(inverse)));
        }
        let mut square = vec![0; modulus.len()];
        square[0] = 1;
        for _ in 0..128 * modulus.len() {
            double_mod(&mut square, &modulus);
        }
        Self { inverse: inverse.wrapping_neg(), square, modulus }
    }

    fn one(&self) -> Vec<u64> {
        let mut one = vec![0; self.modulus.len()];
        one[0] = 1;
        one
    }

    fn enter(&self, number: &[u64]) -> Vec<u64> {
        self.multiply(number, &self.square)
    }

    fn leave(&self, number: &[u64]) -> Vec<u64> {
        self.multiply(number, &self.one())
    }

    fn multiply(&self, left: &[u64], right: &[u64]) -> Vec<u64> {
        let length = self.modulus.len();
        let mut sum = vec![0_u64; length + 2];
        for digit in left {
            add_product(&mut sum, right, *digit);
            let factor = sum[0].wrapping_mul(self.inverse);
            add_product(&mut sum, &self.modulus, factor);
            sum.rotate_left(1);
            sum[length + 1] = 0;
        }
        if sum[length] != 0 || !is_less(&sum[..length], &self.modulus) {
            subtract_limbs(&mut sum[..=length], &self.modulus);
        }
        sum.truncate(length);
        sum
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
fn add_product(sum: &mut [u64], number: &[u64], digit: u64) {
    let mut carry = 0_u128;
    let zeros = std::iter::repeat(&0);
    for (limb, other) in sum.iter_mut().zip(number.iter().chain(zeros)) {
        let total = u128::from(*limb) + u128::from(*other) * u128::from(digit) + carry;
        *limb = total as u64;
        carry = total >> 64;
    }
}

fn double_mod(number: &mut [u64], modulus: &[u64]) {
    let mut carry = 0;
    for limb in number.iter_mut() {
        (*limb, carry) = (*limb << 1 | carry, *limb >> 63);
    }
    if carry == 1 || !is_less(number, modulus) {
        subtract_limbs(number, modulus);
    }
}

fn subtract_limbs(left: &mut [u64], right: &[u64]) {
    let mut borrow = false;
    let zeros = std::iter::repeat(&0);
    for (limb, other) in left.iter_mut().zip(right.iter().chain(zeros)) {
        let (difference, first) = limb.overflowing_sub(*other);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*limb, borrow) = (difference, first || second);
    }
}

fn is_less(left: &[u64], right: &[u64]) -> bool {
    left.iter().rev().lt(right.iter().rev())
}

fn limbs_of(bytes: &[u8], length: usize) -> Vec<u64> {
    let mut limbs: Vec<u64> =
        bytes.rchunks(8).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte))).collect();
    limbs.resize(length, 0);
    limbs
}

fn bytes_of(limbs: &[u64], length: usize) -> Vec<u8> {
    let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    let missing = length.saturating_sub(bytes.len());
    let mut padded = vec![0; missing];
    padded.extend_from_slice(&bytes[bytes.len() - (length - missing)..]);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_to_a_power() {
        assert_eq!(pow_mod(&[4], &[13], &[0x01, 0xf1]), [0x01, 0xbd]);
        // Fermat: 3^(p−1) = 1 for the prime 2^127 − 1.
        let mut prime = [0xff; 16];
        prime[0] = 0x7f;
        let exponent = subtract(&prime, &[1], 16);
        assert_eq!(pow_mod(&[3], &exponent, &prime)[15], 1);
        assert!(pow_mod(&[3], &exponent, &prime)[..15].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn multiplies_adds_and_subtracts() {
        assert_eq!(multiply_mod(&[200], &[200], &[251]), [91]);
        assert_eq!(add(&[0xff, 0xff], &[1], 2), [1, 0, 0]);
        assert_eq!(add(&[0xff, 0xfe], &[1], 2), [0xff, 0xff]);
        assert_eq!(subtract(&[1, 0, 0], &[1], 3), [0, 0xff, 0xff]);
    }
}
