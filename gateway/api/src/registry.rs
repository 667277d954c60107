//! Every noun of the API, once. Routes, tags, authorization, documents and tests are made from this list, and no other file names all nouns.
//!
//! A noun's file has a unit struct with its handlers and, beside it, the table `OPERATIONS` with each operation's scope and refusals.

use std::sync::LazyLock;

use poem_openapi::{OpenApi, registry::MetaOperation};

use crate::openapi::{operation::Operation, operation_spec::OperationSpec};

macro_rules! registry {
    ($($group:ident { $($file:ident::$noun:ident,)+ })+) => {
        /// The nouns by group. A tuple of them holds at most sixteen.
        pub(crate) type Nouns = ($(($(crate::$group::$file::$noun,)+),)+);

        /// The nouns' handlers. They keep no state: what they need comes with each call.
        pub(crate) const NOUNS: Nouns = ($(($(crate::$group::$file::$noun,)+),)+);

        /// The nouns' tables of operations.
        const TABLES: &[&[Operation]] = &[$($(crate::$group::$file::OPERATIONS,)+)+];
    };
}

registry! {
    customers {
        bill_cycles::BillCycles,
        accounts::Accounts,
        account_bill_cycle::AccountBillCycle,
        account_status::AccountStatus,
        contacts::Contacts,
        packages::Packages,
        package_subscriptions::PackageSubscriptions,
        services::Services,
        billing_settings::BillingSettings,
    }
    usage {
        usage_identifiers::UsageIdentifiers,
        buckets::Buckets,
        chargeable_events::ChargeableEvents,
        adjustments::Adjustments,
        contracts::Contracts,
    }
    billing {
        bill_runs::BillRuns,
        invoices::Invoices,
        invoice_lines::InvoiceLines,
        payments::Payments,
        refunds::Refunds,
        credits::Credits,
        test_clock::TestClock,
    }
    email {
        smtp_account_tests::SmtpAccountTests,
        smtp_accounts::SmtpAccounts,
        notification_templates::NotificationTemplates,
        template_previews::TemplatePreviews,
        template_versions::TemplateVersions,
        system_users::SystemUsers,
        suppressed_addresses::SuppressedAddresses,
    }
    delivery {
        queue_statistics::QueueStatisticsOfQueues,
        queues::Queues,
        subscriptions::Subscriptions,
        webhook_endpoint_actions::WebhookEndpointActions,
        webhook_endpoints::WebhookEndpoints,
        dead_letters::DeadLetters,
        replays::Replays,
        deliveries::Deliveries,
        explanations::Explanations,
    }
    events {
        set_aside_events::SetAsideEvents,
        event_types::EventTypes,
        event::Events,
        business_transactions::BusinessTransactions,
        data_sources::DataSources,
    }
}

/// Every operation, by noun.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    TABLES.iter().copied().flatten()
}

/// The operation with this operationId.
pub(crate) fn operation(id: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.id == id)
}

/// Every operation with the parameters that its handler declares. A handler without an entry in its noun's table is missing here.
pub(crate) static SPECS: LazyLock<Vec<OperationSpec>> = LazyLock::new(|| {
    let paths = Nouns::meta().into_iter().flat_map(|api| api.paths);
    let specs = paths.flat_map(|path| {
        let of = |handler: MetaOperation| Some(OperationSpec::new(operation(handler.operation_id?)?, &path.path, &handler));
        path.operations.into_iter().filter_map(of).collect::<Vec<_>>()
    });
    specs.collect()
});
