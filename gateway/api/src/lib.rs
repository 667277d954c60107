//! HTTP: from a request to a use case and back, and the document that tells of it.
//!
//! Called by `server`, which owns the listener. It never sees SQL or NATS and decides no rule of billing; it authenticates,
//! holds requests against the published schema, calls one use case of `app` and writes what comes back. It exists so that
//! everything a caller can rely on (addresses, shapes, codes) is in one crate, and is documented from the code that does it.
//!
//! A request's way: [`edge`] (request id, errors to problems) → route → [`guard`] (who, scope, path and query) →
//! [`checked`] (body) → the handler of its noun → `app`. To add an operation: a handler in its noun's file, an entry in the
//! `OPERATIONS` beside it, its refusals in [`CODES`], `UPDATE=1 cargo test -p billwire-api` for the document; the tests say what is missing.

mod account_bill_cycle;
mod account_status;
mod accounts;
mod addressed;
mod adjustments;
mod answers;
mod bill_cycles;
mod bill_runs;
mod billing_settings;
mod buckets;
mod bulk;
mod business_transactions;
mod chargeable_events;
mod checked;
mod codes;
mod companies;
mod contacts;
mod context;
mod contracts;
mod credits;
mod cursor;
mod data_sources;
mod dead_letters;
mod deliveries;
mod described;
mod document;
mod edge;
mod event_type;
mod event_types;
mod events;
mod explanations;
mod fields;
mod guard;
mod invoice_lines;
mod invoices;
mod money;
mod notification_templates;
mod operations;
mod package_subscriptions;
mod packages;
mod patterns;
mod payments;
mod problem;
mod queue_statistics;
mod queues;
mod refunds;
mod replays;
mod schema;
mod selections;
mod services;
mod set_aside_events;
mod site;
mod smtp_account_tests;
mod smtp_accounts;
mod strict_json;
mod subscription_actions;
mod subscriptions;
mod suppressed_addresses;
mod system_users;
mod template_previews;
mod template_versions;
mod test_clock;
mod transaction;
mod typed;
mod usage_identifiers;
mod violations;
mod webhook_endpoint_actions;
mod webhook_endpoints;
mod webhook_settings;

use std::{collections::HashMap, sync::Arc, time::Duration};

use billwire_app::App;
use chrono::{TimeZone, Utc};
use poem::{EndpointExt, Request, Response, Route, RouteMethod, endpoint::BoxEndpoint, http::Method};
use poem_openapi::{OpenApi, Tags};
use serde_json::Value;
use uuid::Uuid;

pub use codes::{CODES, Code};
pub use operations::{Makes, Operation, Takes};

use described::Described;
use fields::Moment;
use guard::{Guard, Shared};

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
    bill_cycles::BillCycles,
    accounts::Accounts,
    account_bill_cycle::AccountBillCycle,
    account_status::AccountStatus,
    contacts::Contacts,
    packages::Packages,
    package_subscriptions::PackageSubscriptions,
    services::Services,
    billing_settings::BillingSettings,
);

/// What accounts use and are billed.
type Usage = (
    usage_identifiers::UsageIdentifiers,
    buckets::Buckets,
    chargeable_events::ChargeableEvents,
    adjustments::Adjustments,
    contracts::Contracts,
);

/// What accounts owe, and how that comes about.
type Billing =
    (bill_runs::BillRuns, invoices::Invoices, invoice_lines::InvoiceLines, payments::Payments, refunds::Refunds, credits::Credits);

/// What is sent by e-mail.
type Mail = (
    smtp_account_tests::SmtpAccountTests,
    smtp_accounts::SmtpAccounts,
    notification_templates::NotificationTemplates,
    template_previews::TemplatePreviews,
    template_versions::TemplateVersions,
    system_users::SystemUsers,
    suppressed_addresses::SuppressedAddresses,
);

/// What happens with events.
type Integration = (
    queue_statistics::QueueStatisticsOfQueues,
    queues::Queues,
    subscriptions::Subscriptions,
    webhook_endpoint_actions::WebhookEndpointActions,
    webhook_endpoints::WebhookEndpoints,
    dead_letters::DeadLetters,
    set_aside_events::SetAsideEvents,
    replays::Replays,
    deliveries::Deliveries,
    explanations::Explanations,
    event_types::EventTypes,
    events::Events,
    business_transactions::BusinessTransactions,
    data_sources::DataSources,
    test_clock::TestClock,
);

/// Every noun's operations, in groups, since a tuple of them holds sixteen at the most.
pub(crate) type Operations = (Customers, Usage, Billing, Mail, Integration);

/// They keep no state: what they need comes with each call.
pub(crate) const ALL: Operations = (
    (
        bill_cycles::BillCycles,
        accounts::Accounts,
        account_bill_cycle::AccountBillCycle,
        account_status::AccountStatus,
        contacts::Contacts,
        packages::Packages,
        package_subscriptions::PackageSubscriptions,
        services::Services,
        billing_settings::BillingSettings,
    ),
    (
        usage_identifiers::UsageIdentifiers,
        buckets::Buckets,
        chargeable_events::ChargeableEvents,
        adjustments::Adjustments,
        contracts::Contracts,
    ),
    (bill_runs::BillRuns, invoices::Invoices, invoice_lines::InvoiceLines, payments::Payments, refunds::Refunds, credits::Credits),
    (
        smtp_account_tests::SmtpAccountTests,
        smtp_accounts::SmtpAccounts,
        notification_templates::NotificationTemplates,
        template_previews::TemplatePreviews,
        template_versions::TemplateVersions,
        system_users::SystemUsers,
        suppressed_addresses::SuppressedAddresses,
    ),
    (
        queue_statistics::QueueStatisticsOfQueues,
        queues::Queues,
        subscriptions::Subscriptions,
        webhook_endpoint_actions::WebhookEndpointActions,
        webhook_endpoints::WebhookEndpoints,
        dead_letters::DeadLetters,
        set_aside_events::SetAsideEvents,
        replays::Replays,
        deliveries::Deliveries,
        explanations::Explanations,
        event_types::EventTypes,
        events::Events,
        business_transactions::BusinessTransactions,
        data_sources::DataSources,
        test_clock::TestClock,
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
    let mut route = site::add(Route::new(), &shared);
    for (path, methods) in table {
        let guarded = methods.into_iter().fold(RouteMethod::new(), |route, (method, inner)| {
            let operation = Described::find(&method, &path);
            route.method(method, Guard { shared: shared.clone(), operation, inner })
        });
        route = route.at(path, guarded);
    }
    edge::Edge(route).boxed()
}

/// What a request is answered that the owner of the listener has no room for: 503 `overloaded`.
pub fn overloaded(request: &Request) -> Response {
    edge::overloaded(request)
}

/// The document for generators: OpenAPI 3.0.3.
pub fn openapi() -> Value {
    document::openapi()
}

/// The same as OpenAPI 3.1.0, with the outgoing webhooks.
pub fn openapi_31() -> Value {
    document::openapi_31()
}
