//! `adjustChargeableEvent`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    access::grant::Grant,
    usage::{
        adjustment,
        chargeable_event::{self, ChargeableEvent},
    },
};
use billwire_schemas::clock::Timestamp;
use billwire_store::{Tx, commit::Failure};

use crate::{
    billing::invoice_on_demand::has_final_invoice,
    customers::account_payer::ensure_owes_correction,
    execute_on::{ObjectUseCase, owner},
    record::Record,
    usage::record_chargeable_events::{around, of_charge},
};

/// Adjusts a charge.
#[derive(Debug, Clone)]
pub struct AdjustChargeableEvent {
    /// The adjustment to create.
    pub command: adjustment::Create,
    /// What the caller may do.
    pub grant: Arc<Grant>,
}

#[async_trait]
impl ObjectUseCase for AdjustChargeableEvent {
    type Object = ChargeableEvent;
    const OPERATION: &'static str = "adjustChargeableEvent";

    async fn run(&self, tx: &mut Tx<'_>, charge: ChargeableEvent, now: Timestamp) -> Result<Option<Record>, Failure> {
        self.grant.ensure_within(&self.command.amount)?;
        let account = owner(tx, &charge).await?;
        ensure_owes_correction(tx, &charge, &account).await?;
        let (made, changed) =
            chargeable_event::adjust(charge, self.command.clone(), &account, has_final_invoice(tx, &account).await?, now)?;
        let (charge, related) = (of_charge(tx, &changed.after).await?, around(tx, &changed.after).await?);
        tx.save(&made)?;
        tx.save(&changed)?;
        Record::default().and(&made, &charge)?.and(&changed, &related).map(Some)
    }
}
