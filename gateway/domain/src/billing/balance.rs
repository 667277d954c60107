//! An account's balance: what its open invoices still want, less what it has paid and been credited in advance.
//!
//! For each account `balance = invoiced - paid - credited + refunded`, where `invoiced` are the lines of invoices that are not cancelled,
//! without credits; `paid` the payments that are not cancelled; `credited` the credits without what was reversed of them. What an invoice
//! has taken of payments and credits stands on both sides, so the balance follows from what is left.

use billwire_schemas::{
    events::envelope::Parameters,
    money::{Currency, Decimal, Money},
};

use crate::change::Entity;

/// The sums that make up an account's balance, in millionths; more than any amount, so that sums cannot overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Amount due of open invoices.
    pub due: i128,
    /// The part of it that is overdue.
    pub overdue: i128,
    /// What payments have left that no invoice got.
    pub unallocated: i128,
    /// What credits have left.
    pub credits: i128,
}

impl Balance {
    /// The amount due less what is left of payments and credits; negative in favour of the account.
    pub fn total(&self) -> i128 {
        self.due - self.unallocated - self.credits
    }

    /// The balance once `change`, the difference that some objects make, is added.
    #[must_use]
    pub fn plus(&self, change: &Self) -> Self {
        Self {
            due: self.due + change.due,
            overdue: self.overdue + change.overdue,
            unallocated: self.unallocated + change.unallocated,
            credits: self.credits + change.credits,
        }
    }

    /// The difference between an object's parts `before` and after a change.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            due: self.due - before.due,
            overdue: self.overdue - before.overdue,
            unallocated: self.unallocated - before.unallocated,
            credits: self.credits - before.credits,
        }
    }

    /// The parameters `account.balance` and `account.balanceDue`; absent where a sum exceeds the largest amount.
    pub fn parameters(&self, currency: Currency) -> Parameters {
        let named = [("account.balance", self.total()), ("account.balanceDue", self.due)];
        let texts = named.into_iter().filter_map(|(name, sum)| Some((name.to_owned(), amount(sum, currency)?.amount_text().into())));
        texts.collect()
    }
}

/// A sum of millionths as money; `None` if it exceeds the largest amount.
pub fn amount(sum: i128, currency: Currency) -> Option<Money> {
    let millionths = i64::try_from(sum).ok()?;
    Some(Money::new(Decimal::from_millionths(millionths).plus(Decimal::ZERO)?, currency))
}

/// What a change of an object adds to its account's balance, with the object's currency; `None` for objects that are no money.
pub fn difference<T: Entity>(before: Option<&T>, after: &T) -> Option<(Balance, Currency)> {
    let (now, currency) = after.balance()?;
    let before = before.and_then(Entity::balance).map(|(before, _)| before).unwrap_or_default();
    Some((now.since(&before), currency))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_paid_or_credited_in_advance_is_in_favour_of_the_account() {
        let balance = Balance { due: 10_000_000, overdue: 0, unallocated: 12_500_000, credits: 1_000_000 };
        let parameters = balance.parameters("EUR".parse().expect("a currency"));
        assert_eq!(parameters["account.balance"], "-3.50");
        assert_eq!(parameters["account.balanceDue"], "10.00");
    }

    #[test]
    fn a_sum_beyond_the_largest_amount_is_absent() {
        let due = 2 * i128::from(Decimal::MAX.millionths());
        let balance = Balance { due, unallocated: due, ..Balance::default() };
        let parameters = balance.parameters("EUR".parse().expect("a currency"));
        assert_eq!(parameters.get("account.balanceDue"), None);
        assert_eq!(parameters["account.balance"], "0.00");
    }
}
