//! Appends records to the unit that made them.

use billwire_schemas::ids::OrderingKey;
use billwire_store::{Error, NewTransaction, Tx, commit::Failure};

use super::{AppendTerms, Appended, Record};

impl Record {
    /// Appends the transaction and its events to `tx`. Changes with more than [`super::EVENTS_MAX`] events, and those of several accounts, become
    /// several transactions that are committed together, one after the other in their ordering key; the first is the reply.
    ///
    /// # Errors
    /// `event_too_large` if an event exceeds `event_max` bytes, or a serialization failure. This call then leaves `tx` unchanged; earlier
    /// saves remain.
    pub(crate) async fn append(self, tx: &mut Tx<'_>, terms: &AppendTerms<'_>) -> Result<Appended, Failure> {
        let mut drawn = Vec::new();
        match self.transactions(tx, terms, &mut drawn).await {
            Ok((first, transactions)) => {
                for (key, transaction) in transactions {
                    tx.append(&key, transaction);
                }
                Ok(first)
            }
            Err(failure) => {
                for (key, count) in drawn {
                    tx.give_back_sequences(&key, count);
                }
                Err(failure)
            }
        }
    }

    /// The transactions to append, with their ordering keys, and what the reply shows. Adds to `drawn` the sequences that their events take.
    async fn transactions(
        mut self,
        tx: &mut Tx<'_>,
        terms: &AppendTerms<'_>,
        drawn: &mut Vec<(OrderingKey, i64)>,
    ) -> Result<(Appended, Vec<(OrderingKey, NewTransaction)>), Failure> {
        let nothing = || Error::Other(format!("{} recorded no change", terms.operation));
        let (mut first, mut transactions) = (None, Vec::new());
        let beside = std::mem::take(&mut self.beside);
        for mut record in std::iter::once(self).chain(beside) {
            let key = record.key.clone().ok_or_else(nothing)?;
            record.offer_balance(tx).await?;
            for part in record.parts() {
                let mut count = 0;
                let made = part.transaction(tx, &key, terms, &mut count).await;
                drawn.push((key.clone(), count));
                let (appended, transaction) = made?;
                first.get_or_insert(appended);
                transactions.push((key.clone(), transaction));
            }
        }
        Ok((first.ok_or_else(nothing)?, transactions))
    }
}
