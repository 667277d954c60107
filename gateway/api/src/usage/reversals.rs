//! Reversals of chargeable events.

use billwire_app::{
    ReverseChargeableEvent,
    domain::{Rejected, Violation, amounts, usage::chargeable_event},
};
use billwire_schemas::{
    ids::{AdjustmentId, ChargeableEventId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::{
        money::MoneyInput,
        scalars::{Amount, ChargeTypeName, ExternalId, Name, Reason, Reference},
    },
    usage::chargeable_events::Tag,
};

pub(crate) struct Reversals;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[change(
    "reverseChargeableEvent",
    "charges:adjust",
    &[
        Code::ChargeableEventNotFound,
        Code::OverLimit,
        Code::ChargeReversed,
        Code::AccountDeactivated,
        Code::FinalInvoiceExists,
        Code::PayerChangedSince,
        Code::ExternalIdTaken,
        Code::CurrencyMismatch,
        Code::CurrencyUnknown,
        Code::AmountInvalid,
        Code::AmountTooFine,
        Code::AmountOutOfRange,
        Code::AmountNegative,
        Code::QuantityNegative,
        Code::UnitRequired,
    ],
    updated("chargeableEvent", "ChargeableEvent", &["chargeable_event.updated", "chargeable_event.reversed"])
        .and(&["adjustment", "bucket"]),
)];

/// What is different in the charge that replaces the reversed one. Absent members are those of the reversed charge, and so are account, service,
/// usage identifier, unit and time.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ReplacingCharge {
    /// External id of the new charge: the id in your system; unique among charges.
    external_id: Option<ExternalId>,
    /// Charge type.
    #[oai(rename = "type")]
    charge_type: Option<ChargeTypeName>,
    /// Description of the charge.
    description: Option<Reason>,
    /// Used quantity, as a decimal string, in the unit of the reversed charge.
    quantity: Option<Amount>,
    /// Rated amount in the account's currency, with up to six decimals.
    amount: MoneyInput,
}

/// A reversal of a charge.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ChargeReversal {
    /// Reason for the reversal.
    reason: Reason,
    /// User who requested it, as your system identifies its users.
    user: Option<Name>,
    /// The same usage rated again, to be recorded in place of the charge. Absent: nothing replaces it.
    replacement: Option<ReplacingCharge>,
}

impl Validate for ChargeReversal {}

impl Example for ChargeReversal {
    fn example() -> Self {
        let replacement = ReplacingCharge {
            external_id: Some("CDR-2027-01-04-0001-R".into()),
            charge_type: None,
            description: None,
            quantity: Some("11".into()),
            amount: MoneyInput::of("1.10", "EUR"),
        };
        Self { reason: "rated at the wrong tariff".into(), user: Some("csr-17".into()), replacement: Some(replacement) }
    }
}

impl ReplacingCharge {
    /// Converts the charge, or refuses invalid amounts.
    fn read(self) -> Result<chargeable_event::Replacement, Rejected> {
        let mut broken: Vec<Violation> = Vec::new();
        let amount = self.amount.read("/replacement/amount", &mut broken);
        let quantity = self.quantity.and_then(|quantity| amounts::decimal("/replacement/quantity".to_owned(), &quantity.0, &mut broken));
        match (amount, Rejected::from_violations(broken)) {
            (_, Some(rejected)) => Err(rejected),
            (None, None) => Err(Rejected::violation("/replacement/amount", Code::AmountInvalid, "The amount is not a decimal.")),
            (Some(amount), None) => Ok(chargeable_event::Replacement {
                id: ChargeableEventId(fresh()),
                external_id: self.external_id.map(|id| id.0),
                charge_type: self.charge_type.map(|kind| kind.0),
                description: self.description.map(|text| text.0),
                quantity,
                amount,
            }),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Charges")]
impl Reversals {
    /// Reverse a chargeable event
    ///
    /// Takes back the whole charge and its usage: its `netAmount` becomes zero by an adjustment, which a line on the next invoice bills if the
    /// charge is on an invoice already, and the buckets that counted its quantity count it back. A tier that is no longer used up is reported again
    /// when it is. With `replacement`, the same usage is recorded again with another amount or quantity, in the same business transaction.
    /// A reversed charge can no longer be changed. A charge that an invoice of a former payer has billed is not reversed (`payer_changed_since`).
    #[oai(path = "/chargeable-events/:chargeableEvent/reverse", method = "post", operation_id = "reverseChargeableEvent")]
    async fn reverse(
        &self,
        context: Context,
        /// Id or external id of the chargeable event.
        #[oai(name = "chargeableEvent")]
        charge: Path<Reference>,
        input: Validated<ChargeReversal>,
    ) -> Result<Done, Problem> {
        let command = chargeable_event::Reverse {
            adjustment: AdjustmentId(fresh()),
            reason: input.body.reason.0,
            user: input.body.user.map(|user| user.0),
            replacement: input.body.replacement.map(ReplacingCharge::read).transpose()?,
        };
        let grant = context.caller().grant.clone();
        Ok(Done(context.execute_on(&charge.0, input.canonical.as_deref(), ReverseChargeableEvent { command, grant }).await?))
    }
}
