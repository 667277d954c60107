//! Actions on webhook endpoints: enable, disable, rotate the secret, test, get the health.

use billwire_app::{
    DisableWebhookEndpoint, EnableWebhookEndpoint, RotateWebhookSecret, Signing, Tried,
    domain::delivery::webhook_endpoint::{Rotate, WebhookEndpoint as ConfigurationObject},
};
use billwire_schemas::{
    ids::{EventId, fresh},
    refusal::Code,
};
use poem_openapi::{Object, OpenApi, param::Path, types::Example};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    customers::account_bill_cycle::NoMembers,
    delivery::{
        deliveries::{ReceivedResponse, SentRequest, exchanged},
        webhook_endpoints::Tag,
    },
    events::event_type::EventType,
    http::{
        problem::Problem,
        request_context::Context,
        responses::{Done, Shown},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, PLAIN, Takes, change, get, updated},
    types::example::example_id,
    types::scalars::{EventTypeName, Moment, Overlap, Reason, Reference, SigningAlgorithm, SigningSecret},
};

pub(crate) struct WebhookEndpointActions;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    change(
        "enableWebhookEndpoint",
        "webhook_endpoints:write",
        &[Code::WebhookEndpointNotFound, Code::WebhookEndpointEnabled],
        updated("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    change(
        "disableWebhookEndpoint",
        "webhook_endpoints:write",
        &[Code::WebhookEndpointNotFound, Code::WebhookEndpointDisabled],
        updated("webhookEndpoint", "WebhookEndpoint", &["webhook_endpoint.disabled"]),
    ),
    change(
        "rotateWebhookSecret",
        "webhook_endpoints:write",
        &[Code::WebhookEndpointNotFound, Code::SecretInvalid, Code::SecretInUse, Code::SecretsTooMany],
        updated("webhookEndpoint", "WebhookEndpoint", &[]),
    ),
    Operation {
        takes: Takes { body: true, ..PLAIN },
        ..get("testWebhookEndpoint", "webhook_endpoints:write", &[Code::WebhookEndpointNotFound, Code::EventTypeUnknown])
    },
    Operation { takes: PLAIN, ..get("getWebhookEndpointHealth", "webhook_endpoints:read", &[Code::WebhookEndpointNotFound]) },
];

/// The disabling of a webhook endpoint.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpointDisabling {
    /// Reason, as free text.
    reason: Option<Reason>,
}

impl Validate for WebhookEndpointDisabling {}

impl Example for WebhookEndpointDisabling {
    fn example() -> Self {
        Self { reason: Some("maintenance of the CRM".into()) }
    }
}

/// A new signing secret for a webhook endpoint.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct SecretRotation {
    /// The new secret, in the format of `createWebhookEndpoint`. Absent: one is generated.
    secret: Option<SigningSecret>,
    /// Algorithm of a generated secret.
    #[oai(default = "hmac")]
    signing_algorithm: SigningAlgorithm,
    /// Time for which calls are also signed with the current secrets, in seconds, so that the receiver can switch. 0: none.
    #[oai(default = "a_day")]
    overlap_seconds: Overlap,
}

fn hmac() -> SigningAlgorithm {
    SigningAlgorithm::Hmac
}

fn a_day() -> Overlap {
    Overlap(24 * 3600)
}

impl Validate for SecretRotation {}

impl Example for SecretRotation {
    fn example() -> Self {
        Self { secret: None, signing_algorithm: hmac(), overlap_seconds: a_day() }
    }
}

/// A test call to a webhook endpoint.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EndpointTest {
    /// Event type whose example message is sent.
    event_type: EventTypeName,
}

impl Validate for EndpointTest {}

impl Example for EndpointTest {
    fn example() -> Self {
        Self { event_type: "account.bill_cycle_changed".into() }
    }
}

/// The result of a test call.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct EndpointTestResult {
    /// Whether the receiver accepted the call with a 2xx status.
    delivered: bool,
    /// Id of the example event, sent as `webhook-id`.
    event_id: Uuid,
    /// Status code of the response, if any.
    status: Option<u16>,
    /// An excerpt of the response, or the reason why there was none.
    detail: String,
    /// Duration of the call in milliseconds.
    latency_ms: u64,
    /// What was sent, if a call was made.
    request: Option<SentRequest>,
    /// What the receiver answered, if it did.
    response: Option<ReceivedResponse>,
}

impl Example for EndpointTestResult {
    fn example() -> Self {
        let (request, response) = (None, None);
        Self { delivered: true, event_id: example_id(0x102), status: Some(204), detail: String::new(), latency_ms: 42, request, response }
    }
}

/// The health of a webhook endpoint.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct WebhookEndpointHealth {
    /// `healthy`; `failing` (calls fail and are retried according to plan); `resting` (after many failures, no calls until `restsUntil`,
    /// then a single probe call); or `disabled`. More values may be added.
    state: String,
    /// Time of the first failure since the last success.
    failing_since: Option<Moment>,
    /// Number of failed calls since then.
    failures: Option<u64>,
    /// Time until which no calls are made.
    rests_until: Option<Moment>,
}

impl Example for WebhookEndpointHealth {
    fn example() -> Self {
        Self { state: "healthy".to_owned(), failing_since: None, failures: None, rests_until: None }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::WebhookEndpoints")]
impl WebhookEndpointActions {
    /// Enable a webhook endpoint
    ///
    /// Waiting deliveries are sent, in order for in-order queues. The body is optional.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint/enable", method = "post", operation_id = "enableWebhookEndpoint")]
    async fn enable(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
        input: Validated<Option<NoMembers>>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on_configuration(&endpoint.0, input.canonical.as_deref(), EnableWebhookEndpoint).await?))
    }

    /// Disable a webhook endpoint
    ///
    /// Calls stop; deliveries of its subscriptions, existing and new, wait until the endpoint is enabled. The gateway disables an endpoint
    /// automatically when its receiver responds with 410 Gone, and after a long period of failure.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint/disable", method = "post", operation_id = "disableWebhookEndpoint")]
    async fn disable(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
        input: Validated<Option<WebhookEndpointDisabling>>,
    ) -> Result<Done, Problem> {
        let reason = input.body.and_then(|body| body.reason).map_or_else(|| "disabled on request".to_owned(), |reason| reason.0);
        let use_case = DisableWebhookEndpoint { because: reason };
        Ok(Done(context.execute_on_configuration(&endpoint.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Rotate a signing secret
    ///
    /// Calls are signed with the new secret immediately, and during `overlapSeconds` with the current ones too: each call then has one
    /// signature per secret, and the receiver may verify any of them. Up to 10 secrets can be active. Only this response shows the new
    /// secret (`entities[0].after.secret`), or the public key of an ed25519 pair.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint/rotate-secret", method = "post", operation_id = "rotateWebhookSecret")]
    async fn rotate(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
        input: Validated<SecretRotation>,
    ) -> Result<Done, Problem> {
        let signing = match (input.body.secret, input.body.signing_algorithm) {
            (Some(secret), _) => Signing::Given(secret.0),
            (None, SigningAlgorithm::Hmac) => Signing::Hmac,
            (None, SigningAlgorithm::Ed25519) => Signing::Ed25519,
        };
        let use_case = RotateWebhookSecret(Rotate { secret: signing.secret()?, overlap: input.body.overlap_seconds.0 });
        Ok(Done(context.execute_on_configuration(&endpoint.0, input.canonical.as_deref(), use_case).await?))
    }

    /// Test a webhook endpoint
    ///
    /// Immediately sends the example message of an event type, once, as a delivery would be sent: same URL, same headers, signed. A
    /// disabled endpoint can be tested too.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint/test", method = "post", operation_id = "testWebhookEndpoint")]
    async fn test(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
        input: Validated<EndpointTest>,
    ) -> Result<Shown<EndpointTestResult>, Problem> {
        let event = EventId(fresh());
        let body = EventType::example_message(&context, &input.body.event_type.0, event).await?;
        let body = Value::Object(body).to_string().into_bytes();
        let Tried { delivered, status, detail, latency, exchange } =
            context.app().test_webhook_endpoint(context.tenant(), &endpoint.0.0, event, body).await?;
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let (request, response) = exchanged(exchange);
        Ok(Shown(EndpointTestResult { delivered, event_id: event.0, status, detail, latency_ms, request, response }))
    }

    /// Get the health of a webhook endpoint
    ///
    /// Reports since when calls have failed, if they do, and until when none are made. The data is at most a few seconds old.
    #[oai(path = "/webhook-endpoints/:webhookEndpoint/health", method = "get", operation_id = "getWebhookEndpointHealth")]
    async fn health(
        &self,
        context: Context,
        /// Id or name of the webhook endpoint.
        #[oai(name = "webhookEndpoint")]
        endpoint: Path<Reference>,
    ) -> Result<Shown<WebhookEndpointHealth>, Problem> {
        let found: ConfigurationObject = context.app().configuration(context.tenant(), &endpoint.0.0).await?;
        let health = context.app().health(context.tenant(), found.id.0).await?;
        let rests_until =
            health.as_ref().and_then(|health| health.open).map(|(until, _)| until).filter(|until| *until > context.app().now());
        let state = match &health {
            _ if !found.enabled => "disabled",
            Some(_) if rests_until.is_some() => "resting",
            Some(_) => "failing",
            None => "healthy",
        };
        Ok(Shown(WebhookEndpointHealth {
            state: state.to_owned(),
            failing_since: health.as_ref().map(|health| health.failing_since.into()),
            failures: health.as_ref().map(|health| health.failures),
            rests_until: rests_until.map(Into::into),
        }))
    }
}
