//! An account's descriptive data: name, company, billing contact, payment term.

use billwire_schemas::{clock::Timestamp, events::envelope::Parameters, ids::ContactId, refusal::Code};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use super::{Account, PlannedChange, Status, ensure_not_deactivated};
use crate::{
    attributes::Changes,
    change::{Change, Entity},
    customers::{billing_settings::check_payment_term, contact::Contact},
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// Officially assigned ISO 3166-1 alpha-2 codes.
const COUNTRIES: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY \
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE \
    GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR \
    KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI \
    NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS \
    ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

/// The billed company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Company {
    /// Display name.
    pub name: String,
    /// Street and house number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address1: Option<String>,
    /// Second address line.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub address2: Option<String>,
    /// City or town.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub city: Option<String>,
    /// State, province or county.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub postal_code: Option<String>,
    /// ISO 3166-1 alpha-2 country code.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub country: Option<String>,
    /// Telephone number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub phone: Option<String>,
}

impl Company {
    /// The parameters the company contributes to events, as listed in the catalogue.
    pub(super) fn parameters(&self) -> Parameters {
        let members = [
            ("company.name", Some(&self.name)),
            ("company.address1", self.address1.as_ref()),
            ("company.address2", self.address2.as_ref()),
            ("company.city", self.city.as_ref()),
            ("company.region", self.region.as_ref()),
            ("company.postalCode", self.postal_code.as_ref()),
            ("company.country", self.country.as_ref()),
            ("company.phone", self.phone.as_ref()),
        ];
        members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone().into()))).collect()
    }
}

/// Checks company and payment term. Returns all violations: `country_unknown`, `payment_term_out_of_range`.
pub(super) fn violations(company: Option<&Company>, payment_term_days: Option<u32>) -> Vec<Violation> {
    let mut broken = Vec::new();
    if let Some(country) = company.and_then(|company| company.country.as_deref())
        && !COUNTRIES.split(' ').any(|known| known == country)
    {
        let message = format!("'{country}' is not an ISO 3166-1 alpha-2 country code, such as DE.");
        broken.push(Violation::new("/company/country", Code::CountryUnknown, message));
    }
    broken.extend(payment_term_days.and_then(check_payment_term));
    broken
}

/// `updateAccount`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Account::external_id`].
    pub external_id: Patch<String>,
    /// See [`Account::name`].
    pub name: Option<String>,
    /// See [`Account::company`]; replaces the whole company.
    pub company: Patch<Company>,
    /// See [`Account::payment_term_days`].
    pub payment_term_days: Patch<u32>,
    /// See [`Account::attributes`].
    pub attributes: Changes,
}

/// Decides `updateAccount`; `billing_contact` is the change of the billing contact.
///
/// # Errors
/// `account_deactivated`; `country_unknown`, `payment_term_out_of_range`, `contact_of_other_account` at `/billingContact`, and the bounds of
/// the attributes.
pub fn update(account: Account, command: Update, billing_contact: Patch<&Contact>, now: Timestamp) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    let attributes = account.attributes.after(&command.attributes);
    let mut broken = violations(command.company.as_ref().value(), command.payment_term_days.value());
    broken.extend(attributes.violations());
    if billing_contact.value().is_some_and(|contact| contact.account_id != account.id) {
        let message = "The contact belongs to another account.";
        broken.push(Violation::new("/billingContact", Code::ContactOfOtherAccount, message));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let mut after = account.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    after.attributes = attributes;
    after.company = command.company.apply(after.company);
    after.payment_term_days = command.payment_term_days.apply(after.payment_term_days);
    after.billing_contact_id = billing_contact.map(|contact| contact.id).apply(after.billing_contact_id);
    Ok(Change::updated(account, after, Vec::<&'static str>::new()))
}

/// Decides `deleteAccount`; `in_use` is true if any object belongs to the account, such as contacts, services or charges, or if it pays for others.
///
/// # Errors
/// `account_deactivated`, `account_not_inactive`, `still_in_use`.
pub fn delete(account: Account, in_use: bool) -> Result<Change<Account>, Rejected> {
    ensure_not_deactivated(&account)?;
    if account.status != Status::Inactive {
        let message =
            format!("The account is {}; only an inactive account can be deleted. Cancel the account instead.", account.status.name());
        return Err(Rejected::conflict(Code::AccountNotInactive, message));
    }
    if in_use {
        return Err(Rejected::conflict(
            Code::StillInUse,
            "The account still has contacts, services, charges or other objects, or pays for other accounts.",
        ));
    }
    Ok(Change::deleted(account))
}

impl PlannedChange {
    /// The parameters of the plan, as listed in the catalogue.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::from([
            ("account.plannedBillCycle".to_owned(), self.bill_cycle_id.to_string().into()),
            ("account.plannedFrom".to_owned(), self.valid_from.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()),
        ])
    }
}

impl Account {
    /// Whether this contact receives the account's bills.
    pub fn bills_to(&self, contact: ContactId) -> bool {
        self.billing_contact_id == Some(contact)
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::{
        events::{envelope::Action, objects},
        ids::fresh,
    };

    use super::*;
    use crate::customers::{account::tests::with_status, contact};

    fn company(country: &str) -> Company {
        let some = |text: &str| Some(text.to_owned());
        Company {
            name: "Acme Ltd".into(),
            address1: some("1 High Street"),
            address2: some("Floor 2"),
            city: some("Leeds"),
            region: some("Yorkshire"),
            postal_code: some("LS1 1AA"),
            country: some(country),
            phone: some("+44 113 496 0000"),
        }
    }

    fn contact_of(account: &Account) -> Contact {
        let command = contact::Create {
            id: ContactId(fresh()),
            external_id: None,
            role: contact::Role::Billing,
            name: "Ada".into(),
            email: "ada@example.com".into(),
            phone: None,
            language: None,
        };
        contact::create(command, account, account.created_at).expect("a contact").after
    }

    fn updated(account: Account, command: Update, contact: Patch<&Contact>) -> Result<Change<Account>, Rejected> {
        let now = account.created_at;
        update(account, command, contact, now)
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name() {
        let account = with_status(Status::Active);
        let contact = contact_of(&account);
        let command = Update { company: Patch::Set(company("GB")), payment_term_days: Patch::Set(30), ..Update::default() };
        let first = updated(account.clone(), command, Patch::Set(&contact)).expect("updated").after;
        let second =
            updated(first.clone(), Update { name: Some("Acme UK".into()), ..Update::default() }, Patch::Keep).expect("updated").after;
        assert_eq!((second.name.as_str(), second.version), ("Acme UK", 3));
        assert_eq!((&second.company, second.payment_term_days, second.billing_contact_id), (&first.company, Some(30), Some(contact.id)));
        let command = Update { company: Patch::Unset, payment_term_days: Patch::Unset, ..Update::default() };
        let bare = updated(second, command, Patch::Unset).expect("updated").after;
        assert_eq!((bare.company, bare.payment_term_days, bare.billing_contact_id, bare.version), (None, None, None, 4));
    }

    #[test]
    fn an_update_that_changes_nothing_makes_no_version_and_no_event() {
        let account = with_status(Status::Active);
        for command in [Update::default(), Update { name: Some(account.name.clone()), company: Patch::Unset, ..Update::default() }] {
            let change = update(account.clone(), command, Patch::Keep, account.created_at + chrono::TimeDelta::days(1)).expect("decided");
            assert_eq!((change.action, &change.after, change.lifecycle.len()), (Action::Unchanged, &account, 0));
        }
    }

    #[test]
    fn each_rule_of_an_update_has_its_code() {
        let account = with_status(Status::Active);
        let foreign = contact_of(&with_status(Status::Active));
        let command = Update { company: Patch::Set(company("UK")), payment_term_days: Patch::Set(366), ..Update::default() };
        let refused = updated(account, command, Patch::Set(&foreign)).expect_err("three rules");
        let found: Vec<_> = refused.violations.iter().map(|v| (v.code.as_str(), v.pointer.as_ref())).collect();
        let expected = [
            ("country_unknown", "/company/country"),
            ("payment_term_out_of_range", "/paymentTermDays"),
            ("contact_of_other_account", "/billingContact"),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            updated(with_status(Status::Deactivated), Update::default(), Patch::Keep).unwrap_err().code.as_str(),
            "account_deactivated"
        );
    }

    #[test]
    fn only_an_inactive_account_to_which_nothing_belongs_can_be_deleted() {
        let code = |status, in_use| delete(with_status(status), in_use).err().map(|r| r.code.as_str());
        assert_eq!(code(Status::Inactive, false), None);
        assert_eq!(code(Status::Inactive, true), Some("still_in_use"));
        assert_eq!(code(Status::Active, false), Some("account_not_inactive"));
        assert_eq!(code(Status::Suspended, false), Some("account_not_inactive"));
        assert_eq!(code(Status::Deactivated, false), Some("account_deactivated"));
    }

    #[test]
    fn its_parameters_are_those_of_the_catalogue() {
        let mut offered: Vec<_> = objects::account::COMPANY_PARAMETERS.iter().map(|p| p.name).collect();
        offered.sort_unstable();
        assert_eq!(company("GB").parameters().into_keys().collect::<Vec<_>>(), offered);
    }

    #[test]
    fn there_are_249_countries() {
        let mut codes: Vec<_> = COUNTRIES.split(' ').collect();
        assert!(codes.iter().all(|code| code.len() == 2));
        codes.dedup();
        assert_eq!((codes.len(), codes.is_sorted()), (249, true));
    }
}
