//! Scalar types of requests: strings, enums, integers and times, each with the schema that is published *and* enforced.
//!
//! poem-openapi's validators are not used: they stop at the first violation, and compile the expression of `pattern` for each request.
//! [`crate::http::validated_body`] validates by the schema; parsing here only converts.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::types::patterns::{
    ADDRESS, ADDRESS_OR_NOTHING, ATTRIBUTE, CAMEL, COUNTRY, CURRENCY, DECIMAL, EXTERNAL_ID, HEADER, HOST, LANGUAGE, LANGUAGE_OR_NOTHING,
    LINE, LINES, NAME, PATH, PATH_OR_NOTHING, RECIPIENT, SNAKE, STATUS, TENANT, VISIBLE,
};

fn text(min: usize, max: usize, pattern: &str) -> MetaSchema {
    let min_length = (min > 0).then_some(min);
    MetaSchema { min_length, max_length: Some(max), pattern: Some(pattern.to_owned()), ..MetaSchema::new("string") }
}

macro_rules! plumbing {
    ($name:ident, $schema:expr) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }
            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }
            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub(crate) struct $name(pub String);

        plumbing!($name, $schema);

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Ok(Self(text)),
                    _ => Err(ParseError::custom("not a string")),
                }
            }
        }
        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Ok(Self(value.to_owned()))
            }
        }
        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(Value::String(self.0.clone()))
            }
        }
    )+};
}

texts! {
    /// A display name.
    Name = text(1, 200, NAME);
    /// An id in an external system.
    ExternalId = text(1, 128, EXTERNAL_ID);
    /// An id or an external id.
    Reference = text(1, 128, LINE);
    /// A reason, as free text.
    Reason = text(1, 500, NAME);
    /// A currency.
    Currency = text(3, 3, CURRENCY);
    /// The name of an event type.
    EventTypeName = text(1, 128, LINE);
    /// The file of a version of an event type's schema.
    SchemaFile = text(7, 13, "^v[1-9][0-9]{0,6}\\.json$");
    /// An event type name, or a pattern of names.
    EventTypePattern = text(1, 128, LINE);
    /// The first part of event type names.
    EventObject = text(1, 64, LINE);
    /// A CEL expression; the domain validates it.
    CelExpression = text(1, 2_000, LINES);
    /// A CEL expression, or empty.
    CelFilter = text(0, 2_000, LINES);
    /// The name of a tenant in subjects and keys.
    TenantName = text(1, 32, TENANT);
    /// The name of a scope; the domain knows which there are.
    ScopeName = text(1, 64, LINE);
    /// An IP address or network; the domain parses it.
    NetworkText = text(1, 64, LINE);
    /// A URL, bounded in length; the domain validates it and names each violation.
    Url = text(1, 4096, LINE);
    /// The URL of an issuer; the domain validates it and names each violation.
    Issuer = text(1, 512, VISIBLE);
    /// An audience of tokens.
    Audience = text(1, 255, VISIBLE);
    /// The name of a claim, or names with dots between them.
    ClaimName = text(1, 200, LINE);
    /// A value of a claim.
    ClaimValue = text(1, 255, LINE);
    /// A path below a URL.
    UrlPath = text(1, 1024, PATH);
    /// A path below a URL, or empty.
    OptionalPath = text(0, 1024, PATH_OR_NOTHING);
    /// A header value.
    HeaderValue = MetaSchema { format: Some("password"), ..text(1, 4096, HEADER) };
    /// A token, or a secret sent as one.
    Token = MetaSchema { format: Some("password"), ..text(1, 4096, VISIBLE) };
    /// An OAuth2 client id.
    ClientId = text(1, 256, HEADER);
    /// An OAuth2 scope.
    TokenScope = text(1, 1024, HEADER);
    /// PEM text; the domain validates it.
    Pem = text(1, 65_536, LINES);
    /// An e-mail address, or empty.
    OptionalAddress = text(0, 254, ADDRESS_OR_NOTHING);
    /// A signing secret; the domain validates it.
    SigningSecret = text(1, 200, VISIBLE);
    /// A host.
    Host = text(1, 253, HOST);
    /// An e-mail address.
    EmailAddress = MetaSchema { format: Some("idn-email"), ..text(3, 254, ADDRESS) };
    /// An e-mail recipient.
    MailRecipient = text(3, 254, RECIPIENT);
    /// A user name.
    Username = text(1, 256, NAME);
    /// A user name, or empty.
    UsernameOrNothing = text(0, 256, LINE);
    /// A language tag, or empty.
    LanguageOrNothing = text(0, 35, LANGUAGE_OR_NOTHING);
    /// A time zone name, or empty.
    TimeZoneOrNothing = text(0, 64, VISIBLE);
    /// The body of a template, or empty.
    TemplateTextOrNothing = text(0, 100_000, LINES);
    /// A password.
    Secret = MetaSchema { format: Some("password"), write_only: true, ..text(1, 1024, LINE) };
    /// A subject line.
    Subject = text(1, 1_000, NAME);
    /// The body of a template.
    TemplateText = text(1, 100_000, LINES);
    /// The name of a custom event type, without `custom.`.
    CustomEventName = text(1, 64, SNAKE);
    /// The name of a data source.
    DataSourceName = text(1, 64, CAMEL);
    /// The type of a platform object. The domain refuses an unknown one, with the nearest names.
    ObjectKind = text(1, 64, LINE);
    /// The name of a relation. The domain refuses an unknown one, with the nearest names.
    RelationName = text(1, 64, LINE);
    /// An operationId.
    OperationName = text(1, 64, LINE);
    /// An ordering key; the domain validates it.
    Key = text(1, 64, LINE);
    /// The subject of an event, as an external system names it.
    SubjectReference = text(1, 128, NAME);
    /// A description, as free text.
    Description = text(0, 2_000, LINES);
    /// An amount or a quantity.
    Amount = text(1, 32, DECIMAL);
    /// A charge type.
    ChargeTypeName = text(1, 64, NAME);
    /// The unit of a quantity.
    UnitName = text(1, 32, NAME);
    /// A kind of usage identifier.
    IdentifierKind = text(1, 32, NAME);
    /// A usage identifier.
    IdentifierValue = text(1, 128, NAME);
    /// A text to search for.
    SearchText = text(1, 200, LINE);
    /// The text of an attribute.
    AttributeText = text(1, 1_000, NAME);
    /// An attribute to filter by.
    AttributeFilter = text(3, 1_065, ATTRIBUTE);
    /// A status name.
    StatusName = text(1, 64, STATUS);
    /// A country code.
    Country = text(2, 2, COUNTRY);
    /// A language tag.
    Language = text(2, 35, LANGUAGE);
    /// A telephone number in any notation.
    Phone = text(1, 50, NAME);
    /// A time zone name; the domain validates it.
    TimeZoneName = text(1, 64, VISIBLE);
    /// A time of day; the domain validates it.
    TimeOfDay = text(1, 16, VISIBLE);
    /// A list cursor.
    Cursor = text(1, 512, VISIBLE);
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $wire:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant),+ }

        plumbing!($name, MetaSchema { enum_items: vec![$($wire.into()),+], ..MetaSchema::new("string") });

        impl $name {
            /// The value in JSON and queries.
            pub fn wire(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }
        }
        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                match value {
                    $($wire => Ok(Self::$variant),)+
                    _ => Err(ParseError::custom("not one of the allowed values")),
                }
            }
        }
        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                Self::parse_from_parameter(value.as_ref().and_then(Value::as_str).unwrap_or_default())
            }
        }
        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(self.wire().into())
            }
        }
    )+};
}

choices! {
    /// Unit of a billing period.
    PeriodUnit { Day = "day", Week = "week", Month = "month", Year = "year" }
    /// When a bucket's usage returns to zero by itself.
    BucketResets { BillingPeriod = "billingPeriod" }
    /// The status of a new account.
    FirstStatus { Active = "active", Inactive = "inactive" }
    /// The target status of an account.
    NextStatus { Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
    /// A status to filter accounts by.
    AnyStatus { Inactive = "inactive", Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
    /// Direction of an adjustment.
    ChargeType { Credit = "CREDIT", Debit = "DEBIT" }
    /// Whether a charge has been invoiced.
    ChargeState { Unbilled = "unbilled", Billed = "billed" }
    /// A status to filter invoices by.
    InvoiceStatus { Open = "open", Paid = "paid", Cancelled = "cancelled" }
    /// A status to filter bill runs by.
    BillRunStatus { Running = "running", Completed = "completed" }
    /// A boolean query parameter.
    Flag { Yes = "true", No = "false" }
    /// Whether a payment succeeded.
    NewPaymentStatus { Processed = "processed", Failed = "failed" }
    /// Status of a payment.
    PaymentStatus { Processed = "processed", Failed = "failed", Cancelled = "cancelled" }
    /// Whether a contract is in force.
    ContractStatus { Active = "active", Ended = "ended" }
    /// Sort key of charges.
    ChargeOrder { OccurredAt = "occurredAt", NetAmount = "netAmount" }
    /// Sort key of invoices.
    InvoiceOrder { CreatedAt = "createdAt", IssuedOn = "issuedOn", DueOn = "dueOn" }
    /// Sort direction.
    Direction { Ascending = "ascending", Descending = "descending" }
    /// Role of a contact.
    ContactRole { Billing = "billing", Technical = "technical", Other = "other" }
    /// Delivery order of a queue.
    QueueMode { InOrder = "in_order", OutOfOrder = "out_of_order" }
    /// Ordering key of a custom event type.
    OrderedBy { Account = "account", Key = "key" }
    /// Action type of a subscription.
    ActionType { Webhook = "webhook", Email = "email", Forward = "forward", Calculate = "calculate" }
    /// Whether a lane continues after its head becomes a dead letter.
    GivenUp { Skip = "skip", Block = "block" }
    /// Kind of an object's events.
    Happening { Created = "created", Updated = "updated", Deleted = "deleted", Lifecycle = "lifecycle" }
    /// Signature algorithm.
    SigningAlgorithm { Hmac = "hmac", Ed25519 = "ed25519" }
    /// Authentication scheme of webhook calls.
    AuthType { None = "none", Basic = "basic", Bearer = "bearer", OAuth2 = "oauth2" }
    /// Encryption of an SMTP connection.
    Security { None = "none", Starttls = "starttls", Tls = "tls" }
    /// Kind of an audit entry.
    AuditKind { Changes = "changes", Refusals = "refusals", FirstUse = "firstUse", SignIn = "signIn", Connections = "connections" }
    /// Where a stream subscription starts.
    StartType { Now = "now", Time = "time", Everything = "everything" }
    /// State of a delivery.
    DeliveryState { Waiting = "waiting", Succeeded = "succeeded", Dead = "dead", Blocking = "blocking", Discarded = "discarded" }
}

macro_rules! whole_numbers {
    ($($(#[$doc:meta])* $name:ident = $min:literal..=$max:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(pub u32);

        plumbing!($name, MetaSchema {
            minimum: Some(f64::from($min)),
            maximum: Some(f64::from($max)),
            ..MetaSchema::new_with_format("integer", "int32")
        });

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                // JSON Schema counts 3.0 as an integer.
                let number = value.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_f64().map(|float| float as u64)));
                number.and_then(|number| u32::try_from(number).ok()).map(Self).ok_or_else(|| ParseError::custom("not a whole number"))
            }
        }
        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                Ok(Self(value.parse()?))
            }
        }
        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                Some(self.0.into())
            }
        }
    )+};
}

whole_numbers! {
    /// Length of a billing period, in units.
    PeriodLength = 1..=52;
    /// A billing day; the domain checks the range for the cycle's unit.
    BillingDay = 1..=31;
    /// A month.
    Month = 1..=12;
    /// A number of days; the domain checks the range.
    Days = 0..=100_000;
    /// A retention, in days or hours; the domain checks the range.
    RetentionLength = 1..=36_500;
    /// Days before a billing date.
    AnnounceDays = 0..=365;
    /// An hour of the day.
    Hour = 0..=23;
    /// Days without usage.
    DormantDays = 1..=3650;
    /// Length of a contract period, in months.
    PeriodMonths = 1..=120;
    /// An event type version.
    EventTypeVersion = 1..=1_000_000;
    /// A TCP port.
    Port = 1..=65535;
    /// Wait before a retry, in seconds.
    RetryWait = 0..=604_800;
    /// Time an old signing secret stays valid, in seconds.
    Overlap = 0..=2_678_400;
    /// Maximum number of concurrent calls.
    MaxInFlight = 1..=1_000;
    /// Maximum rate per second; 0: no limit.
    MaxPerSecond = 0..=100_000;
    /// Requests per second.
    RequestRate = 1..=1_000_000;
    /// Maximum number of concurrent connections.
    MaxConnections = 1..=100;
    /// Maximum number of recipients per message.
    MaxRecipients = 1..=1_000;
    /// An HTTP status code.
    StatusCode = 100..=599;
    /// Wait for the first item, in seconds.
    WaitSeconds = 0..=25;
    /// A number of hours.
    Hours = 1..=168;
    /// Page size.
    Limit = 1..=200;
}

mod free_object;
mod moment;
pub(crate) use free_object::FreeObject;
pub(crate) use moment::{DATE_RULE, Date, MOMENT_RULE, Moment, date, moment};
