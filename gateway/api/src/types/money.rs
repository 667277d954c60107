//! Money in requests and responses.

use billwire_app::domain::{Rejected, Violation, amounts};
use billwire_schemas::money;
use poem_openapi::{Object, types::Example};

use crate::{
    http::problem::Problem,
    types::scalars::{Amount, Currency},
};

/// An amount in a currency.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct MoneyInput {
    /// The amount as a decimal string with a decimal point and no exponent.
    pub amount: Amount,
    /// Currency code, ISO 4217.
    pub currency: Currency,
}

impl Example for MoneyInput {
    fn example() -> Self {
        Self::of("9.90", "EUR")
    }
}

impl MoneyInput {
    /// Builds an example.
    pub fn of(amount: &str, currency: &str) -> Self {
        Self { amount: amount.into(), currency: currency.into() }
    }

    /// The exact amount. `None` if it breaks a rule; the violations are added to `broken`, with pointers below `at`.
    pub fn read(&self, at: &str, broken: &mut Vec<Violation>) -> Option<money::Money> {
        amounts::money(at, &self.amount.0, &self.currency.0, broken)
    }

    /// The exact amount of a body with a single money member, located at `at`.
    ///
    /// # Errors
    /// Every violation.
    pub fn exact(&self, at: &str) -> Result<money::Money, Problem> {
        let mut broken = Vec::new();
        match (self.read(at, &mut broken), Rejected::from_violations(broken)) {
            (Some(money), None) => Ok(money),
            (_, Some(rejected)) => Err(rejected.into()),
            (None, None) => Err(Problem::internal("an amount was refused without a violation")),
        }
    }
}

/// An amount in a currency.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct Money {
    /// The amount as a decimal string with at least the currency's number of decimals.
    amount: String,
    /// Currency code, ISO 4217.
    currency: String,
}

impl Example for Money {
    fn example() -> Self {
        Self::of("9.90", "EUR")
    }
}

impl From<money::Money> for Money {
    fn from(money: money::Money) -> Self {
        Self { amount: money.amount_text(), currency: money.currency.to_string() }
    }
}

impl Money {
    /// Builds an example.
    pub fn of(amount: &str, currency: &str) -> Self {
        Self { amount: amount.to_owned(), currency: currency.to_owned() }
    }
}
