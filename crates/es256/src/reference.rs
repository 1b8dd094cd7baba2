//! P-256 by a big-integer crate and the definitions, for tests: slow, and nothing in common with the engines.

use num_bigint::BigUint;
use proptest::prelude::{Strategy, any, prop_oneof};

use crate::key::PublicKey;
use crate::wide::Limbs;

pub(crate) fn p() -> BigUint {
    hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
}

pub(crate) fn n() -> BigUint {
    hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
}

pub(crate) fn b() -> BigUint {
    hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
}

pub(crate) fn hex(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).unwrap()
}

pub(crate) fn number(limbs: &[u64]) -> BigUint {
    limbs.iter().rev().fold(BigUint::ZERO, |number, &limb| (number << 64_u32) + limb)
}

pub(crate) fn limbs(number: &BigUint) -> Limbs {
    let mut digits = number.to_u64_digits();
    digits.resize(4, 0);
    digits.try_into().unwrap()
}

pub(crate) fn bytes(number: &BigUint) -> [u8; 32] {
    let digits = number.to_bytes_be();
    let mut bytes = [0; 32];
    bytes[32 - digits.len()..].copy_from_slice(&digits);
    bytes
}

/// a − b modulo `modulus`, for any a and b.
pub(crate) fn less(a: &BigUint, b: &BigUint, modulus: &BigUint) -> BigUint {
    (a + modulus - b % modulus) % modulus
}

/// A point other than infinity, or nothing.
pub(crate) type Point = Option<(BigUint, BigUint)>;

#[expect(clippy::unnecessary_wraps, reason = "a point like the others")]
pub(crate) fn base() -> Point {
    Some((
        hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
        hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
    ))
}

pub(crate) fn sum(a: &Point, b: &Point) -> Point {
    let p = p();
    let (Some((x1, y1)), Some((x2, y2))) = (a, b) else { return a.clone().or_else(|| b.clone()) };
    let slope = if x1 != x2 {
        less(y2, y1, &p) * less(x2, x1, &p).modinv(&p).unwrap()
    } else if y1 == y2 {
        less(&(x1 * x1 * 3_u32), &BigUint::from(3_u32), &p) * (y1 * 2_u32).modinv(&p).unwrap()
    } else {
        return None;
    };
    let x = less(&(&slope * &slope), &(x1 + x2), &p);
    let y = less(&(slope * less(x1, &x, &p)), y1, &p);
    Some((x, y))
}

pub(crate) fn negative(point: &Point) -> Point {
    point.as_ref().map(|(x, y)| (x.clone(), p() - y))
}

/// By doubling and adding with x = X / Z² and y = Y / Z³, divided at the end only.
pub(crate) fn times(scalar: &BigUint, point: &Point) -> Point {
    let p = p();
    let (x, y) = point.as_ref()?;
    let mut result = (BigUint::from(1_u32), BigUint::from(1_u32), BigUint::ZERO);
    for bit in (0..scalar.bits()).rev() {
        result = doubled(&result);
        if scalar.bit(bit) {
            result = with_affine(&result, x, y);
        }
    }
    let (x, y, z) = result;
    let inverse = z.modinv(&p)?;
    let squared = &inverse * &inverse % &p;
    Some((x * &squared % &p, y * squared * inverse % &p))
}

type Jacobian = (BigUint, BigUint, BigUint);

fn doubled((x, y, z): &Jacobian) -> Jacobian {
    let p = p();
    let squared = y * y % &p;
    let s = x * &squared * 4_u32 % &p;
    let slope = less(&(x * x * 3_u32), &(z.modpow(&BigUint::from(4_u32), &p) * 3_u32), &p);
    let double_x = less(&(&slope * &slope), &(&s * 2_u32), &p);
    let double_y = less(&(slope * less(&s, &double_x, &p)), &(&squared * &squared * 8_u32), &p);
    (double_x, double_y, y * z * 2_u32 % p)
}

fn with_affine(sum: &Jacobian, x: &BigUint, y: &BigUint) -> Jacobian {
    let p = p();
    let (x1, y1, z1) = sum;
    if *z1 == BigUint::ZERO {
        return (x.clone(), y.clone(), BigUint::from(1_u32));
    }
    let squared = z1 * z1 % &p;
    let h = less(&(x * &squared), x1, &p);
    let slope = less(&(y * &squared * z1), y1, &p);
    if h == BigUint::ZERO && slope == BigUint::ZERO {
        return doubled(sum);
    }
    let h_squared = &h * &h % &p;
    let h_cubed = &h_squared * &h % &p;
    let v = x1 * h_squared % &p;
    let x3 = less(&less(&(&slope * &slope), &h_cubed, &p), &(&v * 2_u32), &p);
    let y3 = less(&(slope * less(&v, &x3, &p)), &(y1 * h_cubed), &p);
    (x3, y3, z1 * h % p)
}

/// The point with this x and an even y, if there is one.
pub(crate) fn with_x(x: &BigUint) -> Point {
    let p = p();
    let square = less(&(x * x * x + b()), &(x * 3_u32), &p);
    let y = square.modpow(&((&p + 1_u32) >> 2_u32), &p);
    let y = if y.bit(0) { &p - y } else { y };
    (&y * &y % &p == square).then(|| (x.clone(), y))
}

pub(crate) fn key(point: &Point) -> PublicKey {
    let (x, y) = point.as_ref().unwrap();
    PublicKey::from_coordinates(&bytes(x), &bytes(y)).unwrap()
}

/// 256-bit numbers, many of them with limbs at their borders.
pub(crate) fn any_limbs() -> impl Strategy<Value = Limbs> {
    let limb = || {
        prop_oneof![
            any::<u64>(),
            proptest::sample::select(vec![
                0,
                1,
                u64::MAX,
                u64::MAX - 1,
                1 << 63,
                (1 << 63) - 1,
                0xffff_ffff,
                0xffff_ffff_0000_0000,
                0xffff_ffff_0000_0001,
                1 << 52,
                (1 << 52) - 1,
            ]),
        ]
    };
    [limb(), limb(), limb(), limb()]
}

/// As [`any_limbs`], below `modulus`; often near it or near 0.
pub(crate) fn any_below(modulus: BigUint) -> impl Strategy<Value = Limbs> {
    let near = modulus.clone();
    prop_oneof![
        4 => any_limbs().prop_map(move |found| limbs(&(number(&found) % &modulus))),
        1 => (1_u64..5, any::<bool>()).prop_map(move |(distance, low)| {
            if low { [distance - 1, 0, 0, 0] } else { limbs(&(&near - distance)) }
        }),
    ]
}
