//! Packages: products with a recurring fee per billing period or per period of their own, which accounts subscribe to. A package belongs
//! to the tenant.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::PackageId,
    money::{Currency, Money},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
    calendar::RecurringPeriod,
    change::{Change, Entity, entity_members},
    customers::billing_settings::BillingSettings,
    history::History,
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// A package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Object id.
    pub id: PackageId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// Display name.
    pub name: String,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// Currency of the fee, and of the accounts that can subscribe.
    pub currency: Currency,
    /// The fee per billing period of the account's cycle, or per [`Package::recurring_period`]; may be zero.
    pub recurring_fee: Money,
    /// What the fee is for, counted from each subscription's first day; absent: a billing period of the account's cycle.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recurring_period: Option<RecurringPeriod>,
    /// The fee by day. Empty for packages whose fee has not changed since a version without it.
    #[serde(skip_serializing_if = "History::is_empty", default)]
    pub fee_history: History<FeeByDay>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// A fee, in a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FeeByDay {
    /// See [`Package::recurring_fee`].
    pub recurring_fee: Money,
    /// See [`Package::recurring_period`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recurring_period: Option<RecurringPeriod>,
}

impl Package {
    /// The fee as it is now.
    pub fn fee(&self) -> FeeByDay {
        FeeByDay { recurring_fee: self.recurring_fee, recurring_period: self.recurring_period }
    }
}

/// `createPackage`.
#[derive(Debug, Clone)]
pub struct Create {
    /// The new package's id.
    pub id: PackageId,
    /// See [`Package::external_id`].
    pub external_id: Option<String>,
    /// See [`Package::name`].
    pub name: String,
    /// See [`Package::description`].
    pub description: Option<String>,
    /// See [`Package::recurring_fee`].
    pub recurring_fee: Money,
    /// See [`Package::recurring_period`].
    pub recurring_period: Option<RecurringPeriod>,
}

/// Decides `createPackage`.
///
/// # Errors
/// `amount_negative`, `amount_too_fine` at `/recurringFee/amount`.
pub fn create(command: Create, settings: &BillingSettings, now: Timestamp) -> Result<Change<Package>, Rejected> {
    if let Some(rejected) = Rejected::from_violations(fee_violations(command.recurring_fee)) {
        return Err(rejected);
    }
    let mut package = Package {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        name: command.name,
        description: command.description,
        currency: command.recurring_fee.currency,
        recurring_fee: command.recurring_fee,
        recurring_period: command.recurring_period,
        fee_history: History::default(),
        created_at: now,
        updated_at: now,
    };
    package.fee_history = History::starting(settings.date_of(now), package.fee());
    Ok(Change::created(package))
}

/// `updatePackage`; absent members stay unchanged.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Package::external_id`].
    pub external_id: Patch<String>,
    /// See [`Package::name`].
    pub name: Option<String>,
    /// See [`Package::description`].
    pub description: Patch<String>,
    /// See [`Package::recurring_fee`]. Applies from today on, in the tenant's time zone.
    pub recurring_fee: Option<Money>,
    /// See [`Package::recurring_period`]. Applies from today on, too.
    pub recurring_period: Patch<RecurringPeriod>,
}

/// Decides `updatePackage`.
///
/// # Errors
/// `currency_mismatch` for a fee in another currency (subscribers' accounts could not be billed), and the rules of [`create`].
pub fn update(package: Package, command: Update, settings: &BillingSettings, now: Timestamp) -> Result<Change<Package>, Rejected> {
    let mut broken = Vec::new();
    if let Some(fee) = command.recurring_fee {
        if fee.currency != package.currency {
            let message = format!("The package's currency is {} and cannot be changed; the fee is in {}.", package.currency, fee.currency);
            broken.push(Violation::new("/recurringFee/currency", Code::CurrencyMismatch, message));
        }
        broken.extend(fee_violations(fee));
    }
    if let Some(rejected) = Rejected::from_violations(broken) {
        return Err(rejected);
    }
    let mut after = package.next_version(now);
    after.external_id = command.external_id.apply(after.external_id);
    after.name = command.name.unwrap_or(after.name);
    after.description = command.description.apply(after.description);
    after.recurring_fee = command.recurring_fee.unwrap_or(after.recurring_fee);
    after.recurring_period = command.recurring_period.apply(after.recurring_period);
    let (before, fee) = (package.fee(), after.fee());
    if fee != before {
        after.fee_history.set_after(settings.date_of(after.created_at), before, settings.date_of(now), fee);
    }
    Ok(Change::updated(package, after, Vec::<&'static str>::new()))
}

/// Decides `deletePackage`; `subscribed` is true if the package has or had a subscription.
///
/// # Errors
/// `still_in_use`.
pub fn delete(package: Package, subscribed: bool) -> Result<Change<Package>, Rejected> {
    if subscribed {
        return Err(Rejected::conflict(Code::StillInUse, "Accounts have or had subscriptions to the package, so it cannot be deleted."));
    }
    Ok(Change::deleted(package))
}

fn fee_violations(fee: Money) -> Vec<Violation> {
    let mut broken = Vec::new();
    if fee.amount.is_negative() {
        let message = format!("The recurring fee must not be negative; it is {fee}.");
        broken.push(Violation::new("/recurringFee/amount", Code::AmountNegative, message));
    }
    if !fee.in_minor_units() {
        let message = format!("A fee in {} has at most {} decimals; it is {fee}.", fee.currency, fee.currency.decimals());
        broken.push(Violation::new("/recurringFee/amount", Code::AmountTooFine, message));
    }
    broken
}

impl Entity for Package {
    const TYPE: &'static str = "package";
    const EVENT_OBJECT: Option<&'static str> = Some("package");

    entity_members!(updated_at, external_id);
    fn parameters(&self) -> Parameters {
        let mut parameters = Parameters::from([
            ("package.id".to_owned(), self.id.to_string().into()),
            ("package.name".to_owned(), self.name.clone().into()),
            ("package.recurringFee".to_owned(), self.recurring_fee.amount_text().into()),
            ("package.currency".to_owned(), self.currency.as_str().into()),
        ]);
        if let Some(external_id) = &self.external_id {
            parameters.insert("package.externalId".to_owned(), external_id.clone().into());
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use billwire_schemas::{events::objects, ids::fresh};

    fn money(amount: &str, currency: &str) -> Money {
        Money::new(amount.parse().expect("an amount"), currency.parse().expect("a currency"))
    }

    fn with_fee(fee: Money) -> Result<Change<Package>, Rejected> {
        let (id, external_id) = (PackageId(fresh()), Some("P-1".into()));
        let command = Create { id, external_id, name: "Fleet".into(), description: None, recurring_fee: fee, recurring_period: None };
        create(command, &BillingSettings::default(), Timestamp::UNIX_EPOCH)
    }

    fn package() -> Package {
        with_fee(money("9.90", "EUR")).expect("a package").after
    }

    #[test]
    fn each_rule_about_the_fee_has_its_code() {
        let codes = |amount, currency| match with_fee(money(amount, currency)) {
            Ok(_) => vec![],
            Err(rejected) => rejected.violations.iter().map(|v| (v.code.as_str(), v.pointer.to_string())).collect(),
        };
        let at_amount = |code| (code, "/recurringFee/amount".to_owned());
        assert_eq!(codes("0", "EUR"), vec![]);
        assert_eq!(codes("9.901", "EUR"), [at_amount("amount_too_fine")]);
        assert_eq!(codes("9.5", "JPY"), [at_amount("amount_too_fine")]);
        assert_eq!(codes("-1", "EUR"), [at_amount("amount_negative")]);
        assert_eq!(codes("-1.001", "EUR"), [at_amount("amount_negative"), at_amount("amount_too_fine")]);
    }

    #[test]
    fn an_update_keeps_what_it_does_not_name_and_the_currency() {
        let update_fee = |fee| {
            update(package(), Update { recurring_fee: Some(fee), ..Update::default() }, &BillingSettings::default(), Timestamp::UNIX_EPOCH)
        };
        let after = update_fee(money("12", "EUR")).expect("updated").after;
        assert_eq!((after.version, after.name.as_str(), after.recurring_fee), (2, "Fleet", money("12", "EUR")));
        let refused = update_fee(money("12", "USD")).expect_err("another currency");
        assert_eq!((refused.code.as_str(), refused.violations[0].pointer.as_ref()), ("currency_mismatch", "/recurringFee/currency"));
    }

    #[test]
    fn an_own_period_and_a_fee_apply_from_the_day_they_are_set() {
        let at = |day: u32| format!("2027-06-{day:02}T10:00:00Z").parse::<Timestamp>().expect("a moment");
        let month = RecurringPeriod { unit: crate::calendar::PeriodUnit::Month, length: 1 };
        let created = with_fee(money("9.90", "EUR")).expect("a package").after;
        let updated = |package, recurring_period, day| {
            let command = Update { recurring_period, ..Update::default() };
            update(package, command, &BillingSettings::default(), at(day)).expect("updated").after
        };
        let own = updated(created, Patch::Set(month), 10);
        let unset = updated(updated(own, Patch::Keep, 15), Patch::Unset, 20);
        let json = serde_json::to_value(&unset.fee_history).expect("JSON");
        let fee = serde_json::json!({ "amount": "9.90", "currency": "EUR" });
        let entry = |from: &str| serde_json::json!({ "from": from, "recurringFee": fee });
        let mut with_period = entry("2027-06-10");
        with_period["recurringPeriod"] = serde_json::json!({ "unit": "month", "length": 1 });
        assert_eq!(json, serde_json::json!([entry("1970-01-01"), with_period, entry("2027-06-20")]));
        assert_eq!((unset.version, unset.recurring_period), (3, None), "what stays as it is makes no version");
    }

    #[test]
    fn a_subscribed_package_stays() {
        assert_eq!(delete(package(), true).unwrap_err().code.as_str(), "still_in_use");
        assert!(delete(package(), false).is_ok());
    }

    #[test]
    fn its_parameters_are_those_of_the_catalogue() {
        let offered: Vec<_> = objects::package::CATALOGUE_PARAMETERS.iter().map(|p| p.name).collect();
        let given = package().parameters();
        assert_eq!(given.len(), offered.len());
        assert!(given.keys().all(|name| offered.contains(&name.as_str())), "{given:?}");
    }
}
