//! The seam below which the instructions are: eight 64-bit numbers, and what the engine does with them. The engine is
//! written once over it; `native` implements it by AVX-512 IFMA, and tests run it on [`Emulated`] everywhere.

/// Eight 64-bit numbers.
pub(crate) trait Lanes: Copy {
    /// The same number in every lane.
    fn splat(number: u64) -> Self;
    /// One number for each lane.
    fn load(numbers: &[u64; 8]) -> Self;
    /// The numbers of the lanes.
    fn store(self) -> [u64; 8];
    /// The lanes of eight lines turned round: number n of lane l comes from place n of line l.
    fn transpose(lines: [Self; 8]) -> [Self; 8];
    /// Lane l takes the number of lane l + `BY`, round the end.
    fn rotate<const BY: i32>(self) -> Self;
    /// self + the low 52 bits of a · b, of which the low 52 bits of each count.
    fn add_product_low(self, a: Self, b: Self) -> Self;
    /// self + the high 52 bits of a · b, of which the low 52 bits of each count.
    fn add_product_high(self, a: Self, b: Self) -> Self;
    /// Sums modulo 2⁶⁴.
    fn add(self, other: Self) -> Self;
    /// Differences modulo 2⁶⁴.
    fn subtract(self, other: Self) -> Self;
    /// Bits set in both.
    fn and(self, other: Self) -> Self;
    /// Bits set in one of the two.
    fn xor(self, other: Self) -> Self;
    /// Shifted to the left.
    fn left<const BY: u32>(self) -> Self;
    /// Shifted to the right, with zeros.
    fn right<const BY: u32>(self) -> Self;
    /// Shifted to the right, with the sign.
    fn right_signed<const BY: u32>(self) -> Self;
}

/// The instructions' definition in plain words, to compare with.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Emulated(pub(crate) [u64; 8]);

#[cfg(test)]
impl Emulated {
    fn product(a: Self, b: Self) -> [u128; 8] {
        let low = |number: u64| u128::from(number & ((1 << 52) - 1));
        std::array::from_fn(|lane| low(a.0[lane]) * low(b.0[lane]))
    }

    fn each(self, other: Self, with: impl Fn(u64, u64) -> u64) -> Self {
        Self(std::array::from_fn(|lane| with(self.0[lane], other.0[lane])))
    }

    fn from_wide(wide: [u128; 8]) -> Self {
        Self(wide.map(|number| u64::try_from(number & ((1 << 52) - 1)).unwrap()))
    }
}

#[cfg(test)]
impl Lanes for Emulated {
    fn splat(number: u64) -> Self {
        Self([number; 8])
    }

    fn load(numbers: &[u64; 8]) -> Self {
        Self(*numbers)
    }

    fn store(self) -> [u64; 8] {
        self.0
    }

    fn transpose(lines: [Self; 8]) -> [Self; 8] {
        std::array::from_fn(|number| Self(lines.map(|line| line.0[number])))
    }

    fn rotate<const BY: i32>(mut self) -> Self {
        self.0.rotate_left(usize::try_from(BY).unwrap());
        self
    }

    fn add_product_low(self, a: Self, b: Self) -> Self {
        self.add(Self::from_wide(Self::product(a, b)))
    }

    fn add_product_high(self, a: Self, b: Self) -> Self {
        self.add(Self::from_wide(Self::product(a, b).map(|number| number >> 52)))
    }

    fn add(self, other: Self) -> Self {
        self.each(other, u64::wrapping_add)
    }

    fn subtract(self, other: Self) -> Self {
        self.each(other, u64::wrapping_sub)
    }

    fn and(self, other: Self) -> Self {
        self.each(other, |a, b| a & b)
    }

    fn xor(self, other: Self) -> Self {
        self.each(other, |a, b| a ^ b)
    }

    fn left<const BY: u32>(self) -> Self {
        Self(self.0.map(|number| number << BY))
    }

    fn right<const BY: u32>(self) -> Self {
        Self(self.0.map(|number| number >> BY))
    }

    fn right_signed<const BY: u32>(self) -> Self {
        Self(self.0.map(|number| (number.cast_signed() >> BY).cast_unsigned()))
    }
}
