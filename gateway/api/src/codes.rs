//! Every code a problem can carry, with its status and title. A code is never renamed and never used for another meaning.

/// A kind of problem.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// Stable name.
    pub code: &'static str,
    /// HTTP status.
    pub status: u16,
    /// For people.
    pub title: &'static str,
}

const fn c(status: u16, code: &'static str, title: &'static str) -> Code {
    Code { code, status, title }
}

/// All of them, by status.
pub const CODES: &[Code] = &[
    c(400, "bad_request", "The request could not be understood"),
    c(400, "malformed_json", "The body is not JSON"),
    c(400, "duplicate_key", "A member of the body stands there twice"),
    c(400, "schema_violation", "The body does not fit the schema"),
    c(400, "invalid_parameter", "A parameter is not valid"),
    c(400, "unknown_parameter", "There is no such parameter"),
    c(400, "bad_cursor", "The cursor is not one of this list"),
    c(400, "bad_idempotency_key", "The Idempotency-Key is not valid"),
    c(400, "bad_if_match", "The If-Match is not valid"),
    c(401, "unauthenticated", "No valid credentials"),
    c(403, "insufficient_scope", "The key lacks the scope"),
    c(403, "test_clock_not_allowed", "The test clock is switched off"),
    c(404, "route_not_found", "Nothing at this address"),
    c(404, "account_not_found", "No such account"),
    c(404, "bill_cycle_not_found", "No such bill cycle"),
    c(404, "queue_not_found", "No such queue"),
    c(404, "subscription_not_found", "No such subscription"),
    c(404, "webhook_endpoint_not_found", "No such webhook endpoint"),
    c(404, "smtp_account_not_found", "No such SMTP account"),
    c(404, "notification_template_not_found", "No such notification template"),
    c(404, "delivery_not_found", "No such delivery"),
    c(404, "event_type_not_found", "No such event type"),
    c(405, "method_not_allowed", "The method is not allowed here"),
    c(408, "request_timeout", "The body took too long to arrive"),
    c(409, "account_deactivated", "The account is deactivated"),
    c(409, "status_unchanged", "The account has this status already"),
    c(409, "status_transition_not_allowed", "The account cannot go to this status"),
    c(409, "no_bill_cycle_change_in_progress", "No bill cycle change is in progress"),
    c(409, "external_id_taken", "The external id is taken"),
    c(409, "name_taken", "The name is taken"),
    c(409, "still_in_use", "Something still stands on it"),
    c(412, "stale_version", "The entity has changed meanwhile"),
    c(413, "body_too_large", "The body is too large"),
    c(415, "unsupported_media_type", "The body is not application/json"),
    c(422, "bill_cycle_unknown", "The bill cycle does not exist"),
    c(422, "billing_day_required", "A billing day is required"),
    c(422, "billing_day_not_allowed", "A billing day is not allowed here"),
    c(422, "billing_day_out_of_range", "The billing day is out of range"),
    c(422, "billing_month_required", "A billing month is required"),
    c(422, "billing_month_not_allowed", "A billing month is not allowed here"),
    c(422, "valid_from_in_past", "validFrom lies in the past"),
    c(422, "event_type_unknown", "The event type does not exist"),
    c(422, "event_type_not_on_queue", "The queue does not carry the event type"),
    c(422, "queue_unknown", "The queue does not exist"),
    c(422, "webhook_endpoint_unknown", "The webhook endpoint does not exist"),
    c(422, "smtp_account_unknown", "The SMTP account does not exist"),
    c(422, "notification_template_unknown", "The notification template does not exist"),
    c(422, "template_syntax", "The template does not parse"),
    c(422, "template_unknown_parameter", "The template names a parameter that is not offered"),
    c(422, "template_forbidden", "The template does what templates must not do"),
    c(422, "url_too_long", "The URL is too long"),
    c(422, "url_unparsable", "The URL cannot be read"),
    c(422, "url_not_https", "The URL is not https"),
    c(422, "url_has_port", "The URL names a port"),
    c(422, "url_has_user_info", "The URL carries credentials"),
    c(422, "url_has_fragment", "The URL has a fragment"),
    c(422, "url_host_forbidden", "The URL's host is not public"),
    c(422, "secret_invalid", "The signing secret is not valid"),
    c(422, "credentials_incomplete", "User name and password come together"),
    c(422, "credentials_in_clear", "A password needs a protected connection"),
    c(422, "idempotency_key_reused", "The Idempotency-Key belongs to another request"),
    c(500, "internal_error", "Internal error"),
    c(503, "unavailable", "A dependency is away"),
    c(503, "overloaded", "Too much is in line"),
];
