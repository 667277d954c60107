//! Events: those of the past, and those that outside systems submit.

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
    types::scalars::{Cursor, EventTypeName, EventTypePattern, FreeObject, Key, Limit, Moment, Reference, SubjectReference, WaitSeconds},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// What has happened.
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
    list("listEvents", "events:read"),
    Operation { own_codes: &[Code::EventTypeUnknown], ..list("tailEvents", "events:read") },
    Operation { takes: PLAIN, ..get("getEvent", "events:read", &[Code::EventNotFound]) },
];

/// Something that happened outside.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewEvent {
    /// Name of the custom event type.
    #[oai(rename = "type")]
    kind: EventTypeName,
    /// Id or external id of the account it is about. Order is kept within the account, and its parameters are offered.
    account: Option<Reference>,
    /// What order is kept within, where it is about no account: letters, digits, `_` and `-`.
    key: Option<Key>,
    /// What it is about, as your system names it; absent: an id of its own.
    subject: Option<SubjectReference>,
    /// Its data, as the type's JSON Schema tells. Scalar members at the top become the parameters `data.<member>`.
    data: FreeObject,
}

/// Events to be told of.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", example)]
pub(crate) struct NewEvents {
    /// Each is judged by itself.
    #[oai(validator(min_items = 1, max_items = 1000))]
    items: Vec<NewEvent>,
}

impl Validate for NewEvents {}

impl Example for NewEvents {
    fn example() -> Self {
        let data = serde_json::Map::from_iter([("iccid".to_owned(), "8949010000000000001".into())]);
        let item = NewEvent {
            kind: "custom.sim_swapped".into(),
            account: None,
            key: Some("sim-4711".into()),
            subject: Some("4711".into()),
            data: FreeObject(data),
        };
        Self { items: vec![item] }
    }
}

/// Which object an event tells of.
#[derive(Debug, Object)]
#[oai(rename = "EventObject", rename_all = "camelCase")]
pub(crate) struct ObjectReference {
    /// Its type, such as `account`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Unique id.
    id: String,
    /// Its version after the change, from 1.
    version: i64,
    /// `created`, `updated` or `deleted`.
    action: String,
}

/// What an event carries.
#[derive(Debug, Object)]
#[oai(rename = "EventData", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Data {
    /// The object it tells of.
    object: ObjectReference,
    /// Its state before; absent for a created one.
    before: Option<FreeObject>,
    /// Its state after; absent for a deleted one.
    after: Option<FreeObject>,
    /// Name-value pairs, as the event's type offers them.
    parameters: FreeObject,
}

/// An event as it stands on the stream and in webhooks: a structured CloudEvents 1.0 object.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none, example)]
pub(crate) struct Event {
    /// `1.0`.
    specversion: String,
    /// Its id; also `Nats-Msg-Id` on the stream and `webhook-id` at receivers.
    id: Uuid,
    /// `/tenants/<tenant>`.
    source: String,
    /// Its type, such as `account.bill_cycle_changed`. More values may be added.
    #[oai(rename = "type")]
    kind: String,
    /// Id of the object it tells of.
    subject: String,
    /// When it happened, in business time.
    time: Moment,
    /// `application/json`.
    datacontenttype: String,
    /// Name of the JSON Schema it fits.
    dataschema: String,
    /// What order is kept within.
    partitionkey: String,
    /// Its place in that order: gapless, from 1, zero-padded.
    sequence: String,
    /// The business transaction that caused it.
    transactionid: Uuid,
    /// The event it was derived from, where it was.
    causationid: Option<Uuid>,
    /// How many derivations lie between this event and one that an operation caused; absent: none.
    causationdepth: Option<u32>,
    /// What it carries.
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
            datacontenttype: "application/json".to_owned(),
            dataschema: "urn:billwire:bill_cycle.created:v1".to_owned(),
            partitionkey: id.clone(),
            sequence: "00000000000000000001".to_owned(),
            transactionid: example_id(0x100),
            causationid: None,
            causationdepth: None,
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
    /// Tells of what happened outside, as events of your own types. Each item is held against its type's JSON Schema and judged by
    /// itself: an accepted one is a business transaction of its own with one event, and all accepted ones are committed together. A refused
    /// one leaves nothing; its problem carries one of the codes told under 422, and names every violation (`data_invalid` with the place in the
    /// data).
    #[oai(path = "/events", method = "post", operation_id = "submitEvents")]
    async fn submit(&self, context: Context, input: Validated<NewEvents>) -> Result<Each<202>, Problem> {
        let items = input.body.items.into_iter().map(|item| Submit {
            id: CustomEventId(fresh()),
            kind: item.kind.0,
            account: item.account.map(|account| account.0),
            key: item.key.map(|key| key.0),
            subject: item.subject.map(|subject| subject.0),
            data: item.data.0,
        });
        Ok(Each(context.app().submit_events(context.request(input.canonical.as_deref()), items.collect()).await?))
    }

    /// List events
    ///
    /// Newest first.
    #[oai(path = "/events", method = "get", operation_id = "listEvents")]
    #[expect(clippy::too_many_arguments, reason = "each is a query parameter")]
    async fn list(
        &self,
        context: Context,
        /// Only of this type.
        #[oai(name = "type")]
        kind: Query<EventTypeName>,
        /// Only of this account, by id or external id.
        account: Query<Reference>,
        /// Only with this ordering key.
        key: Query<Key>,
        /// Only about this object, by its id.
        #[oai(name = "objectId")]
        object: Query<Reference>,
        /// Only from this moment on.
        from: Query<Moment>,
        /// Only before this moment.
        to: Query<Moment>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Event>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let mut keys = Vec::new();
        if let Some(account) = account.0 {
            let Some(account) = context.app().account_named(context.tenant(), &account.0).await? else { return Ok(Listed::nothing()) };
            keys.push(account.into());
        }
        if let Some(key) = key.0 {
            // What cannot be a key is the key of no event.
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
    /// The events that come after a place on the stream, oldest first, as they are published. Without a cursor it answers none, and the
    /// cursor of now; each answer has the cursor to go on with. With `waitSeconds` it waits for the first event that comes. Meant for a
    /// person who watches (`billwire listen`); a system subscribes.
    #[oai(path = "/events/tail", method = "get", operation_id = "tailEvents")]
    async fn tail(
        &self,
        context: Context,
        /// Only of this type, or of the types this pattern means, such as `invoice.*`.
        #[oai(name = "type")]
        kind: Query<EventTypePattern>,
        /// How long to wait for the first event, in seconds; absent: not at all.
        #[oai(name = "waitSeconds")]
        wait: Query<WaitSeconds>,
        /// Maximum number of items to return.
        limit: Query<Limit>,
        /// `nextCursor` of the previous page. Absent: the first page.
        cursor: Query<Cursor>,
    ) -> Result<Listed<Event>, Problem> {
        let page_request = context.page_request(limit.0, cursor.0.as_ref())?;
        let after = page_request.after.map(|after| u64::try_from(after.sort).unwrap_or(0));
        let limit = usize::try_from(page_request.limit).unwrap_or(1);
        let wait = Duration::from_secs(wait.0.map_or(0, |wait| u64::from(wait.0)));
        let pattern = kind.0.as_ref().map(|kind| kind.0.as_str());
        let (items, next) = context.app().tail_events(context.tenant(), pattern, after, limit, wait).await?;
        let next = After { sort: i64::try_from(next).unwrap_or(i64::MAX), id: Uuid::nil() };
        Listed::stored(&context, Page { items, next: Some(next) })
    }

    /// Get an event
    ///
    /// As it stands on the stream.
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
