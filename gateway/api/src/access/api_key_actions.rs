//! Actions on API keys: rotate, revoke.

use billwire_app::RevokeApiKey;
use billwire_schemas::refusal::Code;
use poem_openapi::{Object, OpenApi, param::Path, types::Example};

use crate::{
    access::api_keys::Tag,
    customers::account_bill_cycle::NoMembers,
    http::{
        problem::Problem,
        request_context::Context,
        responses::Done,
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, updated},
    types::scalars::{Overlap, Reference},
};

pub(crate) struct ApiKeyActions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "rotateApiKey",
        "api_keys:write",
        &[Code::ApiKeyNotFound, Code::ApiKeyRevoked, Code::ApiKeyExpired, Code::ScopeNotHeld],
        updated("apiKey", "ApiKey", &[]),
    ),
    change("revokeApiKey", "api_keys:write", &[Code::ApiKeyNotFound, Code::ApiKeyRevoked], updated("apiKey", "ApiKey", &[])),
];

/// The rotation of an API key.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ApiKeyRotation {
    /// Time for which the current text keeps working besides the new one, in seconds, so that programs can switch. 0: it stops at once.
    #[oai(default = "a_day")]
    overlap_seconds: Overlap,
}

fn a_day() -> Overlap {
    Overlap(24 * 3600)
}

impl Validate for ApiKeyRotation {}

impl Example for ApiKeyRotation {
    fn example() -> Self {
        Self { overlap_seconds: a_day() }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::ApiKeys")]
impl ApiKeyActions {
    /// Rotate an API key
    ///
    /// The key gets another text, which works immediately; the current one keeps working for `overlapSeconds`. Only this response shows the
    /// new text (`entities[0].after.key`). You need every scope that the key has.
    #[oai(path = "/api-keys/:apiKey/rotate", method = "post", operation_id = "rotateApiKey")]
    async fn rotate(
        &self,
        context: Context,
        /// Id or name of the API key.
        #[oai(name = "apiKey")]
        key: Path<Reference>,
        input: Validated<ApiKeyRotation>,
    ) -> Result<Done, Problem> {
        let use_case = context.app().rotate_api_key(context.caller(), input.body.overlap_seconds.0).await?;
        Ok(Done(context.execute_on_configuration(&key.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Revoke an API key
    ///
    /// The key stops working within a second, in every process of the gateway, and for good. The body is optional.
    #[oai(path = "/api-keys/:apiKey/revoke", method = "post", operation_id = "revokeApiKey")]
    async fn revoke(
        &self,
        context: Context,
        /// Id or name of the API key.
        #[oai(name = "apiKey")]
        key: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&key.0, input.canonical.as_deref(), RevokeApiKey).await?))
    }
}
