//! What each operation asks for and which refusals it can give: the one table for authorization, for the documented
//! responses and for the tests. An operation that is not in it is answered 403.

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The operationId.
    pub id: &'static str,
    /// The scope a caller needs.
    pub scope: &'static str,
    /// The refusals of its own; see [`Operation::codes`] for all.
    pub own_codes: &'static [&'static str],
    /// What it takes besides path, query and body.
    pub takes: Takes,
    /// What its business transaction tells of, where it makes one.
    pub makes: Option<Makes>,
}

/// Which headers and common parameters an operation takes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes {
    /// A JSON body.
    pub body: bool,
    /// `Idempotency-Key`.
    pub idempotency_key: bool,
    /// `If-Match`.
    pub if_match: bool,
    /// `cursor` and `limit`.
    pub cursor: bool,
    /// `If-None-Match`.
    pub if_none_match: bool,
}

/// The change an operation makes.
#[derive(Debug, Clone, Copy)]
pub struct Makes {
    /// The entity's type in business transactions.
    pub entity: &'static str,
    /// Its schema in the document.
    pub schema: &'static str,
    /// `created`, `updated` or `deleted`.
    pub action: &'static str,
    /// The events, as far as they are always the same.
    pub events: &'static [&'static str],
}

const PLAIN: Takes = Takes { body: false, idempotency_key: false, if_match: false, cursor: false, if_none_match: false };
const READ: Takes = Takes { if_none_match: true, ..PLAIN };
const LIST: Takes = Takes { cursor: true, ..PLAIN };
const CREATE: Takes = Takes { body: true, idempotency_key: true, ..PLAIN };
const CHANGE: Takes = Takes { if_match: true, ..CREATE };
const DELETE: Takes = Takes { body: false, ..CHANGE };

const fn get(id: &'static str, scope: &'static str, own_codes: &'static [&'static str]) -> Operation {
    Operation { id, scope, own_codes, takes: READ, makes: None }
}

const fn list(id: &'static str, scope: &'static str) -> Operation {
    Operation { id, scope, own_codes: &[], takes: LIST, makes: None }
}

const fn create(id: &'static str, scope: &'static str, own_codes: &'static [&'static str], makes: Makes) -> Operation {
    Operation { id, scope, own_codes, takes: CREATE, makes: Some(makes) }
}

const fn change(id: &'static str, own_codes: &'static [&'static str], events: &'static [&'static str]) -> Operation {
    let makes = Makes { entity: "account", schema: "Account", action: "updated", events };
    Operation { id, scope: "accounts:write", own_codes, takes: CHANGE, makes: Some(makes) }
}

const fn delete(
    id: &'static str,
    scope: &'static str,
    own_codes: &'static [&'static str],
    entity: &'static str,
    schema: &'static str,
) -> Operation {
    let makes = Makes { entity, schema, action: "deleted", events: &[] };
    Operation { id, scope, own_codes, takes: DELETE, makes: Some(makes) }
}

const fn created(entity: &'static str, schema: &'static str, events: &'static [&'static str]) -> Makes {
    Makes { entity, schema, action: "created", events }
}

/// Every operation, by noun.
pub const OPERATIONS: &[Operation] = &[
    create(
        "createBillCycle",
        "bill_cycles:write",
        &[
            "external_id_taken",
            "billing_day_required",
            "billing_day_not_allowed",
            "billing_day_out_of_range",
            "billing_month_required",
            "billing_month_not_allowed",
        ],
        created("billCycle", "BillCycle", &["bill_cycle.created"]),
    ),
    list("listBillCycles", "bill_cycles:read"),
    get("getBillCycle", "bill_cycles:read", &["bill_cycle_not_found"]),
    create(
        "createAccount",
        "accounts:write",
        &["external_id_taken", "bill_cycle_unknown", "billing_day_required", "billing_day_not_allowed", "billing_day_out_of_range"],
        created("account", "Account", &["account.created"]),
    ),
    list("listAccounts", "accounts:read"),
    get("getAccount", "accounts:read", &["account_not_found"]),
    change(
        "changeAccountStatus",
        &["account_not_found", "account_deactivated", "status_unchanged", "status_transition_not_allowed"],
        &["account.updated", "account.status_changed"],
    ),
    change(
        "updateAccountBillCycle",
        &[
            "account_not_found",
            "account_deactivated",
            "bill_cycle_unknown",
            "billing_day_required",
            "billing_day_not_allowed",
            "billing_day_out_of_range",
            "valid_from_in_past",
        ],
        &["account.updated", "account.bill_cycle_change_planned"],
    ),
    change(
        "cancelAccountBillCycleChange",
        &["account_not_found", "account_deactivated", "no_bill_cycle_change_in_progress"],
        &["account.updated", "account.bill_cycle_change_cancelled"],
    ),
    change(
        "performAccountBillCycleChange",
        &["account_not_found", "account_deactivated", "no_bill_cycle_change_in_progress"],
        &["account.updated", "account.bill_cycle_changed"],
    ),
    create("createQueue", "queues:write", &["name_taken", "event_type_unknown"], created("queue", "Queue", &[])),
    list("listQueues", "queues:read"),
    get("getQueue", "queues:read", &["queue_not_found"]),
    delete("deleteQueue", "queues:write", &["queue_not_found", "still_in_use"], "queue", "Queue"),
    create(
        "createSubscription",
        "subscriptions:write",
        &[
            "name_taken",
            "queue_unknown",
            "webhook_endpoint_unknown",
            "smtp_account_unknown",
            "notification_template_unknown",
            "event_type_unknown",
            "event_type_not_on_queue",
            "template_unknown_parameter",
        ],
        created("subscription", "Subscription", &[]),
    ),
    list("listSubscriptions", "subscriptions:read"),
    get("getSubscription", "subscriptions:read", &["subscription_not_found"]),
    delete("deleteSubscription", "subscriptions:write", &["subscription_not_found"], "subscription", "Subscription"),
    create(
        "createWebhookEndpoint",
        "webhook_endpoints:write",
        &[
            "name_taken",
            "secret_invalid",
            "url_too_long",
            "url_unparsable",
            "url_not_https",
            "url_has_port",
            "url_has_user_info",
            "url_has_fragment",
            "url_host_forbidden",
        ],
        created("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    list("listWebhookEndpoints", "webhook_endpoints:read"),
    get("getWebhookEndpoint", "webhook_endpoints:read", &["webhook_endpoint_not_found"]),
    delete(
        "deleteWebhookEndpoint",
        "webhook_endpoints:write",
        &["webhook_endpoint_not_found", "still_in_use"],
        "webhookEndpoint",
        "WebhookEndpoint",
    ),
    create(
        "createSmtpAccount",
        "smtp_accounts:write",
        &["name_taken", "credentials_incomplete", "credentials_in_clear"],
        created("smtpAccount", "SmtpAccount", &[]),
    ),
    list("listSmtpAccounts", "smtp_accounts:read"),
    get("getSmtpAccount", "smtp_accounts:read", &["smtp_account_not_found"]),
    delete("deleteSmtpAccount", "smtp_accounts:write", &["smtp_account_not_found", "still_in_use"], "smtpAccount", "SmtpAccount"),
    create(
        "createNotificationTemplate",
        "notification_templates:write",
        &["name_taken", "event_type_unknown", "template_syntax", "template_unknown_parameter", "template_forbidden"],
        created("notificationTemplate", "NotificationTemplate", &[]),
    ),
    list("listNotificationTemplates", "notification_templates:read"),
    get("getNotificationTemplate", "notification_templates:read", &["notification_template_not_found"]),
    delete(
        "deleteNotificationTemplate",
        "notification_templates:write",
        &["notification_template_not_found", "still_in_use"],
        "notificationTemplate",
        "NotificationTemplate",
    ),
    list("listDeliveries", "deliveries:read"),
    Operation { takes: PLAIN, ..get("getDelivery", "deliveries:read", &["delivery_not_found"]) },
    Operation { takes: PLAIN, ..get("listEventTypes", "event_types:read", &[]) },
    Operation { takes: PLAIN, ..get("getEventType", "event_types:read", &["event_type_not_found"]) },
    Operation {
        id: "setTestClock",
        scope: "test_clock:write",
        own_codes: &["test_clock_not_allowed"],
        takes: Takes { body: true, ..PLAIN },
        makes: None,
    },
];

/// Refusals any operation can give.
const ANY: &[&str] = &["invalid_parameter", "unknown_parameter", "unauthenticated", "insufficient_scope", "internal_error", "unavailable"];

impl Operation {
    /// The operation of this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.id == id)
    }

    /// Every code its problems can carry.
    pub fn codes(&self) -> Vec<&'static str> {
        let mut codes = ANY.to_vec();
        let takes = self.takes;
        for (taken, more) in [
            (
                takes.body,
                &["malformed_json", "duplicate_key", "schema_violation", "request_timeout", "body_too_large", "unsupported_media_type"][..],
            ),
            (takes.cursor, &["bad_cursor"]),
            (takes.idempotency_key, &["bad_idempotency_key", "idempotency_key_reused", "overloaded"]),
            (takes.if_match, &["bad_if_match", "stale_version"]),
        ] {
            if taken {
                codes.extend(more);
            }
        }
        codes.extend(self.own_codes);
        codes
    }
}
