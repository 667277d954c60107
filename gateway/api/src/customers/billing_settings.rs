//! Billing settings.

use billwire_app::{
    UpdateBillingSettings,
    domain::customers::billing_settings::{AskedOffset, StatusKind, StatusModel, StatusTransition, Update},
};
use billwire_schemas::ids::{BillingSettingsId, fresh};
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, Tags, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Done, Found, IfNoneMatch},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, get, updated},
    types::example::{example_id, example_moment},
    types::scalars::{Days, Moment, StatusName, TimeOfDay, TimeZoneName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// What holds for all of the tenant's accounts.
    #[oai(rename = "Billing settings")]
    BillingSettings,
}

pub(crate) struct BillingSettings;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    get("getBillingSettings", "billing_settings:read", &[]),
    change(
        "updateBillingSettings",
        "billing_settings:write",
        &[
            Code::TimeZoneUnknown,
            Code::PaymentTermOutOfRange,
            Code::TooManyDeliveryOffsets,
            Code::DeliveryOffsetOutOfRange,
            Code::TimeOfDayInvalid,
            Code::DeliveryOffsetRepeated,
            Code::StatusRepeated,
            Code::StatusUnknown,
            Code::InitialStatusIsCancelled,
            Code::CancelledIsFinal,
            Code::TransitionToItself,
            Code::TransitionRepeated,
        ],
        updated("billingSettings", "BillingSettings", &[]),
    ),
];

/// So many days after an invoice's delivery.
#[derive(Debug, Object)]
pub(crate) struct NewDeliveryOffset {
    /// Days after the day of delivery, 0 to 365.
    days: Days,
    /// Time of day in the tenant's time zone, `HH:MM`. One that the clocks skip becomes the next moment that exists; of one they
    /// show twice it is the first.
    time: TimeOfDay,
}

/// A status.
#[derive(Debug, Object)]
pub(crate) struct NewStatus {
    /// Display name.
    name: StatusName,
    /// Whether what is in this status is billed.
    billable: bool,
}

/// An allowed way from one status to another.
#[derive(Debug, Object)]
pub(crate) struct NewTransition {
    /// Where from.
    from: StatusName,
    /// Where to.
    to: StatusName,
}

/// Statuses and the allowed ways between them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct NewStatusModel {
    /// Which there are, each name once.
    #[oai(validator(max_items = 50))]
    statuses: Vec<NewStatus>,
    /// The one things start in.
    initial: StatusName,
    /// The one that is gone back to when an account that took its services along is active again; absent: none goes back.
    active: Option<StatusName>,
    /// The one that is gone to when an account is suspended and takes its services along; absent: none goes along.
    suspended: Option<StatusName>,
    /// The one things end in; no way leads out of it.
    cancelled: StatusName,
    /// The allowed ways, each once.
    #[oai(validator(max_items = 500))]
    transitions: Vec<NewTransition>,
}

/// The billing settings as they shall be, whole: what is absent goes back to its default.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillingSettingsUpdate {
    /// The tenant's time zone, by its IANA name. Default UTC.
    time_zone: Option<TimeZoneName>,
    /// Days from an invoice's posting to its due date, 0 to 365, for accounts without a term of their own. Default 14.
    payment_term_days: Option<Days>,
    /// When `invoice.delivery_offset_reached` is published after an invoice's delivery; at most 20. Default none.
    #[oai(validator(max_items = 100))]
    delivery_offsets: Option<Vec<NewDeliveryOffset>>,
    /// The statuses of services. Default: preactive, trial, active (billable), suspended, cancelled.
    service_statuses: Option<NewStatusModel>,
    /// The statuses of package subscriptions. Default: pending, active (billable), suspended, cancelled.
    package_statuses: Option<NewStatusModel>,
}

impl Validate for BillingSettingsUpdate {}

impl Example for BillingSettingsUpdate {
    fn example() -> Self {
        Self {
            time_zone: Some("Europe/Berlin".into()),
            payment_term_days: Some(Days(30)),
            delivery_offsets: Some(vec![NewDeliveryOffset { days: Days(3), time: "09:30".into() }]),
            service_statuses: None,
            package_statuses: None,
        }
    }
}

/// So many days after an invoice's delivery, at this time of day.
#[derive(Debug, Object)]
pub(crate) struct DeliveryOffset {
    /// Days after the day of delivery.
    days: u32,
    /// Time of day in the tenant's time zone, `HH:MM`.
    time: String,
}

/// A status of a model.
#[derive(Debug, Object)]
pub(crate) struct ModelStatus {
    /// Display name.
    name: String,
    /// Whether what is in this status is billed.
    billable: bool,
}

/// An allowed way from one status to another.
#[derive(Debug, Object)]
pub(crate) struct ModelTransition {
    /// Where from.
    from: String,
    /// Where to.
    to: String,
}

/// Statuses and the allowed ways between them.
#[derive(Debug, Object)]
#[oai(rename = "StatusModel", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ShownStatusModel {
    /// Which there are.
    statuses: Vec<ModelStatus>,
    /// The one things start in.
    initial: String,
    /// The one that is gone back to when an account that took its services along is active again.
    active: Option<String>,
    /// The one that is gone to when an account is suspended and takes its services along.
    suspended: Option<String>,
    /// The one things end in.
    cancelled: String,
    /// The allowed ways.
    transitions: Vec<ModelTransition>,
}

/// What holds for all of the tenant's accounts.
#[derive(Debug, Object)]
#[oai(rename = "BillingSettings", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ShownBillingSettings {
    /// Their id; absent until they are first set.
    id: Option<Uuid>,
    /// Their version: 0 while the defaults hold, from 1 once they are set.
    version: i64,
    /// The tenant's time zone, by its IANA name.
    time_zone: String,
    /// Days from an invoice's posting to its due date, for accounts without a term of their own.
    payment_term_days: u32,
    /// When `invoice.delivery_offset_reached` is published after an invoice's delivery.
    delivery_offsets: Vec<DeliveryOffset>,
    /// The statuses of services.
    service_statuses: ShownStatusModel,
    /// The statuses of package subscriptions.
    package_statuses: ShownStatusModel,
    /// When they were first set.
    created_at: Option<Moment>,
    /// When they were last set.
    updated_at: Option<Moment>,
}

impl From<StatusModel> for ShownStatusModel {
    fn from(model: StatusModel) -> Self {
        Self {
            statuses: model.statuses.into_iter().map(|status| ModelStatus { name: status.name, billable: status.billable }).collect(),
            initial: model.initial,
            active: model.active,
            suspended: model.suspended,
            cancelled: model.cancelled,
            transitions: model.transitions.into_iter().map(|way| ModelTransition { from: way.from, to: way.to }).collect(),
        }
    }
}

impl Example for ShownBillingSettings {
    fn example() -> Self {
        Self {
            id: Some(example_id(14)),
            version: 1,
            time_zone: "Europe/Berlin".to_owned(),
            payment_term_days: 30,
            delivery_offsets: vec![DeliveryOffset { days: 3, time: "09:30".to_owned() }],
            service_statuses: StatusModel::of_services().into(),
            package_statuses: StatusModel::of_packages().into(),
            created_at: Some(example_moment()),
            updated_at: Some(example_moment()),
        }
    }
}

impl From<NewStatusModel> for StatusModel {
    fn from(model: NewStatusModel) -> Self {
        Self {
            statuses: model.statuses.into_iter().map(|status| StatusKind { name: status.name.0, billable: status.billable }).collect(),
            initial: model.initial.0,
            active: model.active.map(|name| name.0),
            suspended: model.suspended.map(|name| name.0),
            cancelled: model.cancelled.0,
            transitions: model.transitions.into_iter().map(|way| StatusTransition { from: way.from.0, to: way.to.0 }).collect(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::BillingSettings")]
impl BillingSettings {
    /// Get the billing settings
    ///
    /// Until they are first set, the defaults are answered, at version 0.
    #[oai(path = "/billing-settings", method = "get", operation_id = "getBillingSettings")]
    async fn get(&self, context: Context, known: IfNoneMatch) -> Result<Found<ShownBillingSettings>, Problem> {
        Found::of(&context.app().billing_settings(context.tenant()).await?, &known)
    }

    /// Set the billing settings
    ///
    /// As a whole: what is absent goes back to its default. What is in a status that a new model no longer has is not billed, and
    /// may go to any status of the new model.
    #[oai(path = "/billing-settings", method = "put", operation_id = "updateBillingSettings")]
    async fn update(&self, context: Context, input: Validated<BillingSettingsUpdate>) -> Result<Done, Problem> {
        let wanted = input.body;
        let defaults = billwire_app::domain::customers::billing_settings::BillingSettings::default();
        let offsets = wanted.delivery_offsets.unwrap_or_default();
        let command = Update {
            id: BillingSettingsId(fresh()),
            time_zone: wanted.time_zone.map_or_else(|| defaults.time_zone.to_string(), |name| name.0),
            payment_term_days: wanted.payment_term_days.map_or(defaults.payment_term_days, |days| days.0),
            delivery_offsets: offsets.into_iter().map(|offset| AskedOffset { days: offset.days.0, time: offset.time.0 }).collect(),
            service_statuses: wanted.service_statuses.map_or(defaults.service_statuses, Into::into),
            package_statuses: wanted.package_statuses.map_or(defaults.package_statuses, Into::into),
        };
        let use_case = UpdateBillingSettings { command, if_match: context.if_match() };
        Ok(Done(context.execute(input.canonical.as_deref(), use_case).await?))
    }
}
