//! What the use cases depend on besides the store and the clock: clients, the stream, and what an operator sets.

use std::sync::Arc;

use crate::{App, IssuerClient, Renderer, RetentionLimits, SmtpClient, Stream, StreamAccess, WebhookClient, access};

impl App {
    /// Adds a webhook client, required to test endpoints.
    #[must_use]
    pub fn with_webhook_client(self, webhook_client: Arc<dyn WebhookClient>) -> Self {
        Self { webhook_client: Some(webhook_client), ..self }
    }

    /// Adds an SMTP client, required to test accounts.
    #[must_use]
    pub fn with_smtp_client(self, smtp_client: Arc<dyn SmtpClient>) -> Self {
        Self { smtp_client: Some(smtp_client), ..self }
    }

    /// Adds a client for the issuers of tokens; without it, tokens are refused.
    #[must_use]
    pub fn with_issuer_client(self, client: Arc<dyn IssuerClient>) -> Self {
        Self { people: Arc::new(access::people::People::with_client(client)), ..self }
    }

    /// Adds a template renderer, required for previews and e-mails.
    #[must_use]
    pub fn with_renderer(self, renderer: Arc<dyn Renderer>) -> Self {
        Self { renderer: Some(renderer), ..self }
    }

    /// Adds access to the stream, required to tail events.
    #[must_use]
    pub fn with_stream(self, stream: Arc<dyn Stream>) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Lets subscribers read the stream.
    #[must_use]
    pub fn with_stream_access(self, access: StreamAccess) -> Self {
        Self { stream_access: Some(access), ..self }
    }

    /// Sets for how long the history is kept at most.
    #[must_use]
    pub fn with_retention(self, retention: RetentionLimits) -> Self {
        Self { retention, ..self }
    }

    /// Sets the address of the gateway for outsiders: a URL without a slash at its end. Without it, [`crate::PUBLIC_URL`].
    #[must_use]
    pub fn with_public_url(self, public_url: &str) -> Self {
        Self { public_url: public_url.into(), ..self }
    }
}
