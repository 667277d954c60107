//! `billwire audit`: looks whether somebody has changed what happened, and prints it.

use billwire_schemas::ids::TenantId;
use billwire_store::{Store, audit::Report};
use clap::Subcommand;
use serde_json::{Value, json};

use crate::{
    config::Settings,
    database,
    output::{Output, answer},
};

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Compare the audit with its chains, and the business transactions with what the audit says of them
    Verify {
        /// Only of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
    },
    /// Print the entries of a tenant in their order, as JSON, one a line, each with its link in the chain
    Export {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// Only entries from this number on
        #[arg(long, default_value_t = 1)]
        from: i64,
    },
}

/// Entries that are read at once.
const READ_AT_ONCE: u64 = 500;

/// Runs a command.
///
/// # Errors
/// One line that says what is wrong; what was changed by hand counts too.
pub async fn run(settings: &Settings, command: Command, output: Output) -> Result<(), String> {
    let store = database::open(settings).await?;
    match command {
        Command::Verify { tenant } => verify(&store, tenant, output).await,
        Command::Export { tenant, from } => export(&store, &tenant, from).await,
    }
}

async fn verify(store: &Store, tenant: Option<TenantId>, output: Output) -> Result<(), String> {
    let tenants = match tenant {
        Some(tenant) => vec![tenant],
        None => store.audited_tenants().await.map_err(|e| e.to_string())?,
    };
    let (mut lines, mut values, mut faults) = (Vec::new(), Vec::new(), 0);
    for tenant in tenants {
        let report = store.verify_audit(&tenant).await.map_err(|e| e.to_string())?;
        faults += report.faults.len();
        lines.push(line(&tenant, &report));
        values.push(value(&tenant, &report));
    }
    answer(output, &lines.join("\n"), json!({ "tenants": values }))?;
    if faults == 0 { Ok(()) } else { Err("the audit shows that somebody has changed the database by hand".to_owned()) }
}

fn line(tenant: &TenantId, report: &Report) -> String {
    let Report { entries, transactions, purged, faults } = report;
    let purged = if *purged > 0 { format!(" ({purged} deleted after their retention)") } else { String::new() };
    let mut text = format!("tenant {tenant}: {entries} entries, {transactions} business transactions{purged}: ");
    if faults.is_empty() {
        text.push_str("as they were made");
    }
    let found: Vec<String> = faults.iter().map(ToString::to_string).collect();
    text + &found.join("; ")
}

fn value(tenant: &TenantId, report: &Report) -> Value {
    let faults: Vec<String> = report.faults.iter().map(ToString::to_string).collect();
    let Report { entries, transactions, purged, .. } = report;
    json!({ "tenant": tenant, "entries": entries, "businessTransactions": transactions, "purged": purged, "faults": faults })
}

async fn export(store: &Store, tenant: &TenantId, from: i64) -> Result<(), String> {
    let mut after = from - 1;
    loop {
        let part = store.audit_chain(tenant, after, READ_AT_ONCE).await.map_err(|e| e.to_string())?;
        for entry in &part {
            let body: Value = serde_json::from_str(&entry.body).map_err(|e| e.to_string())?;
            println!("{}", json!({ "hash": entry.hash, "entry": body }));
            after = entry.number;
        }
        if part.is_empty() {
            return Ok(());
        }
    }
}
