//! Chargeable events: recorded in bulk, searched.

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
        money::{Money, NewMoney},
        scalars::{
            Amount, ChargeOrder, ChargeState, ChargeTypeName, Cursor, Direction, ExternalId, IdentifierKind, IdentifierValue, Limit,
            Moment, Reason, Reference, SearchText, UnitName,
        },
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// What accounts are charged for, and how that was adjusted.
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
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::AccountRequired,
            Code::AccountDeactivated,
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
        ],
    ),
    list("searchChargeableEvents", "charges:read"),
    get("getChargeableEvent", "charges:read", &[Code::ChargeableEventNotFound]),
];

/// A usage identifier by what it is.
#[derive(Debug, Object)]
pub(crate) struct UsageIdentifierName {
    /// Its kind.
    kind: IdentifierKind,
    /// Its value.
    value: IdentifierValue,
}

/// A charge to be recorded. It names its account, or a service or usage identifier that belongs to one; all that it names must
/// belong together.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewChargeableEvent {
    /// Its id in your system; unique among charges. Sent again, the item is refused and nothing is charged twice.
    external_id: Option<ExternalId>,
    /// Id or external id of the account that is charged.
    account: Option<Reference>,
    /// Id or external id of the service it is for.
    service: Option<Reference>,
    /// The usage identifier it was reported under.
    usage_identifier: Option<UsageIdentifierName>,
    /// What kind of charge it is, in your own words. An invoice has one line for each.
    #[oai(rename = "type")]
    charge_type: ChargeTypeName,
    /// For people.
    description: Option<Reason>,
    /// How much was used, as a decimal; with it the unit.
    quantity: Option<Amount>,
    /// What the quantity counts, such as `MB` or `minute`.
    unit: Option<UnitName>,
    /// What is charged, rated already: up to six decimals, in the account's currency.
    amount: NewMoney,
    /// When it happened.
    occurred_at: Moment,
}

impl Example for NewChargeableEvent {
    fn example() -> Self {
        Self {
            external_id: Some("CDR-2027-01-04-0001".into()),
            account: Some("CRM-4711".into()),
            service: None,
            usage_identifier: Some(UsageIdentifierName { kind: "iccid".into(), value: "8949010000000000042".into() }),
            charge_type: "voice".into(),
            description: Some("Call to Norway, 12 minutes".into()),
            quantity: Some("12".into()),
            unit: Some("minute".into()),
            amount: NewMoney::of("1.234567", "EUR"),
            occurred_at: example_moment(),
        }
    }
}

/// Charges to be recorded.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct NewChargeableEvents {
    /// The charges, 1 to 1 000, in order.
    #[oai(validator(min_items = 1, max_items = 1000))]
    items: Vec<NewChargeableEvent>,
}

impl Validate for NewChargeableEvents {}

impl Example for NewChargeableEvents {
    fn example() -> Self {
        Self { items: vec![NewChargeableEvent::example()] }
    }
}

impl NewChargeableEvent {
    /// The charge, unless its amounts break a rule.
    fn read(self) -> Result<NewCharge, Rejected> {
        let mut broken: Vec<Violation> = Vec::new();
        let amount = self.amount.read("/amount", &mut broken);
        let quantity = self.quantity.and_then(|quantity| amounts::decimal("/quantity".to_owned(), &quantity.0, &mut broken));
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected);
        }
        let Some(amount) = amount else { return Err(Rejected::violation("/amount", Code::AmountInvalid, "The amount cannot be read.")) };
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
    /// Its version, from 1. Being billed moves it on without an event of its own: the invoice's event tells.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// Who is charged.
    account_id: Uuid,
    /// For which service.
    service_id: Option<Uuid>,
    /// Under which usage identifier it was reported.
    usage_identifier_id: Option<Uuid>,
    /// What kind of charge it is.
    #[oai(rename = "type")]
    charge_type: String,
    /// For people.
    description: Option<String>,
    /// How much was used, as a decimal.
    quantity: Option<String>,
    /// What the quantity counts.
    unit: Option<String>,
    /// What was charged, as recorded. It never changes.
    amount: Money,
    /// What is charged after all adjustments; never below zero.
    net_amount: Money,
    /// When it happened.
    occurred_at: Moment,
    /// `unbilled` or `billed`. More values may be added.
    state: String,
    /// The invoice it stands on.
    invoice_id: Option<Uuid>,
    /// When it was recorded.
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
    /// Up to 1 000 at once. Each is judged by itself, in order, and is a business transaction of its own; all that are good are
    /// committed together. The answer is 200 whatever became of them: look at each result.
    #[oai(path = "/chargeable-events", method = "post", operation_id = "recordChargeableEvents")]
    async fn record(&self, context: Context, input: Validated<NewChargeableEvents>) -> Result<Each<200>, Problem> {
        let items = input.body.items.into_iter().map(NewChargeableEvent::read).collect();
        let request = context.request(input.canonical.as_deref());
        Ok(Each(context.app().record_chargeable_events(request, items).await?))
    }

    /// Search chargeable events
    ///
    /// All filters together; the latest first, unless sorted otherwise.
    #[oai(path = "/chargeable-events", method = "get", operation_id = "searchChargeableEvents")]
    #[expect(clippy::too_many_arguments, reason = "a search has many filters")]
    async fn search(
        &self,
        context: Context,
        /// Only charges of this account, by its id or external id.
        account: Query<Reference>,
        /// Only charges for this service, by its id or external id.
        service: Query<Reference>,
        /// Only charges that happened at this moment or later.
        from: Query<Moment>,
        /// Only charges that happened before this moment.
        to: Query<Moment>,
        /// Only charges of this type.
        #[oai(name = "type")]
        charge_type: Query<ChargeTypeName>,
        /// Only charges in this state.
        state: Query<ChargeState>,
        /// Only charges on this invoice.
        #[oai(name = "invoiceId")]
        invoice: Query<Uuid>,
        /// Only charges whose type, description or external id contains this, in whatever case.
        text: Query<SearchText>,
        /// What to sort by. Default `occurredAt`.
        sort: Query<ChargeOrder>,
        /// Which way. Default `descending`.
        order: Query<Direction>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<ChargeableEvent>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
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
        let (app, tenant) = (context.app(), context.tenant());
        let page = match sort.0.unwrap_or(ChargeOrder::OccurredAt) {
            ChargeOrder::OccurredAt => {
                let value = |charge: &chargeable_event::ChargeableEvent| charge.occurred_at.timestamp_micros();
                app.list_sorted(tenant, filter, ("occurred_at", ascending), value, page_request).await?
            }
            ChargeOrder::Amount => {
                let value = |charge: &chargeable_event::ChargeableEvent| charge.net_amount.amount.millionths();
                app.list_sorted(tenant, filter, ("net_amount", ascending), value, page_request).await?
            }
        };
        Listed::page(&context, &page)
    }

    /// Get a chargeable event
    ///
    /// Looks it up by id or external id.
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
