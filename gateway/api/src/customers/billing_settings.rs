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
    types::scalars::{Currency, Days, Moment, StatusName, TimeOfDay, TimeZoneName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Settings for all accounts of the tenant.
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
            Code::CurrencyUnknown,
            Code::PaymentTermOutOfRange,
            Code::TooManyDeliveryOffsets,
            Code::DeliveryOffsetOutOfRange,
            Code::TimeOfDayInvalid,
            Code::DeliveryOffsetRepeated,
            Code::TooManyDueReminders,
            Code::DueReminderOutOfRange,
            Code::DueReminderRepeated,
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

/// A number of days after an invoice's delivery, at a time of day.
#[derive(Debug, Object)]
pub(crate) struct DeliveryOffsetInput {
    /// Days after the day of delivery, 0 to 365.
    days: Days,
    /// Time of day in the tenant's time zone, `HH:MM`. A time skipped by a clock change means the next existing time; a repeated time
    /// means its first occurrence.
    time: TimeOfDay,
}

/// A status of a status model.
#[derive(Debug, Object)]
pub(crate) struct StatusInput {
    /// Name of the status.
    name: StatusName,
    /// Package subscriptions: whether the fee is charged for days in this status. Services: no fee depends on it; it is in their events and history.
    billable: bool,
}

/// An allowed transition between two statuses.
#[derive(Debug, Object)]
pub(crate) struct TransitionInput {
    /// Source status.
    from: StatusName,
    /// Target status.
    to: StatusName,
}

/// Statuses and the allowed transitions between them.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct StatusModelInput {
    /// The statuses; names must be unique.
    #[oai(validator(max_items = 50))]
    statuses: Vec<StatusInput>,
    /// Initial status.
    initial: StatusName,
    /// Status restored when an account is reactivated together with its services. Absent: none is restored.
    active: Option<StatusName>,
    /// Status set when an account is suspended together with its services. Absent: none is suspended.
    suspended: Option<StatusName>,
    /// Final status; no transition leaves it.
    cancelled: StatusName,
    /// The allowed transitions; each must be unique.
    #[oai(validator(max_items = 500))]
    transitions: Vec<TransitionInput>,
}

/// The complete billing settings. Absent members get their default values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct BillingSettingsUpdate {
    /// The tenant's time zone, an IANA name. Default UTC.
    time_zone: Option<TimeZoneName>,
    /// Currency code, ISO 4217, of accounts that are created without a currency. Default: none.
    default_currency: Option<Currency>,
    /// Days from an invoice's posting to its due date, 0 to 365, for accounts without their own value. Default 14.
    payment_term_days: Option<Days>,
    /// Times after an invoice's delivery at which `invoice.delivery_offset_reached` is published; at most 20. Default: none.
    #[oai(validator(max_items = 100))]
    delivery_offsets: Option<Vec<DeliveryOffsetInput>>,
    /// Times before an invoice's due date at which `invoice.due_soon` is published, while the invoice is open; at most 20. Default: none. They
    /// apply to invoices that are posted from now on.
    #[oai(validator(max_items = 100))]
    due_reminders: Option<Vec<DueReminderInput>>,
    /// Whether new invoices are paid from what earlier payments have left, oldest first, instead of by hand with `allocatePayment`. Default
    /// `true`.
    allocate_prepayments: Option<bool>,
    /// The statuses of services. Default: preactive, trial, active (billable), suspended, cancelled.
    service_statuses: Option<StatusModelInput>,
    /// The statuses of package subscriptions. Default: pending, active (billable), suspended, cancelled.
    package_statuses: Option<StatusModelInput>,
}

impl Validate for BillingSettingsUpdate {}

impl Example for BillingSettingsUpdate {
    fn example() -> Self {
        Self {
            time_zone: Some("Europe/Berlin".into()),
            default_currency: Some("EUR".into()),
            payment_term_days: Some(Days(30)),
            delivery_offsets: Some(vec![DeliveryOffsetInput { days: Days(3), time: "09:30".into() }]),
            due_reminders: Some(vec![DueReminderInput { days: Days(2), time: "09:30".into() }]),
            allocate_prepayments: None,
            service_statuses: None,
            package_statuses: None,
        }
    }
}

/// A number of days after an invoice's delivery, at a time of day.
#[derive(Debug, Object)]
pub(crate) struct DeliveryOffset {
    /// Days after the day of delivery.
    days: u32,
    /// Time of day in the tenant's time zone, `HH:MM`.
    time: String,
}

/// A number of days before an invoice's due date, at a time of day.
#[derive(Debug, Object)]
pub(crate) struct DueReminderInput {
    /// Days before the due date, 0 to 365.
    days: Days,
    /// Time of day in the tenant's time zone, `HH:MM`.
    time: TimeOfDay,
}

/// A number of days before an invoice's due date, at a time of day.
#[derive(Debug, Object)]
pub(crate) struct DueReminder {
    /// Days before the due date.
    days: u32,
    /// Time of day in the tenant's time zone, `HH:MM`.
    time: String,
}

/// A status of a model.
#[derive(Debug, Object)]
pub(crate) struct ModelStatus {
    /// Name of the status.
    name: String,
    /// Whether objects in this status are billed; see the settings to set.
    billable: bool,
}

/// An allowed transition between two statuses.
#[derive(Debug, Object)]
pub(crate) struct ModelTransition {
    /// Source status.
    from: String,
    /// Target status.
    to: String,
}

/// Statuses and the allowed transitions between them.
#[derive(Debug, Object)]
#[oai(rename = "StatusModel", rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct ShownStatusModel {
    /// The statuses.
    statuses: Vec<ModelStatus>,
    /// Initial status.
    initial: String,
    /// Status restored when an account is reactivated together with its services.
    active: Option<String>,
    /// Status set when an account is suspended together with its services.
    suspended: Option<String>,
    /// Final status.
    cancelled: String,
    /// The allowed transitions.
    transitions: Vec<ModelTransition>,
}

/// Settings for all accounts of the tenant.
#[derive(Debug, Object)]
#[oai(rename = "BillingSettings", rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ShownBillingSettings {
    /// Unique id; absent until the settings are first set.
    id: Option<Uuid>,
    /// Version: 0 while the defaults apply, starting at 1 once set.
    version: i64,
    /// The tenant's time zone, an IANA name.
    time_zone: String,
    /// Currency code, ISO 4217, of accounts that are created without a currency.
    default_currency: Option<String>,
    /// Days from an invoice's posting to its due date, for accounts without their own value.
    payment_term_days: u32,
    /// Times after an invoice's delivery at which `invoice.delivery_offset_reached` is published.
    delivery_offsets: Vec<DeliveryOffset>,
    /// Times before an invoice's due date at which `invoice.due_soon` is published.
    due_reminders: Vec<DueReminder>,
    /// Whether new invoices are paid from what earlier payments have left.
    allocate_prepayments: bool,
    /// The statuses of services.
    service_statuses: ShownStatusModel,
    /// The statuses of package subscriptions.
    package_statuses: ShownStatusModel,
    /// Time at which the settings were first set.
    created_at: Option<Moment>,
    /// Time at which the settings were last set.
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
            default_currency: Some("EUR".to_owned()),
            payment_term_days: 30,
            delivery_offsets: vec![DeliveryOffset { days: 3, time: "09:30".to_owned() }],
            due_reminders: vec![DueReminder { days: 2, time: "09:30".to_owned() }],
            allocate_prepayments: true,
            service_statuses: StatusModel::of_services().into(),
            package_statuses: StatusModel::of_packages().into(),
            created_at: Some(example_moment()),
            updated_at: Some(example_moment()),
        }
    }
}

impl From<StatusModelInput> for StatusModel {
    fn from(model: StatusModelInput) -> Self {
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
    /// Returns the defaults, at version 0, until the settings are first set.
    #[oai(path = "/billing-settings", method = "get", operation_id = "getBillingSettings")]
    async fn get(&self, context: Context, known: IfNoneMatch) -> Result<Found<ShownBillingSettings>, Problem> {
        Found::of(&context.app().billing_settings(context.tenant()).await?, &known)
    }

    /// Set the billing settings
    ///
    /// Replaces all settings; absent members get their default values. Objects whose status is missing from a new model are not billed, and
    /// may change to any status of the new model.
    #[oai(path = "/billing-settings", method = "put", operation_id = "updateBillingSettings")]
    async fn update(&self, context: Context, input: Validated<BillingSettingsUpdate>) -> Result<Done, Problem> {
        let wanted = input.body;
        let defaults = Update::defaults(BillingSettingsId(fresh()));
        let offsets = wanted.delivery_offsets.unwrap_or_default();
        let reminders = wanted.due_reminders.unwrap_or_default();
        let command = Update {
            id: defaults.id,
            time_zone: wanted.time_zone.map_or(defaults.time_zone, |name| name.0),
            default_currency: wanted.default_currency.map(|code| code.0),
            payment_term_days: wanted.payment_term_days.map_or(defaults.payment_term_days, |days| days.0),
            delivery_offsets: offsets.into_iter().map(|offset| AskedOffset { days: offset.days.0, time: offset.time.0 }).collect(),
            due_reminders: reminders.into_iter().map(|reminder| AskedOffset { days: reminder.days.0, time: reminder.time.0 }).collect(),
            allocate_prepayments: wanted.allocate_prepayments.unwrap_or(defaults.allocate_prepayments),
            service_statuses: wanted.service_statuses.map_or(defaults.service_statuses, Into::into),
            package_statuses: wanted.package_statuses.map_or(defaults.package_statuses, Into::into),
        };
        let use_case = UpdateBillingSettings { command, if_match: context.if_match() };
        Ok(Done(context.execute(input.canonical.as_deref(), use_case).await?))
    }
}
