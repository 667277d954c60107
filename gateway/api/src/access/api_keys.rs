//! API keys.

use billwire_app::{NewApiKey as Wanted, domain::access::api_key};
use billwire_schemas::{clock::Timestamp, refusal::Code};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Created, Done, Listed, Shown},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, create, created, delete, get, list},
    types::example::{example_id, example_moment},
    types::scalars::{Moment, Name, NetworkText, Reference, ScopeName},
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// The credentials of programs and people, each with scopes, an expiry and networks.
    #[oai(rename = "API keys")]
    ApiKeys,
}

pub(crate) struct ApiKeys;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createApiKey",
        "api_keys:write",
        &[
            Code::NameTaken,
            Code::ScopeUnknown,
            Code::RoleUnknown,
            Code::NothingGranted,
            Code::ScopeNotHeld,
            Code::CeilingNotHeld,
            Code::ExpiryNotAhead,
            Code::NetworkInvalid,
        ],
        created("apiKey", "ApiKey", &[]),
    ),
    list("listApiKeys", "api_keys:read"),
    Operation { takes: PLAIN, ..get("getApiKey", "api_keys:read", &[Code::ApiKeyNotFound]) },
    delete("deleteApiKey", "api_keys:write", &[Code::ApiKeyNotFound, Code::ApiKeyInForce], "apiKey", "ApiKey"),
];

/// The API key to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ApiKeyInput {
    /// The name; unique among API keys. It is the actor of the key's business transactions.
    name: Name,
    /// What the key may do besides what its roles allow: the scopes of the operations it may call, or `*` for all. You can only grant scopes that
    /// you have yourself. A key needs at least one scope or role.
    #[oai(default, validator(max_items = 100, unique_items))]
    scopes: Vec<ScopeName>,
    /// Names of the key's roles: predefined ones, such as `csr` or `finance`, and your own. You can only grant roles whose scopes and ceilings you
    /// have yourself.
    #[oai(default, validator(max_items = 20, unique_items))]
    roles: Vec<Name>,
    /// Time at which the key stops working, at most 10 years ahead. Absent: never.
    expires_at: Option<Moment>,
    /// Addresses and networks (CIDR) that the key may be used from. Absent or empty: any. Behind a proxy, the client's address counts if the
    /// gateway trusts the proxy.
    #[oai(default, validator(max_items = 50, unique_items))]
    allowed_networks: Vec<NetworkText>,
}

impl Validate for ApiKeyInput {}

impl Example for ApiKeyInput {
    fn example() -> Self {
        Self {
            name: "ERP".into(),
            scopes: vec!["accounts:read".into(), "accounts:write".into()],
            roles: vec!["finance".into()],
            expires_at: None,
            allowed_networks: vec!["203.0.113.0/24".into()],
        }
    }
}

/// An API key, without its text.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ApiKey {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// The name.
    name: String,
    /// How the key's text begins. Absent: the gateway did not make it.
    starts_with: Option<String>,
    /// What the key may do besides what its roles allow; `*` is everything.
    scopes: Vec<String>,
    /// Names of the key's roles.
    roles: Option<Vec<String>>,
    /// Time at which the key stops working.
    expires_at: Option<Moment>,
    /// Networks (CIDR) that the key may be used from. Absent: any.
    allowed_networks: Option<Vec<String>>,
    /// The actor that created the key.
    created_by: String,
    /// Creation time.
    created_at: Moment,
    /// Time at which the key's text was last replaced.
    rotated_at: Option<Moment>,
    /// Time until which the text before the latest works too.
    former_works_until: Option<Moment>,
    /// Time at which the key was revoked.
    revoked_at: Option<Moment>,
    /// Time at which the key was last used, to the hour. Absent: never. A business transaction does not have it.
    last_used_at: Option<Moment>,
    /// The key itself, which nobody can read again. Only in the response of `createApiKey` and `rotateApiKey`.
    key: Option<String>,
}

impl Example for ApiKey {
    fn example() -> Self {
        Self {
            id: example_id(0x50),
            version: 1,
            name: "CRM".to_owned(),
            starts_with: Some("bw_default_7Kq2".to_owned()),
            scopes: vec!["accounts:read".to_owned(), "accounts:write".to_owned()],
            roles: Some(vec!["finance".to_owned()]),
            expires_at: None,
            allowed_networks: Some(vec!["203.0.113.0/24".to_owned()]),
            created_by: "admin".to_owned(),
            created_at: example_moment(),
            rotated_at: None,
            former_works_until: None,
            revoked_at: None,
            last_used_at: None,
            key: None,
        }
    }
}

impl ApiKey {
    fn of(key: api_key::ApiKey, last_used_at: Option<Timestamp>) -> Self {
        Self {
            id: key.id.0,
            version: key.version,
            name: key.name,
            starts_with: key.starts_with,
            scopes: key.scopes,
            roles: Some(key.roles).filter(|roles| !roles.is_empty()),
            expires_at: key.expires_at.map(Moment),
            allowed_networks: Some(key.allowed_networks.iter().map(ToString::to_string).collect()).filter(|list: &Vec<_>| !list.is_empty()),
            created_by: key.created_by,
            created_at: Moment(key.created_at),
            rotated_at: key.rotated_at.map(Moment),
            former_works_until: key.former_works_until.map(Moment),
            revoked_at: key.revoked_at.map(Moment),
            last_used_at: last_used_at.map(Moment),
            key: None,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::ApiKeys")]
impl ApiKeys {
    /// Create an API key
    ///
    /// Only this response shows the key's text (`entities[0].after.key`): `bw_<tenant>_<random>_<checksum>`. Programs send it as
    /// `Authorization: Bearer <text>`.
    #[oai(path = "/api-keys", method = "post", operation_id = "createApiKey")]
    async fn create(&self, context: Context, input: Validated<ApiKeyInput>) -> Result<Created, Problem> {
        let new = input.body;
        let wanted = Wanted {
            name: new.name.0,
            scopes: new.scopes.into_iter().map(|scope| scope.0).collect(),
            roles: new.roles.into_iter().map(|name| name.0).collect(),
            expires_at: new.expires_at.map(|at| at.0),
            allowed_networks: new.allowed_networks.into_iter().map(|network| network.0).collect(),
        };
        let use_case = context.app().create_api_key(context.caller(), wanted).await?;
        Ok(Created::under("/v1/api-keys", context.execute(input.canonical.as_deref(), use_case).await?))
    }

    /// List API keys
    ///
    /// Oldest first, revoked and expired ones included.
    #[oai(path = "/api-keys", method = "get", operation_id = "listApiKeys")]
    async fn list(&self, context: Context) -> Result<Listed<ApiKey>, Problem> {
        let page = context.app().list_configurations::<api_key::ApiKey>(context.tenant(), context.page().await?).await?;
        let uses = context.app().last_uses(context.tenant()).await?;
        let items: Vec<ApiKey> =
            page.items.into_iter().map(|key| (uses.get(&key.id).copied(), key)).map(|(at, key)| ApiKey::of(key, at)).collect();
        Ok(Listed::shown(&items, page.next.map(|after| context.cursor(after))))
    }

    /// Get an API key
    ///
    /// Returns the object with this id. Its text is not shown again.
    #[oai(path = "/api-keys/:apiKey", method = "get", operation_id = "getApiKey")]
    async fn get(
        &self,
        context: Context,
        /// Id or name of the API key.
        #[oai(name = "apiKey")]
        key: Path<Reference>,
    ) -> Result<Shown<ApiKey>, Problem> {
        let found: api_key::ApiKey = context.app().configuration(context.tenant(), &key.0.0).await?;
        let last_used_at = context.app().last_uses(context.tenant()).await?.get(&found.id).copied();
        Ok(Shown(ApiKey::of(found, last_used_at)))
    }

    /// Delete an API key
    ///
    /// Allowed only once the key is revoked or has expired. Its name can then be used again.
    #[oai(path = "/api-keys/:apiKey", method = "delete", operation_id = "deleteApiKey")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the API key.
        #[oai(name = "apiKey")]
        key: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<api_key::ApiKey>(key.0).await?))
    }
}
