//! `billwire keys`: API keys, over the API or where the database is.

use std::sync::Arc;

use billwire_app::{App, Caller, NewApiKey, RequestContext, RevokeApiKey, domain::access::api_key::ApiKey};
use billwire_schemas::{
    clock::{ShiftedClock, Timestamp},
    ids::{ApiKeyId, TenantId},
};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    admin::operator,
    api_client::{Api, Place, text},
    config::Settings,
    database,
    output::{Output, answer},
};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a key; it is shown once
    Create {
        /// Name of the key; it is the actor of its business transactions
        name: String,
        /// Scopes of the key, such as accounts:read,accounts:write; `*` is every scope; with --roles they can be left out
        #[arg(long, value_delimiter = ',', required_unless_present = "roles")]
        scopes: Vec<String>,
        /// Roles of the key, such as csr,finance
        #[arg(long, value_delimiter = ',')]
        roles: Vec<String>,
        /// When the key stops working, such as 2027-12-31T23:59:59Z; absent: never
        #[arg(long)]
        expires_at: Option<Timestamp>,
        /// An address or network the key may be used from; can be repeated; absent: any
        #[arg(long = "allow-network")]
        allowed_networks: Vec<String>,
        /// Tenant of the key; with --api it is that of --key
        #[arg(long)]
        tenant: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show the keys: without --api those of all tenants
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Replace the text of a key; the new one is shown once
    Rotate {
        /// Id of the key
        id: ApiKeyId,
        /// How long the current text keeps working, in seconds
        #[arg(long, default_value_t = 24 * 3600)]
        overlap_seconds: u32,
        #[command(flatten)]
        place: Place,
    },
    /// Revoke a key
    Revoke {
        /// Id of the key
        id: ApiKeyId,
        #[command(flatten)]
        place: Place,
    },
}

/// Runs a command; `settings` are read only where the database is meant.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(settings: impl FnOnce() -> Result<Settings, String>, command: Command, output: Output) -> Result<(), String> {
    let place = match &command {
        Command::Create { place, .. } | Command::List { place } | Command::Rotate { place, .. } | Command::Revoke { place, .. } => place,
    };
    let keys = match place.api().await? {
        Some(api) => Keys::Api(api),
        None => {
            let store = database::open(&settings()?).await?;
            Keys::Here(App::new(store, Arc::new(ShiftedClock::default()), false))
        }
    };
    match command {
        Command::Create { name, scopes, roles, expires_at, allowed_networks, tenant, .. } => {
            let new = NewApiKey { name, scopes, roles, expires_at, allowed_networks };
            let made = keys.create(new, tenant).await?;
            answer(output, &format!("{} (shown once)", text(&made, "key")), made)
        }
        Command::List { .. } => {
            let items = keys.list().await?;
            answer(output, &items.iter().map(line).collect::<Vec<_>>().join("\n"), json!({ "items": items }))
        }
        Command::Rotate { id, overlap_seconds, .. } => {
            let rotated = keys.rotate(id, overlap_seconds).await?;
            let said = format!("{} (shown once); the text before works for {overlap_seconds} more seconds", text(&rotated, "key"));
            answer(output, &said, rotated)
        }
        Command::Revoke { id, .. } => {
            keys.revoke(id).await?;
            answer(output, "revoked; it stops working within a second", json!({ "revoked": id }))
        }
    }
}

fn line(key: &Value) -> String {
    let state = if key["revokedAt"].is_string() { "revoked" } else { "live" };
    let grants: Vec<&str> = ["roles", "scopes"].iter().filter_map(|of| key[of].as_array()).flatten().filter_map(Value::as_str).collect();
    format!("{}  {state:7}  {:16}  {:16}  {}", text(key, "id"), text(key, "tenant"), text(key, "name"), grants.join(","))
}

/// Keys, wherever they are. Each is JSON as the API shows it.
enum Keys {
    Here(App),
    Api(Api),
}

impl Keys {
    async fn create(&self, new: NewApiKey, tenant: Option<String>) -> Result<Value, String> {
        match self {
            Self::Here(app) => {
                let tenant: TenantId = match tenant {
                    Some(tenant) => tenant.parse().map_err(|e| format!("--tenant {e}"))?,
                    None => TenantId::default_tenant(),
                };
                app.tenant(tenant.as_str()).await.map_err(|e| format!("--tenant: {e}; createTenant makes one"))?;
                let issued = app.issue_api_key(&here(tenant), new).await.map_err(|e| e.to_string())?;
                Ok(json!({ "id": issued.id, "key": issued.text }))
            }
            Self::Api(_) if tenant.is_some() => Err("--tenant: with --api, the key is one of the tenant of --key".to_owned()),
            Self::Api(api) => {
                let NewApiKey { name, scopes, roles, expires_at, allowed_networks } = new;
                let mut body = json!({ "name": name, "scopes": scopes, "roles": roles, "allowedNetworks": allowed_networks });
                if let Some(at) = expires_at {
                    body["expiresAt"] = json!(at);
                }
                api.change("/v1/api-keys", body).await
            }
        }
    }

    async fn list(&self) -> Result<Vec<Value>, String> {
        match self {
            Self::Here(app) => {
                let mut found = Vec::new();
                for (tenant, key) in app.all_api_keys().await.map_err(|e| e.to_string())? {
                    let mut key = serde_json::to_value(key).map_err(|e| e.to_string())?;
                    key["tenant"] = json!(tenant);
                    found.push(key);
                }
                Ok(found)
            }
            Self::Api(api) => api.list("/v1/api-keys").await,
        }
    }

    async fn rotate(&self, id: ApiKeyId, overlap: u32) -> Result<Value, String> {
        match self {
            Self::Here(app) => {
                let caller = here(tenant_of(app, id).await?);
                let rotation = app.rotate_api_key(&caller, overlap).await.map_err(|e| e.to_string())?;
                let text = rotation.text().to_owned();
                app.execute_on_configuration(by(caller), &id.to_string(), None, rotation).await.map_err(|e| e.to_string())?;
                Ok(json!({ "id": id, "key": text }))
            }
            Self::Api(api) => api.change(&format!("/v1/api-keys/{id}/rotate"), json!({ "overlapSeconds": overlap })).await,
        }
    }

    async fn revoke(&self, id: ApiKeyId) -> Result<(), String> {
        match self {
            Self::Here(app) => {
                let caller = here(tenant_of(app, id).await?);
                let revoked = app.execute_on_configuration(by(caller), &id.to_string(), None, RevokeApiKey).await;
                revoked.map(drop).map_err(|e| e.to_string())
            }
            Self::Api(api) => api.change(&format!("/v1/api-keys/{id}/revoke"), json!({})).await.map(drop),
        }
    }
}

fn here(tenant: TenantId) -> Caller {
    operator(tenant, "billwire keys")
}

fn by(caller: Caller) -> RequestContext {
    RequestContext::of(caller)
}

async fn tenant_of(app: &App, id: ApiKeyId) -> Result<TenantId, String> {
    let all: Vec<(TenantId, ApiKey)> = app.all_api_keys().await.map_err(|e| e.to_string())?;
    let found = all.into_iter().find(|(_, key)| key.id == id);
    found.map(|(tenant, _)| tenant).ok_or_else(|| format!("there is no key '{id}'; `billwire keys list` shows them"))
}
