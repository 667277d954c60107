//! Chargeable events: usage and one-off charges, rated by whoever reports them, billed by a bill run.
//!
//! The amount as it was recorded is kept for ever; every adjustment is an object of its own, and `netAmount` is the sum of them
//! all. A charge on a posted invoice is adjusted all the same: the difference goes on the next invoice.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{AccountId, ChargeableEventId, InvoiceId, ServiceId, UsageIdentifierId},
    money::{Decimal, Money},
    refusal::Code,
};
use chrono::{SecondsFormat, TimeDelta};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    customers::account::{Account, ensure_not_deactivated},
    rejected::{Rejected, Violation},
    usage::adjustment::{self, Adjustment, ChargeType},
};

/// Whether a charge stands on an invoice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Not yet.
    Unbilled,
    /// It does.
    Billed,
}

impl State {
    /// The name used on the wire.
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
    /// Its id.
    pub id: ChargeableEventId,
    /// Its version, from 1. Billing moves it on without an event of its own: the invoice tells.
    pub version: i64,
    /// Its id in the outside system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Who is charged.
    pub account_id: AccountId,
    /// For which service.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub service_id: Option<ServiceId>,
    /// Under which usage identifier it was reported.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub usage_identifier_id: Option<UsageIdentifierId>,
    /// What kind of charge it is; free text. An invoice has one line for each.
    #[serde(rename = "type")]
    pub charge_type: String,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// How much was used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub quantity: Option<Decimal>,
    /// What the quantity counts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<String>,
    /// What was charged, as recorded.
    pub amount: Money,
    /// What is charged after all adjustments; never below zero.
    pub net_amount: Money,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Whether it stands on an invoice.
    pub state: State,
    /// On which.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub invoice_id: Option<InvoiceId>,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// When it last changed.
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

/// How far ahead of the gateway's clock a charge may have happened: clocks differ.
const AHEAD_MAX: TimeDelta = TimeDelta::hours(1);

/// Decides one item of `recordChargeableEvents`.
///
/// # Errors
/// `account_deactivated`; `currency_mismatch`, `amount_negative`, `quantity_negative`, `unit_required`, `occurred_at_in_future`.
pub fn record(command: Record, account: &Account, now: Timestamp) -> Result<Change<ChargeableEvent>, Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = Vec::new();
    if command.amount.currency.as_str() != account.currency {
        broken.push(currency_mismatch("/amount/currency", &command.amount, account));
    }
    if command.amount.amount.is_negative() {
        broken.push(Violation::new("/amount/amount", Code::AmountNegative, "A charge is not negative; credits and adjustments give back."));
    }
    if command.quantity.is_some_and(Decimal::is_negative) {
        broken.push(Violation::new("/quantity", Code::QuantityNegative, "A quantity is not negative."));
    }
    if command.quantity.is_some() && command.unit.is_none() {
        broken.push(Violation::new("/unit", Code::UnitRequired, "A quantity needs a unit, such as MB or minute."));
    }
    if command.occurred_at > now + AHEAD_MAX {
        let message = format!(
            "occurredAt lies more than {} minutes after now ({}).",
            AHEAD_MAX.num_minutes(),
            now.to_rfc3339_opts(SecondsFormat::Secs, true)
        );
        broken.push(Violation::new("/occurredAt", Code::OccurredAtInFuture, message));
    }
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
        invoice_id: None,
        created_at: now,
        updated_at: now,
    }))
}

/// The violation of an amount in another currency than the account's.
fn currency_mismatch(pointer: &'static str, amount: &Money, account: &Account) -> Violation {
    let message = format!("The account's currency is {}, not {}.", account.currency, amount.currency);
    Violation::new(pointer, Code::CurrencyMismatch, message)
}

/// Decides `adjustChargeableEvent`: the charge changes, and the adjustment comes to be.
///
/// # Errors
/// `account_deactivated`; `currency_mismatch`, `amount_not_positive`, `charge_below_zero`, `amount_out_of_range`.
pub fn adjust(
    charge: ChargeableEvent,
    command: adjustment::Create,
    account: &Account,
    now: Timestamp,
) -> Result<(Change<Adjustment>, Change<ChargeableEvent>), Rejected> {
    ensure_not_deactivated(account)?;
    let mut broken = Vec::new();
    if command.amount.currency != charge.amount.currency {
        broken.push(currency_mismatch("/amount/currency", &command.amount, account));
    }
    if !command.amount.amount.is_positive() {
        broken.push(Violation::new(
            "/amount/amount",
            Code::AmountNotPositive,
            "An adjustment is more than nothing; chargeType says which way.",
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
        return Err(Rejected::violation("/amount/amount", Code::AmountOutOfRange, "The charge would leave the range of amounts."));
    };
    if net.is_negative() {
        let message = format!("The charge is {} after its adjustments; it cannot fall below zero.", charge.net_amount);
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
