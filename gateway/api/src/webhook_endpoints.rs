//! Webhook endpoints.

use aws_lc_rs::rand;
use billwire_app::{
    CreateWebhookEndpoint, DeleteConfiguration,
    domain::{Rejected, Violation, webhook_endpoint},
};
use billwire_schemas::{
    clock::Timestamp,
    ids::{WebhookEndpointId, fresh},
    signing_secret,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    Tag,
    answers::{Created, Done, Found, IfNoneMatch, Listed},
    checked::{Checkable, Checked},
    context::{Context, Query},
    example_id, example_moment,
    fields::{Cursor, Limit, Moment, Name, Reference, SigningSecret, Url, UrlPath},
    operations::{Operation, create, created, delete, get, list},
    problem::Problem,
};

pub(crate) struct WebhookEndpoints;

/// What they ask for and answer.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createWebhookEndpoint",
        "webhook_endpoints:write",
        &[
            "name_taken",
            "secret_invalid",
            "url_too_long",
            "url_unparsable",
            "url_not_https",
            "url_has_port",
            "url_has_user_info",
            "url_has_fragment",
            "url_host_forbidden",
        ],
        created("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    list("listWebhookEndpoints", "webhook_endpoints:read"),
    get("getWebhookEndpoint", "webhook_endpoints:read", &["webhook_endpoint_not_found"]),
    delete(
        "deleteWebhookEndpoint",
        "webhook_endpoints:write",
        &["webhook_endpoint_not_found", "still_in_use"],
        "webhookEndpoint",
        "WebhookEndpoint",
    ),
];

/// A webhook endpoint to be made.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct NewWebhookEndpoint {
    /// Its name; unique among webhook endpoints.
    name: Name,
    /// The base URL: https, a public host, port 443, no credentials, no fragment; up to 2048 characters.
    url: Url,
    /// A path, perhaps with a query, below the base URL.
    path: Option<UrlPath>,
    /// The signing secret: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks). Absent: one is made. Only the answer to
    /// this operation shows it.
    secret: Option<SigningSecret>,
}

impl Checkable for NewWebhookEndpoint {}

impl Example for NewWebhookEndpoint {
    fn example() -> Self {
        Self { name: "crm".into(), url: "https://crm.example.com/hooks".into(), path: Some("/billing".into()), secret: None }
    }
}

/// A webhook endpoint: where events are POSTed, signed according to Standard Webhooks.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpoint {
    /// Its id.
    id: Uuid,
    /// Its version, from 1.
    version: i64,
    /// Its name.
    name: String,
    /// The base URL.
    url: String,
    /// The path below the base URL.
    path: Option<String>,
    /// When it was made.
    created_at: Moment,
}

impl Example for WebhookEndpoint {
    fn example() -> Self {
        Self {
            id: example_id(5),
            version: 1,
            name: "crm".to_owned(),
            url: "https://crm.example.com/hooks".to_owned(),
            path: Some("/billing".to_owned()),
            created_at: example_moment(),
        }
    }
}

/// Bytes of a secret we make.
const SECRET_BYTES: usize = 32;

fn fresh_secret() -> Result<String, Problem> {
    let mut key = [0; SECRET_BYTES];
    rand::fill(&mut key).map_err(|_| Problem::internal("the system gives no randomness"))?;
    signing_secret::encode(&key).map_err(Problem::internal)
}

/// The given secret, or every rule this request breaks: the secret's and those of the rest.
fn given_secret(secret: String, command: &webhook_endpoint::Create, now: Timestamp) -> Result<String, Rejected> {
    let Err(unfit) = signing_secret::decode(&secret) else { return Ok(secret) };
    let message = format!("This is no signing secret: {unfit}.");
    let mut broken = vec![Violation::new("/secret", "secret_invalid", message.clone())];
    if let Err(rest) = webhook_endpoint::create(command.clone(), now) {
        broken.extend(rest.violations);
    }
    Err(Rejected::from_violations(broken).unwrap_or_else(|| Rejected::violation("/secret", "secret_invalid", message)))
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::WebhookEndpoints")]
impl WebhookEndpoints {
    /// Create a webhook endpoint
    ///
    /// The answer, and no other, shows the signing secret (`entities[0].after.secret`).
    #[oai(path = "/webhook-endpoints", method = "post", operation_id = "createWebhookEndpoint")]
    async fn create(&self, context: Context, input: Checked<NewWebhookEndpoint>) -> Result<Created, Problem> {
        let new = input.body;
        let command = webhook_endpoint::Create {
            id: WebhookEndpointId(fresh()),
            name: new.name.0,
            url: new.url.0,
            path: new.path.map(|path| path.0),
        };
        let secret = match new.secret {
            Some(secret) => given_secret(secret.0, &command, context.app().now())?,
            None => fresh_secret()?,
        };
        let use_case = CreateWebhookEndpoint { command, secret };
        let reply = context.app().once(context.demand(input.canonical.as_deref()), use_case).await?;
        Ok(Created::under("/v1/webhook-endpoints", reply))
    }

    /// List webhook endpoints
    ///
    /// Oldest first.
    #[oai(path = "/webhook-endpoints", method = "get", operation_id = "listWebhookEndpoints")]
    async fn list(
        &self,
        context: Context,
        /// How many items at the most.
        limit: Query<Limit>,
        /// Where to go on: `nextCursor` of the part before.
        cursor: Query<Cursor>,
    ) -> Result<Listed<WebhookEndpoint>, Problem> {
        let ask = context.ask(limit.0, cursor.0.as_ref())?;
        let page = context.app().list_configurations::<webhook_endpoint::WebhookEndpoint>(context.tenant(), ask).await?;
        Listed::page(&context, &page)
    }

    /// Get a webhook endpoint
    ///
    /// By its id.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint", method = "get", operation_id = "getWebhookEndpoint")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
    ) -> Result<Found<WebhookEndpoint>, Problem> {
        let found = context.app().configuration::<webhook_endpoint::WebhookEndpoint>(context.tenant(), &endpoint.0.0).await?;
        Found::of(&found, &known)
    }

    /// Delete a webhook endpoint
    ///
    /// Only when no subscription stands on it any more.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint", method = "delete", operation_id = "deleteWebhookEndpoint")]
    async fn delete(
        &self,
        context: Context,
        /// Id of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
    ) -> Result<Done, Problem> {
        let use_case = DeleteConfiguration::<webhook_endpoint::WebhookEndpoint>::new(endpoint.0.0, context.if_match());
        Ok(Done(context.app().once(context.demand(None), use_case).await?))
    }
}
