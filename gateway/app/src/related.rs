//! What an event offers besides the parameters of its own object: those of the objects it reaches by a relation to one thing.

use billwire_domain::{Entity, account::Account};
use billwire_schemas::{events::envelope::Parameters, ids::AccountId};
use billwire_store::{Tx, commit::Failure};

/// The parameters of the account an object belongs to.
///
/// # Errors
/// The database's failure.
pub(crate) async fn of_account(tx: &mut Tx<'_>, id: AccountId) -> Result<Parameters, Failure> {
    Ok(tx.load::<Account>(id.0).await?.map(|account| account.parameters()).unwrap_or_default())
}
