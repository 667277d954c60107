//! Identity providers: the issuers of OpenID Connect whose tokens a tenant accepts, and the roles that a token's claims give.

use billwire_schemas::{clock::Timestamp, destination, ids::IdentityProviderId, refusal::Code};
use serde::{Deserialize, Serialize};

use crate::{
    access::{
        grant::Grant,
        role::{self, Role},
    },
    change::{Change, Entity, entity_members},
    patch::Patch,
    rejected::{Rejected, Violation},
};

/// An identity provider of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// Object id.
    pub id: IdentityProviderId,
    /// Object version, starting at 1.
    pub version: i64,
    /// Name, unique within the tenant; it stands in the actor of business transactions.
    pub name: String,
    /// The URL that its tokens name as `iss`, and that its keys are found under. With the audience, it is unique in the installation.
    pub issuer: String,
    /// What its tokens for this tenant name as `aud`.
    pub audience: String,
    /// The claim that gives roles: the name of a member, or names with dots between them.
    pub role_claim: String,
    /// The roles that values of the claim give.
    pub role_mappings: Vec<RoleMapping>,
    /// The claim with the name of a person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name_claim: Option<String>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// The roles that a value of the claim gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleMapping {
    /// The value.
    pub value: String,
    /// Names of roles.
    pub roles: Vec<String>,
}

/// What an identity provider is to be.
#[derive(Debug, Clone)]
pub struct Settings {
    /// See [`IdentityProvider::name`].
    pub name: String,
    /// See [`IdentityProvider::issuer`].
    pub issuer: String,
    /// See [`IdentityProvider::audience`].
    pub audience: String,
    /// See [`IdentityProvider::role_claim`].
    pub role_claim: String,
    /// See [`IdentityProvider::role_mappings`].
    pub role_mappings: Vec<RoleMapping>,
    /// See [`IdentityProvider::name_claim`].
    pub name_claim: Option<String>,
}

/// `updateIdentityProvider`; absent members stay as they are.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// See [`IdentityProvider::name`].
    pub name: Option<String>,
    /// See [`IdentityProvider::issuer`].
    pub issuer: Option<String>,
    /// See [`IdentityProvider::audience`].
    pub audience: Option<String>,
    /// See [`IdentityProvider::role_claim`].
    pub role_claim: Option<String>,
    /// See [`IdentityProvider::role_mappings`].
    pub role_mappings: Option<Vec<RoleMapping>>,
    /// See [`IdentityProvider::name_claim`].
    pub name_claim: Patch<String>,
}

/// Decides `createIdentityProvider`; `own_roles` are the tenant's.
///
/// # Errors
/// What is wrong with the URL, `issuer_invalid`, `role_unknown`, and what [`Grant::ensure_holds`] refuses.
pub fn create(
    id: IdentityProviderId,
    settings: Settings,
    granter: &Grant,
    own_roles: &[Role],
    now: Timestamp,
) -> Result<Change<IdentityProvider>, Rejected> {
    let Settings { name, issuer, audience, role_claim, role_mappings, name_claim } = settings;
    let provider = IdentityProvider {
        id,
        version: 1,
        name,
        issuer,
        audience,
        role_claim,
        role_mappings,
        name_claim,
        created_at: now,
        updated_at: now,
    };
    provider.check(granter, own_roles)?;
    Ok(Change::created(provider))
}

/// Decides `updateIdentityProvider`. It takes effect for all who sign in through it.
///
/// # Errors
/// Those of [`create`].
pub fn update(
    provider: IdentityProvider,
    update: Update,
    granter: &Grant,
    own_roles: &[Role],
    now: Timestamp,
) -> Result<Change<IdentityProvider>, Rejected> {
    let mut after = provider.next_version(now);
    after.name = update.name.unwrap_or(after.name);
    after.issuer = update.issuer.unwrap_or(after.issuer);
    after.audience = update.audience.unwrap_or(after.audience);
    after.role_claim = update.role_claim.unwrap_or(after.role_claim);
    after.role_mappings = update.role_mappings.unwrap_or(after.role_mappings);
    after.name_claim = update.name_claim.apply(after.name_claim);
    after.check(granter, own_roles)?;
    Ok(Change::updated(provider, after, Vec::<&'static str>::new()))
}

impl IdentityProvider {
    /// Checks its rules, and that `granter` holds all that it can give.
    fn check(&self, granter: &Grant, own_roles: &[Role]) -> Result<(), Rejected> {
        let mut broken = issuer_faults(&self.issuer);
        let mut given = Vec::new();
        for (index, mapping) in self.role_mappings.iter().enumerate() {
            match role::named(&mapping.roles, own_roles) {
                Ok(roles) => given.extend(roles),
                Err(unknown) => broken.extend(unknown.into_iter().map(|mut violation| {
                    violation.pointer = format!("/roleMappings/{index}{}", violation.pointer).into();
                    violation
                })),
            }
        }
        Rejected::from_violations(broken).map_or(Ok(()), Err)?;
        granter.ensure_holds(&Grant::of(&[], &given))
    }

    /// Whether a value of the claim gives the role of this name.
    pub fn gives(&self, role: &str) -> bool {
        self.role_mappings.iter().any(|mapping| mapping.roles.iter().any(|name| name == role))
    }

    /// What these values of the claim allow; `own_roles` are the tenant's. `None`: no role. A role that is gone allows nothing.
    pub fn grant(&self, values: &[String], own_roles: &[Role]) -> Option<Grant> {
        let mapped = |name: &str| {
            let gives = |mapping: &&RoleMapping| values.contains(&mapping.value);
            self.role_mappings.iter().filter(gives).any(|mapping| mapping.roles.iter().any(|role| role == name))
        };
        let predefined: Vec<Role> = role::predefined().filter(|role| mapped(&role.name)).collect();
        let roles: Vec<&Role> = predefined.iter().chain(own_roles.iter().filter(|role| mapped(&role.name))).collect();
        (!roles.is_empty()).then(|| Grant::of(&[], roles))
    }
}

/// What is wrong with the URL of an issuer: the rules of destinations, since its keys are fetched from there, and OpenID Connect Discovery
/// 1.0 section 3: no query.
fn issuer_faults(issuer: &str) -> Vec<Violation> {
    match destination::parse(issuer) {
        Err(refused) => refused.0.into_iter().map(|rule| Violation::new("/issuer", rule.code, rule.message)).collect(),
        Ok(url) if url.query().is_some() => {
            vec![Violation::new("/issuer", Code::IssuerInvalid, "the URL of an issuer must not have a query")]
        }
        Ok(_) => Vec::new(),
    }
}

impl Entity for IdentityProvider {
    const TYPE: &'static str = "identityProvider";
    const EVENT_OBJECT: Option<&'static str> = None;

    entity_members!(updated_at, configuration);
}

#[cfg(test)]
pub(crate) mod tests {
    use billwire_schemas::ids::fresh;

    use super::*;
    use crate::access::role::tests::role;

    fn mapping(value: &str, roles: &[&str]) -> RoleMapping {
        RoleMapping { value: value.to_owned(), roles: roles.iter().map(|&role| role.to_owned()).collect() }
    }

    fn settings() -> Settings {
        Settings {
            name: "staff".to_owned(),
            issuer: "https://login.example.com/realms/staff".to_owned(),
            audience: "billwire".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            role_mappings: vec![mapping("billing", &["finance", "till"]), mapping("desk", &["csr"])],
            name_claim: Some("name".to_owned()),
        }
    }

    fn till() -> Role {
        role("till", &["payments:write"], &[])
    }

    fn created(settings: Settings, granter: &Grant) -> Result<IdentityProvider, Rejected> {
        create(IdentityProviderId(fresh()), settings, granter, &[till()], Timestamp::UNIX_EPOCH).map(|change| change.after)
    }

    /// One that gives `finance` and `till` for `billing`, and `csr` for `desk`.
    pub(crate) fn provider() -> IdentityProvider {
        created(settings(), &Grant::everything()).expect("made")
    }

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(|&value| value.to_owned()).collect()
    }

    #[test]
    fn values_give_the_roles_that_are_mapped_and_there() {
        let provider = provider();
        let grant = provider.grant(&values(&["billing", "unknown"]), &[till()]).expect("roles");
        assert!(grant.includes("payments:write") && grant.includes("bill_runs:write") && !grant.includes("accounts:write"));
        let both = provider.grant(&values(&["billing", "desk"]), &[till()]).expect("roles");
        assert!(both.includes("accounts:write") && both.includes("bill_runs:write"));
        assert_eq!(provider.grant(&values(&["unknown"]), &[till()]), None);
        assert_eq!(provider.grant(&[], &[till()]), None);
        let own = IdentityProvider { role_mappings: vec![mapping("billing", &["till"])], ..provider };
        assert_eq!(own.grant(&values(&["billing"]), &[]), None, "the role is gone");
        assert!(own.gives("till") && !own.gives("csr"));
    }

    #[test]
    fn each_wrong_member_is_named() {
        let wrong = Settings {
            issuer: "http://login.example.com:8080/".to_owned(),
            role_mappings: vec![mapping("a", &["csr"]), mapping("b", &["csr", "finanse"])],
            ..settings()
        };
        let refused = created(wrong, &Grant::everything()).expect_err("refused");
        let places: Vec<_> = refused.violations.iter().map(|broken| (broken.pointer.as_ref(), broken.code)).collect();
        let expected = [("/issuer", Code::UrlNotHttps), ("/issuer", Code::UrlHasPort), ("/roleMappings/1/roles/1", Code::RoleUnknown)];
        assert_eq!(places, expected);
        let query = Settings { issuer: "https://login.example.com/?tenant=1".to_owned(), ..settings() };
        assert_eq!(created(query, &Grant::everything()).expect_err("refused").code, Code::IssuerInvalid);
    }

    #[test]
    fn nobody_gives_roles_that_they_do_not_hold_also_by_another_member() {
        let csr = role::predefined().find(|role| role.name == "csr").expect("there");
        let held = Grant::of(&[], [&csr]);
        assert_eq!(created(settings(), &held).expect_err("refused").code, Code::ScopeNotHeld);
        let desk = Settings { role_mappings: vec![mapping("desk", &["csr"])], ..settings() };
        assert!(created(desk, &held).is_ok());
        // Who changes the audience decides who gets the roles.
        let audience = Update { audience: Some("other".to_owned()), ..Update::default() };
        let changed = update(provider(), audience.clone(), &held, &[till()], Timestamp::UNIX_EPOCH);
        assert_eq!(changed.expect_err("refused").code, Code::ScopeNotHeld);
        let after = update(provider(), audience, &Grant::everything(), &[till()], Timestamp::UNIX_EPOCH).expect("changed").after;
        assert_eq!((after.audience.as_str(), after.version, after.name_claim.as_deref()), ("other", 2, Some("name")));
    }
}
