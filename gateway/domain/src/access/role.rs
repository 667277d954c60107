//! Roles: named sets of scopes. Some come with the product; a tenant adds its own.

use billwire_schemas::{clock::Timestamp, events::parameters::did_you_mean, ids::RoleId, money::Money, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    access::{
        grant::{ADJUST, Ceilings, Grant},
        scopes,
    },
    change::{Change, Entity, entity_members},
    rejected::{Rejected, Violation},
};

/// A role of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Object id.
    pub id: RoleId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant and none of [`predefined`]; it never changes, since keys name it.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub description: Option<String>,
    /// What those who have it may do.
    pub scopes: Vec<String>,
    /// The highest amounts of an adjustment; empty: any amount.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub adjustment_ceilings: Vec<Money>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// What a role is to grant.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`Role::description`].
    pub description: Option<String>,
    /// See [`Role::scopes`].
    pub scopes: Vec<String>,
    /// See [`Role::adjustment_ceilings`].
    pub adjustment_ceilings: Vec<Money>,
}

/// `updateRole`; absent members stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`Role::description`].
    pub description: Option<String>,
    /// See [`Role::scopes`].
    pub scopes: Option<Vec<String>>,
    /// See [`Role::adjustment_ceilings`].
    pub adjustment_ceilings: Option<Vec<Money>>,
}

/// Ends the name of the scopes that read. Who reads the stream moves a subscription on, so that scope is not meant.
const READ: &str = ":read";

/// The roles that come with the product: name, what it is for, scopes. `:read` stands for all scopes that read.
const PREDEFINED: &[(&str, &str, &[&str])] = &[
    ("admin", "Everything.", &[scopes::EVERY]),
    ("auditor", "Reads everything and changes nothing.", &[READ]),
    (
        "csr",
        "Customer service: customers and what they subscribe to, their invoices, and adjustments of charges.",
        &[
            "accounts:read",
            "accounts:write",
            "bill_cycles:read",
            "buckets:read",
            "business_transactions:read",
            "charges:adjust",
            "charges:read",
            "contacts:read",
            "contacts:write",
            "contracts:read",
            "credits:read",
            "events:read",
            "invoices:read",
            "package_subscriptions:read",
            "package_subscriptions:write",
            "packages:read",
            "payments:read",
            "refunds:read",
            "services:read",
            "services:write",
            "usage_identifiers:read",
            "usage_identifiers:write",
        ],
    ),
    (
        "finance",
        "Bill runs, invoices, payments, refunds, credits and adjustments.",
        &[
            "accounts:read",
            "bill_cycles:read",
            "bill_runs:read",
            "bill_runs:write",
            "billing_settings:read",
            "business_transactions:read",
            "charges:adjust",
            "charges:read",
            "contacts:read",
            "contracts:read",
            "credits:read",
            "credits:write",
            "events:read",
            "invoices:read",
            "invoices:write",
            "package_subscriptions:read",
            "packages:read",
            "payments:read",
            "payments:write",
            "refunds:read",
            "refunds:write",
        ],
    ),
    (
        "integrator",
        "Event types, queues, subscriptions and their channels; submits events.",
        &[
            "business_transactions:read",
            "data_sources:read",
            "data_sources:write",
            "deliveries:read",
            "deliveries:write",
            "event_types:read",
            "event_types:write",
            "events:read",
            "events:write",
            "notification_templates:read",
            "notification_templates:write",
            "queues:read",
            "queues:write",
            "smtp_accounts:read",
            "smtp_accounts:write",
            "subscriptions:read",
            "subscriptions:write",
            "suppressed_addresses:read",
            "suppressed_addresses:write",
            "system_users:read",
            "system_users:write",
            "webhook_endpoints:read",
            "webhook_endpoints:write",
        ],
    ),
    (
        "operator",
        "Reads everything, and keeps deliveries, queues and bill runs going.",
        &[READ, "bill_runs:write", "deliveries:write", "queues:write", "retention_settings:write", "suppressed_addresses:write"],
    ),
    (
        "ordering",
        "Customers, services, package subscriptions and what is measured of them.",
        &[
            "accounts:read",
            "accounts:write",
            "bill_cycles:read",
            "buckets:read",
            "buckets:write",
            "business_transactions:read",
            "contacts:read",
            "contacts:write",
            "contracts:read",
            "contracts:write",
            "package_subscriptions:read",
            "package_subscriptions:write",
            "packages:read",
            "services:read",
            "services:write",
            "usage_identifiers:read",
            "usage_identifiers:write",
        ],
    ),
];

/// The roles that come with the product, by name. They have no ceilings.
pub fn predefined() -> impl Iterator<Item = Role> {
    PREDEFINED.iter().map(|(name, description, scopes)| {
        let scopes = scopes.iter().flat_map(|&scope| match scope {
            READ => scopes::SCOPES.iter().copied().filter(|scope| scope.ends_with(READ) && *scope != scopes::STREAM).collect(),
            one => vec![one],
        });
        let mut scopes: Vec<String> = scopes.map(str::to_owned).collect();
        scopes.sort();
        Role {
            id: RoleId(uuid::Uuid::nil()),
            version: 1,
            name: (*name).to_owned(),
            description: Some((*description).to_owned()),
            scopes,
            adjustment_ceilings: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    })
}

/// Whether a role of this name comes with the product.
pub fn is_predefined(name: &str) -> bool {
    PREDEFINED.iter().any(|(known, ..)| *known == name)
}

/// Decides `createRole`.
///
/// # Errors
/// `scope_unknown`, `ceiling_without_scope`, `ceiling_repeated`, `amount_negative`, and what [`Grant::ensure_holds`] refuses.
pub fn create(id: RoleId, name: String, settings: Settings, granter: &Grant, now: Timestamp) -> Result<Change<Role>, Rejected> {
    let Settings { description, scopes, adjustment_ceilings } = settings;
    let role = Role { id, version: 1, name, description, scopes, adjustment_ceilings, created_at: now, updated_at: now };
    Ok(Change::created(role.checked(granter)?))
}

/// Decides `updateRole`. It takes effect for all who have the role.
///
/// # Errors
/// Those of [`create`].
pub fn update(role: Role, update: Update, granter: &Grant, now: Timestamp) -> Result<Change<Role>, Rejected> {
    let mut after = role.next_version(now);
    after.description = update.description.or(after.description);
    after.scopes = update.scopes.unwrap_or(after.scopes);
    after.adjustment_ceilings = update.adjustment_ceilings.unwrap_or(after.adjustment_ceilings);
    Ok(Change::updated(role, after.checked(granter)?, Vec::<&'static str>::new()))
}

impl Role {
    /// The highest amounts of an adjustment; `None`: any amount.
    pub fn ceilings(&self) -> Option<Ceilings> {
        let ceilings: Ceilings = self.adjustment_ceilings.iter().map(|ceiling| (ceiling.currency, ceiling.amount)).collect();
        Some(ceilings).filter(|ceilings| !ceilings.is_empty())
    }

    /// The role with each scope once, if its rules hold and `granter` holds all that it grants.
    fn checked(mut self, granter: &Grant) -> Result<Self, Rejected> {
        let mut broken = scopes::unknown(&self.scopes);
        if !self.adjustment_ceilings.is_empty() && !scopes::include(&self.scopes, ADJUST) {
            let message = format!("Ceilings limit the scope '{ADJUST}', which the role does not have.");
            broken.push(Violation::new("/adjustmentCeilings", Code::CeilingWithoutScope, message));
        }
        for (index, ceiling) in self.adjustment_ceilings.iter().enumerate() {
            let at = format!("/adjustmentCeilings/{index}");
            if ceiling.amount.is_negative() {
                broken.push(Violation::new(format!("{at}/amount"), Code::AmountNegative, "A ceiling cannot be negative."));
            }
            if self.adjustment_ceilings[..index].iter().any(|before| before.currency == ceiling.currency) {
                let message = format!("There are two ceilings in {}.", ceiling.currency);
                broken.push(Violation::new(at, Code::CeilingRepeated, message));
            }
        }
        Rejected::from_violations(broken).map_or(Ok(()), Err)?;
        self.scopes.sort();
        self.scopes.dedup();
        granter.ensure_holds(&Grant::of(&[], [&self]))?;
        Ok(self)
    }
}

/// The roles with these names, of the product or among the tenant's.
///
/// # Errors
/// A violation `role_unknown` for each that does not exist.
pub fn named(names: &[String], own: &[Role]) -> Result<Vec<Role>, Vec<Violation>> {
    let all: Vec<Role> = predefined().chain(own.iter().cloned()).collect();
    let (mut found, mut broken) = (Vec::new(), Vec::new());
    for (index, name) in names.iter().enumerate() {
        match all.iter().find(|role| role.name == *name) {
            Some(role) => found.push(role.clone()),
            None => {
                let hint = did_you_mean(name, all.iter().map(|role| role.name.as_str()));
                broken.push(Violation::new(format!("/roles/{index}"), Code::RoleUnknown, format!("There is no role '{name}'.{hint}")));
            }
        }
    }
    if broken.is_empty() { Ok(found) } else { Err(broken) }
}

impl Entity for Role {
    const TYPE: &'static str = "role";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(updated_at, configuration);
}

#[cfg(test)]
pub(crate) mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;

    fn money(amount: &str, currency: &str) -> Money {
        Money::new(amount.parse().expect("an amount"), currency.parse().expect("a currency"))
    }

    fn settings(scopes: &[&str], ceilings: &[(&str, &str)]) -> Settings {
        Settings {
            description: None,
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
            adjustment_ceilings: ceilings.iter().map(|(amount, currency)| money(amount, currency)).collect(),
        }
    }

    fn made(settings: Settings, granter: &Grant) -> Result<Role, Rejected> {
        create(RoleId(fresh()), "r".to_owned(), settings, granter, Timestamp::UNIX_EPOCH).map(|change| change.after)
    }

    /// A role with scopes and ceilings.
    pub(crate) fn role(name: &str, scopes: &[&str], ceilings: &[(&str, &str)]) -> Role {
        Role { name: name.to_owned(), ..made(settings(scopes, ceilings), &Grant::everything()).expect("a role") }
    }

    #[test]
    fn the_predefined_ones_have_scopes_that_exist_each_once_and_in_order() {
        for role in predefined() {
            assert!(scopes::unknown(&role.scopes).is_empty(), "{role:?}");
            assert!(role.scopes.is_sorted_by(|one, next| one < next), "{role:?}");
        }
        let auditor = predefined().find(|role| role.name == "auditor").expect("there");
        assert!(auditor.scopes.iter().all(|scope| scope.ends_with(":read")));
        assert!(PREDEFINED.is_sorted_by(|one, next| one.0 < next.0));
    }

    #[test]
    fn each_wrong_member_is_named() {
        let places = |settings| -> Vec<(String, Code)> {
            let refused = made(settings, &Grant::everything()).expect_err("refused");
            refused.violations.iter().map(|broken| (broken.pointer.to_string(), broken.code)).collect()
        };
        assert_eq!(places(settings(&["acounts:read"], &[])), [("/scopes/0".to_owned(), Code::ScopeUnknown)]);
        assert_eq!(places(settings(&["accounts:read"], &[("1", "EUR")])), [("/adjustmentCeilings".to_owned(), Code::CeilingWithoutScope)]);
        assert_eq!(
            places(settings(&["charges:adjust"], &[("1", "EUR"), ("-1", "CHF"), ("2", "EUR")])),
            [
                ("/adjustmentCeilings/1/amount".to_owned(), Code::AmountNegative),
                ("/adjustmentCeilings/2".to_owned(), Code::CeilingRepeated)
            ]
        );
        let reader = Grant::of(&["accounts:read".to_owned()], []);
        assert_eq!(made(settings(&["accounts:write"], &[]), &reader).expect_err("refused").code, Code::ScopeNotHeld);
    }

    #[test]
    fn an_update_keeps_what_is_absent_and_grants_no_more_than_is_held() {
        let role = role("r", &["charges:adjust", "accounts:read"], &[("50", "EUR")]);
        let scopes = Some(vec!["charges:adjust".to_owned()]);
        let after = update(role.clone(), Update { scopes, ..Update::default() }, &Grant::everything(), Timestamp::UNIX_EPOCH)
            .expect("updated")
            .after;
        assert_eq!(
            (after.scopes, after.adjustment_ceilings, after.version),
            (vec!["charges:adjust".to_owned()], role.adjustment_ceilings.clone(), 2)
        );
        let held = Grant::of(&[], [&role]);
        let higher = Update { adjustment_ceilings: Some(vec![money("51", "EUR")]), ..Update::default() };
        assert_eq!(update(role, higher, &held, Timestamp::UNIX_EPOCH).expect_err("refused").code, Code::CeilingNotHeld);
    }

    #[test]
    fn roles_are_found_by_name_and_a_wrong_name_is_told_with_the_nearest() {
        let own = [role("till", &["payments:write"], &[])];
        let names = |names: &[&str]| named(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), &own);
        assert_eq!(names(&["till", "csr"]).expect("found").iter().map(|role| role.name.as_str()).collect::<Vec<_>>(), ["till", "csr"]);
        let broken = names(&["csr", "finanse"]).expect_err("refused");
        assert_eq!((broken[0].pointer.as_ref(), broken[0].code), ("/roles/1", Code::RoleUnknown));
        assert!(broken[0].message.contains("finance"), "{broken:?}");
    }
}
