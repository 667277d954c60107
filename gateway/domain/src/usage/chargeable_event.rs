//! Chargeable events: usage and one-off charges, rated by the reporting system and billed by a bill run.
//!
//! The recorded amount never changes. Every adjustment is a separate object, and `netAmount` is the recorded amount after all
//! adjustments. A charge on a posted invoice can still be adjusted: the difference goes on the next invoice.

mod reversal;

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ChargeableEventId, InvoiceId, ServiceId, UsageIdentifierId},
    money::{Decimal, Money},
    refusal::Code,
};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    customers::account::Account,
    rejected::{Rejected, Violation},
    time_bounds::reported,
    usage::adjustment::{self, Adjustment, ChargeType},
};

pub use reversal::{Replacement, Reversal, Reverse, reverse};

/// Billing state of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not on an invoice yet.
    Unbilled,
    /// On an invoice.
    Billed,
}

impl State {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unbilled => "unbilled",
            Self::Billed => "billed",
        }
    }
}

/// A chargeable event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeableEvent {
    /// Object id.
    pub id: ChargeableEventId,
    /// Object version, starting at 1. Billing increments it without publishing an event; the invoice's events cover it.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The charged account.
    pub account_id: AccountId,
    /// The service, if the charge is for one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_id: Option<ServiceId>,
    /// The usage identifier under which the usage was reported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage_identifier_id: Option<UsageIdentifierId>,
    /// Type of charge; free text. An invoice has one line per type.
    #[serde(rename = "type")]
    pub charge_type: String,
    /// Human-readable text.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Quantity used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quantity: Option<Decimal>,
    /// Unit of the quantity.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// The amount as recorded.
    pub amount: Money,
    /// The amount after all adjustments; never negative.
    pub net_amount: Money,
    /// When the charge occurred.
    pub occurred_at: Timestamp,
    /// Whether the charge is on an invoice.
    pub state: State,
    /// When the charge was reversed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reversed_at: Option<Timestamp>,
    /// The charge that replaces this reversed one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaced_by: Option<ChargeableEventId>,
    /// The invoice with the charge.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invoice_id: Option<InvoiceId>,
    /// When the charge was recorded.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// One item of `recordChargeableEvents`.
#[derive(Debug, Clone)]
pub struct Record {
    /// The new charge's id.
    pub id: ChargeableEventId,
    /// See [`ChargeableEvent::external_id`].
    pub external_id: Option<String>,
    /// See [`ChargeableEvent::service_id`].
    pub service_id: Option<ServiceId>,
    /// See [`ChargeableEvent::usage_identifier_id`].
    pub usage_identifier_id: Option<UsageIdentifierId>,
    /// See [`ChargeableEvent::charge_type`].
    pub charge_type: String,
    /// See [`ChargeableEvent::description`].
    pub description: Option<String>,
    /// See [`ChargeableEvent::quantity`].
    pub quantity: Option<Decimal>,
    /// See [`ChargeableEvent::unit`].
    pub unit: Option<String>,
    /// See [`ChargeableEvent::amount`].
    pub amount: Money,
    /// See [`ChargeableEvent::occurred_at`].
    pub occurred_at: Timestamp,
}

/// Refuses usage and corrections of a deactivated account that has its final invoice.
fn ensure_no_final_invoice(account: &Account, has_final_invoice: bool) -> Result<(), Rejected> {
    if account.ended_at().is_some() && has_final_invoice {
        let message = "The account is deactivated and has its final invoice; usage and corrections can no longer be billed.";
        return Err(Rejected::conflict(Code::FinalInvoiceExists, message));
    }
    Ok(())
}

/// Decides one item of `recordChargeableEvents`. A deactivated account takes usage from before its end, until it has its final invoice.
///
/// # Errors
/// `final_invoice_exists`, `account_deactivated`; `currency_mismatch`, `amount_negative`, `quantity_negative`, `unit_required`, `occurred_at_in_future`,
/// `time_out_of_range`.
pub fn record(command: Record, account: &Account, has_final_invoice: bool, now: Timestamp) -> Result<Change<ChargeableEvent>, Rejected> {
    ensure_no_final_invoice(account, has_final_invoice)?;
    if let Some(end) = account.ended_at().filter(|end| command.occurred_at >= *end) {
        let end = end.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let message = format!("The account was deactivated at {end}; charges must have occurred before.");
        return Err(Rejected::conflict(Code::AccountDeactivated, message));
    }
    let mut broken = Vec::new();
    if command.amount.currency.as_str() != account.currency {
        broken.push(currency_mismatch("/amount/currency", &command.amount, account));
    }
    if command.amount.amount.is_negative() {
        broken.push(Violation::new(
            "/amount/amount",
            Code::AmountNegative,
            "A charge must not be negative; use a credit or an adjustment to reduce charges.",
        ));
    }
    if command.quantity.is_some_and(Decimal::is_negative) {
        broken.push(Violation::new("/quantity", Code::QuantityNegative, "The quantity must not be negative."));
    }
    if command.quantity.is_some() && command.unit.is_none() {
        broken.push(Violation::new("/unit", Code::UnitRequired, "A quantity needs a unit, such as MB or minute."));
    }
    broken.extend(reported("/occurredAt", command.occurred_at, now, Code::OccurredAtInFuture));
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    Ok(Change::created(ChargeableEvent {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        account_id: account.id,
        service_id: command.service_id,
        usage_identifier_id: command.usage_identifier_id,
        charge_type: command.charge_type,
        description: command.description,
        quantity: command.quantity,
        unit: command.unit,
        amount: command.amount,
        net_amount: command.amount,
        occurred_at: command.occurred_at,
        state: State::Unbilled,
        reversed_at: None,
        replaced_by: None,
        invoice_id: None,
        created_at: now,
        updated_at: now,
    }))
}

/// The violation of an amount that is not in the account's currency.
fn currency_mismatch(pointer: &'static str, amount: &Money, account: &Account) -> Violation {
    let message = format!("The currency must be the account's, {}; it is {}.", account.currency, amount.currency);
    Violation::new(pointer, Code::CurrencyMismatch, message)
}

/// Decides `adjustChargeableEvent`: creates the adjustment and updates the charge. Charges of a deactivated account can be adjusted until it
/// has its final invoice.
///
/// # Errors
/// `final_invoice_exists`; `currency_mismatch`, `amount_not_positive`, `charge_below_zero`, `amount_out_of_range`.
pub fn adjust(
    charge: ChargeableEvent,
    command: adjustment::Create,
    account: &Account,
    has_final_invoice: bool,
    now: Timestamp,
) -> Result<(Change<Adjustment>, Change<ChargeableEvent>), Rejected> {
    ensure_no_final_invoice(account, has_final_invoice)?;
    reversal::ensure_not_reversed(&charge)?;
    let mut broken = Vec::new();
    if command.amount.currency != charge.amount.currency {
        broken.push(currency_mismatch("/amount/currency", &command.amount, account));
    }
    if !command.amount.amount.is_positive() {
        broken.push(Violation::new(
            "/amount/amount",
            Code::AmountNotPositive,
            "The amount must be greater than zero; chargeType sets the direction.",
        ));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let net = match command.charge_type {
        ChargeType::Debit => charge.net_amount.amount.plus(command.amount.amount),
        ChargeType::Credit => charge.net_amount.amount.minus(command.amount.amount),
    };
    let Some(net) = net else {
        return Err(Rejected::violation(
            "/amount/amount",
            Code::AmountOutOfRange,
            "The adjusted charge would be out of range for an amount.",
        ));
    };
    if net.is_negative() {
        let message = format!("The charge is {} after its adjustments; a credit must not exceed that.", charge.net_amount);
        return Err(Rejected::violation("/amount/amount", Code::ChargeBelowZero, message));
    }
    let made = adjustment::create(command, &charge, now);
    let mut after = charge.next_version(now);
    after.net_amount.amount = net;
    let adjusted = Lifecycle { kind: "chargeable_event.adjusted", parameters: made.after.parameters() };
    Ok((made, Change::updated(charge, after, vec![adjusted])))
}

impl Entity for ChargeableEvent {
    const TYPE: &'static str = "chargeableEvent";
    const EVENT_OBJECT: Option<&'static str> = Some("chargeable_event");

    entity_members!(updated_at, external_id, state, account_id);
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("chargeableEvent.id".to_owned(), self.id.to_string().into()),
            ("chargeableEvent.type".to_owned(), self.charge_type.clone().into()),
            ("chargeableEvent.amount".to_owned(), self.amount.amount_text().into()),
            ("chargeableEvent.netAmount".to_owned(), self.net_amount.amount_text().into()),
            ("chargeableEvent.currency".to_owned(), self.amount.currency.as_str().into()),
            ("chargeableEvent.occurredAt".to_owned(), self.occurred_at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
            ("chargeableEvent.state".to_owned(), self.state.name().into()),
        ]);
        let texts = [
            ("chargeableEvent.externalId", self.external_id.clone()),
            ("chargeableEvent.description", self.description.clone()),
            ("chargeableEvent.quantity", self.quantity.map(|quantity| quantity.to_string())),
            ("chargeableEvent.unit", self.unit.clone()),
        ];
        let reversed = self.reversed_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let texts = texts.into_iter().chain([("chargeableEvent.reversedAt", reversed)]);
        for (name, text) in texts {
            if let Some(text) = text {
                parameters.insert(name.to_owned(), text.into());
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests;
