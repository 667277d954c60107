//! How people sign in on the page of the API: the identity provider that an operator configures, told in the documents and to Swagger UI.

use serde_json::{Value, json};

/// The identity provider of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Its issuer, exactly as it writes itself.
    pub issuer: String,
    /// Scheme, host and port of the issuer, which the page may call.
    pub origin: String,
    /// The id of a public client there.
    pub client_id: String,
    /// The resource that tokens are for (RFC 8707), where the provider asks for it.
    pub resource: Option<String>,
}

impl SignIn {
    /// What it says of itself (OpenID Connect Discovery 1.0 section 4).
    pub(super) fn discovery(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.issuer.strip_suffix('/').unwrap_or(&self.issuer))
    }

    /// What Swagger UI has to know.
    pub(super) fn settings(&self) -> Value {
        let mut settings = json!({ "issuer": self.issuer, "clientId": self.client_id });
        if let Some(resource) = &self.resource {
            settings["resource"] = resource.as_str().into();
        }
        settings
    }
}
