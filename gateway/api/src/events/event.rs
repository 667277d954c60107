//! Events: history, tailing, and submission by external systems.

use std::time::Duration;

use billwire_schemas::refusal::Code;

use billwire_app::{
    domain::events::custom_event_type::Submit,
    history,
    page::{After, Page},
};
use billwire_schemas::ids::{CustomEventId, fresh};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        bulk::Each,
        problem::Problem,
        request_context::{Context, Query},
        responses::{Listed, Stored},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, create, created, get, list},
    types::example::{example_id, example_moment},
    types::scalars::{EventTypeName, EventTypePattern, FreeObject, Key, Moment, Reference, SubjectReference, WaitSeconds},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Events on the stream.
    #[oai(rename = "Events")]
    Events,
}

pub(crate) struct Events;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        makes: None,
        ..create(
            "submitEvents",
            "events:write",
            &[
                Code::NothingAccepted,
                Code::EventTypeUnknown,
                Code::EventTypeNotCustom,
                Code::AccountUnknown,
                Code::OrderingKeyRequired,
                Code::OrderingKeyAmbiguous,
                Code::KeyInvalid,
                Code::DataInvalid,
                Code::EventTooLarge,
                Code::DataTooComplex,
            ],
            created("customEvent", "CustomEvent", &[]),
        )
    },
    Operation { own_codes: &[Code::EventTypeUnknown], ..list("listEvents", "events:read") },
    Operation { own_codes: &[Code::EventTypeUnknown], ..list("tailEvents", "events:read") },
    Operation { takes: PLAIN, ..get("getEvent", "events:read", &[Code::EventNotFound, Code::Purged]) },
];

/// The event to submit.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct EventInput {
    /// Name of the custom event type.
    #[oai(rename = "type")]
    kind: EventTypeName,
    /// Id or external id of the account. The account is the ordering key, and the event offers its parameters.
    account: Option<Reference>,
    /// Ordering key of an event without account: letters, digits, `_` and `-`.
    key: Option<Key>,
    /// Subject of the event, as named in your system. Absent: a generated id.
    subject: Option<SubjectReference>,
    /// Data that conforms to the type's JSON Schema. Top-level scalar members become the parameters `data.<member>`; a text longer than 4096 bytes
    /// is cut there and ends in `…`.
    data: FreeObject,
}

/// The events to submit.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct EventsInput {
    /// The events; each is validated separately.
    #[oai(validator(min_items = 1, max_items = 1000))]
    items: Vec<EventInput>,
}

impl Validate for EventsInput {}

impl Example for EventsInput {
    fn example() -> Self {
        let data = serde_json::Map::from_iter([("iccid".to_owned(), "8949010000000000001".into())]);
        let item = EventInput {
            kind: "custom.sim_swapped".into(),
            account: None,
            key: Some("sim-4711".into()),
            subject: Some("4711".into()),
            data: FreeObject(data),
        };
        Self { items: vec![item] }
    }
}

/// The object of an event.
#[derive(Debug, Object)]
#[oai(rename = "EventObject", rename_all = "camelCase")]
pub(crate) struct ObjectReference {
    /// Object type, such as `account`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Unique id.
    id: String,
    /// Version after the change, starting at 1.
    version: i64,
    /// `created`, `updated` or `deleted`.
    action: String,
}

/// The data of an event.
#[derive(Debug, Object)]
#[oai(rename = "EventData", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Data {
    /// The changed object.
    object: ObjectReference,
    /// State before the change; absent if the object was created.
    before: Option<FreeObject>,
    /// State after the change; absent if the object was deleted.
    after: Option<FreeObject>,
    /// Name-value pairs that the event type offers. A text longer than 4096 bytes is cut and ends in `…`; the object's state has it in full.
    parameters: FreeObject,
}

/// An event as on the stream and in webhook calls: a structured CloudEvents 1.0 object.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none, example)]
pub(crate) struct Event {
    /// `1.0`.
    specversion: String,
    /// Event id; also `Nats-Msg-Id` on the stream and `webhook-id` in webhook calls.
    id: Uuid,
    /// `/tenants/<tenant>`.
    source: String,
    /// Event type, such as `account.bill_cycle_changed`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Id of the changed object.
    subject: String,
    /// Time of the event, in business time.
    time: Moment,
    /// Time at which it was recorded, if that was later: the clock performed late what was due at `time`.
    recordedtime: Option<Moment>,
    /// `application/json`.
    datacontenttype: String,
    /// URL of the JSON Schema of the message.
    dataschema: String,
    /// The ordering key.
    partitionkey: String,
    /// Position within the ordering key: gapless, starting at 1, zero-padded.
    sequence: String,
    /// Id of the business transaction.
    transactionid: Uuid,
    /// Number of the event within its business transaction, starting at 1.
    transactionindex: Option<u32>,
    /// Number of events in the business transaction.
    transactionsize: Option<u32>,
    /// The operation that caused the event, such as `updateAccountBillCycle`.
    operation: Option<String>,
    /// Who called the operation.
    actor: Option<String>,
    /// Id of the event it was derived from, if any.
    causationid: Option<Uuid>,
    /// Number of derivations since an event caused by an operation; absent: none.
    causationdepth: Option<u32>,
    /// The caller's trace (W3C Trace Context), if the request had one, with the event as the parent of what receivers do.
    traceparent: Option<String>,
    /// The event's data.
    data: Data,
}

impl Example for Event {
    fn example() -> Self {
        let id = example_id(2).to_string();
        let after = serde_json::json!({ "id": id, "version": 1, "name": "Monthly on the 15th" });
        let parameters = serde_json::json!({ "event.name": "Bill Cycle Created", "event.type": "bill_cycle.created", "billCycle.id": id });
        let members = |value: serde_json::Value| FreeObject(value.as_object().cloned().unwrap_or_default());
        Self {
            specversion: "1.0".to_owned(),
            id: example_id(0x101),
            source: "/tenants/default".to_owned(),
            kind: "bill_cycle.created".to_owned(),
            subject: id.clone(),
            time: example_moment(),
            recordedtime: None,
            datacontenttype: "application/json".to_owned(),
            dataschema: "https://billing.example.com/schemas/bill_cycle.created/v1.json".to_owned(),
            partitionkey: id.clone(),
            sequence: "00000000000000000001".to_owned(),
            transactionid: example_id(0x100),
            transactionindex: Some(1),
            transactionsize: Some(1),
            operation: Some("createBillCycle".to_owned()),
            actor: Some("admin".to_owned()),
            causationid: None,
            causationdepth: None,
            traceparent: None,
            data: Data {
                object: ObjectReference { kind: "billCycle".to_owned(), id, version: 1, action: "created".to_owned() },
                before: None,
                after: Some(members(after)),
                parameters: members(parameters),
            },
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Events")]
impl Events {
    /// Submit events
    ///
    /// Submits external occurrences as events of your custom types. Each item is validated separately against its type's JSON Schema. An
    /// accepted item is its own business transaction with one event; all accepted items are committed together. A refused item changes
    /// nothing: its problem has one of the codes listed under 422 and names every violation (`data_invalid` with the location in the data).
    #[oai(path = "/events", method = "post", operation_id = "submitEvents")]
    async fn submit(&self, context: Context, input: Validated<EventsInput>) -> Result<Each<202>, Problem> {
        let items = input.body.items.into_iter().map(|item| Submit {
            id: CustomEventId(fresh()),
            kind: item.kind.0,
            account: item.account.map(|account| account.0),
            key: item.key.map(|key| key.0),
            subject: item.subject.map(|subject| subject.0),
            data: item.data.0.into(),
        });
        Ok(Each(context.app().submit_events(context.request(input.canonical.as_deref()), items.collect()).await?))
    }

    /// List events
    ///
    /// Newest first. Business transactions that were published whole (`updateStreamSettings`) are listed too.
    #[oai(path = "/events", method = "get", operation_id = "listEvents")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        context: Context,
        /// Only events of this type, or of types that match this pattern, such as `invoice.*`.
        #[oai(name = "type")]
        kind: Query<EventTypePattern>,
        /// Only events of this account, by its id or external id.
        account: Query<Reference>,
        /// Only events with this ordering key.
        key: Query<Key>,
        /// Only events of this object, by its id.
        #[oai(name = "objectId")]
        object: Query<Reference>,
        /// Only events at or after this time.
        from: Query<Moment>,
        /// Only events before this time.
        to: Query<Moment>,
    ) -> Result<Listed<Event>, Problem> {
        let page_request = context.page().await?;
        let mut keys = Vec::new();
        if let Some(account) = account.0 {
            let Some(account) = context.app().account_named(context.tenant(), &account.0).await? else { return Ok(Listed::nothing()) };
            keys.push(account.into());
        }
        if let Some(key) = key.0 {
            // An invalid key matches no event.
            let Ok(key) = key.0.parse() else { return Ok(Listed::nothing()) };
            keys.push(key);
        }
        if keys.windows(2).any(|two| two[0] != two[1]) {
            return Ok(Listed::nothing());
        }
        let wanted = history::Events {
            kind: kind.0.map(|kind| kind.0),
            key: keys.pop(),
            object: object.0.map(|object| object.0),
            from: from.0.map(|from| from.0),
            to: to.0.map(|to| to.0),
        };
        Listed::stored(&context, context.app().list_events(context.tenant(), wanted, page_request).await?)
    }

    /// Tail events
    ///
    /// Returns the events published after a position on the stream, oldest first. Without a cursor, returns no events and the current
    /// position as the cursor; every response has the cursor to continue with. `waitSeconds` waits for the first event. Intended for
    /// interactive use (`billwire listen`); systems should use a subscription.
    #[oai(path = "/events/tail", method = "get", operation_id = "tailEvents")]
    async fn tail(
        &self,
        context: Context,
        /// Only events of this type, or of types that match this pattern, such as `invoice.*`.
        #[oai(name = "type")]
        kind: Query<EventTypePattern>,
        /// Maximum time to wait for the first event, in seconds. Absent: no wait.
        #[oai(name = "waitSeconds")]
        wait: Query<WaitSeconds>,
    ) -> Result<Listed<Event>, Problem> {
        let page_request = context.page_request()?;
        let after = page_request.after.map(|after| u64::try_from(after.sort).unwrap_or(0));
        let [limit, bytes] = [page_request.limit, page_request.bytes].map(|most| usize::try_from(most).unwrap_or(1));
        let pattern = kind.0.as_ref().map(|kind| kind.0.as_str());
        let (app, tenant) = (context.app(), context.tenant());
        let mut page = (Vec::new(), None);
        if let Some(wait) = wait.0.filter(|wait| wait.0 > 0) {
            let _place = context.limits().tail(tenant)?;
            // A call that waits for an event reserves no memory meanwhile.
            let (items, next) = app.tail_events(tenant, pattern, after, (1, bytes), Duration::from_secs(wait.0.into())).await?;
            page = (items, Some(next));
        }
        if page.1.is_none() || !page.0.is_empty() {
            context.reserve_page().await?;
            let (items, next) = app.tail_events(tenant, pattern, after, (limit, bytes), Duration::ZERO).await?;
            page = (items, Some(next));
        }
        let next = page.1.map(|next| After { sort: i64::try_from(next).unwrap_or(i64::MAX), id: Uuid::nil() });
        Listed::stored(&context, Page { items: page.0, next })
    }

    /// Get an event
    ///
    /// Returns the event as on the stream.
    #[oai(path = "/events/:event", method = "get", operation_id = "getEvent")]
    async fn get(
        &self,
        context: Context,
        /// Id of the event.
        event: Path<Reference>,
    ) -> Result<Stored<Event>, Problem> {
        Ok(Stored::of(context.app().event(context.tenant(), &event.0.0).await?))
    }
}
