use std::fmt;
use std::str::FromStr;

use super::{Invalid, serde_as_text};

/// Codes of ISO 4217 whose minor unit is a hundredth of the major one.
const TWO_DIGITS: &str = "\
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC \
    CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR \
    JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD \
    NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
    SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VES WST XCD YER ZAR ZMW";
/// Codes without a minor unit.
const NO_DIGITS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
/// Codes whose minor unit is a thousandth of the major one.
const THREE_DIGITS: &str = "BHD IQD JOD KWD LYD OMR TND";

/// A currency of ISO 4217.
///
/// # Examples
/// ```
/// use orders::orders::domain::Currency;
///
/// assert_eq!("JPY".parse::<Currency>()?.minor_digits(), 0);
/// assert!("EURO".parse::<Currency>().is_err());
/// # Ok::<(), orders::orders::domain::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: [u8; 3],
    minor_digits: u8,
}

impl Currency {
    /// Returns the three letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.code).expect("three ASCII letters by construction")
    }

    /// Returns how many decimal digits the minor unit has: 0, 2 or 3.
    pub fn minor_digits(self) -> u8 {
        self.minor_digits
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let code: [u8; 3] = text
            .as_bytes()
            .try_into()
            .map_err(|_| Invalid::new("currency", "write the three letters of ISO 4217, such as EUR"))?;
        let listed = |codes: &str| codes.split(' ').any(|known| known == text);
        let minor_digits = match () {
            () if listed(TWO_DIGITS) => 2,
            () if listed(NO_DIGITS) => 0,
            () if listed(THREE_DIGITS) => 3,
            () => return Err(Invalid::new("currency", "not a code of ISO 4217 in capitals")),
        };
        Ok(Self { code, minor_digits })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

serde_as_text!(Currency);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_a_code() {
        for bad in ["", "eur", "EU", "EURO", "E R", " EUR", "XXZ", "€"] {
            assert!(bad.parse::<Currency>().is_err(), "{bad}");
        }
    }
}
