//! Splitting a quantity into number and unit.

use super::UnitError;

/// What is being read, for errors.
#[derive(Clone, Copy)]
pub(super) struct Scan<'a> {
    pub(super) what: &'static str,
    pub(super) mend: &'static str,
    pub(super) text: &'a str,
}

impl<'a> Scan<'a> {
    pub(super) fn error(&self, offset: usize, problem: impl Into<String>) -> UnitError {
        UnitError {
            what: self.what,
            text: self.text.to_owned(),
            offset,
            problem: problem.into(),
            mend: self.mend,
        }
    }

    /// Reads an unsigned decimal number at `offset`; returns its text and the offset behind it.
    pub(super) fn number(&self, offset: usize) -> Result<(&'a str, usize), UnitError> {
        let rest = &self.text[offset..];
        let length = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let digits = &rest[..length];
        if !digits.bytes().any(|b| b.is_ascii_digit()) {
            let found = rest.chars().next().map_or("the end".to_owned(), |c| format!("`{c}`"));
            return Err(self.error(offset, format!("expected a number, found {found}")));
        }
        if digits.bytes().filter(|b| *b == b'.').count() > 1
            || digits.ends_with('.')
            || digits.starts_with('.')
        {
            return Err(self.error(offset, format!("`{digits}` is not a number")));
        }
        Ok((digits, offset + length))
    }

    /// Reads letters (and `µ`) at `offset`; returns them and the offset behind them.
    pub(super) fn unit(&self, offset: usize) -> (&'a str, usize) {
        let rest = &self.text[offset..];
        let length = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        (&rest[..length], offset + length)
    }

    /// Turns the text of a number into `number × scale`, exactly, or says why not.
    pub(super) fn scaled(&self, digits: &str, scale: u64, offset: usize) -> Result<u64, UnitError> {
        let too_large = || self.error(offset, "is too large");
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole: u64 = whole.parse().map_err(|_| too_large())?;
        let mut value = whole.checked_mul(scale).ok_or_else(too_large)?;
        if !fraction.is_empty() {
            let places = u32::try_from(fraction.len()).ok().filter(|p| *p <= 15);
            let places = places.ok_or_else(|| self.error(offset, "has too many decimal places"))?;
            let fraction: u128 = fraction.parse().map_err(|_| too_large())?;
            let product = fraction * u128::from(scale);
            let divisor = 10_u128.pow(places);
            if !product.is_multiple_of(divisor) {
                return Err(self.error(offset, "is finer than the unit can hold"));
            }
            let part = u64::try_from(product / divisor).map_err(|_| too_large())?;
            value = value.checked_add(part).ok_or_else(too_large)?;
        }
        Ok(value)
    }
}
