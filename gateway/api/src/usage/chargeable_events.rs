//! Chargeable events: bulk recording and search.

use billwire_app::{
    Filter, NewCharge,
    domain::{
        Rejected, Violation, amounts,
        customers::{account::Account, service::Service},
        usage::chargeable_event,
    },
};
use billwire_schemas::ids::{ChargeableEventId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        bulk::Each,
        problem::Problem,
        request_context::{Context, Query},
        responses::{Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, get, in_bulk, list},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        scalars::{
            Amount, ChargeOrder, ChargeState, ChargeTypeName, Direction, ExternalId, IdentifierKind, IdentifierValue, Moment, Reason,
            Reference, SearchText, UnitName,
        },
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Charges of accounts, and their adjustments.
    #[oai(rename = "Charges")]
    Charges,
}

pub(crate) struct ChargeableEvents;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    in_bulk(
        "recordChargeableEvents",
        "charges:write",
        &[
            Code::NothingAccepted,
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::AccountRequired,
            Code::AccountDeactivated,
            Code::FinalInvoiceExists,
            Code::ServiceUnknown,
            Code::UsageIdentifierUnknown,
            Code::ReferenceMismatch,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
            Code::AmountNegative,
            Code::QuantityNegative,
            Code::UnitRequired,
            Code::EventTooLarge,
            Code::OccurredAtInFuture,
            Code::TimeOutOfRange,
        ],
    ),
    list("searchChargeableEvents", "charges:read"),
    get("getChargeableEvent", "charges:read", &[Code::ChargeableEventNotFound]),
];

/// A usage identifier, named by kind and value.
#[derive(Debug, Object)]
pub(crate) struct UsageIdentifierName {
    /// Kind, such as `iccid`.
    kind: IdentifierKind,
    /// The identifier.
    value: IdentifierValue,
}

/// The charge to record. It names an account, or a service or usage identifier of one. If it names several, they must belong to the
/// same account and service.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ChargeableEventInput {
    /// External id: the id in your system; unique among charges. A repeated item is refused, so nothing is charged twice.
    external_id: Option<ExternalId>,
    /// Id or external id of the charged account.
    account: Option<Reference>,
    /// Id or external id of the service.
    service: Option<Reference>,
    /// The usage identifier it was reported with.
    usage_identifier: Option<UsageIdentifierName>,
    /// Charge type, in your own terms. An invoice has one line per type.
    #[oai(rename = "type")]
    charge_type: ChargeTypeName,
    /// Description of the charge.
    description: Option<Reason>,
    /// Used quantity, as a decimal string; requires `unit`.
    quantity: Option<Amount>,
    /// Unit of the quantity, such as `MB` or `minute`.
    unit: Option<UnitName>,
    /// Rated amount in the account's currency, with up to six decimals.
    amount: MoneyInput,
    /// Time of the usage or event: at most ten years ago and at most one hour ahead.
    occurred_at: Moment,
}

impl Example for ChargeableEventInput {
    fn example() -> Self {
        Self {
            external_id: Some("CDR-2027-01-04-0002".into()),
            account: Some("CRM-4711".into()),
            service: None,
            usage_identifier: Some(UsageIdentifierName { kind: "iccid".into(), value: "8949010000000000042".into() }),
            charge_type: "voice".into(),
            description: Some("Call to Norway, 12 minutes".into()),
            quantity: Some("12".into()),
            unit: Some("minute".into()),
            amount: MoneyInput::of("1.234567", "EUR"),
            occurred_at: example_moment(),
        }
    }
}

/// The charges to record.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct ChargeableEventsInput {
    /// The charges, 1 to 1 000, processed in order.
    #[oai(validator(min_items = 1, max_items = 1000))]
    items: Vec<ChargeableEventInput>,
}

impl Validate for ChargeableEventsInput {}

impl Example for ChargeableEventsInput {
    fn example() -> Self {
        Self { items: vec![ChargeableEventInput::example()] }
    }
}

impl ChargeableEventInput {
    /// Converts the charge, or refuses invalid amounts.
    fn read(self) -> Result<NewCharge, Rejected> {
        let mut broken: Vec<Violation> = Vec::new();
        let amount = self.amount.read("/amount", &mut broken);
        let quantity = self.quantity.and_then(|quantity| amounts::decimal("/quantity".to_owned(), &quantity.0, &mut broken));
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
        let Some(amount) = amount else { return Err(Rejected::violation("/amount", Code::AmountInvalid, "The amount is not a decimal.")) };
        let command = chargeable_event::Record {
            id: ChargeableEventId(fresh()),
            external_id: self.external_id.map(|id| id.0),
            service_id: None,
            usage_identifier_id: None,
            charge_type: self.charge_type.0,
            description: self.description.map(|text| text.0),
            quantity,
            unit: self.unit.map(|unit| unit.0),
            amount,
            occurred_at: self.occurred_at.0,
        };
        Ok(NewCharge {
            account: self.account.map(|account| account.0),
            service: self.service.map(|service| service.0),
            usage_identifier: self.usage_identifier.map(|name| (name.kind.0, name.value.0)),
            command,
        })
    }
}

/// A chargeable event.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ChargeableEvent {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1. Billing increments it without an event for the charge; the invoice has the event.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Id of the charged account.
    account_id: Uuid,
    /// Id of the service.
    service_id: Option<Uuid>,
    /// Id of the usage identifier it was reported with.
    usage_identifier_id: Option<Uuid>,
    /// Charge type.
    #[oai(rename = "type")]
    charge_type: String,
    /// Description of the charge.
    description: Option<String>,
    /// Used quantity, as a decimal string.
    quantity: Option<String>,
    /// Unit of the quantity.
    unit: Option<String>,
    /// Amount as recorded; never changes.
    amount: Money,
    /// Amount after all adjustments; never below zero.
    net_amount: Money,
    /// Time of the usage or event.
    occurred_at: Moment,
    /// `unbilled` or `billed`. More values may be added.
    state: String,
    /// When it was reversed, if it was.
    reversed_at: Option<Moment>,
    /// Id of the charge that replaces it, if it was reversed with a replacement.
    replaced_by: Option<Uuid>,
    /// Id of the invoice that bills it.
    invoice_id: Option<Uuid>,
    /// Time of recording.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for ChargeableEvent {
    fn example() -> Self {
        Self {
            id: example_id(30),
            version: 1,
            external_id: Some("CDR-2027-01-04-0001".to_owned()),
            account_id: example_id(1),
            service_id: None,
            usage_identifier_id: None,
            charge_type: "voice".to_owned(),
            description: Some("Call to Norway, 12 minutes".to_owned()),
            quantity: Some("12".to_owned()),
            unit: Some("minute".to_owned()),
            amount: Money::of("1.234567", "EUR"),
            net_amount: Money::of("1.234567", "EUR"),
            occurred_at: example_moment(),
            state: "unbilled".to_owned(),
            reversed_at: None,
            replaced_by: None,
            invoice_id: None,
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Charges")]
impl ChargeableEvents {
    /// Record chargeable events
    ///
    /// Records up to 1 000 charges. A body that does not fit the schema is refused as a whole (400), whichever item is wrong. Items are then validated
    /// one by one, in order, and each is its own business transaction; all valid items are committed together. The status is 200 even if items are
    /// refused: check each result. An item that names an object that does not exist is refused for that alone.
    ///
    /// A deactivated account accepts charges that occurred before its deactivation until its final invoice. Then they are refused with
    /// `final_invoice_exists`; charges that occurred later are refused with `account_deactivated`.
    #[oai(path = "/chargeable-events", method = "post", operation_id = "recordChargeableEvents")]
    async fn record(&self, context: Context, input: Validated<ChargeableEventsInput>) -> Result<Each<200>, Problem> {
        let items = input.body.items.into_iter().map(ChargeableEventInput::read).collect();
        let request = context.request(input.canonical.as_deref());
        Ok(Each(context.app().record_chargeable_events(request, items).await?))
    }

    /// Search chargeable events
    ///
    /// Filters are combined with AND. Newest first by default.
    #[oai(path = "/chargeable-events", method = "get", operation_id = "searchChargeableEvents")]
    #[expect(clippy::too_many_arguments, reason = "a search has many filters")]
    async fn search(
        &self,
        context: Context,
        /// Only charges of this account, by its id or external id.
        account: Query<Reference>,
        /// Only charges for this service, by its id or external id.
        service: Query<Reference>,
        /// Only charges that occurred at or after this time.
        from: Query<Moment>,
        /// Only charges that occurred before this time.
        to: Query<Moment>,
        /// Only charges with this type.
        #[oai(name = "type")]
        charge_type: Query<ChargeTypeName>,
        /// Only charges in this state.
        state: Query<ChargeState>,
        /// Only charges on this invoice.
        #[oai(name = "invoiceId")]
        invoice: Query<Uuid>,
        /// Only charges whose type, description or external id contains this text; case-insensitive.
        text: Query<SearchText>,
        /// Sort key: the time or the amount after adjustments. Default `occurredAt`.
        sort: Query<ChargeOrder>,
        /// Sort direction. Default `descending`.
        order: Query<Direction>,
    ) -> Result<Listed<ChargeableEvent>, Problem> {
        let page_request = context.page().await?;
        let billed = state.0.map(|state| state == ChargeState::Billed);
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is_id("service_id", context.filtered::<Service>(&service).await?)
            .since("occurred_at", from.0.map(|moment| moment.0))
            .until("occurred_at", to.0.map(|moment| moment.0))
            .is("kind", charge_type.0.as_ref().map(|kind| kind.0.as_str()))
            .has("invoice_id", billed)
            .is_id("invoice_id", invoice.0)
            .contains("search", text.0.as_ref().map(|text| text.0.as_str()));
        let ascending = order.0 == Some(Direction::Ascending);
        let column = match sort.0.unwrap_or(ChargeOrder::OccurredAt) {
            ChargeOrder::OccurredAt => "occurred_at",
            ChargeOrder::NetAmount => "net_amount",
        };
        let (app, tenant) = (context.app(), context.tenant());
        let page = app.list_sorted::<chargeable_event::ChargeableEvent>(tenant, filter, (column, ascending), page_request).await?;
        Listed::page(&context, &page)
    }

    /// Get a chargeable event
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/chargeable-events/:chargeableEvent", method = "get", operation_id = "getChargeableEvent")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the chargeable event.
        #[oai(name = "chargeableEvent")]
        charge: Path<Reference>,
    ) -> Result<Found<ChargeableEvent>, Problem> {
        Found::of(&context.app().get::<chargeable_event::ChargeableEvent>(context.tenant(), &charge.0.0).await?, &known)
    }
}
