//! What a caller may do: scopes, and up to which amount charges may be adjusted.

use std::collections::BTreeMap;

use billwire_schemas::{
    money::{Currency, Decimal, Money},
    refusal::Code,
};

use crate::{
    access::{role::Role, scopes},
    rejected::Rejected,
};

/// The scope that [`Grant::ceilings`] limit.
pub const ADJUST: &str = "charges:adjust";

/// The highest amount of one adjustment, by currency.
pub type Ceilings = BTreeMap<Currency, Decimal>;

/// What a caller may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grant {
    /// Scopes; `*` grants all.
    pub scopes: Vec<String>,
    /// How much an adjustment may amount to. `None`: any amount. A currency that is missing here: none at all.
    pub ceilings: Option<Ceilings>,
}

impl Grant {
    /// Every scope, without a ceiling.
    pub fn everything() -> Self {
        Self { scopes: vec![scopes::EVERY.to_owned()], ceilings: None }
    }

    /// What somebody holds who has `scopes` and these roles: all their scopes, and of each currency the highest ceiling. Where one of them
    /// has no ceiling, there is none.
    pub fn of<'r>(own: &[String], roles: impl IntoIterator<Item = &'r Role>) -> Self {
        let mut grant = Self { scopes: own.to_vec(), ceilings: None };
        let mut unlimited = scopes::include(own, ADJUST);
        for role in roles {
            grant.scopes.extend(role.scopes.iter().cloned());
            if !scopes::include(&role.scopes, ADJUST) {
                continue;
            }
            let Some(ceilings) = role.ceilings() else {
                unlimited = true;
                continue;
            };
            let highest = grant.ceilings.get_or_insert_default();
            for (currency, ceiling) in ceilings {
                let known = highest.entry(currency).or_insert(ceiling);
                *known = ceiling.max(*known);
            }
        }
        grant.scopes.sort();
        grant.scopes.dedup();
        Self { ceilings: grant.ceilings.filter(|_| !unlimited), ..grant }
    }

    /// Whether it includes `scope`.
    pub fn includes(&self, scope: &str) -> bool {
        scopes::include(&self.scopes, scope)
    }

    /// Checks that who holds this has all of `wanted`: nobody grants what they do not hold.
    ///
    /// # Errors
    /// `scope_not_held`, `ceiling_not_held`.
    pub fn ensure_holds(&self, wanted: &Self) -> Result<(), Rejected> {
        if let Some(scope) = wanted.scopes.iter().find(|scope| !self.includes(scope)) {
            let message = format!("You do not hold the scope '{scope}', so you cannot grant it.");
            return Err(Rejected::forbidden(Code::ScopeNotHeld, message));
        }
        let Some(held) = self.ceilings.as_ref().filter(|_| wanted.includes(ADJUST)) else { return Ok(()) };
        let refused = |message: String| Err(Rejected::forbidden(Code::CeilingNotHeld, message));
        let Some(asked) = &wanted.ceilings else {
            return refused(format!("Your own adjustments have a ceiling, so you cannot grant '{ADJUST}' without one."));
        };
        match asked.iter().find(|(currency, ceiling)| held.get(currency).is_none_or(|held| *ceiling > held)) {
            Some((currency, ceiling)) => refused(format!(
                "You cannot grant adjustments up to {ceiling} {currency}: {}.",
                held.get(currency)
                    .map_or("your own are not allowed in that currency".to_owned(), |held| format!("your own go up to {held}"))
            )),
            None => Ok(()),
        }
    }

    /// Checks the amount of an adjustment.
    ///
    /// # Errors
    /// `over_limit`.
    pub fn ensure_within(&self, amount: &Money) -> Result<(), Rejected> {
        let Some(ceilings) = &self.ceilings else { return Ok(()) };
        let (size, currency) = (amount.amount.abs(), amount.currency);
        let message = match ceilings.get(&currency) {
            Some(ceiling) if size <= *ceiling => return Ok(()),
            Some(ceiling) => format!("The adjustment amounts to {size} {currency}; your roles allow at most {ceiling} {currency}."),
            None => format!("Your roles do not allow adjustments in {currency}."),
        };
        Err(Rejected::forbidden(Code::OverLimit, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::role::tests::role;

    fn money(amount: &str, currency: &str) -> Money {
        Money::new(amount.parse().expect("an amount"), currency.parse().expect("a currency"))
    }

    fn scopes(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }

    fn small() -> Role {
        role("small", &["charges:adjust"], &[("50", "EUR"), ("20", "CHF")])
    }

    fn refused(result: Result<(), Rejected>) -> Option<Code> {
        result.err().map(|rejected| rejected.code)
    }

    #[test]
    fn the_highest_ceiling_counts_and_one_without_lifts_it() {
        let (small, large) = (small(), role("large", &["accounts:read", "charges:adjust"], &[("80", "EUR")]));
        let both = Grant::of(&[], [&small, &large]);
        assert_eq!(both.scopes, ["accounts:read", "charges:adjust"]);
        assert_eq!(both.ensure_within(&money("80", "EUR")), Ok(()));
        assert_eq!(both.ensure_within(&money("20", "CHF")), Ok(()));
        assert_eq!(refused(both.ensure_within(&money("80.01", "EUR"))), Some(Code::OverLimit));
        assert_eq!(refused(both.ensure_within(&money("-80.01", "EUR"))), Some(Code::OverLimit));
        assert_eq!(refused(both.ensure_within(&money("0.01", "USD"))), Some(Code::OverLimit), "a currency without a ceiling");
        for unlimited in [Grant::of(&scopes(&["charges:adjust"]), [&small]), Grant::of(&scopes(&["*"]), [&small])] {
            assert_eq!(unlimited.ensure_within(&money("1000", "USD")), Ok(()));
        }
        let open = role("open", &["*"], &[]);
        assert_eq!(Grant::of(&[], [&small, &open]).ceilings, None);
        let reader = role("reader", &["accounts:read"], &[]);
        assert!(Grant::of(&[], [&small, &reader]).ceilings.is_some(), "a role that does not adjust lifts nothing");
    }

    #[test]
    fn nobody_grants_what_they_do_not_hold() {
        let granted = |wanted: &[&str], held: &[&str]| refused(Grant::of(&scopes(held), []).ensure_holds(&Grant::of(&scopes(wanted), [])));
        assert_eq!(granted(&["accounts:read", "events:read"], &["events:read", "accounts:read"]), None);
        assert_eq!(granted(&["accounts:read", "*"], &["*"]), None);
        assert_eq!(granted(&["accounts:write"], &["accounts:read"]), Some(Code::ScopeNotHeld));
        assert_eq!(granted(&["*"], &["accounts:read"]), Some(Code::ScopeNotHeld));
    }

    #[test]
    fn nobody_grants_a_higher_ceiling_than_their_own() {
        let held = Grant::of(&[], [&small()]);
        let granted = |ceilings: &[(&str, &str)]| refused(held.ensure_holds(&Grant::of(&[], [&role("r", &["charges:adjust"], ceilings)])));
        assert_eq!(granted(&[("50", "EUR")]), None);
        assert_eq!(granted(&[("50.01", "EUR")]), Some(Code::CeilingNotHeld));
        assert_eq!(granted(&[("1", "USD")]), Some(Code::CeilingNotHeld));
        assert_eq!(granted(&[]), Some(Code::CeilingNotHeld), "without a ceiling");
        assert_eq!(refused(Grant::everything().ensure_holds(&held)), None);
    }
}
