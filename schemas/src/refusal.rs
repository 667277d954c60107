//! Refusals: the stable code of every rule, with the HTTP status and title of the resulting problem.
//!
//! The only list of codes, used by domain rules, HTTP problems, published documents and tests. A code is never renamed or reused with
//! another meaning.

use std::fmt;

macro_rules! codes {
    ($($status:literal $code:literal $variant:ident $title:literal)*) => {
        /// Why a request was refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`, ", $status, ": ", $title, ".")] $variant,)*
        }

        impl Code {
            /// All codes, ordered by status.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable name in responses.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The HTTP status of a problem with this code (RFC 9110).
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The title of the problem, as human-readable text.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    400 "bad_request" BadRequest "The request could not be understood"
    400 "malformed_json" MalformedJson "The body is not JSON"
    400 "duplicate_key" DuplicateKey "A member of the body is repeated"
    400 "schema_violation" SchemaViolation "The body does not fit the schema"
    400 "invalid_parameter" InvalidParameter "A parameter is not valid"
    400 "unknown_parameter" UnknownParameter "There is no such parameter"
    400 "bad_cursor" BadCursor "The cursor is not one of this list"
    400 "bad_idempotency_key" BadIdempotencyKey "The Idempotency-Key is not valid"
    400 "bad_if_match" BadIfMatch "The If-Match is not valid"
    401 "unauthenticated" Unauthenticated "No valid credentials"
    403 "insufficient_scope" InsufficientScope "The key does not have the scope"
    403 "test_clock_not_allowed" TestClockNotAllowed "The test clock is switched off"
    404 "route_not_found" RouteNotFound "No such address"
    404 "account_not_found" AccountNotFound "No such account"
    404 "chargeable_event_not_found" ChargeableEventNotFound "No such chargeable event"
    404 "usage_identifier_not_found" UsageIdentifierNotFound "No such usage identifier"
    404 "bucket_not_found" BucketNotFound "No such bucket"
    404 "contract_not_found" ContractNotFound "No such contract"
    404 "payment_not_found" PaymentNotFound "No such payment"
    404 "refund_not_found" RefundNotFound "No such refund"
    404 "credit_not_found" CreditNotFound "No such credit"
    404 "adjustment_not_found" AdjustmentNotFound "No such adjustment"
    404 "bill_run_not_found" BillRunNotFound "No such bill run"
    404 "invoice_not_found" InvoiceNotFound "No such invoice"
    404 "bill_cycle_not_found" BillCycleNotFound "No such bill cycle"
    404 "contact_not_found" ContactNotFound "No such contact"
    404 "package_not_found" PackageNotFound "No such package"
    404 "package_subscription_not_found" PackageSubscriptionNotFound "No such package subscription"
    404 "service_not_found" ServiceNotFound "No such service"
    404 "queue_not_found" QueueNotFound "No such queue"
    404 "subscription_not_found" SubscriptionNotFound "No such subscription"
    404 "webhook_endpoint_not_found" WebhookEndpointNotFound "No such webhook endpoint"
    404 "smtp_account_not_found" SmtpAccountNotFound "No such SMTP account"
    404 "notification_template_not_found" NotificationTemplateNotFound "No such notification template"
    404 "system_user_not_found" SystemUserNotFound "No such system user"
    404 "suppressed_address_not_found" SuppressedAddressNotFound "No such suppressed address"
    404 "delivery_not_found" DeliveryNotFound "No such delivery"
    404 "replay_not_found" ReplayNotFound "No such replay"
    404 "event_type_not_found" EventTypeNotFound "No such event type"
    404 "event_not_found" EventNotFound "No such event"
    404 "business_transaction_not_found" BusinessTransactionNotFound "No such business transaction"
    404 "data_source_not_found" DataSourceNotFound "No such data source"
    405 "method_not_allowed" MethodNotAllowed "The method is not allowed here"
    408 "request_timeout" RequestTimeout "The body took too long to arrive"
    409 "account_deactivated" AccountDeactivated "The account is deactivated"
    409 "account_not_deactivated" AccountNotDeactivated "The account is not deactivated"
    409 "bill_run_in_progress" BillRunInProgress "A bill run of the cycle is in progress"
    409 "nothing_to_bill" NothingToBill "There is nothing to bill"
    409 "invoice_total_out_of_range" InvoiceTotalOutOfRange "The invoice's total is out of range"
    409 "billing_data_unreadable" BillingDataUnreadable "The billing data cannot be read"
    409 "account_not_inactive" AccountNotInactive "The account is or was active"
    409 "status_unchanged" StatusUnchanged "The status is already set"
    409 "status_transition_not_allowed" StatusTransitionNotAllowed "The status transition is not allowed"
    409 "service_not_initial" ServiceNotInitial "The service has left its initial status"
    409 "too_many_services" TooManyServices "The account has too many services to change with it"
    409 "package_subscription_cancelled" PackageSubscriptionCancelled "The package subscription is cancelled"
    409 "no_bill_cycle_change_in_progress" NoBillCycleChangeInProgress "No bill cycle change is in progress"
    409 "usage_identifier_taken" UsageIdentifierTaken "The usage identifier already exists"
    409 "contract_ended" ContractEnded "The contract has ended"
    409 "contract_started" ContractStarted "The contract has started"
    409 "invoice_not_open" InvoiceNotOpen "The invoice is not open"
    409 "invoice_already_delivered" InvoiceAlreadyDelivered "The invoice has been delivered"
    409 "invoice_has_payments" InvoiceHasPayments "The invoice has payments or credits"
    409 "later_invoice_exists" LaterInvoiceExists "The account has a later invoice"
    409 "too_many_adjustments" TooManyAdjustments "Too many adjustments to return at once"
    409 "payment_not_processed" PaymentNotProcessed "The payment failed"
    409 "external_id_taken" ExternalIdTaken "The external id is taken"
    409 "name_taken" NameTaken "The name is taken"
    409 "still_in_use" StillInUse "The object is still in use"
    409 "template_predefined" TemplatePredefined "The template is predefined"
    409 "address_suppressed" AddressSuppressed "The address is already on the suppression list"
    409 "delivery_succeeded" DeliverySucceeded "The delivery has succeeded"
    409 "delivery_discarded" DeliveryDiscarded "The delivery was discarded"
    409 "delivery_behind_another" DeliveryBehindAnother "The delivery waits behind another one"
    409 "replay_cancelled" ReplayCancelled "The replay is cancelled"
    409 "queue_paused" QueuePaused "The queue is paused"
    409 "webhook_endpoint_enabled" WebhookEndpointEnabled "The webhook endpoint is enabled"
    409 "webhook_endpoint_disabled" WebhookEndpointDisabled "The webhook endpoint is disabled"
    409 "secrets_too_many" SecretsTooMany "Too many signing secrets are active"
    409 "queue_not_paused" QueueNotPaused "The queue is not paused"
    409 "already_enabled" AlreadyEnabled "It is already enabled"
    409 "already_disabled" AlreadyDisabled "It is already disabled"
    409 "event_type_unchanged" EventTypeUnchanged "This definition is already registered"
    409 "event_type_built_in" EventTypeBuiltIn "The event type is built in"
    409 "too_many_event_types" TooManyEventTypes "There are too many custom event types"
    409 "too_many_data_sources" TooManyDataSources "There are too many data sources"
    410 "purged" Purged "It was deleted after its retention"
    412 "stale_version" StaleVersion "The object has changed in the meantime"
    413 "body_too_large" BodyTooLarge "The body is too large"
    415 "unsupported_media_type" UnsupportedMediaType "The body is not plain application/json"
    422 "event_too_large" EventTooLarge "An event would exceed the stream's maximum message size"
    422 "account_required" AccountRequired "No account is given"
    422 "reference_mismatch" ReferenceMismatch "The references belong to different accounts"
    422 "service_unknown" ServiceUnknown "The service does not exist"
    422 "amount_not_positive" AmountNotPositive "The amount must be greater than zero"
    422 "quantity_negative" QuantityNegative "The quantity is negative"
    422 "unit_required" UnitRequired "A quantity needs a unit"
    422 "occurred_at_in_future" OccurredAtInFuture "The time is too far in the future"
    422 "charge_below_zero" ChargeBelowZero "The charge would be negative"
    422 "usage_identifier_unknown" UsageIdentifierUnknown "The usage identifier does not exist"
    422 "tiers_not_ascending" TiersNotAscending "Each tier must be above the previous one"
    422 "tiers_not_extendable" TiersNotExtendable "The tiers cannot be changed in this way"
    422 "end_date_before_start" EndDateBeforeStart "The end date is not after the start date"
    422 "end_date_in_past" EndDateInPast "The end date is not in the future"
    422 "contract_too_long_ago" ContractTooLongAgo "The first period has already ended"
    422 "invoice_unknown" InvoiceUnknown "The invoice does not exist"
    422 "invoice_named_twice" InvoiceNamedTwice "An invoice is listed twice"
    422 "invoice_of_other_account" InvoiceOfOtherAccount "The invoice belongs to another account"
    422 "payment_unknown" PaymentUnknown "The payment does not exist"
    422 "payment_error_required" PaymentErrorRequired "A failed payment needs its error"
    422 "payment_error_not_allowed" PaymentErrorNotAllowed "A processed payment has no error"
    422 "credit_exceeds_due" CreditExceedsDue "The credit exceeds the amount due"
    422 "refund_exceeds_payment" RefundExceedsPayment "The refunds would exceed the payment"
    422 "bill_cycle_unknown" BillCycleUnknown "The bill cycle does not exist"
    422 "account_unknown" AccountUnknown "The account does not exist"
    422 "contact_unknown" ContactUnknown "The contact does not exist"
    422 "contact_of_other_account" ContactOfOtherAccount "The contact belongs to another account"
    422 "package_unknown" PackageUnknown "The package does not exist"
    422 "package_subscription_unknown" PackageSubscriptionUnknown "The package subscription does not exist"
    422 "package_subscription_of_other_account" PackageSubscriptionOfOtherAccount "The package subscription belongs to another account"
    422 "package_subscription_ended" PackageSubscriptionEnded "The package subscription is cancelled"
    422 "currency_unknown" CurrencyUnknown "There is no such currency"
    422 "currency_mismatch" CurrencyMismatch "The currencies differ"
    422 "country_unknown" CountryUnknown "There is no such country"
    422 "payment_term_out_of_range" PaymentTermOutOfRange "The payment term is out of range"
    422 "amount_invalid" AmountInvalid "The amount is not a decimal"
    422 "amount_negative" AmountNegative "The amount must not be negative"
    422 "amount_too_fine" AmountTooFine "The amount has too many decimals"
    422 "amount_out_of_range" AmountOutOfRange "The amount is out of range"
    422 "billing_date_in_future" BillingDateInFuture "The billing date is in the future"
    422 "start_date_out_of_range" StartDateOutOfRange "The start date is out of range"
    422 "status_unknown" StatusUnknown "There is no such status"
    422 "status_repeated" StatusRepeated "The status is listed twice"
    422 "initial_status_is_cancelled" InitialStatusIsCancelled "The initial status is the cancelled status"
    422 "cancelled_is_final" CancelledIsFinal "The cancelled status allows no transition"
    422 "transition_to_itself" TransitionToItself "The transition does not change the status"
    422 "transition_repeated" TransitionRepeated "The transition is listed twice"
    422 "time_zone_unknown" TimeZoneUnknown "There is no such time zone"
    422 "time_of_day_invalid" TimeOfDayInvalid "The time of day is not valid"
    422 "too_many_delivery_offsets" TooManyDeliveryOffsets "There are too many delivery offsets"
    422 "delivery_offset_out_of_range" DeliveryOffsetOutOfRange "The delivery offset is out of range"
    422 "retention_out_of_range" RetentionOutOfRange "The retention is out of range"
    422 "delivery_offset_repeated" DeliveryOffsetRepeated "The delivery offset is listed twice"
    422 "billing_day_required" BillingDayRequired "A billing day is required"
    422 "billing_day_not_allowed" BillingDayNotAllowed "A billing day is not allowed here"
    422 "billing_day_out_of_range" BillingDayOutOfRange "The billing day is out of range"
    422 "billing_month_required" BillingMonthRequired "A billing month is required"
    422 "billing_month_not_allowed" BillingMonthNotAllowed "A billing month is not allowed here"
    422 "valid_from_in_past" ValidFromInPast "validFrom is in the past"
    422 "event_type_unknown" EventTypeUnknown "The event type does not exist"
    422 "event_object_unknown" EventObjectUnknown "No events of such an object"
    422 "event_types_required" EventTypesRequired "No event type is given"
    422 "subscription_unfit" SubscriptionUnfit "A subscription is not compatible with the change"
    422 "system_user_unknown" SystemUserUnknown "There is no such system user"
    422 "language_unknown" LanguageUnknown "The language tag is not valid"
    422 "translations_too_many" TranslationsTooMany "There are too many translations"
    422 "template_not_rendered" TemplateNotRendered "The template cannot be rendered for this event"
    422 "expression_syntax" ExpressionSyntax "The expression cannot be parsed"
    422 "expression_too_complex" ExpressionTooComplex "The expression is too complex"
    422 "expression_unknown_parameter" ExpressionUnknownParameter "The expression uses a parameter that is not offered"
    422 "too_many_expressions" TooManyExpressions "There are too many expressions"
    422 "parameter_name_invalid" ParameterNameInvalid "The parameter name is not valid"
    422 "parameter_name_taken" ParameterNameTaken "Events already offer a parameter of this name"
    422 "path_invalid" PathInvalid "The path is not valid"
    422 "data_incomplete" DataIncomplete "A required member is missing"
    422 "forward_cycle" ForwardCycle "The forwarding would form a cycle"
    422 "event_type_not_on_queue" EventTypeNotOnQueue "The queue does not carry the event type"
    422 "queue_unknown" QueueUnknown "The queue does not exist"
    422 "webhook_endpoint_unknown" WebhookEndpointUnknown "The webhook endpoint does not exist"
    422 "smtp_account_unknown" SmtpAccountUnknown "The SMTP account does not exist"
    422 "notification_template_unknown" NotificationTemplateUnknown "The notification template does not exist"
    422 "template_syntax" TemplateSyntax "The template does not parse"
    422 "template_unknown_parameter" TemplateUnknownParameter "The template uses a parameter that is not offered"
    422 "template_too_complex" TemplateTooComplex "The template is too large or nested too deeply"
    422 "template_forbidden" TemplateForbidden "The template uses a forbidden construct"
    422 "url_too_long" UrlTooLong "The URL is too long"
    422 "url_unparsable" UrlUnparsable "The URL cannot be parsed"
    422 "url_not_https" UrlNotHttps "The URL is not https"
    422 "url_has_port" UrlHasPort "The URL has a port"
    422 "url_has_user_info" UrlHasUserInfo "The URL has credentials"
    422 "url_has_fragment" UrlHasFragment "The URL has a fragment"
    422 "url_host_forbidden" UrlHostForbidden "The URL's host is not public"
    422 "secret_invalid" SecretInvalid "The signing secret is not valid"
    422 "subscription_unknown" SubscriptionUnknown "There is no such subscription"
    422 "window_empty" WindowEmpty "The window is empty"
    422 "secret_in_use" SecretInUse "The signing secret is already in use"
    422 "header_not_allowed" HeaderNotAllowed "The header cannot be set"
    422 "headers_too_many" HeadersTooMany "There are too many headers"
    422 "client_certificate_invalid" ClientCertificateInvalid "The client certificate cannot be used"
    422 "credentials_incomplete" CredentialsIncomplete "User name and password must be set together"
    422 "credentials_in_clear" CredentialsInClear "A password requires an encrypted connection"
    422 "schema_too_large" SchemaTooLarge "The JSON Schema is too large"
    422 "schema_too_deep" SchemaTooDeep "The JSON Schema is nested too deeply"
    422 "schema_not_of_object" SchemaNotOfObject "The JSON Schema is not of type object"
    422 "schema_dialect_unknown" SchemaDialectUnknown "The JSON Schema dialect is not supported"
    422 "schema_keyword_unknown" SchemaKeywordUnknown "JSON Schema has no such keyword"
    422 "schema_keyword_not_allowed" SchemaKeywordNotAllowed "The keyword is not allowed here"
    422 "schema_reference_not_allowed" SchemaReferenceNotAllowed "The JSON Schema has an external reference"
    422 "schema_reference_unknown" SchemaReferenceUnknown "The JSON Schema has no such definition"
    422 "schema_reference_recursive" SchemaReferenceRecursive "A definition refers to itself"
    422 "schema_invalid" SchemaInvalid "The JSON Schema does not compile"
    422 "schema_incompatible" SchemaIncompatible "The JSON Schema is not compatible with the previous version"
    422 "schema_narrowed" SchemaNarrowed "Previously accepted values are no longer accepted"
    422 "type_narrowed" TypeNarrowed "Fewer types are accepted"
    422 "enum_narrowed" EnumNarrowed "Fewer values are accepted"
    422 "bound_narrowed" BoundNarrowed "A limit is stricter"
    422 "member_required" MemberRequired "An optional member is now required"
    422 "member_removed" MemberRemoved "A member is no longer accepted"
    422 "member_constrained" MemberConstrained "A member of an open object is now constrained"
    422 "definition_changed" DefinitionChanged "A definition has changed"
    422 "keyword_changed" KeywordChanged "A keyword was changed in a way that cannot be compared"
    422 "parameter_lost" ParameterLost "A parameter that templates may use is gone"
    422 "ordering_key_changed" OrderingKeyChanged "The ordering key has changed"
    422 "event_type_not_custom" EventTypeNotCustom "Only the platform publishes the event type"
    422 "ordering_key_required" OrderingKeyRequired "An account or a key is required"
    422 "ordering_key_ambiguous" OrderingKeyAmbiguous "An account and a key exclude each other"
    422 "key_invalid" KeyInvalid "The key is not valid"
    422 "data_too_complex" DataTooComplex "The data is too complex to validate"
    422 "data_invalid" DataInvalid "The data does not fit the event type's JSON Schema"
    422 "data_source_name_reserved" DataSourceNameReserved "The name is reserved for built-in parameters"
    422 "data_source_object_unknown" DataSourceObjectUnknown "There is no such object type"
    422 "data_source_path_impossible" DataSourcePathImpossible "No such relation path"
    422 "idempotency_key_reused" IdempotencyKeyReused "The Idempotency-Key belongs to another request"
    500 "internal_error" InternalError "Internal error"
    503 "unavailable" Unavailable "A dependency is unavailable"
    503 "busy" Busy "A lock was not free in time, or a deadline passed"
    503 "storage_full" StorageFull "The storage is full, or nearly so"
    503 "restored_database" RestoredDatabase "The database was restored to an older moment"
    503 "overloaded" Overloaded "Too many requests are queued"
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<&str> for Code {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
