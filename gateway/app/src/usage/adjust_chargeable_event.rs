//! `adjustChargeableEvent`.

use async_trait::async_trait;
use billwire_domain::usage::{
    adjustment,
    chargeable_event::{self, ChargeableEvent},
};
use billwire_schemas::{clock::Timestamp, ids::OrderingKey};
use billwire_store::{
    Tx,
    commit::{Failure, Prefetch},
};

use crate::{
    account_object::AccountObject,
    execute::UseCase,
    record::Record,
    usage::record_chargeable_events::{around, of_charge},
};

/// Adjusts a charge.
#[derive(Debug, Clone)]
pub struct AdjustChargeableEvent {
    /// Which.
    pub charge: AccountObject,
    /// How.
    pub command: adjustment::Create,
}

#[async_trait]
impl UseCase for AdjustChargeableEvent {
    const OPERATION: &'static str = "adjustChargeableEvent";
    const STATUS: u16 = 200;

    fn key(&self) -> OrderingKey {
        self.charge.key()
    }
    fn prefetch(&self) -> Vec<Prefetch> {
        self.charge.prefetch::<ChargeableEvent>()
    }
    async fn run(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<Option<Record>, Failure> {
        let (charge, account) = self.charge.load::<ChargeableEvent>(tx).await?;
        let (made, changed) = chargeable_event::adjust(charge, self.command.clone(), &account, now)?;
        let (charge, related) = (of_charge(tx, &changed.after).await?, around(tx, &changed.after).await?);
        tx.save(&made)?;
        tx.save(&changed)?;
        Record::default().and(&made, &charge)?.and(&changed, &related).map(Some)
    }
}
