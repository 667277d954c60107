//! Parameters: the name-value pairs an event offers to templates, webhooks and filters.
//!
//! Parameters are contextual: an event offers the groups of objects that its object relates to *once* (DESIGN section 5; LogiSense
//! notification tokens). A bill run spans many accounts, so it offers no service name.

use serde::Serialize;
use serde_json::Value;

use super::objects;

/// A group of parameters from one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Group {
    /// Of the event itself; offered by every event.
    Core,
    /// Of the account the event belongs to.
    Account,
    /// Of the account's balance.
    Balance,
    /// Of the account's company.
    Company,
    /// Of the bill cycle the event is about.
    BillCycle,
    /// Of a failed payment.
    PaymentError,
    /// Of a contact of the account. For e-mail only; webhooks and the stream never carry these parameters.
    Contact,
    /// Of the service the event is about.
    Service,
    /// Of the package that the event or its subscription is about.
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

/// JSON type of a parameter's value. Amounts and dates are strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Texts by name: the [`ATTRIBUTES`] of an object.
    Object,
}

impl Type {
    /// The name in JSON Schema and in the catalogue.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
        }
    }
}

/// A parameter in the catalogue.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parameter {
    /// The name in templates, e.g. `account.name`.
    pub name: &'static str,
    /// Type of the value.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Meaning.
    pub meaning: &'static str,
    /// An example value.
    pub example: &'static str,
}

impl Parameter {
    /// The example as a JSON value, as an event carries it.
    pub fn value(&self) -> Value {
        match self.kind {
            Type::String => self.example.into(),
            Type::Number | Type::Boolean | Type::Object => serde_json::from_str(self.example).unwrap_or_else(|_| self.example.into()),
        }
    }
}

/// A string parameter.
pub(crate) const fn p(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Type::String, meaning, example }
}

/// A number parameter; events carry it without quotes.
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

/// A boolean parameter.
pub(crate) const fn b(name: &'static str, meaning: &'static str, example: &'static str) -> Parameter {
    Parameter { name, kind: Type::Boolean, meaning, example }
}

/// An object's custom attributes. Each can be named: `account.attributes.region`.
pub(crate) const fn attributes(name: &'static str, meaning: &'static str) -> Parameter {
    Parameter { name, kind: Type::Object, meaning, example: r#"{"region":"EMEA"}"# }
}

/// How the names of parameters with custom attributes end.
const ATTRIBUTES: &str = ".attributes";

/// The parameter that contains `name`, such as `account.attributes` for `account.attributes.region`, and the attribute.
fn attribute(name: &str) -> Option<(&str, &str)> {
    let at = name.find(ATTRIBUTES)? + ATTRIBUTES.len();
    Some((&name[..at], name[at..].strip_prefix('.').filter(|attribute| !attribute.is_empty())?))
}

/// Whether `offered` has the parameter `name`, or the attributes that it is one of.
pub fn is_offered(offered: &[impl AsRef<str>], name: &str) -> bool {
    let has = |wanted: &str| offered.iter().any(|one| one.as_ref() == wanted);
    has(name) || attribute(name).is_some_and(|(all, _)| has(all))
}

/// Whether a parameter of this name has members, which can be used, but not be printed as a whole.
pub fn has_members(name: &str) -> bool {
    name.ends_with(ATTRIBUTES)
}

/// The value of a parameter or of one attribute.
pub fn value_of<'p>(name: &str, get: impl Fn(&str) -> Option<&'p Value>) -> Option<&'p Value> {
    get(name).or_else(|| attribute(name).and_then(|(all, one)| get(all)?.get(one)))
}

impl Group {
    /// Whether the parameters are for e-mail only; webhooks and the stream never carry them.
    pub fn email_only(self) -> bool {
        self == Self::Contact
    }

    /// The parameters of this group.
    pub fn parameters(self) -> &'static [Parameter] {
        match self {
            Self::Core => CORE,
            Self::Account => objects::account::PARAMETERS,
            Self::Balance => objects::account::BALANCE_PARAMETERS,
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

/// Maximum length of a text in a parameter, in bytes of UTF-8. Longer ones are cut, so that a text is not in a message twice.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Cuts a text that is longer than [`TEXT_BYTES_MAX`]; `…` marks the cut.
pub fn cut(value: &mut Value) {
    if let Value::String(text) = value
        && text.len() > TEXT_BYTES_MAX
    {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
        text.shrink_to_fit();
    }
}

/// Longer names are not typos, and comparing one costs its length times that of each offered name.
const NAME_BYTES_MAX: usize = 200;

/// Up to three of `offered` most similar to `name`, most similar first; used for suggestions in refusals.
pub fn nearest<'a>(name: &str, offered: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return Vec::new();
    }
    let mut scored: Vec<(usize, &str)> = offered.map(|o| (strsim::levenshtein(name, o), o)).collect();
    scored.sort();
    scored.dedup();
    scored.into_iter().filter(|(d, o)| *d <= o.len().max(name.len()) / 2).take(3).map(|(_, o)| o).collect()
}

/// A hint with the [`nearest`] of what there is, to stand behind a sentence: it begins with a space, or is empty.
pub fn did_you_mean<'a>(name: &str, there_are: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(name, there_are);
    if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_marked() {
        let cut = |text: &str| {
            let mut value = Value::from(text);
            super::cut(&mut value);
            value.as_str().map(str::to_owned).unwrap_or_default()
        };
        let longest = "x".repeat(TEXT_BYTES_MAX);
        assert_eq!(cut(&longest), longest);
        assert_eq!(cut(&format!("{longest}y")), format!("{longest}…"));
        let umlauts = format!("x{}", "ä".repeat(TEXT_BYTES_MAX / 2));
        assert_eq!(cut(&umlauts), format!("x{}…", "ä".repeat(TEXT_BYTES_MAX / 2 - 1)));
    }

    #[test]
    fn attributes_are_offered_by_name_and_nothing_else_has_members() {
        let offered = ["account.name", "account.attributes"];
        for (name, is) in [
            ("account.attributes", true),
            ("account.attributes.region", true),
            ("account.attributes.a.b", true),
            ("account.attributes.", false),
            ("account.attributesx", false),
            ("account.name.first", false),
            ("service.attributes.region", false),
        ] {
            assert_eq!(is_offered(&offered, name), is, "{name}");
        }
        let region = serde_json::json!({ "region": "EMEA", "a.b": "x" });
        let value = |name: &str| value_of(name, |name| (name == "account.attributes").then_some(&region)).and_then(Value::as_str);
        assert_eq!([value("account.attributes.region"), value("account.attributes.a.b")], [Some("EMEA"), Some("x")]);
        assert_eq!([value("account.attributes.x"), value("account.name")], [None, None]);
    }

    #[test]
    fn a_typo_finds_the_name_that_was_meant() {
        let offered = || Group::Account.parameters().iter().map(|p| p.name);
        assert_eq!(nearest("account.nmae", offered())[0], "account.name");
        assert!(nearest("service.name.of.the.thing.over.there", offered()).is_empty());
    }
}
