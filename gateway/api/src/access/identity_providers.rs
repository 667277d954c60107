//! Identity providers.

use billwire_app::{
    CreateIdentityProvider, UpdateIdentityProvider,
    domain::access::identity_provider::{self, RoleMapping as Mapping, Settings, Update},
};
use billwire_schemas::{
    ids::{IdentityProviderId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::scalars::{Audience, ClaimName, ClaimValue, Issuer, Moment, Name, Reference},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Issuers of OpenID Connect whose tokens people call with instead of an API key, and the roles that the tokens' claims give.
    #[oai(rename = "Identity providers")]
    IdentityProviders,
}

pub(crate) struct IdentityProviders;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createIdentityProvider",
        "identity_providers:write",
        &[
            Code::NameTaken,
            Code::IdentityProviderTaken,
            Code::UrlTooLong,
            Code::UrlUnparsable,
            Code::UrlNotHttps,
            Code::UrlHasPort,
            Code::UrlHasUserInfo,
            Code::UrlHasFragment,
            Code::UrlHostForbidden,
            Code::IssuerInvalid,
            Code::RoleUnknown,
            Code::ScopeNotHeld,
            Code::CeilingNotHeld,
        ],
        created("identityProvider", "IdentityProvider", &[]),
    ),
    list("listIdentityProviders", "identity_providers:read"),
    get("getIdentityProvider", "identity_providers:read", &[Code::IdentityProviderNotFound]),
    change(
        "updateIdentityProvider",
        "identity_providers:write",
        &[
            Code::IdentityProviderNotFound,
            Code::NameTaken,
            Code::IdentityProviderTaken,
            Code::UrlTooLong,
            Code::UrlUnparsable,
            Code::UrlNotHttps,
            Code::UrlHasPort,
            Code::UrlHasUserInfo,
            Code::UrlHasFragment,
            Code::UrlHostForbidden,
            Code::IssuerInvalid,
            Code::RoleUnknown,
            Code::ScopeNotHeld,
            Code::CeilingNotHeld,
        ],
        updated("identityProvider", "IdentityProvider", &[]),
    ),
    delete("deleteIdentityProvider", "identity_providers:write", &[Code::IdentityProviderNotFound], "identityProvider", "IdentityProvider"),
];

/// The roles that a value of the claim gives.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct RoleMappingInput {
    /// The value, exactly.
    value: ClaimValue,
    /// Names of roles: predefined ones, such as `csr` or `finance`, and your own. You can only give roles whose scopes and ceilings you have
    /// yourself.
    #[oai(validator(min_items = 1, max_items = 20, unique_items))]
    roles: Vec<Name>,
}

/// The identity provider to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct IdentityProviderInput {
    /// The name; unique among identity providers. It stands in the actor of people's business transactions.
    name: Name,
    /// The issuer, exactly as its tokens (`iss`) and its configuration write it: https, a public host, port 443, no query. Its keys are found
    /// through `/.well-known/openid-configuration` under it.
    issuer: Issuer,
    /// What tokens for this tenant have as `aud`. An issuer can be registered once for each audience.
    audience: Audience,
    /// The claim that gives roles: a text, or a list of texts. It is the name of a member, or names with dots between them, such as
    /// `realm_access.roles`. The values of `scope` are separated by spaces.
    role_claim: ClaimName,
    /// The roles that values of the claim give. Somebody with several of the values has all their roles; somebody with none is refused.
    #[oai(validator(min_items = 1, max_items = 100))]
    role_mappings: Vec<RoleMappingInput>,
    /// The claim with a person's name, such as `name`, written like `roleClaim`. Absent: business transactions have the subject alone.
    name_claim: Option<ClaimName>,
}

impl Validate for IdentityProviderInput {}

impl Example for IdentityProviderInput {
    fn example() -> Self {
        Self {
            name: "Partners".into(),
            issuer: "https://login.example.com/realms/partners".into(),
            audience: "https://billing.example.com".into(),
            role_claim: "realm_access.roles".into(),
            role_mappings: vec![RoleMappingInput { value: "partner-desk".into(), roles: vec!["csr".into()] }],
            name_claim: Some("name".into()),
        }
    }
}

/// Changes to an identity provider. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct IdentityProviderUpdate {
    /// The name; unique among identity providers.
    name: Option<Name>,
    /// The issuer, exactly as its tokens (`iss`) and its configuration write it.
    issuer: Option<Issuer>,
    /// What tokens for this tenant have as `aud`.
    audience: Option<Audience>,
    /// The claim that gives roles.
    role_claim: Option<ClaimName>,
    /// All roles that values of the claim give.
    #[oai(validator(min_items = 1, max_items = 100))]
    role_mappings: Option<Vec<RoleMappingInput>>,
    /// The claim with a person's name; null: none.
    name_claim: Nullable<ClaimName>,
}

impl Validate for IdentityProviderUpdate {}

impl Example for IdentityProviderUpdate {
    fn example() -> Self {
        Self {
            name: None,
            issuer: None,
            audience: None,
            role_claim: None,
            role_mappings: Some(vec![RoleMappingInput { value: "billing-desk".into(), roles: vec!["csr".into(), "finance".into()] }]),
            name_claim: Nullable::default(),
        }
    }
}

/// The roles that a value of the claim gives.
#[derive(Debug, Object)]
pub(crate) struct RoleMapping {
    /// The value.
    value: String,
    /// Names of roles.
    roles: Vec<String>,
}

/// An identity provider.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct IdentityProvider {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The name.
    name: String,
    /// The issuer.
    issuer: String,
    /// What tokens for this tenant have as `aud`.
    audience: String,
    /// The claim that gives roles.
    role_claim: String,
    /// The roles that values of the claim give.
    role_mappings: Vec<RoleMapping>,
    /// The claim with a person's name.
    name_claim: Option<String>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for IdentityProvider {
    fn example() -> Self {
        Self {
            id: example_id(0x53),
            version: 1,
            name: "Staff".to_owned(),
            issuer: "https://login.example.com/realms/staff".to_owned(),
            audience: "https://billing.example.com".to_owned(),
            role_claim: "realm_access.roles".to_owned(),
            role_mappings: vec![RoleMapping { value: "billing-desk".to_owned(), roles: vec!["csr".to_owned()] }],
            name_claim: Some("name".to_owned()),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

fn mappings(asked: Vec<RoleMappingInput>) -> Vec<Mapping> {
    let mapping = |RoleMappingInput { value, roles }| Mapping { value: value.0, roles: roles.into_iter().map(|name| name.0).collect() };
    asked.into_iter().map(mapping).collect()
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::IdentityProviders")]
impl IdentityProviders {
    /// Create an identity provider
    ///
    /// People can then call with its tokens, `Authorization: Bearer <token>`: JWTs for the audience, signed with RS256, ES256 or EdDSA by a key
    /// that the issuer publishes, with `iss`, `aud`, `sub` and `exp`, and with `kid` in the header. A token gives what the roles of its claims
    /// allow. A token that gives no role is refused with `no_role`, one that is not valid with 401.
    #[oai(path = "/identity-providers", method = "post", operation_id = "createIdentityProvider")]
    async fn create(&self, context: Context, input: Validated<IdentityProviderInput>) -> Result<Created, Problem> {
        let IdentityProviderInput { name, issuer, audience, role_claim, role_mappings, name_claim } = input.body;
        let settings = Settings {
            name: name.0,
            issuer: issuer.0,
            audience: audience.0,
            role_claim: role_claim.0,
            role_mappings: mappings(role_mappings),
            name_claim: name_claim.map(|claim| claim.0),
        };
        let granter = context.caller().grant.clone();
        let use_case = CreateIdentityProvider { id: IdentityProviderId(fresh()), settings, granter };
        Ok(Created::under("/v1/identity-providers", context.execute(input.canonical.as_deref(), use_case).await?))
    }

    /// List identity providers
    ///
    /// Oldest first.
    #[oai(path = "/identity-providers", method = "get", operation_id = "listIdentityProviders")]
    async fn list(&self, context: Context) -> Result<Listed<IdentityProvider>, Problem> {
        Listed::configurations::<identity_provider::IdentityProvider>(&context).await
    }

    /// Get an identity provider
    ///
    /// Returns the object with this id.
    #[oai(path = "/identity-providers/:identityProvider", method = "get", operation_id = "getIdentityProvider")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the identity provider.
        #[oai(name = "identityProvider")]
        provider: Path<Reference>,
    ) -> Result<Found<IdentityProvider>, Problem> {
        let found: identity_provider::IdentityProvider = context.app().configuration(context.tenant(), &provider.0.0).await?;
        Found::of(&found, &known)
    }

    /// Change an identity provider
    ///
    /// Within a second, the change takes effect for all people who call with its tokens. You need every role that the provider gives.
    #[oai(path = "/identity-providers/:identityProvider", method = "patch", operation_id = "updateIdentityProvider")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the identity provider.
        #[oai(name = "identityProvider")]
        provider: Path<Reference>,
        input: Validated<IdentityProviderUpdate>,
    ) -> Result<Done, Problem> {
        let IdentityProviderUpdate { name, issuer, audience, role_claim, role_mappings, name_claim } = input.body;
        let update = Update {
            name: name.map(|name| name.0),
            issuer: issuer.map(|issuer| issuer.0),
            audience: audience.map(|audience| audience.0),
            role_claim: role_claim.map(|claim| claim.0),
            role_mappings: role_mappings.map(mappings),
            name_claim: name_claim.map(|claim| claim.0),
        };
        let use_case = UpdateIdentityProvider { update, granter: context.caller().grant.clone() };
        Ok(Done(context.execute_on_configuration(&provider.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete an identity provider
    ///
    /// Within a second, its tokens are refused.
    #[oai(path = "/identity-providers/:identityProvider", method = "delete", operation_id = "deleteIdentityProvider")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the identity provider.
        #[oai(name = "identityProvider")]
        provider: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<identity_provider::IdentityProvider>(provider.0).await?))
    }
}
