//! Fractions of whole numbers, so that a conversion or a rounding gives the decimal number that a person would write:
//! 21.5 °C are 294.65 K, and 21.34 in steps of 0.1 is 21.3, to the last digit of a 64-bit float.
//!
//! What does not fit into 128 bits is given up (`None`), and the caller reckons with floats.

use std::fmt::Write as _;

/// Significant digits beyond which a 64-bit float cannot tell two numbers apart.
const DIGITS: usize = 20;

/// `num / den`, not necessarily in lowest terms; `den` is positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    num: i128,
    den: i128,
}

impl Ratio {
    /// 0
    pub const ZERO: Self = Self::new(0, 1);
    /// 1
    pub const ONE: Self = Self::new(1, 1);

    /// `num / den`; the denominator must be positive.
    pub const fn new(num: i128, den: i128) -> Self {
        Self { num, den }
    }

    /// The shortest decimal number that reads back as this float.
    pub fn from_float(number: f64) -> Option<Self> {
        if !number.is_finite() {
            return None;
        }
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()? - i32::try_from(fraction.len()).ok()?;
        let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
        match exponent >= 0 {
            true => Some(Self::new(digits.checked_mul(power)?, 1)),
            false => Some(Self::new(digits, power)),
        }
    }

    /// `self + other`
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.den == other.den {
            return Some(Self::new(self.num.checked_add(other.num)?, self.den));
        }
        let num = self.num.checked_mul(other.den)?.checked_add(other.num.checked_mul(self.den)?)?;
        Some(Self::new(num, self.den.checked_mul(other.den)?))
    }

    /// `self * other`
    pub fn times(self, other: Self) -> Option<Self> {
        Some(Self::new(self.num.checked_mul(other.num)?, self.den.checked_mul(other.den)?))
    }

    /// `-self`
    pub const fn negated(self) -> Self {
        Self { num: -self.num, den: self.den }
    }

    /// `1 / self`; `None` for 0.
    pub fn inverse(self) -> Option<Self> {
        let (num, den) = match self.num < 0 {
            true => (-self.den, self.num.checked_neg()?),
            false => (self.den, self.num),
        };
        (den != 0).then_some(Self::new(num, den))
    }

    /// In lowest terms, which leaves the most room for what follows.
    pub fn reduced(self) -> Self {
        let (mut one, mut other) = (self.num.unsigned_abs(), self.den.unsigned_abs());
        while other != 0 {
            (one, other) = (other, one % other);
        }
        match i128::try_from(one) {
            Ok(common) if common > 1 => Self::new(self.num / common, self.den / common),
            _ => self,
        }
    }

    /// The nearest whole number, half away from zero.
    pub fn round(self) -> Option<i128> {
        let doubled = self.num.checked_abs()?.checked_mul(2)?.checked_add(self.den)?;
        Some(doubled / self.den.checked_mul(2)? * self.num.signum())
    }

    /// The whole number that this is.
    pub const fn to_whole(self) -> Option<i128> {
        if self.num % self.den == 0 { Some(self.num / self.den) } else { None }
    }

    /// The greatest whole number that is not greater.
    pub const fn floor(self) -> i128 {
        self.num.div_euclid(self.den)
    }

    /// The nearest multiple of `step`, half away from zero; `step` is positive.
    pub fn to_step(self, step: Self) -> Option<Self> {
        let count = self.times(step.inverse()?)?.round()?;
        Self::new(count, 1).times(step)
    }

    /// The nearest float.
    pub fn to_float(self) -> f64 {
        const EXACT: i128 = 1 << 53;
        if self.num.unsigned_abs() < EXACT.unsigned_abs() && self.den < EXACT {
            // Both are exact, so IEEE 754 rounds their quotient correctly.
            return self.num as f64 / self.den as f64;
        }
        self.long_division().parse().unwrap_or(f64::NAN)
    }

    /// As decimal text with more digits than a float can hold.
    fn long_division(self) -> String {
        let (magnitude, den) = (self.num.unsigned_abs(), self.den.unsigned_abs());
        let (whole, mut rest) = (magnitude / den, magnitude % den);
        let mut text = String::from(if self.num < 0 { "-" } else { "" });
        // Writing to a String cannot fail.
        let _ = write!(text, "{whole}.");
        let mut significant = if whole > 0 { whole.to_string().len() } else { 0 };
        while rest != 0 && significant < DIGITS {
            let Some(tenfold) = rest.checked_mul(10) else { break };
            let digit = tenfold / den;
            rest = tenfold % den;
            let _ = write!(text, "{digit}");
            significant += usize::from(significant > 0 || digit > 0);
        }
        text
    }
}

impl From<i128> for Ratio {
    fn from(number: i128) -> Self {
        Self::new(number, 1)
    }
}

/// `x * mul + add`: a scale, a unit, or both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    mul: Ratio,
    add: Ratio,
}

impl Affine {
    /// Changes nothing.
    pub const IDENTITY: Self = Self { mul: Ratio::ONE, add: Ratio::ZERO };

    /// `x * mul + add`
    pub const fn new(mul: Ratio, add: Ratio) -> Self {
        Self { mul, add }
    }

    /// First this, then `next`.
    pub fn then(self, next: Self) -> Option<Self> {
        let mul = self.mul.times(next.mul)?.reduced();
        let add = self.add.times(next.mul)?.reduced().plus(next.add)?.reduced();
        Some(Self { mul, add })
    }

    /// What undoes this.
    pub fn inverse(self) -> Option<Self> {
        let mul = self.mul.inverse()?;
        Some(Self { mul, add: self.add.negated().times(mul)?.reduced() })
    }

    /// The exact result.
    pub fn apply(&self, number: Ratio) -> Option<Ratio> {
        number.times(self.mul)?.plus(self.add)
    }

    /// The result in floats, where the exact one does not fit.
    pub fn apply_float(&self, number: f64) -> f64 {
        number.mul_add(self.mul.to_float(), self.add.to_float())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ratio(number: f64) -> Ratio {
        Ratio::from_float(number).unwrap()
    }

    #[test]
    fn floats_are_the_decimals_that_they_show() {
        for (number, num, den) in
            [(21.5, 215, 10), (-0.1, -1, 10), (1482.077, 1_482_077, 1000), (3e5, 300_000, 1)]
        {
            assert_eq!(ratio(number), Ratio::new(num, den));
        }
        for number in [f64::NAN, f64::INFINITY, 1e300, 1e-300] {
            assert_eq!(Ratio::from_float(number), None);
        }
    }

    #[test]
    fn steps_give_short_decimals() {
        for (number, step, rounded) in [
            (21.34, 0.1, "21.3"),
            (21.35, 0.1, "21.4"),
            (-21.35, 0.1, "-21.4"),
            (7.0, 0.25, "7"),
            (7.2, 0.25, "7.25"),
            (1482.077, 5.0, "1480"),
        ] {
            assert_eq!(ratio(number).to_step(ratio(step)).unwrap().to_float().to_string(), rounded);
        }
    }

    #[test]
    fn rounding_goes_half_away_from_zero() {
        for (num, round, floor) in [(5, 3, 2), (-5, -3, -3), (4, 2, 2), (-1, -1, -1), (1, 1, 0), (0, 0, 0)] {
            assert_eq!(
                (Ratio::new(num, 2).round(), Ratio::new(num, 2).floor()),
                (Some(round), floor),
                "{num}"
            );
        }
    }

    #[test]
    fn large_fractions_become_the_nearest_float() {
        let third = Ratio::new(10_i128.pow(30), 3 * 10_i128.pow(30));
        assert_eq!(third.to_float(), 1.0 / 3.0);
        assert_eq!(Ratio::new(-(1 << 60), 1 << 59).to_float(), -2.0);
        assert_eq!(Ratio::new(1, 10_i128.pow(25)).to_float(), 1e-25);
        assert_eq!(Ratio::new(i128::MAX, 1).to_float(), i128::MAX as f64);
        assert_eq!(Ratio::new(i128::MIN, 2).to_float(), i128::MIN as f64 / 2.0);
    }

    proptest! {
        #[test]
        fn a_float_comes_back_from_its_fraction(number in -1e15_f64..1e15) {
            if let Some(exact) = Ratio::from_float(number) {
                prop_assert_eq!(exact.to_float(), number);
            }
        }

        #[test]
        fn nothing_panics(a in any::<f64>(), b in any::<f64>(), c in any::<(i128, u64)>()) {
            let c = Ratio::new(c.0, i128::from(c.1) + 1);
            let (Some(a), Some(b)) = (Ratio::from_float(a), Ratio::from_float(b)) else { return Ok(()) };
            let affine = Affine::new(a, b);
            for number in [a, b, c] {
                let _ = (affine.apply(number), number.round(), number.floor(), number.to_float(), number.reduced());
                let _ = number.inverse().and_then(|inverse| affine.apply(inverse));
                let _ = number.to_step(c);
            }
            let _ = affine.then(affine).and_then(Affine::inverse);
        }
    }
}
