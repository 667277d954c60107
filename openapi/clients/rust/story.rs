//! The story of a client in Rust: what an integration does with Billwire, by the generated client alone. It prints one JSON object.
//!
//! `BILLWIRE_URL` and `BILLWIRE_API_KEY` say where and as whom.

use std::env;

use billwire_client::{
    apis::{self, accounts_api as accounts, bill_cycles_api as bill_cycles, charges_api as charges, configuration::Configuration},
    models::{
        Account, AccountInput, AdjustChargeableEventEntity, AdjustmentInput, BillCycleInput, BillCycleUpdate, ChargeableEventInput,
        ChargeableEventsInput, MoneyInput, Problem, adjustment_input::ChargeType, bill_cycle_input::Period,
    },
};
use chrono::{TimeDelta, Utc};
use futures_util::{Stream, TryStreamExt, stream};
use serde_json::{Map, Value, json};

type Failed = Box<dyn std::error::Error>;

/// The typed problem of a refused call, of any operation.
fn problem_of<T>(error: &apis::Error<T>) -> Option<Problem> {
    match error {
        apis::Error::ResponseError(response) => serde_json::from_str(&response.content).ok(),
        _ => None,
    }
}

type ListError = apis::Error<accounts::ListAccountsError>;

/// All accounts, page by page as they are asked for.
fn each_account(client: &Configuration, page_size: i32) -> impl Stream<Item = Result<Account, ListError>> + '_ {
    // The state is the parameters of the next page, `None` after the last one.
    let first = accounts::ListAccountsParams { limit: Some(page_size), ..all() };
    let pages = stream::try_unfold(Some(first), async move |next| {
        let Some(params) = next else { return Ok::<_, ListError>(None) };
        let page = accounts::list_accounts(client, params.clone()).await?;
        let next = page.next_cursor.map(|cursor| accounts::ListAccountsParams { cursor: Some(cursor), ..params });
        Ok(Some((stream::iter(page.items.into_iter().map(Ok)), next)))
    });
    pages.try_flatten()
}

/// Accounts without filters: the parameters have no default.
fn all() -> accounts::ListAccountsParams {
    accounts::ListAccountsParams {
        status: None,
        name: None,
        external_id: None,
        bill_cycle: None,
        payer: None,
        text: None,
        attribute: None,
        limit: None,
        cursor: None,
    }
}

/// Charges of an account.
fn charges_of(account: &str) -> charges::SearchChargeableEventsParams {
    charges::SearchChargeableEventsParams {
        account: Some(account.to_owned()),
        service: None,
        from: None,
        to: None,
        r#type: None,
        state: None,
        invoice_id: None,
        text: None,
        sort: None,
        order: None,
        limit: None,
        cursor: None,
    }
}

fn account(name: &str) -> AccountInput {
    AccountInput { currency: Some("EUR".to_owned()), ..AccountInput::new("rust-1".to_owned(), name.to_owned()) }
}

async fn create_cycles(client: &Configuration) -> Result<(), Failed> {
    for day in [1, 15] {
        let cycle = BillCycleInput {
            billing_day: Some(day),
            external_id: Some(format!("rust-{day}")),
            ..BillCycleInput::new(format!("Rust {day}"), Period::Month)
        };
        bill_cycles::create_bill_cycle(client, bill_cycles::CreateBillCycleParams { bill_cycle_input: cycle, idempotency_key: None })
            .await?;
    }
    Ok(())
}

/// The same request twice, as after a lost answer: it happens once.
async fn create_account(client: &Configuration) -> Result<Value, Failed> {
    let create = accounts::CreateAccountParams {
        account_input: AccountInput { external_id: Some("rust-acme".to_owned()), ..account("Acme") },
        idempotency_key: Some("rust-create-acme".to_owned()),
    };
    let first = accounts::create_account(client, create.clone()).await?;
    let second = accounts::create_account(client, create).await?;
    let created = first.entities.first().ok_or("no entity")?;
    let name = created.after.as_ref().map(|account| &account.name);
    Ok(json!({ "once": first.id == second.id, "entity": created.r#type, "name": name }))
}

/// A change of the bill cycle is planned and cancelled, and another one refused.
async fn change_cycle(client: &Configuration) -> Result<Value, Failed> {
    let update = |cycle: &str| accounts::UpdateAccountBillCycleParams {
        account: "rust-acme".to_owned(),
        bill_cycle_update: BillCycleUpdate::new(cycle.to_owned()),
        idempotency_key: None,
        if_match: None,
    };
    let mut plan = update("rust-15");
    plan.bill_cycle_update.valid_from = Some((Utc::now() + TimeDelta::days(2)).fixed_offset());
    let planned = accounts::update_account_bill_cycle(client, plan).await?;
    // The body is optional, and left out.
    let cancel =
        accounts::CancelAccountBillCycleChangeParams { account: "rust-acme".to_owned(), idempotency_key: None, if_match: None, body: None };
    let cancelled = accounts::cancel_account_bill_cycle_change(client, cancel).await?;

    let refused = accounts::update_account_bill_cycle(client, update("nowhere")).await.err().ok_or("not refused")?;
    let problem = problem_of(&refused).ok_or("no problem")?;
    let pointer = problem.errors.iter().flatten().find_map(|violation| violation.pointer.as_deref());
    Ok(json!({
        "planned": planned.events.get(1).map(|event| &event.r#type),
        "cancelled": cancelled.events.get(1).map(|event| &event.r#type),
        "problem": { "status": problem.status, "code": problem.code, "pointer": pointer },
    }))
}

async fn count_accounts(client: &Configuration) -> Result<Value, Failed> {
    for n in 0..4 {
        let branch = accounts::CreateAccountParams { account_input: account(&format!("Branch {n}")), idempotency_key: None };
        accounts::create_account(client, branch).await?;
    }
    let count = each_account(client, 2).try_fold(0, |count, _| async move { Ok(count + 1) }).await?;
    Ok(json!({ "accounts": count }))
}

/// A charge is recorded, adjusted and searched.
async fn charge(client: &Configuration) -> Result<Value, Failed> {
    let money = |amount: &str| MoneyInput::new(amount.to_owned(), "EUR".to_owned());
    let charge = ChargeableEventInput {
        account: Some("rust-acme".to_owned()),
        external_id: Some("rust-call".to_owned()),
        ..ChargeableEventInput::new(money("2.50"), Utc::now().fixed_offset(), "call".to_owned())
    };
    let record =
        charges::RecordChargeableEventsParams { chargeable_events_input: ChargeableEventsInput::new(vec![charge]), idempotency_key: None };
    let recorded = charges::record_chargeable_events(client, record).await?;
    let adjust = charges::AdjustChargeableEventParams {
        chargeable_event: "rust-call".to_owned(),
        adjustment_input: AdjustmentInput::new(money("0.50"), ChargeType::Credit, "Goodwill".to_owned()),
        idempotency_key: None,
        if_match: None,
    };
    let adjusted = charges::adjust_chargeable_event(client, adjust).await?;
    let left = adjusted.entities.iter().find_map(|entity| match entity {
        AdjustChargeableEventEntity::ChangedChargeableEvent(charge) => charge.after.as_ref(),
        _ => None,
    });
    let found = charges::search_chargeable_events(client, charges_of("rust-acme")).await?;
    Ok(json!({
        "recorded": recorded.items.first().map(|item| &item.status),
        "left": left.map(|charge| &charge.net_amount.amount),
        "net": found.items.first().map(|charge| &charge.net_amount.amount),
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let client = &Configuration {
        base_path: env::var("BILLWIRE_URL")?,
        bearer_access_token: Some(env::var("BILLWIRE_API_KEY")?),
        ..Configuration::default()
    };
    create_cycles(client).await?;
    let parts = [create_account(client).await?, change_cycle(client).await?, count_accounts(client).await?, charge(client).await?];
    let told: Map<String, Value> = parts.into_iter().filter_map(|part| part.as_object().cloned()).flatten().collect();
    println!("{}", Value::Object(told));
    Ok(())
}
