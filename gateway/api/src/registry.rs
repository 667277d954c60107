//! The one list of the API's resources. Routes, tags, authorization, documents and tests are derived from it.
//!
//! A resource's file has a unit struct with the handlers and the table `OPERATIONS` with each operation's scope and refusals.

use std::sync::LazyLock;

use poem_openapi::{OpenApi, registry::MetaOperation};

use crate::openapi::{operation::Operation, operation_spec::OperationSpec};

macro_rules! registry {
    ($($group:ident { $($file:ident::$noun:ident,)+ })+) => {
        /// The resources by group. A tuple holds at most sixteen.
        pub(crate) type Nouns = ($(($(crate::$group::$file::$noun,)+),)+);

        /// The handlers of all resources. They are stateless.
        pub(crate) const NOUNS: Nouns = ($(($(crate::$group::$file::$noun,)+),)+);

        /// The operation tables of all resources.
        const TABLES: &[&[Operation]] = &[$($(crate::$group::$file::OPERATIONS,)+)+];
    };
}

registry! {
    access {
        api_key_actions::ApiKeyActions,
        api_keys::ApiKeys,
        audit_entries::AuditEntries,
        caller::Callers,
        identity_providers::IdentityProviders,
        roles::Roles,
        tenant_actions::TenantActions,
        tenants::Tenants,
    }
    customers {
        bill_cycles::BillCycles,
        accounts::Accounts,
        account_bill_cycle::AccountBillCycle,
        account_payer::AccountPayer,
        account_status::AccountStatus,
        contacts::Contacts,
        packages::Packages,
        package_subscriptions::PackageSubscriptions,
        services::Services,
        planned_status_changes::PlannedStatusChanges,
        billing_settings::BillingSettings,
    }
    usage {
        usage_identifiers::UsageIdentifiers,
        buckets::Buckets,
        chargeable_events::ChargeableEvents,
        adjustments::Adjustments,
        reversals::Reversals,
        contracts::Contracts,
    }
    billing {
        bill_runs::BillRuns,
        invoices::Invoices,
        invoice_lines::InvoiceLines,
        payments::Payments,
        payment_allocations::PaymentAllocations,
        refunds::Refunds,
        credits::Credits,
        balances::Balances,
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
        stream_subscriptions::StreamSubscriptions,
        subscriptions::Subscriptions,
        webhook_endpoint_actions::WebhookEndpointActions,
        webhook_endpoints::WebhookEndpoints,
        dead_letters::DeadLetters,
        replays::Replays,
        deliveries::Deliveries,
        explanations::Explanations,
        throughput::Throughputs,
    }
    events {
        set_aside_events::SetAsideEvents,
        event_types::EventTypes,
        event::Events,
        business_transactions::BusinessTransactions,
        event_schemas::EventSchemas,
        data_sources::DataSources,
        retention_settings::RetentionSettings,
        stream_settings::StreamSettings,
    }
}

/// Every operation, grouped by resource.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    TABLES.iter().copied().flatten()
}

/// The operation with this operationId.
pub(crate) fn operation(id: &str) -> Option<&'static Operation> {
    operations().find(|operation| operation.id == id)
}

/// Every operation with the parameters its handler declares. A handler without an entry in `OPERATIONS` is missing here.
pub(crate) static SPECS: LazyLock<Vec<OperationSpec>> = LazyLock::new(|| {
    let paths = Nouns::meta().into_iter().flat_map(|api| api.paths);
    let specs = paths.flat_map(|path| {
        let of = |handler: MetaOperation| Some(OperationSpec::new(operation(handler.operation_id?)?, &path.path, &handler));
        path.operations.into_iter().filter_map(of).collect::<Vec<_>>()
    });
    specs.collect()
});
