//! Reversals: a charge that should not have been, or not as it was. The reversal takes back the whole charge and its usage; a replacement
//! is the same usage rated again.

use billwire_schemas::{
    clock::Timestamp,
    ids::{AdjustmentId, ChargeableEventId},
    money::{Decimal, Money},
    refusal::Code,
};

use super::{ChargeableEvent, Record, ensure_no_final_invoice, record};
use crate::{
    change::{Change, Entity},
    customers::account::Account,
    rejected::{Rejected, Violation},
    usage::adjustment::{self, Adjustment, ChargeType},
};

/// `reverseChargeableEvent`.
#[derive(Debug, Clone)]
pub struct Reverse {
    /// Id of the adjustment that takes the amount back.
    pub adjustment: AdjustmentId,
    /// Reason.
    pub reason: String,
    /// The person who requested it, as the calling system identifies its users.
    pub user: Option<String>,
    /// The same usage rated again.
    pub replacement: Option<Replacement>,
}

/// What is different in the charge that replaces a reversed one; absent members are those of the reversed charge.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The new charge's id.
    pub id: ChargeableEventId,
    /// The new charge's id in the external system.
    pub external_id: Option<String>,
    /// See [`ChargeableEvent::charge_type`].
    pub charge_type: Option<String>,
    /// See [`ChargeableEvent::description`].
    pub description: Option<String>,
    /// See [`ChargeableEvent::quantity`].
    pub quantity: Option<Decimal>,
    /// See [`ChargeableEvent::amount`].
    pub amount: Money,
}

/// A reversal, and what it changes.
#[derive(Debug)]
pub struct Reversal {
    /// The reversed charge.
    pub charge: Change<ChargeableEvent>,
    /// The adjustment that takes back what is left of the charge; `None` if nothing is left.
    pub adjustment: Option<Change<Adjustment>>,
    /// The charge that replaces it.
    pub replacement: Option<Change<ChargeableEvent>>,
}

/// Refuses a reversed charge.
pub(super) fn ensure_not_reversed(charge: &ChargeableEvent) -> Result<(), Rejected> {
    if charge.reversed_at.is_some() {
        return Err(Rejected::conflict(Code::ChargeReversed, "The charge is reversed and can no longer be changed."));
    }
    Ok(())
}

/// Decides `reverseChargeableEvent`: a credit over all that is left of the charge, which a later invoice bills if the charge is billed
/// already, and the replacement, if there is one.
///
/// # Errors
/// `final_invoice_exists`, `charge_reversed`, the refusals of [`record`] for the replacement, below `/replacement`.
pub fn reverse(
    charge: ChargeableEvent,
    command: Reverse,
    account: &Account,
    has_final_invoice: bool,
    now: Timestamp,
) -> Result<Reversal, Rejected> {
    ensure_no_final_invoice(account, has_final_invoice)?;
    ensure_not_reversed(&charge)?;
    if charge.unit.is_none() && command.replacement.as_ref().is_some_and(|new| new.quantity.is_some()) {
        let message = "The charge has no unit, so its replacement cannot have a quantity; leave it out.";
        return Err(Rejected::violation("/replacement/quantity", Code::UnitRequired, message));
    }
    let replacement = command.replacement.map(|new| record(replaced(&charge, new), account, has_final_invoice, now));
    let replacement = replacement.transpose().map_err(below_replacement)?;
    let adjustment = charge.net_amount.amount.is_positive().then(|| {
        let create = adjustment::Create {
            id: command.adjustment,
            charge_type: ChargeType::Credit,
            amount: charge.net_amount,
            tax_included: false,
            reason: command.reason,
            user: command.user,
        };
        adjustment::create(create, &charge, now)
    });
    let mut after = charge.next_version(now);
    after.net_amount.amount = Decimal::ZERO;
    after.reversed_at = Some(now);
    after.replaced_by = replacement.as_ref().map(|change| change.after.id);
    Ok(Reversal { charge: Change::updated(charge, after, vec!["chargeable_event.reversed"]), adjustment, replacement })
}

impl Reversal {
    /// What the reversal amounts to: what was charged, less what the replacement charges.
    pub fn amount(&self) -> Money {
        let before = self.charge.before.as_ref().map_or(self.charge.after.net_amount, |before| before.net_amount);
        let after = self.replacement.as_ref().map_or(Decimal::ZERO, |new| new.after.net_amount.amount);
        Money { amount: before.amount.minus(after).unwrap_or(Decimal::MAX), ..before }
    }
}

/// The charge to record in place of `charge`.
fn replaced(charge: &ChargeableEvent, new: Replacement) -> Record {
    Record {
        id: new.id,
        external_id: new.external_id,
        service_id: charge.service_id,
        usage_identifier_id: charge.usage_identifier_id,
        charge_type: new.charge_type.unwrap_or_else(|| charge.charge_type.clone()),
        description: new.description.or_else(|| charge.description.clone()),
        quantity: new.quantity.or(charge.quantity),
        unit: charge.unit.clone(),
        amount: new.amount,
        occurred_at: charge.occurred_at,
    }
}

fn below_replacement(mut rejected: Rejected) -> Rejected {
    for violation in &mut rejected.violations {
        let Violation { pointer, code, message, .. } = violation;
        *violation = Violation::new(format!("/replacement{pointer}"), *code, std::mem::take(message));
    }
    rejected
}
