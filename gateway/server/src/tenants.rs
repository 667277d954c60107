//! `billwire tenants`: tenants, over the API, with a key of the operator's own tenant.

use billwire_schemas::ids::TenantId;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    api_client::{Api, Place, text},
    output::{Output, answer},
};

/// What to do with tenants.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a tenant; its first API key is shown once
    Create {
        /// The tenant's name in subjects and API keys
        tenant: TenantId,
        /// The tenant's name for people; absent: the same
        #[arg(long)]
        name: Option<String>,
        /// Time zone, an IANA name
        #[arg(long)]
        time_zone: Option<String>,
        /// Currency of accounts that are created without one
        #[arg(long)]
        default_currency: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Show the tenants
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Suspend a tenant: its calls are refused and its deliveries wait
    Suspend {
        /// Name of the tenant
        tenant: TenantId,
        /// Reason, as free text
        #[arg(long)]
        reason: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Resume a suspended tenant
    Resume {
        /// Name of the tenant
        tenant: TenantId,
        #[command(flatten)]
        place: Place,
    },
    /// Delete a suspended tenant with all it has; there is no way back
    Delete {
        /// Name of the tenant
        tenant: TenantId,
        /// The name again, to be sure
        #[arg(long)]
        confirm: TenantId,
        #[command(flatten)]
        place: Place,
    },
    /// Show how far a deletion has got
    Deletion {
        /// Name of the tenant
        tenant: TenantId,
        #[command(flatten)]
        place: Place,
    },
}

impl Command {
    fn place(&self) -> &Place {
        match self {
            Self::Create { place, .. }
            | Self::List { place }
            | Self::Suspend { place, .. }
            | Self::Resume { place, .. }
            | Self::Delete { place, .. }
            | Self::Deletion { place, .. } => place,
        }
    }
}

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn run(command: Command, output: Output) -> Result<(), String> {
    let api = command
        .place()
        .api()
        .await?
        .ok_or("tenants are managed over the API: give --profile (see `billwire login`), or --api and --key")?;
    match command {
        Command::Create { tenant, name, time_zone, default_currency, .. } => {
            let mut body = json!({ "tenantId": tenant, "name": name.unwrap_or_else(|| tenant.to_string()) });
            for (member, value) in [("timeZone", time_zone), ("defaultCurrency", default_currency)] {
                if let Some(value) = value {
                    body[member] = value.into();
                }
            }
            let made = api.change("/v1/tenants", body).await?;
            answer(output, &format!("first API key of tenant {tenant} (shown once): {}", text(&made, "adminKey")), made)
        }
        Command::List { .. } => {
            let items = api.list("/v1/tenants").await?;
            answer(output, &items.iter().map(line).collect::<Vec<_>>().join("\n"), json!({ "items": items }))
        }
        Command::Suspend { tenant, reason, .. } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            let done = api.change(&path(&tenant, "/suspend"), body).await?;
            answer(output, "suspended; its calls are refused within a second", done)
        }
        Command::Resume { tenant, .. } => {
            let done = api.change(&path(&tenant, "/resume"), json!({})).await?;
            answer(output, "resumed", done)
        }
        Command::Delete { tenant, confirm, .. } => {
            if confirm != tenant {
                return Err(format!("--confirm must be {tenant}: all that the tenant has is deleted, and there is no way back"));
            }
            let done = api.delete(&path(&tenant, "")).await?;
            answer(output, &format!("being deleted; `billwire tenants deletion {tenant}` shows the progress"), done)
        }
        Command::Deletion { tenant, .. } => deletion(&api, &tenant, output).await,
    }
}

async fn deletion(api: &Api, tenant: &TenantId, output: Output) -> Result<(), String> {
    let state = api.get(&path(tenant, "/deletion")).await?;
    let at = match state["completedAt"].as_str() {
        Some(at) => format!("completed at {at}"),
        None => format!("under way since {}, last in {}", text(&state, "requestedAt"), state["part"].as_str().unwrap_or("nothing yet")),
    };
    answer(output, &format!("{at}: {} rows and {} messages deleted", state["rowsDeleted"], state["messagesDeleted"]), state)
}

fn path(tenant: &TenantId, action: &str) -> String {
    format!("/v1/tenants/{tenant}{action}")
}

fn line(tenant: &Value) -> String {
    format!("{:32}  {:9}  {}", text(tenant, "tenantId"), text(tenant, "status"), text(tenant, "name"))
}
