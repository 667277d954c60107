//! The parameters `account.balance` and `account.balanceDue`, after all changes of a record.

use billwire_domain::{Change, Entity, billing::balance};
use billwire_schemas::events::{catalogue, parameters::Group};
use billwire_store::{Tx, commit::Failure};

use super::Record;

impl Record {
    /// Adds what a change makes of its account's balance.
    pub(super) fn note_balance<T: Entity>(&mut self, change: &Change<T>) {
        if let Some((difference, currency)) = balance::difference(change.before.as_ref(), &change.after) {
            let so_far = self.balance.map(|(sum, _)| sum).unwrap_or_default();
            self.balance = Some((so_far.plus(&difference), currency));
        }
    }

    /// Adds the parameters to the events that offer them.
    ///
    /// # Errors
    /// A database failure.
    pub(super) async fn offer_balance(&mut self, tx: &Tx<'_>) -> Result<(), Failure> {
        let (Some((difference, currency)), Some(account)) = (self.balance, self.account) else { return Ok(()) };
        let parameters = tx.balance(account).await?.plus(&difference).parameters(currency);
        for draft in &mut self.events {
            if catalogue::find(&draft.kind).is_some_and(|event| event.groups.contains(&Group::Balance)) {
                draft.parameters.extend(parameters.clone());
            }
        }
        Ok(())
    }
}
