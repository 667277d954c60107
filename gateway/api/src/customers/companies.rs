//! The company of an account holder.

use billwire_app::domain::customers::account;
use poem_openapi::{Object, types::Example};

use crate::types::scalars::{Country, Name, Phone};

/// The company of an account holder.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct CompanyInput {
    /// Company name.
    name: Name,
    /// Street and number.
    address1: Option<Name>,
    /// Second address line.
    address2: Option<Name>,
    /// City.
    city: Option<Name>,
    /// State, province or county.
    region: Option<Name>,
    /// Postal code.
    postal_code: Option<Name>,
    /// Country, ISO 3166-1 alpha-2.
    country: Option<Country>,
    /// Telephone number.
    phone: Option<Phone>,
}

impl Example for CompanyInput {
    fn example() -> Self {
        Self {
            name: "Acme Telecom GmbH".into(),
            address1: Some("Hauptstr. 1".into()),
            address2: None,
            city: Some("Berlin".into()),
            region: None,
            postal_code: Some("10115".into()),
            country: Some("DE".into()),
            phone: Some("+49 30 1234567".into()),
        }
    }
}

impl From<CompanyInput> for account::Company {
    fn from(new: CompanyInput) -> Self {
        let line = |text: Option<Name>| text.map(|text| text.0);
        Self {
            name: new.name.0,
            address1: line(new.address1),
            address2: line(new.address2),
            city: line(new.city),
            region: line(new.region),
            postal_code: line(new.postal_code),
            country: new.country.map(|country| country.0),
            phone: new.phone.map(|phone| phone.0),
        }
    }
}

/// The company of an account holder.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct Company {
    /// Company name.
    name: String,
    /// Street and number.
    address1: Option<String>,
    /// Second address line.
    address2: Option<String>,
    /// City.
    city: Option<String>,
    /// State, province or county.
    region: Option<String>,
    /// Postal code.
    postal_code: Option<String>,
    /// Country, ISO 3166-1 alpha-2.
    country: Option<String>,
    /// Telephone number.
    phone: Option<String>,
}

impl Example for Company {
    fn example() -> Self {
        let shown: account::Company = CompanyInput::example().into();
        Self {
            name: shown.name,
            address1: shown.address1,
            address2: shown.address2,
            city: shown.city,
            region: shown.region,
            postal_code: shown.postal_code,
            country: shown.country,
            phone: shown.phone,
        }
    }
}
