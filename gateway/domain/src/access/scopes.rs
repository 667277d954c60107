//! Scopes: what callers may do. Each operation requires one.

use billwire_schemas::{events::parameters::did_you_mean, refusal::Code};

use crate::rejected::Violation;

/// The scope of connecting to NATS and reading from it; no operation requires it.
pub const STREAM: &str = "stream:read";

/// The scope that every caller has: of asking who they are. It cannot be granted.
pub const CALLER: &str = "caller:read";

/// The scope that includes all others.
pub const EVERY: &str = "*";

/// All other scopes, in alphabetical order. A test of the API compares them with those its operations require, and [`STREAM`]; without [`CALLER`].
pub const SCOPES: &[&str] = &[
    "accounts:read",
    "accounts:write",
    "api_keys:read",
    "api_keys:write",
    "audit:read",
    "bill_cycles:read",
    "bill_cycles:write",
    "bill_runs:read",
    "bill_runs:write",
    "billing_settings:read",
    "billing_settings:write",
    "buckets:read",
    "buckets:write",
    "business_transactions:read",
    "charges:adjust",
    "charges:read",
    "charges:write",
    "contacts:read",
    "contacts:write",
    "contracts:read",
    "contracts:write",
    "credits:read",
    "credits:write",
    "data_sources:read",
    "data_sources:write",
    "deliveries:read",
    "deliveries:write",
    "event_types:read",
    "event_types:write",
    "events:read",
    "events:write",
    "identity_providers:read",
    "identity_providers:write",
    "invoices:read",
    "invoices:write",
    "notification_templates:read",
    "notification_templates:write",
    "package_subscriptions:read",
    "package_subscriptions:write",
    "packages:read",
    "packages:write",
    "payments:read",
    "payments:write",
    "queues:read",
    "queues:write",
    "refunds:read",
    "refunds:write",
    "retention_settings:read",
    "retention_settings:write",
    "roles:read",
    "roles:write",
    "services:read",
    "services:write",
    "smtp_accounts:read",
    "smtp_accounts:write",
    "stream:read",
    "stream_settings:read",
    "stream_settings:write",
    "stream_subscriptions:read",
    "stream_subscriptions:write",
    "subscriptions:read",
    "subscriptions:write",
    "suppressed_addresses:read",
    "suppressed_addresses:write",
    "system_users:read",
    "system_users:write",
    "tenants:read",
    "tenants:write",
    "test_clock:write",
    "usage_identifiers:read",
    "usage_identifiers:write",
    "webhook_endpoints:read",
    "webhook_endpoints:write",
];

/// Whether `held` includes `scope`.
pub fn include(held: &[String], scope: &str) -> bool {
    scope == CALLER || held.iter().any(|one| one == EVERY || one == scope)
}

/// A violation `scope_unknown` for each of these that does not exist.
pub fn unknown(wanted: &[String]) -> Vec<Violation> {
    let unknown = wanted.iter().enumerate().filter(|(_, scope)| *scope != EVERY && SCOPES.binary_search(&scope.as_str()).is_err());
    let unknown = unknown.map(|(index, scope)| {
        let hint = did_you_mean(scope, SCOPES.iter().copied());
        Violation::new(format!("/scopes/{index}"), Code::ScopeUnknown, format!("'{scope}' is not a scope.{hint}"))
    });
    unknown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }

    #[test]
    fn they_are_in_alphabetical_order_and_each_stands_once() {
        assert!(SCOPES.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn a_scope_that_does_not_exist_is_named_with_the_nearest() {
        let broken = unknown(&scopes(&["accounts:read", "acounts:write", "accounts:*", "*"]));
        let places: Vec<_> = broken.iter().map(|broken| (broken.pointer.as_ref(), broken.code)).collect();
        assert_eq!(places, [("/scopes/1", Code::ScopeUnknown), ("/scopes/2", Code::ScopeUnknown)]);
        assert!(broken[0].message.contains("accounts:write"), "{:?}", broken[0]);
    }
}
