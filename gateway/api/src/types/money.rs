//! Money in requests and answers.

use billwire_app::domain::{Rejected, Violation, amounts};
use billwire_schemas::money;
use poem_openapi::{Object, types::Example};

use crate::{
    http::problem::Problem,
    types::scalars::{Amount, Currency},
};

/// An amount of a currency.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct NewMoney {
    /// How much, as a decimal; with a point, without exponent.
    pub amount: Amount,
    /// Of what currency, ISO 4217.
    pub currency: Currency,
}

impl Example for NewMoney {
    fn example() -> Self {
        Self::of("9.90", "EUR")
    }
}

impl NewMoney {
    /// For examples.
    pub fn of(amount: &str, currency: &str) -> Self {
        Self { amount: amount.into(), currency: currency.into() }
    }

    /// The exact amount; `None` when it breaks a rule, which then stands in `broken` with a pointer below `at`.
    pub fn read(&self, at: &str, broken: &mut Vec<Violation>) -> Option<money::Money> {
        amounts::money(at, &self.amount.0, &self.currency.0, broken)
    }

    /// The exact amount of a body whose only money this is, at `at`.
    ///
    /// # Errors
    /// Every rule it breaks.
    pub fn exact(&self, at: &str) -> Result<money::Money, Problem> {
        let mut broken = Vec::new();
        match (self.read(at, &mut broken), Rejected::from_violations(broken)) {
            (Some(money), None) => Ok(money),
            (_, Some(rejected)) => Err(rejected.into()),
            (None, None) => Err(Problem::internal("an amount was refused without a reason")),
        }
    }
}

/// An amount of a currency.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct Money {
    /// How much, as a decimal string with at least the currency's decimals.
    amount: String,
    /// Of what currency, ISO 4217.
    currency: String,
}

impl Example for Money {
    fn example() -> Self {
        Self::of("9.90", "EUR")
    }
}

impl Money {
    /// For examples.
    pub fn of(amount: &str, currency: &str) -> Self {
        Self { amount: amount.to_owned(), currency: currency.to_owned() }
    }
}
