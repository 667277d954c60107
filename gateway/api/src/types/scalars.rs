//! What a member of a request may hold: texts, choices, whole numbers and moments, each with the schema that is published
//! *and* enforced.
//!
//! poem-openapi's own validators are left out on purpose: they stop at the first fault, and their `pattern` compiles its regular
//! expression anew for each request. The limits stand in the schema alone; [`crate::http::validated_body`] holds the body against it,
//! and what arrives here only has to be taken over.

use std::borrow::Cow;

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;

use crate::types::patterns::{
    ADDRESS, ADDRESS_OR_NOTHING, CAMEL, COUNTRY, CURRENCY, DECIMAL, HEADER, HOST, LANGUAGE, LANGUAGE_OR_NOTHING, LINE, LINES, PATH,
    PATH_OR_NOTHING, RECIPIENT, SNAKE, STATUS, VISIBLE,
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
    /// A name for people.
    Name = text(1, 200, LINE);
    /// An id in an outside system.
    ExternalId = text(1, 128, LINE);
    /// An id, or an id in an outside system.
    Reference = text(1, 128, LINE);
    /// A reason for people.
    Reason = text(1, 500, LINE);
    /// A currency.
    Currency = text(3, 3, CURRENCY);
    /// The name of an event type.
    EventTypeName = text(1, 128, LINE);
    /// The name of an event type, or a pattern of names.
    EventTypePattern = text(1, 128, LINE);
    /// The first part of event types' names.
    EventObject = text(1, 64, LINE);
    /// A CEL expression; what it may say is the rule of the domain.
    CelExpression = text(1, 2_000, LINES);
    /// A CEL expression, or nothing.
    CelFilter = text(0, 2_000, LINES);
    /// A URL. Its rules are the domain's, which name each that is broken; here is only a bound.
    Url = text(1, 4096, LINE);
    /// A path below a URL.
    UrlPath = text(1, 1024, PATH);
    /// A path below a URL, or nothing.
    OptionalPath = text(0, 1024, PATH_OR_NOTHING);
    /// A value of a header.
    HeaderValue = MetaSchema { format: Some("password"), ..text(1, 4096, HEADER) };
    /// A token, or a secret that is sent like one.
    Token = MetaSchema { format: Some("password"), ..text(1, 4096, VISIBLE) };
    /// The name of a client of an authorization server.
    ClientId = text(1, 256, HEADER);
    /// What a token is for.
    TokenScope = text(1, 1024, HEADER);
    /// PEM text. Its form is the domain's.
    Pem = text(1, 65_536, LINES);
    /// An e-mail address, or nothing.
    OptionalAddress = text(0, 254, ADDRESS_OR_NOTHING);
    /// A signing secret. Its rule is the domain's.
    SigningSecret = text(1, 200, VISIBLE);
    /// A host.
    Host = text(1, 253, HOST);
    /// An e-mail address.
    EmailAddress = MetaSchema { format: Some("email"), ..text(3, 254, ADDRESS) };
    /// Who gets an e-mail.
    MailRecipient = text(3, 254, RECIPIENT);
    /// A user name.
    Username = text(1, 256, LINE);
    /// A user name, or none.
    UsernameOrNothing = text(0, 256, LINE);
    /// A language tag, or none.
    LanguageOrNothing = text(0, 35, LANGUAGE_OR_NOTHING);
    /// The name of a time zone, or none.
    TimeZoneOrNothing = text(0, 64, VISIBLE);
    /// The body of a template, or none.
    TemplateTextOrNothing = text(0, 100_000, LINES);
    /// A password.
    Secret = MetaSchema { format: Some("password"), write_only: true, ..text(1, 1024, LINE) };
    /// A subject line.
    Subject = text(1, 1_000, LINE);
    /// The body of a template.
    TemplateText = text(1, 100_000, LINES);
    /// The name of a custom event type, without `custom.`.
    CustomEventName = text(1, 64, SNAKE);
    /// The name of a data source.
    DataSourceName = text(1, 64, CAMEL);
    /// The type of a platform object. Which there are is the domain's to tell, with the nearest names.
    ObjectKind = text(1, 64, LINE);
    /// The name of a relation. Which there are is the domain's to tell, with the nearest names.
    RelationName = text(1, 64, LINE);
    /// An operationId.
    OperationName = text(1, 64, LINE);
    /// An ordering key. Its rule is the domain's.
    Key = text(1, 64, LINE);
    /// What an event is about, as an outside system names it.
    SubjectReference = text(1, 128, LINE);
    /// A description for people.
    Description = text(0, 2_000, LINES);
    /// An amount or a quantity.
    Amount = text(1, 32, DECIMAL);
    /// A type of charge.
    ChargeTypeName = text(1, 64, LINE);
    /// What a quantity counts.
    UnitName = text(1, 32, LINE);
    /// A kind of usage identifier.
    IdentifierKind = text(1, 32, LINE);
    /// A usage identifier.
    IdentifierValue = text(1, 128, LINE);
    /// A text to be found.
    SearchText = text(1, 200, LINE);
    /// A name of a status.
    StatusName = text(1, 64, STATUS);
    /// A country.
    Country = text(2, 2, COUNTRY);
    /// A language tag.
    Language = text(2, 35, LANGUAGE);
    /// A telephone number, as people write it.
    Phone = text(1, 50, LINE);
    /// The name of a time zone. Which there are is the rule of the domain.
    TimeZoneName = text(1, 64, VISIBLE);
    /// A time of day. Its form is the rule of the domain.
    TimeOfDay = text(1, 16, VISIBLE);
    /// Where a list goes on.
    Cursor = text(1, 512, VISIBLE);
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $wire:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum $name { $($variant),+ }

        plumbing!($name, MetaSchema { enum_items: vec![$($wire.into()),+], ..MetaSchema::new("string") });

        impl $name {
            /// The name on the wire.
            pub fn wire(self) -> &'static str {
                match self { $(Self::$variant => $wire),+ }
            }
        }
        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                match value {
                    $($wire => Ok(Self::$variant),)+
                    _ => Err(ParseError::custom("not one of the values")),
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
    /// A status a new account may have.
    FirstStatus { Active = "active", Inactive = "inactive" }
    /// A status an account may go to.
    NextStatus { Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
    /// A status to list accounts by.
    AnyStatus { Inactive = "inactive", Active = "active", Suspended = "suspended", Deactivated = "deactivated" }
    /// Which way an adjustment goes.
    ChargeType { Credit = "CREDIT", Debit = "DEBIT" }
    /// Whether a charge stands on an invoice.
    ChargeState { Unbilled = "unbilled", Billed = "billed" }
    /// A status to list invoices by.
    InvoiceStatus { Open = "open", Paid = "paid", Cancelled = "cancelled" }
    /// A status to list bill runs by.
    BillRunStatus { Running = "running", Completed = "completed" }
    /// Yes or no, in a query.
    Flag { Yes = "true", No = "false" }
    /// Whether the money of a payment came in.
    PaymentStatus { Processed = "processed", Failed = "failed" }
    /// Whether a contract still runs.
    ContractStatus { Active = "active", Ended = "ended" }
    /// What charges are sorted by.
    ChargeOrder { OccurredAt = "occurredAt", Amount = "amount" }
    /// Which way a list is sorted.
    Direction { Ascending = "ascending", Descending = "descending" }
    /// What a contact is for.
    ContactRole { Billing = "billing", Technical = "technical", Other = "other" }
    /// Whether a queue keeps order.
    QueueMode { InOrder = "in_order", OutOfOrder = "out_of_order" }
    /// What the events of a custom type keep order within.
    OrderedBy { Account = "account", Key = "key" }
    /// What a subscription does.
    ActionType { Webhook = "webhook", Email = "email", Forward = "forward", Calculate = "calculate" }
    /// What becomes of a lane whose head is given up on.
    GivenUp { Skip = "skip", Block = "block" }
    /// What happens to an object.
    Happening { Created = "created", Updated = "updated", Deleted = "deleted", Lifecycle = "lifecycle" }
    /// What a signing secret is made for.
    SigningAlgorithm { Hmac = "hmac", Ed25519 = "ed25519" }
    /// How calls say who they are.
    AuthType { None = "none", Basic = "basic", Bearer = "bearer", OAuth2 = "oauth2" }
    /// How an SMTP connection is protected.
    Security { None = "none", Starttls = "starttls", Tls = "tls" }
    /// Where a delivery stands.
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
                // To JSON Schema 3.0 is an integer, too.
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
    /// How many units a billing period lasts.
    PeriodLength = 1..=52;
    /// A billing day; which of them a cycle takes is the rule of the domain, which names it.
    BillingDay = 1..=31;
    /// A month.
    Month = 1..=12;
    /// A number of days; how many are allowed is the rule of the domain.
    Days = 0..=100_000;
    /// Days without usage.
    DormantDays = 1..=3650;
    /// Months a contract's period lasts.
    PeriodMonths = 1..=120;
    /// Parts of a queue.
    Partitions = 1..=64;
    /// A version of an event type.
    EventTypeVersion = 1..=1_000_000;
    /// A TCP port.
    Port = 1..=65535;
    /// Seconds to wait before a further try.
    RetryWait = 0..=604_800;
    /// Seconds an old signing secret still holds.
    Overlap = 0..=2_678_400;
    /// Calls under way at once.
    MaxInFlight = 1..=1_000;
    /// Calls started in a second; 0: no limit.
    MaxPerSecond = 0..=100_000;
    /// Connections at once.
    MaxConnections = 1..=100;
    /// Recipients of one message.
    MaxRecipients = 1..=1_000;
    /// A status code of an answer.
    StatusCode = 100..=599;
    /// Seconds to wait for the first item.
    WaitSeconds = 0..=25;
    /// Items of a page.
    Limit = 1..=200;
}

mod moment;
pub(crate) use moment::{Date, Moment, date, moment};

/// Any JSON object; its shape is told elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct FreeObject(pub serde_json::Map<String, Value>);

plumbing!(FreeObject, MetaSchema::new("object"));

impl ParseFromJSON for FreeObject {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::Object(members)) => Ok(Self(members)),
            _ => Err(ParseError::custom("not an object")),
        }
    }
}

impl ToJSON for FreeObject {
    fn to_json(&self) -> Option<Value> {
        Some(Value::Object(self.0.clone()))
    }
}
