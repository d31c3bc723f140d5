//! Money as whole minor units of a currency, never floating point.

use std::fmt;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

/// An amount that cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// No such currency.
    #[error("`{0}` is no currency: expected an ISO 4217 code such as EUR")]
    Currency(String),
    /// Not a number.
    #[error(
        "`{0}` is no amount: expected a number such as 129.90, with a point and no currency sign"
    )]
    Amount(String),
    /// More decimals than the currency has.
    #[error("`{amount}` has more decimals than {currency} has: expected at most {decimals}")]
    Decimals {
        /// What was found.
        amount: String,
        /// The currency's code.
        currency: String,
        /// The currency's own number of decimals.
        decimals: u16,
    },
    /// Below zero.
    #[error("`{0}` is negative: expected 0 or more")]
    Negative(String),
}

impl FromStr for Currency {
    type Err = MoneyError;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
            .ok_or_else(|| MoneyError::Currency(code.to_owned()))
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code())
    }
}

impl Currency {
    /// The currency's own number of decimals.
    pub fn decimals(self) -> u16 {
        self.0.exponent().unwrap_or(0)
    }

    /// Reads an amount that is not negative.
    pub fn parse_amount(self, text: &str) -> Result<i64, MoneyError> {
        let refused = || MoneyError::Amount(text.to_owned());
        let is_plain = text
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        let amount: Decimal = text.parse().ok().filter(|_| is_plain).ok_or_else(refused)?;
        if amount.is_sign_negative() && !amount.is_zero() {
            return Err(MoneyError::Negative(text.to_owned()));
        }
        let amount = amount.normalize();
        let decimals = self.decimals();
        if amount.scale() > decimals.into() {
            return Err(MoneyError::Decimals {
                amount: text.to_owned(),
                currency: self.to_string(),
                decimals,
            });
        }
        // At most a quadrillion minor units, so that sums of an order's
        // refunds stay far from the end of the range.
        let minor = Decimal::from(10u64.pow(decimals.into())).checked_mul(amount);
        minor
            .and_then(|minor| minor.to_i64())
            .filter(|minor| *minor <= 1_000_000_000_000_000)
            .ok_or_else(refused)
    }
}

/// An amount in minor units (cents) of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units.
    pub minor: i64,
    /// Which currency.
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}",
            Decimal::new(self.minor, self.currency.decimals().into())
        )
    }
}

/// So many percent of an amount, half away from zero.
pub(crate) fn percent_of(minor: i64, percent: u8) -> i64 {
    let scaled = i128::from(minor) * i128::from(percent);
    let half = if scaled < 0 { -50 } else { 50 };
    i64::try_from((scaled + half) / 100).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_the_currency_s_own_decimals() {
        let eur: Currency = "EUR".parse().unwrap();
        let vnd: Currency = "VND".parse().unwrap();
        let kwd: Currency = "KWD".parse().unwrap();
        assert_eq!(eur.parse_amount("129.9"), Ok(12_990));
        assert_eq!(eur.parse_amount("129.900"), Ok(12_990));
        assert_eq!(vnd.parse_amount("1250000"), Ok(1_250_000));
        assert_eq!(kwd.parse_amount("1.234"), Ok(1_234));
        assert_eq!(
            eur.parse_amount("-0.01"),
            Err(MoneyError::Negative("-0.01".into()))
        );
        for bad in [
            "",
            "1,5",
            "1e3",
            "€ 5",
            "1_000",
            "+5",
            "99999999999999999999",
        ] {
            assert_eq!(
                eur.parse_amount(bad),
                Err(MoneyError::Amount(bad.into())),
                "{bad}"
            );
        }
        assert!(matches!(
            vnd.parse_amount("1.5"),
            Err(MoneyError::Decimals { .. })
        ));
        assert!("XYZ".parse::<Currency>().is_err());
        assert_eq!(
            Money {
                minor: 5,
                currency: eur
            }
            .to_string(),
            "0.05"
        );
        assert_eq!(
            Money {
                minor: 5,
                currency: vnd
            }
            .to_string(),
            "5"
        );
    }

    #[test]
    fn a_percentage_is_rounded_half_away_from_zero() {
        for (minor, expected) in [(0, 0), (4, 0), (5, 1), (14, 1), (15, 2), (12_995, 1_300)] {
            assert_eq!(percent_of(minor, 10), expected, "{minor}");
        }
    }
}
