//! Webhook endpoints.

use std::collections::{BTreeMap, HashMap};

use billwire_app::{
    Signing,
    domain::delivery::webhook_endpoint::{self, Create, Credentials, Settings},
};
use billwire_schemas::{
    ids::{WebhookEndpointId, fresh},
    recipient::is_address,
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    delivery::webhook_settings::{
        ClientCertificateInput, SigningKey, WebhookAuth, WebhookAuthInput, check_auth, check_certificate, headers,
    },
    http::{
        problem::{Problem, Violation},
        request_context::Context,
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::nullable::Nullable,
    types::patterns::ADDRESS_RULE,
    types::scalars::{
        EmailAddress, HeaderValue, MaxInFlight, MaxPerSecond, Moment, Name, OptionalAddress, OptionalPath, Reference, RetryWait,
        SigningAlgorithm, SigningSecret, Url, UrlPath,
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// URLs that events are POSTed to.
    #[oai(rename = "Webhook endpoints")]
    WebhookEndpoints,
}

pub(crate) struct WebhookEndpoints;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createWebhookEndpoint",
        "webhook_endpoints:write",
        &[
            Code::NameTaken,
            Code::SecretInvalid,
            Code::UrlTooLong,
            Code::UrlUnparsable,
            Code::UrlNotHttps,
            Code::UrlHasPort,
            Code::UrlHasUserInfo,
            Code::UrlHasFragment,
            Code::UrlHostForbidden,
            Code::PathInvalid,
            Code::HeaderNotAllowed,
            Code::HeadersTooMany,
            Code::ClientCertificateInvalid,
        ],
        created("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    list("listWebhookEndpoints", "webhook_endpoints:read"),
    get("getWebhookEndpoint", "webhook_endpoints:read", &[Code::WebhookEndpointNotFound]),
    change(
        "updateWebhookEndpoint",
        "webhook_endpoints:write",
        &[
            Code::WebhookEndpointNotFound,
            Code::NameTaken,
            Code::UrlTooLong,
            Code::UrlUnparsable,
            Code::UrlNotHttps,
            Code::UrlHasPort,
            Code::UrlHasUserInfo,
            Code::UrlHasFragment,
            Code::UrlHostForbidden,
            Code::PathInvalid,
            Code::HeaderNotAllowed,
            Code::HeadersTooMany,
            Code::ClientCertificateInvalid,
        ],
        updated("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    delete(
        "deleteWebhookEndpoint",
        "webhook_endpoints:write",
        &[Code::WebhookEndpointNotFound, Code::StillInUse],
        "webhookEndpoint",
        "WebhookEndpoint",
    ),
];

/// The webhook endpoint to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpointInput {
    /// Display name; unique among webhook endpoints.
    name: Name,
    /// The base URL: https, a public host, port 443, no credentials, no fragment; up to 2048 characters.
    url: Url,
    /// A path below the base URL, without `.` and `..` segments, with an optional query.
    path: Option<UrlPath>,
    /// The signing secret (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes, or `whsk_` and the base64 of an ed25519 seed and
    /// public key. Absent: one is generated. Only this operation's response shows it; of an ed25519 pair, it shows the public key.
    secret: Option<SigningSecret>,
    /// Algorithm of a generated secret: `hmac` uses a secret shared with the receiver, `ed25519` a key pair of which the receiver needs
    /// only the public key.
    #[oai(default = "hmac")]
    signing_algorithm: SigningAlgorithm,
    // Described by its type.
    auth: Option<WebhookAuthInput>,
    /// Headers to send with each call, at most 20. Values are stored encrypted and never shown.
    headers: Option<HashMap<String, HeaderValue>>,
    // Described by its type.
    client_certificate: Option<ClientCertificateInput>,
    /// Waits before each retry, in seconds, each with 20 % jitter; after the last retry, a delivery becomes a dead letter. Absent: the
    /// installation's plan, by default 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
    #[oai(validator(max_items = 20))]
    retry_waits: Option<Vec<RetryWait>>,
    /// Maximum number of concurrent calls. Absent: the installation's setting.
    max_in_flight: Option<MaxInFlight>,
    /// Maximum number of calls per second; 0: no limit.
    max_per_second: Option<MaxPerSecond>,
    /// E-mail address to notify when the endpoint is disabled because its receiver fails.
    owner_email: Option<EmailAddress>,
}

fn hmac() -> SigningAlgorithm {
    SigningAlgorithm::Hmac
}

/// Syntax rules that the schema cannot express.
fn check_form(body: &Value, found: &mut Vec<Violation>) {
    check_auth(body, found);
    check_certificate(body, found);
}

impl Validate for WebhookEndpointInput {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_form(body, found);
    }
}

impl Example for WebhookEndpointInput {
    fn example() -> Self {
        Self {
            name: "erp".into(),
            url: "https://erp.example.com/hooks".into(),
            path: Some("/billing".into()),
            secret: None,
            signing_algorithm: hmac(),
            auth: Some(WebhookAuthInput::of_token()),
            headers: Some(HashMap::from([("X-Api-Key".to_owned(), "a9f1".into())])),
            client_certificate: None,
            retry_waits: None,
            max_in_flight: None,
            max_per_second: Some(MaxPerSecond(100)),
            owner_email: Some("erp-team@example.com".into()),
        }
    }
}

fn waits(waits: Vec<RetryWait>) -> Vec<u32> {
    waits.into_iter().map(|wait| wait.0).collect()
}

/// Changes to a webhook endpoint. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpointUpdate {
    /// Display name; unique among webhook endpoints.
    name: Option<Name>,
    /// The base URL: https, a public host, port 443, no credentials, no fragment; up to 2048 characters.
    url: Option<Url>,
    /// A path below the base URL, without `.` and `..` segments, with an optional query; null or an empty string removes it.
    path: Nullable<OptionalPath>,
    // Described by its type.
    auth: Nullable<WebhookAuthInput>,
    /// The complete set of headers to send with each call.
    headers: Nullable<HashMap<String, HeaderValue>>,
    // Described by its type.
    client_certificate: Nullable<ClientCertificateInput>,
    /// Waits before each retry, in seconds; an empty list means no retries, null those of the installation.
    #[oai(validator(max_items = 20))]
    retry_waits: Nullable<Vec<RetryWait>>,
    /// Maximum number of concurrent calls; null: that of the installation.
    max_in_flight: Nullable<MaxInFlight>,
    /// Maximum number of calls per second; null or 0: no limit.
    max_per_second: Nullable<MaxPerSecond>,
    /// E-mail address to notify when the endpoint is disabled; null or an empty string removes it.
    owner_email: Nullable<OptionalAddress>,
}

impl Validate for WebhookEndpointUpdate {
    fn further(body: &Value, found: &mut Vec<Violation>) {
        check_form(body, found);
        if body["ownerEmail"].as_str().is_some_and(|owner| !owner.is_empty() && !is_address(owner)) {
            found.push(Violation::at("/ownerEmail", "format", format!("'/ownerEmail' {ADDRESS_RULE}.")));
        }
    }
}

impl Example for WebhookEndpointUpdate {
    fn example() -> Self {
        Self {
            name: None,
            url: None,
            path: Nullable::default(),
            auth: Nullable::default(),
            headers: Nullable::default(),
            client_certificate: Nullable::default(),
            retry_waits: vec![RetryWait(10), RetryWait(60), RetryWait(600)].into(),
            max_in_flight: MaxInFlight(8).into(),
            max_per_second: Nullable::default(),
            owner_email: Nullable::default(),
        }
    }
}

/// A webhook endpoint: a URL that events are POSTed to, signed according to Standard Webhooks.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpoint {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// Display name.
    name: String,
    /// The base URL.
    url: String,
    /// The path below the base URL.
    path: Option<String>,
    /// Whether the endpoint is called. Deliveries to a disabled endpoint wait.
    enabled: bool,
    /// Reason why the endpoint is disabled.
    disabled_because: Option<String>,
    /// The keys that calls are signed with, newest first.
    signing: Vec<SigningKey>,
    /// Authentication of calls, besides the signature.
    auth: Option<WebhookAuth>,
    /// Names of the headers sent with each call.
    header_names: Option<Vec<String>>,
    /// The client certificate, PEM.
    client_certificate: Option<String>,
    /// Waits before each retry, in seconds. Absent: the installation's plan.
    retry_waits: Option<Vec<u32>>,
    /// Maximum number of concurrent calls. Absent: the installation's setting.
    max_in_flight: Option<u32>,
    /// Maximum number of calls per second. Absent: no limit.
    max_per_second: Option<u32>,
    /// E-mail address to notify when the endpoint is disabled.
    owner_email: Option<String>,
    /// Creation time.
    created_at: Moment,
    /// What the receiver verifies signatures by. Only in the response of `createWebhookEndpoint` and `rotateWebhookSecret`.
    secret: Option<String>,
}

impl Example for WebhookEndpoint {
    fn example() -> Self {
        Self {
            id: example_id(5),
            version: 1,
            name: "crm".to_owned(),
            url: "https://crm.example.com/hooks".to_owned(),
            path: Some("/billing".to_owned()),
            enabled: true,
            disabled_because: None,
            signing: vec![SigningKey::example()],
            auth: Some(WebhookAuth::example()),
            header_names: Some(vec!["X-Api-Key".to_owned()]),
            client_certificate: None,
            retry_waits: None,
            max_in_flight: None,
            max_per_second: Some(100),
            owner_email: Some("crm-team@example.com".to_owned()),
            created_at: example_moment(),
            secret: None,
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::WebhookEndpoints")]
impl WebhookEndpoints {
    /// Create a webhook endpoint
    ///
    /// Only this response shows what the receiver verifies signatures by (`entities[0].after.secret`): the shared secret, or the public key of
    /// an ed25519 pair, whose private key never leaves.
    #[oai(path = "/webhook-endpoints", method = "post", operation_id = "createWebhookEndpoint")]
    async fn create(&self, context: Context, input: Validated<WebhookEndpointInput>) -> Result<Created, Problem> {
        let new = input.body;
        let signing = match (new.secret, new.signing_algorithm) {
            (Some(secret), _) => Signing::Given(secret.0),
            (None, SigningAlgorithm::Hmac) => Signing::Hmac,
            (None, SigningAlgorithm::Ed25519) => Signing::Ed25519,
        };
        let settings = Settings {
            name: Some(new.name.0),
            url: Some(new.url.0),
            path: new.path.map(|path| path.0),
            auth: new.auth.map(WebhookAuthInput::credentials),
            headers: new.headers.map(headers),
            client_certificate: new.client_certificate.map(ClientCertificateInput::wanted),
            retry_waits: new.retry_waits.map(waits).into(),
            max_in_flight: new.max_in_flight.map(|max| max.0).into(),
            max_per_second: new.max_per_second.map(|max| max.0),
            owner_email: new.owner_email.map(|address| address.0),
        };
        let command = Create { id: WebhookEndpointId(fresh()), secret: signing.secret()?, settings };
        let reply = context.execute(input.canonical.as_deref(), context.app().create_webhook_endpoint(command)).await?;
        Ok(Created::under("/v1/webhook-endpoints", reply))
    }

    /// List webhook endpoints
    ///
    /// Oldest first.
    #[oai(path = "/webhook-endpoints", method = "get", operation_id = "listWebhookEndpoints")]
    async fn list(&self, context: Context) -> Result<Listed<WebhookEndpoint>, Problem> {
        Listed::configurations::<webhook_endpoint::WebhookEndpoint>(&context).await
    }

    /// Get a webhook endpoint
    ///
    /// Returns the object with this id.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint", method = "get", operation_id = "getWebhookEndpoint")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
    ) -> Result<Found<WebhookEndpoint>, Problem> {
        let found = context.app().configuration::<webhook_endpoint::WebhookEndpoint>(context.tenant(), &endpoint.0.0).await?;
        Found::of(&found, &known)
    }

    /// Change a webhook endpoint
    ///
    /// Takes effect with the next call, including waiting deliveries. To change the signing secret, rotate it.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint", method = "patch", operation_id = "updateWebhookEndpoint")]
    async fn update(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
        input: Validated<WebhookEndpointUpdate>,
    ) -> Result<Done, Problem> {
        let body = input.body;
        let settings = Settings {
            name: body.name.map(|name| name.0),
            url: body.url.map(|url| url.0),
            path: body.path.map(|path| path.0).or(String::new()),
            auth: body.auth.map(WebhookAuthInput::credentials).or(Credentials::None),
            headers: body.headers.map(headers).or(BTreeMap::new()),
            client_certificate: body.client_certificate.map(ClientCertificateInput::wanted).or(None),
            retry_waits: body.retry_waits.map(waits),
            max_in_flight: body.max_in_flight.map(|max| max.0),
            max_per_second: body.max_per_second.map(|max| max.0).or(0),
            owner_email: body.owner_email.map(|address| address.0).or(String::new()),
        };
        let use_case = context.app().update_webhook_endpoint(settings);
        Ok(Done(context.execute_on_configuration(&endpoint.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Delete a webhook endpoint
    ///
    /// Allowed only when no subscription uses it.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint", method = "delete", operation_id = "deleteWebhookEndpoint")]
    async fn delete(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.delete::<webhook_endpoint::WebhookEndpoint>(endpoint.0).await?))
    }
}
