//! Amounts of money in a request body: parsed exactly, or refused with a pointer to the invalid member.

use std::borrow::Cow;

use billwire_schemas::money::{BadDecimal, Currency, Decimal, Money};
use billwire_schemas::refusal::Code;

use crate::rejected::Violation;

/// Parses the members `amount` and `currency` of the object at `at`. Returns `None` after pushing every violation to `broken`:
/// `amount_invalid`, `amount_too_fine`, `amount_out_of_range`, `currency_unknown`.
pub fn money(at: &str, amount: &str, currency: &str, broken: &mut Vec<Violation>) -> Option<Money> {
    let amount = decimal(format!("{at}/amount"), amount, broken);
    let currency = currency_of(format!("{at}/currency"), currency).map_err(|no_currency| broken.push(no_currency));
    Some(Money::new(amount?, currency.ok()?))
}

/// The currency with the code at `pointer`.
///
/// # Errors
/// `currency_unknown`.
pub fn currency_of(pointer: impl Into<Cow<'static, str>>, code: &str) -> Result<Currency, Violation> {
    code.parse().map_err(|no_currency| Violation::new(pointer, Code::CurrencyUnknown, format!("'{code}' {no_currency}.")))
}

/// Parses the decimal at `pointer`. Returns `None` after pushing the violation to `broken`: `amount_invalid`, `amount_too_fine`,
/// `amount_out_of_range`.
pub fn decimal(pointer: String, text: &str, broken: &mut Vec<Violation>) -> Option<Decimal> {
    let error = match text.parse::<Decimal>() {
        Ok(decimal) => return Some(decimal),
        Err(error) => error,
    };
    let message = format!("'{text}' {error}.");
    broken.push(match error {
        BadDecimal::Syntax => Violation::new(pointer, Code::AmountInvalid, message),
        BadDecimal::Decimals => Violation::new(pointer, Code::AmountTooFine, message),
        BadDecimal::Range => Violation::new(pointer, Code::AmountOutOfRange, message),
    });
    None
}

/// Checks an amount to book at `at`: positive, in the account's currency, with no fraction of the currency's minor unit. Pushes
/// violations to `broken`: `amount_not_positive`, `currency_mismatch`, `amount_too_fine`.
pub fn validate_amount(at: &str, money: &Money, currency: &str, broken: &mut Vec<Violation>) {
    if !money.amount.is_positive() {
        broken.push(Violation::new(
            format!("{at}/amount"),
            Code::AmountNotPositive,
            format!("The amount must be greater than zero; it is {money}."),
        ));
    }
    if money.currency.as_str() != currency {
        let message = format!("The currency must be the account's, {currency}; it is {}.", money.currency);
        broken.push(Violation::new(format!("{at}/currency"), Code::CurrencyMismatch, message));
    }
    if !money.in_minor_units() {
        let message = format!("An amount in {} has at most {} decimals; it is {money}.", money.currency, money.currency.decimals());
        broken.push(Violation::new(format!("{at}/amount"), Code::AmountTooFine, message));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_of_an_amount_has_its_code_and_place() {
        let codes = |amount, currency| {
            let mut broken = Vec::new();
            let read = money("/recurringFee", amount, currency, &mut broken);
            assert_eq!(read.is_none(), !broken.is_empty());
            broken.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect::<Vec<_>>()
        };
        let at_amount = |code| (code, "/recurringFee/amount".to_owned());
        let at_currency = || ("currency_unknown", "/recurringFee/currency".to_owned());
        assert_eq!(codes("12.50", "EUR"), vec![]);
        assert_eq!(codes("1e3", "EUR"), [at_amount("amount_invalid")]);
        assert_eq!(codes("0.0000001", "EUR"), [at_amount("amount_too_fine")]);
        assert_eq!(codes("9000000000001", "EUX"), [at_amount("amount_out_of_range"), at_currency()], "every violation is named");
    }
}
