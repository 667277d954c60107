//! Who a caller is.

use billwire_schemas::ids::TenantId;
use poem_openapi::{Object, OpenApi, types::Example};
use uuid::Uuid;

use crate::{
    access::api_keys::Tag,
    http::{problem::Problem, request_context::Context, responses::Shown},
    openapi::operation::{Operation, PLAIN, get},
    types::{
        example::{example_id, example_moment},
        scalars::Moment,
    },
};

pub(crate) struct Callers;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[Operation { takes: PLAIN, ..get("getCaller", "caller:read", &[]) }];

/// Who a caller is, and what they may do.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Caller {
    /// The caller's tenant.
    tenant_id: String,
    /// The name in business transactions: of the API key, or of the person.
    actor: String,
    /// Id of the API key, if the caller has one.
    api_key_id: Option<Uuid>,
    /// The scopes, in alphabetical order, with those of the roles; `*` stands for all.
    scopes: Vec<String>,
    /// Business time.
    now: Moment,
}

impl Example for Caller {
    fn example() -> Self {
        Self {
            tenant_id: TenantId::default_tenant().to_string(),
            actor: "CRM".to_owned(),
            api_key_id: Some(example_id(0x20)),
            scopes: vec!["accounts:read".to_owned(), "accounts:write".to_owned()],
            now: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::ApiKeys")]
impl Callers {
    /// Get the caller
    ///
    /// Returns who the key or token of this call belongs to, and its scopes. Every caller has the scope that this needs.
    #[oai(path = "/caller", method = "get", operation_id = "getCaller")]
    async fn get(&self, context: Context) -> Result<Shown<Caller>, Problem> {
        let caller = context.caller();
        let mut scopes = caller.grant.scopes.clone();
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Shown(Caller {
            tenant_id: caller.tenant.to_string(),
            actor: caller.actor.clone(),
            api_key_id: caller.key.map(|key| key.0),
            scopes,
            now: context.app().now().into(),
        }))
    }
}
