//! Packages: products with a recurring fee per billing period, which accounts subscribe to. A package belongs to the tenant.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::PackageId,
    money::{Currency, Money},
    refusal::Code,
};
use serde::{Deserialize, Serialize};

use crate::{
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
    /// The fee per billing period of the account's cycle; may be zero.
    pub recurring_fee: Money,
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
    /// The fee per billing period.
    pub recurring_fee: Money,
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
}

/// Decides `createPackage`.
///
/// # Errors
/// `amount_negative`, `amount_too_fine` at `/recurringFee/amount`.
pub fn create(command: Create, settings: &BillingSettings, now: Timestamp) -> Result<Change<Package>, Rejected> {
    if let Some(rejected) = Rejected::from_violations(fee_violations(command.recurring_fee)) {
        return Err(rejected);
    }
    Ok(Change::created(Package {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        name: command.name,
        description: command.description,
        currency: command.recurring_fee.currency,
        recurring_fee: command.recurring_fee,
        fee_history: History::starting(settings.date_of(now), FeeByDay { recurring_fee: command.recurring_fee }),
        created_at: now,
        updated_at: now,
    }))
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
    if let Some(recurring_fee) = command.recurring_fee {
        let before = FeeByDay { recurring_fee: after.recurring_fee };
        after.fee_history.set_after(settings.date_of(after.created_at), before, settings.date_of(now), FeeByDay { recurring_fee });
        after.recurring_fee = recurring_fee;
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
        let command =
            Create { id: PackageId(fresh()), external_id: Some("P-1".into()), name: "Fleet".into(), description: None, recurring_fee: fee };
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
