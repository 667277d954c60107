//! Parameters: the name-value pairs an event offers to templates, callouts and filters.
//!
//! They are contextual: an event offers the groups its object reaches by a relation to *one* thing (DESIGN section 5;
//! LogiSense notification tokens). A bill run spans many accounts and so offers no service name.

use serde::Serialize;
use serde_json::Value;

use super::objects;

/// A group of parameters that come from one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// Of the event itself: offered by every event.
    Core,
    /// Of the account the event belongs to.
    Account,
    /// Of the company behind the account.
    Company,
    /// Of the bill cycle the event is about.
    BillCycle,
    /// Of the attempt at a payment that failed.
    PaymentError,
    /// Of a contact of the account. For e-mail only: they never stand in an event that webhooks and the stream carry.
    Contact,
    /// Of the service the event is about.
    Service,
    /// Of the package the event is about, or whose subscription it is about.
    Package,
    /// Of the bucket the event is about.
    Bucket,
    /// Of the invoice the event is about.
    Invoice,
    /// Of the payment the event is about.
    Payment,
    /// Of the refund the event is about.
    Refund,
    /// Of the credit the event is about.
    Credit,
    /// Of the contract the event is about.
    Contract,
    /// Of the bill run the event is about.
    BillRun,
    /// Of the usage identifier the event is about.
    UsageIdentifier,
    /// Of the chargeable event the event is about.
    ChargeableEvent,
    /// Of the adjustment the event is about.
    Adjustment,
}

/// What a parameter's value is in JSON. Amounts and dates are texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl Type {
    /// Its name, in JSON Schema as well as in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
        }
    }
}

/// One parameter as the catalogue tells of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameter {
    /// The name templates use, e.g. `account.name`.
    pub name: &'static str,
    /// What its value is.
    #[serde(rename = "type")]
    pub kind: Type,
    /// What it means.
    pub meaning: &'static str,
    /// A value it could have.
    pub example: &'static str,
}

impl Parameter {
    /// The example, as its value would stand in an event.
    pub fn value(&self) -> Value {
        match self.kind {
            Type::String => self.example.into(),
            Type::Number | Type::Boolean => serde_json::from_str(self.example).unwrap_or_else(|_| self.example.into()),
        }
    }
}

/// A text.
pub(crate) const fn p(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Type::String, meaning, example }
}

/// A number: what an event carries without quotes.
pub(crate) const fn n(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Type::Number, meaning, example }
}

const CORE: &[Parameter] = &[
    p("event.name", "The event's title in the catalogue", "Account Bill Cycle Changed"),
    p("event.type", "The event's type", "account.bill_cycle_changed"),
    p("tenant.name", "The tenant the event belongs to", "default"),
    p("current.date", "Date of the event, UTC", "2027-01-15"),
    p("current.time", "Time of the event, UTC", "09:30:00"),
    p("current.dateTime", "Moment of the event, UTC", "2027-01-15T09:30:00Z"),
];

/// `true` or `false`.
pub(crate) const fn b(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Type::Boolean, meaning, example }
}

impl Group {
    /// Whether its parameters are for e-mail alone: they never stand in an event that the stream and webhooks carry.
    pub fn email_only(self) -> bool {
        self == Self::Contact
    }

    /// The parameters of this group.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Core => CORE,
            Self::Account => objects::account::PARAMETERS,
            Self::Company => objects::account::COMPANY_PARAMETERS,
            Self::BillCycle => objects::bill_cycle::PARAMETERS,
            Self::PaymentError => objects::payment::ERROR_PARAMETERS,
            Self::Contact => objects::contact::PARAMETERS,
            Self::Service => objects::service::PARAMETERS,
            Self::Package => objects::package::PARAMETERS,
            Self::Bucket => objects::bucket::PARAMETERS,
            Self::Invoice => objects::invoice::PARAMETERS,
            Self::Payment => objects::payment::PARAMETERS,
            Self::Refund => objects::refund::PARAMETERS,
            Self::Credit => objects::credit::PARAMETERS,
            Self::Contract => objects::contract::PARAMETERS,
            Self::BillRun => objects::bill_run::PARAMETERS,
            Self::UsageIdentifier => objects::usage_identifier::PARAMETERS,
            Self::ChargeableEvent => objects::chargeable_event::PARAMETERS,
            Self::Adjustment => objects::adjustment::PARAMETERS,
        }
    }
}

/// A longer name is no typo, and a comparison costs the product of both lengths.
const NAME_BYTES_MAX: usize = 200;

/// Up to three names of `offered` that are most similar to `name` (Levenshtein distance), nearest first. Refusals suggest them.
pub fn nearest<'a>(name: &str, offered: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = offered.map(|o| (strsim::levenshtein(name, o), o)).collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().filter(|(d, o)| *d <= o.len().max(name.len()) / 2).take(3).map(|(_, o)| o).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let offered = || Group::Account.parameters().iter().map(|p| p.name);
        assert_eq!(nearest("account.nmae", offered())[0], "account.name");
        assert!(nearest("service.name.of.the.thing.over.there", offered()).is_empty());
    }
}
