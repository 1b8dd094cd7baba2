//! Cases made on purpose to meet what the formulas leave out, and every border of a signature's numbers. Each is judged
//! by the definition, by every engine and tier, and by the library.

use num_bigint::BigUint;

use crate::comb::{Comb, Digit};
use crate::engine::Engine;
use crate::key::{InvalidKey, PreparedKey, PublicKey, Tier};
use crate::portable::{Base, Hot, Small};
use crate::reference::{Point, base, bytes, key, less, limbs, n, negative, p, sum, times, with_x};
use crate::scalar::Scalar;
use crate::signature::Question;

/// A signature by numbers.
#[derive(Clone, Debug)]
struct Case {
    key: Point,
    e: BigUint,
    r: BigUint,
    s: BigUint,
}

/// What an engine may do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum May {
    Decide,
    OnlyAsk,
    Either,
}

impl Case {
    /// The good signature for which u₁ and u₂ are these.
    fn good(key: &Point, u1: &BigUint, u2: &BigUint) -> Self {
        let (x, _) = sum(&times(u1, &base()), &times(u2, key)).expect("a point");
        let r = x % n();
        let s = &r * u2.modinv(&n()).unwrap() % n();
        Self { key: key.clone(), e: u1 * &s % n(), r, s }
    }

    /// FIPS 186-5 §6.4.2.
    fn is_good(&self) -> bool {
        let in_bounds = |number: &BigUint| *number > BigUint::ZERO && *number < n();
        if !in_bounds(&self.r) || !in_bounds(&self.s) {
            return false;
        }
        let inverse = self.s.modinv(&n()).unwrap();
        let (u1, u2) = (&self.e * &inverse % n(), &self.r * &inverse % n());
        sum(&times(&u1, &base()), &times(&u2, &self.key)).is_some_and(|(x, _)| x % n() == self.r)
    }

    fn check(&self, may: May) {
        let expected = self.is_good();
        let (hash, signature) = (bytes(&self.e), [bytes(&self.r), bytes(&self.s)].concat());
        let public = key(&self.key);
        let question = Question::read(&hash, &signature);
        for (engine, tier) in forms() {
            let prepared = PreparedKey::with(&public, engine, tier);
            assert_eq!(prepared.engine(), engine);
            assert_eq!(prepared.decide_by_library(&hash, &signature), expected, "the library: {self:?}");
            let found = question.and_then(|question| prepared.decide(&question));
            assert!(found.is_none_or(|found| found == expected), "{engine} {tier:?}: {self:?}");
            if question.is_some() {
                assert!(found.is_some() || may != May::Decide, "{engine} {tier:?} did not decide {self:?}");
                assert!(found.is_none() || may != May::OnlyAsk, "{engine} {tier:?} decided {self:?}");
            }
        }
    }
}

fn forms() -> Vec<(Engine, Tier)> {
    let engines = Engine::ALL.into_iter().filter(|&engine| engine != Engine::Library && engine.is_available());
    engines.flat_map(|engine| [(engine, Tier::Small), (engine, Tier::Hot)]).collect()
}

fn small(number: u32) -> BigUint {
    BigUint::from(number)
}

/// Numbers that look like any others.
fn ordinary(number: u32) -> BigUint {
    let spread = crate::reference::hex("9e3779b97f4a7c15f39cc0605cedc8341082276bf3a27251f86c6a11d0c18e95");
    spread.modpow(&small(number + 2), &n())
}

/// Small numbers and powers of two, from both ends.
fn tiny_logarithms() -> Vec<BigUint> {
    let powers = [4, 5, 8, 13, 16, 64, 65, 88, 104, 128, 255].map(|power| small(1) << power);
    let all = (1..=9).map(small).chain([15, 16, 17, 255, 256, 257].map(small)).chain(powers);
    all.flat_map(|number| [n() - &number, number]).collect()
}

#[test]
fn keys_of_tiny_logarithm_are_judged_rightly() {
    for (number, logarithm) in tiny_logarithms().iter().enumerate() {
        let public = times(logarithm, &base());
        let number = u32::try_from(number).unwrap();
        let good = Case::good(&public, &ordinary(number), &ordinary(number + 100));
        good.check(May::Decide);
        Case { e: &good.e + 1_u32, ..good }.check(May::Decide);
    }
}

#[test]
fn tiny_logarithms_with_tiny_multipliers_are_judged_rightly() {
    let public = [small(1), n() - 1_u32, small(8), n() - 8_u32, small(2)].map(|number| times(&number, &base()));
    for (place, key) in public.iter().enumerate() {
        for u1 in [small(0), small(1), small(2), n() - 1_u32, small(8), ordinary(1)] {
            for u2 in
                [small(1), small(2), n() - 1_u32, n() - 2_u32, small(8), ordinary(2 + u32::try_from(place).unwrap())]
            {
                if sum(&times(&u1, &base()), &times(&u2, key)).is_some() {
                    Case::good(key, &u1, &u2).check(May::Either);
                }
            }
        }
    }
}

/// u₁G + u₂Q is the point at infinity, whatever s is: no signature, and nothing that the engine may decide.
#[test]
fn a_sum_at_infinity_is_refused() {
    for logarithm in [small(1), n() - 1_u32, small(7), ordinary(3)] {
        let key = times(&logarithm, &base());
        for r in [small(1), ordinary(4), n() - 1_u32] {
            let e = less(&BigUint::ZERO, &(&r * &logarithm), &n());
            let case = Case { key: key.clone(), e, r, s: ordinary(5) };
            assert!(!case.is_good());
            case.check(May::OnlyAsk);
        }
    }
}

#[test]
fn a_hash_of_zero_is_judged_rightly() {
    for key in [times(&ordinary(6), &base()), base(), negative(&base())] {
        let good = Case::good(&key, &BigUint::ZERO, &ordinary(7));
        assert_eq!(good.e, BigUint::ZERO);
        good.check(May::Either);
        Case { e: n(), ..good.clone() }.check(May::Either);
        Case { e: small(1), ..good }.check(May::Decide);
    }
}

#[test]
fn numbers_at_their_borders_are_judged_rightly() {
    let key = times(&ordinary(8), &base());
    let largest = (small(1) << 256_u32) - 1_u32;
    let borders = [small(0), small(1), small(2), n() - 2_u32, n() - 1_u32, n(), n() + 1_u32, p() - n(), p(), largest];
    for r in &borders {
        for s in &borders {
            for e in [small(0), n(), ordinary(9)] {
                Case { key: key.clone(), e, r: r.clone(), s: s.clone() }.check(May::Decide);
            }
        }
    }
}

#[test]
fn high_and_low_s_are_both_good() {
    let good = Case::good(&times(&ordinary(10), &base()), &ordinary(11), &ordinary(12));
    good.check(May::Decide);
    let other = Case { s: n() - &good.s, ..good.clone() };
    assert!(good.is_good() && other.is_good());
    other.check(May::Decide);
}

/// x of the sum lies between n and p, so that r is x − n: the branch that no honest signature takes.
#[test]
fn x_above_the_order_is_judged_rightly() {
    let mut found = 0;
    for above in 1_u32..40 {
        let sum_point = with_x(&(n() + above));
        if sum_point.is_none() {
            continue;
        }
        found += 1;
        let (u1, u2) = (ordinary(13 + above), ordinary(60 + above));
        // Q = (R − u₁G) / u₂.
        let rest = sum(&sum_point, &negative(&times(&u1, &base())));
        let key = times(&u2.modinv(&n()).unwrap(), &rest);
        let case = Case::good(&key, &u1, &u2);
        assert_eq!(case.r, small(above));
        assert!(case.is_good());
        case.check(May::Decide);
        // Such an r with an x that is r itself, and with one that is neither.
        Case { e: &case.e + 1_u32, ..case.clone() }.check(May::Decide);
        let low = with_x(&small(above));
        if low.is_some() {
            let rest = sum(&low, &negative(&times(&u1, &base())));
            let case = Case::good(&times(&u2.modinv(&n()).unwrap(), &rest), &u1, &u2);
            assert!(case.r == small(above) && case.is_good());
            case.check(May::Decide);
        }
    }
    assert!(found > 10);
    // r + n is p or just above it: only r itself counts.
    let key = times(&ordinary(14), &base());
    for r in [p() - n() - 1_u32, p() - n(), p() - n() + 1_u32] {
        Case { key: key.clone(), e: ordinary(15), r, s: ordinary(16) }.check(May::Decide);
    }
}

#[test]
fn coordinates_that_are_not_canonical_or_off_the_curve_are_no_key() {
    let mut found = 0;
    for x in (0_u32..40).map(small) {
        let Some((_, y)) = with_x(&x) else { continue };
        found += 1;
        let read = |x: &BigUint, y: &BigUint| PublicKey::from_coordinates(&bytes(x), &bytes(y));
        assert!(read(&x, &y).is_ok() && read(&x, &(p() - &y)).is_ok());
        assert_eq!(read(&(&x + p()), &y), Err(InvalidKey));
        assert_eq!(read(&x, &(&y + 1_u32)), Err(InvalidKey));
        Case::good(&Some((x, y)), &ordinary(17), &ordinary(18)).check(May::Decide);
    }
    assert!(found > 10);
    for coordinates in [[0; 32], [0xff; 32]] {
        assert_eq!(PublicKey::from_coordinates(&coordinates, &coordinates), Err(InvalidKey));
    }
}

/// One addition of the portable engine: what is added, as multiples of Q and of G, and whether a doubling comes before.
struct Step {
    doubled: bool,
    of_key: BigUint,
    of_base: BigUint,
}

impl<const TEETH: usize, const BLOCKS: usize, const SPACING: usize> Comb<TEETH, BLOCKS, SPACING> {
    fn steps(u1: &BigUint, u2: &BigUint) -> Vec<Step> {
        let key = Self::digits(Scalar(limbs(u2)));
        let base = Base::digits(Scalar(limbs(u1)));
        let mut steps = Vec::new();
        for round in (0..SPACING).rev() {
            let of_key = |digit: &Digit| (Self::multiple(*digit), BigUint::ZERO);
            let of_base = |digit: &Digit| (BigUint::ZERO, Base::multiple(*digit));
            let base = base.get(round).into_iter().flatten().map(of_base);
            for (place, (of_key, of_base)) in key[round].iter().map(of_key).chain(base).enumerate() {
                steps.push(Step { doubled: place == 0, of_key, of_base });
            }
        }
        steps
    }
}

/// For each addition in turn, with either sign, a key for which exactly that addition adds a point to itself or to its
/// negative: A·Q + B·G = ±(C·Q + D·G) for Q = q·G and q = (±D − B) / (A ∓ C). The signature is good all the same.
fn collide(steps: &[Step], u1: &BigUint, u2: &BigUint, tier: Tier) {
    let n = n();
    let (mut of_key, mut of_base) = (BigUint::ZERO, BigUint::ZERO);
    for (number, step) in steps.iter().enumerate() {
        if step.doubled {
            (of_key, of_base) = (of_key * 2_u32 % &n, of_base * 2_u32 % &n);
        }
        for is_negative in [false, true] {
            let signed = |number: &BigUint| if is_negative { less(&BigUint::ZERO, number, &n) } else { number.clone() };
            let factor = less(&of_key, &signed(&step.of_key), &n);
            let logarithm = factor.modinv(&n).map(|inverse| less(&signed(&step.of_base), &of_base, &n) * inverse % &n);
            let Some(logarithm) = logarithm.filter(|logarithm| number > 0 && *logarithm != BigUint::ZERO) else {
                continue;
            };
            let key = times(&logarithm, &base());
            if sum(&times(u1, &base()), &times(u2, &key)).is_none() {
                continue;
            }
            let case = Case::good(&key, u1, u2);
            let prepared = PreparedKey::with(&crate::reference::key(&key), Engine::Portable, tier);
            let question = Question::read(&bytes(&case.e), &[bytes(&case.r), bytes(&case.s)].concat()).unwrap();
            assert_eq!(prepared.decide(&question), None, "step {number}, {is_negative}: {case:?}");
            let signature = [bytes(&case.r), bytes(&case.s)].concat();
            assert!(prepared.decide_by_library(&bytes(&case.e), &signature), "{case:?}");
        }
        of_key = (of_key + &step.of_key) % &n;
        of_base = (of_base + &step.of_base) % &n;
    }
    assert_eq!((of_key, of_base), (u2.clone(), u1.clone()));
}

#[test]
fn a_collision_at_any_addition_is_left_to_the_library() {
    let (u1, u2) = (ordinary(19), ordinary(20));
    collide(&Small::steps(&u1, &u2), &u1, &u2, Tier::Small);
    collide(&Hot::steps(&u1, &u2), &u1, &u2, Tier::Hot);
}
