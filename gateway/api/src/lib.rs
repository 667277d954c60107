//! HTTP: from a request to a use case and back, and the document that tells of it.
//!
//! Called by `server`, which owns the listener. It never sees SQL or NATS and decides no rule of billing; it authenticates,
//! holds requests against the published schema, calls one use case of `app` and writes what comes back. It exists so that
//! everything a caller can rely on (addresses, shapes, codes) is in one crate, and is documented from the code that does it.
//!
//! A request's way: [`http::error_middleware`] (request id, errors to problems) → route → [`http::authorization`] (who, scope, path and
//! query) → [`http::validated_body`] → the handler of its noun → `app`. Nouns stand in the same groups as in `app`, `domain` and `store`.
//! To add an operation: a handler in its noun's file, an entry in the `OPERATIONS` beside it, its refusals in
//! [`billwire_schemas::refusal`], `UPDATE=1 cargo test -p billwire-api` for the document; the tests say what is missing.

mod billing;
mod customers;
mod delivery;
mod email;
mod events;
mod http;
mod openapi;
mod types;
mod usage;

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_app::App;
use chrono::{TimeZone, Utc};
use poem::{EndpointExt, Request, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{OpenApi, Tags};
use serde_json::Value;
use uuid::Uuid;

pub use openapi::operation::{Makes, Operation, Takes};

use http::authorization::{Authorization, Shared};
use openapi::operation_spec::OperationSpec;
use types::scalars::Moment;

/// How the service behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Longest request body, in bytes. Default 1 MiB.
    pub body_limit: usize,
    /// How long a body may take to arrive. Default 30 s.
    pub body_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { body_limit: 1024 * 1024, body_timeout: Duration::from_secs(30) }
    }
}

/// The nouns operations are grouped by.
#[derive(Tags)]
pub(crate) enum Tag {
    /// Who is billed, their status, and in which bill cycle.
    #[oai(rename = "Accounts")]
    Accounts,
    /// The rhythms accounts are billed in.
    #[oai(rename = "Bill cycles")]
    BillCycles,
    /// Runs that bill a cycle's accounts.
    #[oai(rename = "Bill runs")]
    BillRuns,
    /// What holds for all of the tenant's accounts.
    #[oai(rename = "Billing settings")]
    BillingSettings,
    /// Allowances of usage that charges count down.
    #[oai(rename = "Buckets")]
    Buckets,
    /// What accounts are charged for, and how that was adjusted.
    #[oai(rename = "Charges")]
    Charges,
    /// The people to be reached about accounts.
    #[oai(rename = "Contacts")]
    Contacts,
    /// What accounts have promised to spend.
    #[oai(rename = "Contracts")]
    Contracts,
    /// What is owed to subscriptions, and what became of it.
    #[oai(rename = "Deliveries")]
    Deliveries,
    /// What was changed, and which events tell of it.
    #[oai(rename = "Business transactions")]
    BusinessTransactions,
    /// Paths from an event's object to others, whose parameters they add.
    #[oai(rename = "Data sources")]
    DataSources,
    /// What has happened.
    #[oai(rename = "Events")]
    Events,
    /// What can happen, and which parameters each event offers.
    #[oai(rename = "Event types")]
    EventTypes,
    /// What accounts owe.
    #[oai(rename = "Invoices")]
    Invoices,
    /// What e-mails say.
    #[oai(rename = "Notification templates")]
    NotificationTemplates,
    /// Which packages accounts have.
    #[oai(rename = "Package subscriptions")]
    PackageSubscriptions,
    /// What accounts can subscribe, with a recurring fee.
    #[oai(rename = "Packages")]
    Packages,
    /// What came in, what was paid back, and what does not have to be paid.
    #[oai(rename = "Payments")]
    Payments,
    /// Named spaces of event types that subscriptions stand on.
    #[oai(rename = "Queues")]
    Queues,
    /// What accounts use.
    #[oai(rename = "Services")]
    Services,
    /// From where e-mail is sent.
    #[oai(rename = "SMTP accounts")]
    SmtpAccounts,
    /// What is done with which events of a queue.
    #[oai(rename = "Subscriptions")]
    Subscriptions,
    /// Addresses that nothing is sent to any more.
    #[oai(rename = "Suppressed addresses")]
    SuppressedAddresses,
    /// People of the tenant's staff who get notifications.
    #[oai(rename = "System users")]
    SystemUsers,
    /// Business time, for tests.
    #[oai(rename = "Test clock")]
    TestClock,
    /// What usage is reported under.
    #[oai(rename = "Usage identifiers")]
    UsageIdentifiers,
    /// Where events are POSTed.
    #[oai(rename = "Webhook endpoints")]
    WebhookEndpoints,
}

/// Who is billed, for what, and when.
type Customers = (
    customers::bill_cycles::BillCycles,
    customers::accounts::Accounts,
    customers::account_bill_cycle::AccountBillCycle,
    customers::account_status::AccountStatus,
    customers::contacts::Contacts,
    customers::packages::Packages,
    customers::package_subscriptions::PackageSubscriptions,
    customers::services::Services,
    customers::billing_settings::BillingSettings,
);

/// What accounts use and are billed.
type Usage = (
    usage::usage_identifiers::UsageIdentifiers,
    usage::buckets::Buckets,
    usage::chargeable_events::ChargeableEvents,
    usage::adjustments::Adjustments,
    usage::contracts::Contracts,
);

/// What accounts owe, and how that comes about.
type Billing = (
    billing::bill_runs::BillRuns,
    billing::invoices::Invoices,
    billing::invoice_lines::InvoiceLines,
    billing::payments::Payments,
    billing::refunds::Refunds,
    billing::credits::Credits,
);

/// What is sent by e-mail.
type Mail = (
    email::smtp_account_tests::SmtpAccountTests,
    email::smtp_accounts::SmtpAccounts,
    email::notification_templates::NotificationTemplates,
    email::template_previews::TemplatePreviews,
    email::template_versions::TemplateVersions,
    email::system_users::SystemUsers,
    email::suppressed_addresses::SuppressedAddresses,
);

/// What happens with events.
type Integration = (
    delivery::queue_statistics::QueueStatisticsOfQueues,
    delivery::queues::Queues,
    delivery::subscriptions::Subscriptions,
    delivery::webhook_endpoint_actions::WebhookEndpointActions,
    delivery::webhook_endpoints::WebhookEndpoints,
    delivery::dead_letters::DeadLetters,
    events::set_aside_events::SetAsideEvents,
    delivery::replays::Replays,
    delivery::deliveries::Deliveries,
    delivery::explanations::Explanations,
    events::event_types::EventTypes,
    events::event::Events,
    events::business_transactions::BusinessTransactions,
    events::data_sources::DataSources,
    billing::test_clock::TestClock,
);

/// Every noun's operations, in groups, since a tuple of them holds sixteen at the most.
pub(crate) type Operations = (Customers, Usage, Billing, Mail, Integration);

/// They keep no state: what they need comes with each call.
pub(crate) const ALL: Operations = (
    (
        customers::bill_cycles::BillCycles,
        customers::accounts::Accounts,
        customers::account_bill_cycle::AccountBillCycle,
        customers::account_status::AccountStatus,
        customers::contacts::Contacts,
        customers::packages::Packages,
        customers::package_subscriptions::PackageSubscriptions,
        customers::services::Services,
        customers::billing_settings::BillingSettings,
    ),
    (
        usage::usage_identifiers::UsageIdentifiers,
        usage::buckets::Buckets,
        usage::chargeable_events::ChargeableEvents,
        usage::adjustments::Adjustments,
        usage::contracts::Contracts,
    ),
    (
        billing::bill_runs::BillRuns,
        billing::invoices::Invoices,
        billing::invoice_lines::InvoiceLines,
        billing::payments::Payments,
        billing::refunds::Refunds,
        billing::credits::Credits,
    ),
    (
        email::smtp_account_tests::SmtpAccountTests,
        email::smtp_accounts::SmtpAccounts,
        email::notification_templates::NotificationTemplates,
        email::template_previews::TemplatePreviews,
        email::template_versions::TemplateVersions,
        email::system_users::SystemUsers,
        email::suppressed_addresses::SuppressedAddresses,
    ),
    (
        delivery::queue_statistics::QueueStatisticsOfQueues,
        delivery::queues::Queues,
        delivery::subscriptions::Subscriptions,
        delivery::webhook_endpoint_actions::WebhookEndpointActions,
        delivery::webhook_endpoints::WebhookEndpoints,
        delivery::dead_letters::DeadLetters,
        events::set_aside_events::SetAsideEvents,
        delivery::replays::Replays,
        delivery::deliveries::Deliveries,
        delivery::explanations::Explanations,
        events::event_types::EventTypes,
        events::event::Events,
        events::business_transactions::BusinessTransactions,
        events::data_sources::DataSources,
        billing::test_clock::TestClock,
    ),
);

/// An id in examples.
pub(crate) fn example_id(number: u128) -> Uuid {
    Uuid::from_u128(0x0198_c0de_0000_7000_8000_0000_0000_0000 + number)
}

/// A moment in examples.
pub(crate) fn example_moment() -> Moment {
    Moment(Utc.with_ymd_and_hms(2027, 1, 4, 9, 30, 0).single().unwrap_or_default())
}

/// The whole HTTP service: `/v1`, the documents, `/docs`, `/schemas`, `/livez` and `/readyz`.
pub fn service(app: App, options: Options) -> BoxEndpoint<'static, Response> {
    let shared = Arc::new(Shared { app, options });
    let mut table: HashMap<String, HashMap<Method, BoxEndpoint<'static>>> = HashMap::new();
    ALL.add_routes(&mut table);
    let mut route = openapi::static_routes::add(Route::new(), &shared);
    for (path, methods) in table {
        let guarded = methods.into_iter().fold(RouteMethod::new(), |route, (method, inner)| {
            let operation = OperationSpec::find(&method, &path);
            route.method(method, Authorization { shared: shared.clone(), operation, inner })
        });
        route = route.at(path, guarded);
    }
    http::error_middleware::ErrorMiddleware(route).boxed()
}

/// What a request is answered that the owner of the listener has no room for: 503 `overloaded`.
pub fn overloaded(request: &Request) -> Response {
    http::error_middleware::overloaded(request)
}

/// The document for generators: OpenAPI 3.0.3.
pub fn openapi() -> Value {
    openapi::document::openapi()
}

/// The same as OpenAPI 3.1.0, with the outgoing webhooks.
pub fn openapi_31() -> Value {
    openapi::document::openapi_31()
}
