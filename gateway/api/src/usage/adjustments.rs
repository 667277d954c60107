//! Adjustments of chargeable events.

use billwire_app::{
    AdjustChargeableEvent, Filter,
    domain::{
        customers::account::Account,
        usage::{adjustment, chargeable_event},
    },
};
use billwire_schemas::ids::{AdjustmentId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, created, get, list},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        scalars::{ChargeType, Moment, Name, Reason, Reference},
    },
    usage::chargeable_events::Tag,
};

pub(crate) struct Adjustments;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "adjustChargeableEvent",
        "charges:adjust",
        &[
            Code::ChargeableEventNotFound,
            Code::OverLimit,
            Code::FinalInvoiceExists,
            Code::PayerChangedSince,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
            Code::AmountNotPositive,
            Code::ChargeBelowZero,
            Code::ChargeReversed,
        ],
        created("adjustment", "Adjustment", &["adjustment.created", "chargeable_event.updated", "chargeable_event.adjusted"])
            .and(&["chargeableEvent"]),
    ),
    list("listAdjustments", "charges:read"),
    get("getAdjustment", "charges:read", &[Code::AdjustmentNotFound]),
];

/// The adjustment to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct AdjustmentInput {
    /// `CREDIT` lowers the charge; `DEBIT` raises it.
    charge_type: ChargeType,
    /// Positive amount in the charge's currency. A credit cannot lower the charge below zero.
    amount: MoneyInput,
    /// Whether the amount includes tax.
    #[oai(default)]
    tax_included: bool,
    /// Reason for the adjustment.
    reason: Reason,
    /// User who requested it, as named in your system.
    user: Option<Name>,
}

impl Validate for AdjustmentInput {}

impl Example for AdjustmentInput {
    fn example() -> Self {
        Self {
            charge_type: ChargeType::Credit,
            amount: MoneyInput::of("0.25", "EUR"),
            tax_included: true,
            reason: "goodwill".into(),
            user: Some("csr-17".into()),
        }
    }
}

/// An adjustment of a chargeable event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Adjustment {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Id of the account of the charge.
    account_id: Uuid,
    /// Id of the adjusted charge.
    chargeable_event_id: Uuid,
    /// `CREDIT` or `DEBIT`.
    charge_type: String,
    /// Amount of the adjustment.
    amount: Money,
    /// Whether the amount includes tax.
    tax_included: bool,
    /// Reason for the adjustment.
    reason: String,
    /// User who requested it.
    user: Option<String>,
    /// `applied`: billed as part of its charge. `pending`: its charge was already invoiced, so the next invoice bills it.
    /// `billed`: billed by an invoice. More values may be added.
    state: String,
    /// What invoices have not billed yet of an adjustment that they have billed in part. Otherwise absent.
    remaining: Option<Money>,
    /// Id of the invoice with a line for this adjustment, or for the last part of it.
    invoice_id: Option<Uuid>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Adjustment {
    fn example() -> Self {
        Self {
            id: example_id(31),
            version: 1,
            account_id: example_id(1),
            chargeable_event_id: example_id(30),
            charge_type: "CREDIT".to_owned(),
            amount: Money::of("0.25", "EUR"),
            tax_included: true,
            reason: "goodwill".to_owned(),
            user: Some("csr-17".to_owned()),
            state: "applied".to_owned(),
            remaining: None,
            invoice_id: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Charges")]
impl Adjustments {
    /// Adjust a chargeable event
    ///
    /// The recorded `amount` stays unchanged; `netAmount` changes, and the adjustment is stored. If the charge is already on an invoice, a
    /// line on the account's next invoice adjusts it. The business transaction contains the adjustment and the charge. Charges of a
    /// deactivated account can be adjusted until its final invoice; later adjustments are refused with `final_invoice_exists`. A charge that an
    /// invoice of a former payer has billed is not adjusted (`payer_changed_since`): create a credit on that payer's account.
    #[oai(path = "/chargeable-events/:chargeableEvent/adjustments", method = "post", operation_id = "adjustChargeableEvent")]
    async fn adjust(
        &self,
        context: Context,
        /// Id or external id of the chargeable event.
        #[oai(name = "chargeableEvent")]
        charge: Path<Reference>,
        input: Validated<AdjustmentInput>,
    ) -> Result<Done, Problem> {
        let new = input.body;
        let command = adjustment::Create {
            id: AdjustmentId(fresh()),
            charge_type: match new.charge_type {
                ChargeType::Credit => adjustment::ChargeType::Credit,
                ChargeType::Debit => adjustment::ChargeType::Debit,
            },
            amount: new.amount.exact("/amount")?,
            tax_included: new.tax_included,
            reason: new.reason.0,
            user: new.user.map(|user| user.0),
        };
        let grant = context.caller().grant.clone();
        Ok(Done(context.execute_on(&charge.0, input.canonical.as_deref(), AdjustChargeableEvent { command, grant }).await?))
    }

    /// List adjustments
    ///
    /// Oldest first.
    #[oai(path = "/adjustments", method = "get", operation_id = "listAdjustments")]
    async fn list(
        &self,
        context: Context,
        /// Only adjustments of this account, by its id or external id.
        account: Query<Reference>,
        /// Only adjustments of this charge, by its id or external id.
        #[oai(name = "chargeableEvent")]
        charge: Query<Reference>,
    ) -> Result<Listed<Adjustment>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("chargeable_event_id", context.filtered::<chargeable_event::ChargeableEvent>(&charge).await?);
        Listed::objects::<adjustment::Adjustment>(&context, filter).await
    }

    /// Get an adjustment
    ///
    /// Returns the object with this id.
    #[oai(path = "/adjustments/:adjustment", method = "get", operation_id = "getAdjustment")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the adjustment.
        adjustment: Path<Reference>,
    ) -> Result<Found<Adjustment>, Problem> {
        Found::of(&context.app().get::<adjustment::Adjustment>(context.tenant(), &adjustment.0.0).await?, &known)
    }
}
