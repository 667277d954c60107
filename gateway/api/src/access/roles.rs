//! Roles.

use billwire_app::{
    CreateRole, UpdateRole,
    domain::{
        Rejected,
        access::role::{self, Settings, Update},
    },
};
use billwire_schemas::{
    ids::{RoleId, fresh},
    money::Money as Amount,
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed, Shown},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::money::{Money, MoneyInput},
    types::scalars::{Moment, Name, Reason, Reference, ScopeName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Named sets of scopes for API keys: some come with the product, and you can add your own.
    #[oai(rename = "Roles")]
    Roles,
}

pub(crate) struct Roles;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createRole",
        "roles:write",
        &[
            Code::NameTaken,
            Code::ScopeUnknown,
            Code::ScopeNotHeld,
            Code::CeilingNotHeld,
            Code::CeilingWithoutScope,
            Code::CeilingRepeated,
            Code::CurrencyUnknown,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
            Code::AmountNegative,
        ],
        created("role", "Role", &[]),
    ),
    list("listRoles", "roles:read"),
    Operation { takes: PLAIN, ..get("listPredefinedRoles", "roles:read", &[]) },
    get("getRole", "roles:read", &[Code::RoleNotFound]),
    change(
        "updateRole",
        "roles:write",
        &[
            Code::RoleNotFound,
            Code::ScopeUnknown,
            Code::ScopeNotHeld,
            Code::CeilingNotHeld,
            Code::CeilingWithoutScope,
            Code::CeilingRepeated,
            Code::CurrencyUnknown,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
            Code::AmountNegative,
        ],
        updated("role", "Role", &[]),
    ),
    delete("deleteRole", "roles:write", &[Code::RoleNotFound, Code::StillInUse], "role", "Role"),
];

/// The role to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct RoleInput {
    /// The name; unique among roles, also the predefined ones. It never changes, since API keys name it.
    name: Name,
    /// What the role is for.
    description: Option<Reason>,
    /// What those who have the role may do: scopes of operations, or `*` for all. You can only grant scopes that you have yourself.
    #[oai(validator(min_items = 1, max_items = 100, unique_items))]
    scopes: Vec<ScopeName>,
    /// The highest amounts of one adjustment or reversal of a charge (scope `charges:adjust`), one for each currency. With ceilings, adjustments in
    /// other currencies are refused. Absent or empty: any amount.
    #[oai(default, validator(max_items = 50))]
    adjustment_ceilings: Vec<MoneyInput>,
}

impl Validate for RoleInput {}

impl Example for RoleInput {
    fn example() -> Self {
        Self {
            name: "Second-line support".into(),
            description: Some("small goodwill credits".into()),
            scopes: vec!["accounts:read".into(), "charges:adjust".into(), "charges:read".into()],
            adjustment_ceilings: vec![MoneyInput::of("50.00", "EUR")],
        }
    }
}

/// Changes to a role. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct RoleUpdate {
    /// What the role is for.
    description: Option<Reason>,
    /// All scopes of the role. You can only grant scopes that you have yourself.
    #[oai(validator(min_items = 1, max_items = 100, unique_items))]
    scopes: Option<Vec<ScopeName>>,
    /// All ceilings of the role; an empty list: any amount.
    #[oai(validator(max_items = 50))]
    adjustment_ceilings: Option<Vec<MoneyInput>>,
}

impl Validate for RoleUpdate {}

impl Example for RoleUpdate {
    fn example() -> Self {
        Self { description: None, scopes: None, adjustment_ceilings: Some(vec![MoneyInput::of("80.00", "EUR")]) }
    }
}

/// A role of your own.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Role {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The name.
    name: String,
    /// What the role is for.
    description: Option<String>,
    /// What those who have the role may do; `*` is everything.
    scopes: Vec<String>,
    /// The highest amounts of one adjustment or reversal of a charge. Absent: any amount.
    adjustment_ceilings: Option<Vec<Money>>,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Role {
    fn example() -> Self {
        Self {
            id: example_id(0x52),
            version: 1,
            name: "First-line support".to_owned(),
            description: Some("small goodwill credits".to_owned()),
            scopes: vec!["accounts:read".to_owned(), "charges:adjust".to_owned(), "charges:read".to_owned()],
            adjustment_ceilings: Some(vec![Money::of("50.00", "EUR")]),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

/// A role that comes with the product.
#[derive(Debug, Object)]
pub(crate) struct PredefinedRole {
    /// The name.
    name: String,
    /// What the role is for.
    description: String,
    /// What those who have the role may do; `*` is everything. Later versions can add scopes of new operations.
    scopes: Vec<String>,
}

/// The roles that come with the product.
#[derive(Debug, Object)]
#[oai(example)]
pub(crate) struct PredefinedRoles {
    /// By name.
    items: Vec<PredefinedRole>,
}

impl Example for PredefinedRoles {
    fn example() -> Self {
        let scopes = vec!["accounts:read".to_owned(), "accounts:write".to_owned()];
        Self { items: vec![PredefinedRole { name: "csr".to_owned(), description: "Customer service.".to_owned(), scopes }] }
    }
}

fn texts(scopes: Vec<ScopeName>) -> Vec<String> {
    scopes.into_iter().map(|scope| scope.0).collect()
}

/// The exact amounts.
fn ceilings(asked: &[MoneyInput]) -> Result<Vec<Amount>, Problem> {
    let mut broken = Vec::new();
    let read = asked.iter().enumerate().filter_map(|(index, one)| one.read(&format!("/adjustmentCeilings/{index}"), &mut broken)).collect();
    match Rejected::from_violations(broken) {
        Some(rejected) => Err(rejected.into()),
        None => Ok(read),
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Roles")]
impl Roles {
    /// Create a role
    ///
    /// API keys can then have it.
    #[oai(path = "/roles", method = "post", operation_id = "createRole")]
    async fn create(&self, context: Context, input: Validated<RoleInput>) -> Result<Created, Problem> {
        let RoleInput { name, description, scopes, adjustment_ceilings } = input.body;
        let settings = Settings {
            description: description.map(|text| text.0),
            scopes: texts(scopes),
            adjustment_ceilings: ceilings(&adjustment_ceilings)?,
        };
        let granter = context.caller().grant.clone();
        let use_case = CreateRole { id: RoleId(fresh()), name: name.0, settings, granter };
        Ok(Created::under("/v1/roles", context.execute(input.canonical.as_deref(), use_case).await?))
    }

    /// List roles
    ///
    /// Your own, oldest first.
    #[oai(path = "/roles", method = "get", operation_id = "listRoles")]
    async fn list(&self, context: Context) -> Result<Listed<Role>, Problem> {
        Listed::configurations::<role::Role>(&context).await
    }

    /// List predefined roles
    ///
    /// They come with the product and cannot be changed.
    #[oai(path = "/roles/predefined", method = "get", operation_id = "listPredefinedRoles")]
    async fn predefined(&self, context: Context) -> Result<Shown<PredefinedRoles>, Problem> {
        let _ = context;
        let shown =
            |role: role::Role| PredefinedRole { name: role.name, description: role.description.unwrap_or_default(), scopes: role.scopes };
        Ok(Shown(PredefinedRoles { items: role::predefined().map(shown).collect() }))
    }

    /// Get a role
    ///
    /// Returns your own role with this id.
    #[oai(path = "/roles/:role", method = "get", operation_id = "getRole")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the role.
        role: Path<Reference>,
    ) -> Result<Found<Role>, Problem> {
        let found: role::Role = context.app().configuration(context.tenant(), &role.0.0).await?;
        Found::of(&found, &known)
    }

    /// Change a role
    ///
    /// Within a second, the change takes effect for all API keys that have the role.
    #[oai(path = "/roles/:role", method = "patch", operation_id = "updateRole")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the role.
        role: Path<Reference>,
        input: Validated<RoleUpdate>,
    ) -> Result<Done, Problem> {
        let RoleUpdate { description, scopes, adjustment_ceilings } = input.body;
        let update = Update {
            description: description.map(|text| text.0),
            scopes: scopes.map(texts),
            adjustment_ceilings: adjustment_ceilings.map(|asked| ceilings(&asked)).transpose()?,
        };
        let use_case = UpdateRole { update, granter: context.caller().grant.clone() };
        Ok(Done(context.execute_on_configuration(&role.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete a role
    ///
    /// Refused while an API key in force has it.
    #[oai(path = "/roles/:role", method = "delete", operation_id = "deleteRole")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the role.
        role: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<role::Role>(role.0).await?))
    }
}
