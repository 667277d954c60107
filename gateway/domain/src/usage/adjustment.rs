//! Adjustments of chargeable events: manual credits and extra charges, each with a reason.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, AdjustmentId, ChargeableEventId, InvoiceId},
    money::{Decimal, Money},
};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, entity_members},
    usage::chargeable_event::{ChargeableEvent, State as ChargeState},
};

/// Direction of an adjustment (OCS.io `chargeType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChargeType {
    /// The account pays less.
    Credit,
    /// The account pays more.
    Debit,
}

impl ChargeType {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Credit => "CREDIT",
            Self::Debit => "DEBIT",
        }
    }
}

/// Billing state of an adjustment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// The charge is not billed yet; the adjustment is billed as part of it.
    Applied,
    /// The charge was already billed; the adjustment goes on the next invoice.
    Pending,
    /// The adjustment has its own line on an invoice.
    Billed,
    /// What no invoice had taken of it became a credit of the account that had owed the charge, when the payer changed.
    Credited,
}

impl State {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Billed => "billed",
            Self::Credited => "credited",
        }
    }
}

/// An adjustment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Adjustment {
    /// Object id.
    pub id: AdjustmentId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The account whose charge is adjusted.
    pub account_id: AccountId,
    /// The adjusted charge.
    pub chargeable_event_id: ChargeableEventId,
    /// Direction.
    pub charge_type: ChargeType,
    /// The amount, always positive.
    pub amount: Money,
    /// Whether the amount includes tax.
    pub tax_included: bool,
    /// Reason.
    pub reason: String,
    /// The person who requested the adjustment, as the calling system identifies its users.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// Billing state.
    pub state: State,
    /// What invoices have not billed yet of a pending adjustment that they have billed in part; otherwise absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub remaining: Option<Money>,
    /// The invoice with a line for the adjustment, or for the last part of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invoice_id: Option<InvoiceId>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// The adjustment that `adjustChargeableEvent` requests.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new adjustment's id.
    pub id: AdjustmentId,
    /// See [`Adjustment::charge_type`].
    pub charge_type: ChargeType,
    /// See [`Adjustment::amount`].
    pub amount: Money,
    /// See [`Adjustment::tax_included`].
    pub tax_included: bool,
    /// See [`Adjustment::reason`].
    pub reason: String,
    /// See [`Adjustment::user`].
    pub user: Option<String>,
}

/// Creates an adjustment of `charge`; [`crate::usage::chargeable_event::adjust`] has validated it.
pub(crate) fn create(command: Create, charge: &ChargeableEvent, now: Timestamp) -> Change<Adjustment> {
    Change::created(Adjustment {
        id: command.id,
        version: 1,
        account_id: charge.account_id,
        chargeable_event_id: charge.id,
        charge_type: command.charge_type,
        amount: command.amount,
        tax_included: command.tax_included,
        reason: command.reason,
        user: command.user,
        state: if charge.state == ChargeState::Billed { State::Pending } else { State::Applied },
        remaining: None,
        invoice_id: None,
        created_at: now,
        updated_at: now,
    })
}

/// Bills `part` of a pending adjustment on `invoice`; with the last part it is billed.
pub fn billed(adjustment: Adjustment, part: Decimal, invoice: InvoiceId, now: Timestamp) -> Change<Adjustment> {
    let left = adjustment.unbilled().minus(part).filter(|left| left.is_positive());
    let mut after = adjustment.next_version(now);
    after.remaining = left.map(|left| Money::new(left, adjustment.amount.currency));
    if left.is_none() {
        (after.state, after.invoice_id) = (State::Billed, Some(invoice));
    }
    Change::updated(adjustment, after, Vec::<&'static str>::new())
}

/// Ends a pending adjustment of which no further invoice takes anything: the rest is a credit now. `invoice` took the part before.
pub fn credited(adjustment: Adjustment, invoice: Option<InvoiceId>, now: Timestamp) -> Change<Adjustment> {
    let mut after = adjustment.next_version(now);
    (after.state, after.remaining) = (State::Credited, None);
    after.invoice_id = invoice.or(after.invoice_id);
    Change::updated(adjustment, after, Vec::<&'static str>::new())
}

/// Makes `part` of an adjustment pending again, after the invoice that billed it was cancelled.
pub fn given_back(adjustment: Adjustment, part: Decimal, now: Timestamp) -> Change<Adjustment> {
    let unbilled = if adjustment.state == State::Billed { Decimal::ZERO } else { adjustment.unbilled() };
    let left = unbilled.plus(part).filter(|left| *left < adjustment.amount.amount);
    let mut after = adjustment.next_version(now);
    after.remaining = left.map(|left| Money::new(left, adjustment.amount.currency));
    (after.state, after.invoice_id) = (State::Pending, None);
    Change::updated(adjustment, after, Vec::<&'static str>::new())
}

/// Makes a pending adjustment part of its charge again, after the charge's invoice was cancelled.
pub fn applied(adjustment: Adjustment, now: Timestamp) -> Change<Adjustment> {
    let mut after = adjustment.next_version(now);
    after.state = State::Applied;
    Change::updated(adjustment, after, Vec::<&'static str>::new())
}

impl Adjustment {
    /// What no invoice has billed yet of a pending adjustment.
    pub fn unbilled(&self) -> Decimal {
        self.remaining.unwrap_or(self.amount).amount
    }
}

impl Entity for Adjustment {
    const TYPE: &'static str = "adjustment";
    const EVENT_OBJECT: Option<&'static str> = Some("adjustment");

    entity_members!(updated_at, state, account_id);
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("adjustment.id".to_owned(), self.id.to_string().into()),
            ("adjustment.chargeType".to_owned(), self.charge_type.name().into()),
            ("adjustment.amount".to_owned(), self.amount.amount_text().into()),
            ("adjustment.currency".to_owned(), self.amount.currency.as_str().into()),
            ("adjustment.taxIncluded".to_owned(), self.tax_included.into()),
            ("adjustment.reason".to_owned(), self.reason.clone().into()),
            ("adjustment.state".to_owned(), self.state.name().into()),
        ]);
        if let Some(user) = &self.user {
            parameters.insert("adjustment.user".to_owned(), user.clone().into());
        }
        parameters
    }
}
