//! `reverseChargeableEvent`.

use std::sync::Arc;

use async_trait::async_trait;
use billwire_domain::{
    Change, Rejected,
    access::grant::Grant,
    customers::account::Account,
    usage::{
        bucket::{self, Bucket},
        chargeable_event::{self, ChargeableEvent, Reversal},
    },
};
use billwire_schemas::{clock::Timestamp, money::Decimal, refusal::Code};
use billwire_store::{Filter, Tx, commit::Failure};

use crate::{
    billing::invoice_on_demand::has_final_invoice,
    customers::account_payer::ensure_owes_correction,
    execute_on::{ObjectUseCase, owner},
    record::Record,
    usage::{
        buckets::counting_period,
        record_chargeable_events::{around, of_charge},
    },
};

/// Reverses a charge, and records the one that replaces it.
#[derive(Debug, Clone)]
pub struct ReverseChargeableEvent {
    /// What to do.
    pub command: chargeable_event::Reverse,
    /// What the caller may do.
    pub grant: Arc<Grant>,
}

/// Maximum number of buckets of a service that count a charge.
const BUCKETS_MAX: u64 = 1_000;

#[async_trait]
impl ObjectUseCase for ReverseChargeableEvent {
    type Object = ChargeableEvent;
    const OPERATION: &'static str = "reverseChargeableEvent";

    async fn run(&self, tx: &mut Tx<'_>, charge: ChargeableEvent, now: Timestamp) -> Result<Option<Record>, Failure> {
        let account = owner(tx, &charge).await?;
        ensure_owes_correction(tx, &charge, &account).await?;
        let external_id = self.command.replacement.as_ref().and_then(|new| new.external_id.as_deref());
        tx.ensure_external_id_free::<ChargeableEvent>(external_id).await?;
        let has_final_invoice = has_final_invoice(tx, &account).await?;
        let reversal = chargeable_event::reverse(charge, self.command.clone(), &account, has_final_invoice, now)?;
        self.grant.ensure_within(&reversal.amount())?;
        let Reversal { charge, adjustment, replacement } = reversal;
        let related = around(tx, &charge.after).await?;
        let buckets = recounted(tx, &charge.after, replacement.as_ref().map(|change| &change.after), &account, now).await?;
        tx.save(&charge)?;
        let mut record = Record::default().and(&charge, &related)?;
        if let Some(adjustment) = adjustment {
            tx.save(&adjustment)?;
            record = record.and(&adjustment, &of_charge(tx, &charge.after).await?)?;
        }
        if let Some(replacement) = replacement {
            tx.save(&replacement)?;
            record = record.and(&replacement, &related)?;
        }
        for bucket in buckets {
            tx.save(&bucket)?;
            record = record.and(&bucket, &related)?;
        }
        Ok(Some(record))
    }
}

/// The buckets that counted `charge`, or count its replacement, where that makes a difference.
async fn recounted(
    tx: &mut Tx<'_>,
    charge: &ChargeableEvent,
    replacement: Option<&ChargeableEvent>,
    account: &Account,
    now: Timestamp,
) -> Result<Vec<Change<Bucket>>, Failure> {
    let Some(service) = charge.service_id else { return Ok(Vec::new()) };
    let mut changes = Vec::new();
    for bucket in tx.select::<Bucket>(Filter::new().is_id("service_id", Some(service.0)), BUCKETS_MAX).await? {
        // The replacement is usage of the same moment.
        let of = counting_period(tx, bucket.resets, account, charge.occurred_at).await?;
        let counted = |one: Option<&ChargeableEvent>| {
            one.filter(|one| bucket::counts(&bucket, one, of)).and_then(|one| one.quantity).unwrap_or(Decimal::ZERO)
        };
        let (taken_back, added) = (counted(Some(charge)), counted(replacement));
        if taken_back == added {
            continue;
        }
        let change = bucket::recount(bucket, taken_back, added, now).ok_or_else(|| {
            let message = "The quantity exceeds what a bucket of the service can count.";
            Rejected::violation("/replacement/quantity", Code::AmountOutOfRange, message)
        })?;
        changes.push(change);
    }
    Ok(changes)
}
