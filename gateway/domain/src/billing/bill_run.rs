//! Bill runs: billing the accounts of a bill cycle up to a date.
//!
//! A run bills each account in a separate transaction and records the outcome there. The run object itself changes only when it starts
//! and when no account is left; progress in between is counted from the recorded outcomes.

use billwire_schemas::{
    clock::Timestamp,
    events::envelope::Parameters,
    ids::{BillCycleId, BillRunId},
    money::Money,
    refusal::Code,
};
use chrono::{NaiveDate, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::{
    change::{Change, Entity, Lifecycle, entity_members},
    customers::{account::Account, bill_cycle::BillCycle, billing_settings::BillingSettings},
    rejected::Rejected,
};

/// Status of a bill run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Accounts remain to be processed.
    Running,
    /// All accounts are processed.
    Completed,
}

impl Status {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
        }
    }
}

/// Outcome of a run for one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An invoice was posted.
    Invoiced,
    /// There was nothing to bill.
    Nothing,
    /// The account could not be billed; its charges stay unbilled.
    Failed,
}

impl Outcome {
    /// The name under which the outcome is stored.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invoiced => "invoiced",
            Self::Nothing => "nothing",
            Self::Failed => "failed",
        }
    }
}

/// Totals of a run so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Accounts processed, whatever the outcome.
    pub accounts: i64,
    /// Invoices posted.
    pub invoices: i64,
    /// Accounts that could not be billed.
    pub failed: i64,
    /// Sums of the invoices, one amount per currency.
    pub totals: Vec<Money>,
}

/// A bill run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BillRun {
    /// Object id.
    pub id: BillRunId,
    /// Object version, starting at 1.
    pub version: i64,
    /// The object's id in the external system.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub external_id: Option<String>,
    /// The cycle whose accounts are billed.
    pub bill_cycle_id: BillCycleId,
    /// The run bills charges from before this date, in the tenant's time zone, and periods that have ended by then.
    pub billing_date: NaiveDate,
    /// Whether the run started by itself. It then bills only accounts of which a period has ended.
    #[serde(default)]
    pub automatic: bool,
    /// Current status.
    pub status: Status,
    /// Totals; zero until the run is completed.
    #[serde(flatten)]
    pub tally: Tally,
    /// Start time.
    pub started_at: Timestamp,
    /// Completion time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub completed_at: Option<Timestamp>,
    /// Creation time.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// `startBillRun`.
#[derive(Debug, Clone)]
pub struct Start {
    /// The new run's id.
    pub id: BillRunId,
    /// See [`BillRun::external_id`].
    pub external_id: Option<String>,
    /// See [`BillRun::billing_date`]; absent: today, in the tenant's time zone.
    pub billing_date: Option<NaiveDate>,
    /// See [`BillRun::automatic`].
    pub automatic: bool,
}

/// Decides `startBillRun`; `running` is an incomplete run of the same cycle, if any.
///
/// # Errors
/// `bill_run_in_progress`; `billing_date_in_future` at `/billingDate`.
pub fn start(
    command: Start,
    cycle: &BillCycle,
    running: Option<&BillRun>,
    settings: &BillingSettings,
    now: Timestamp,
) -> Result<Change<BillRun>, Rejected> {
    if let Some(running) = running {
        let message = format!("Bill run {} of this cycle is still running; a cycle can have one run at a time.", running.id);
        return Err(Rejected::conflict(Code::BillRunInProgress, message));
    }
    let today = settings.date_of(now);
    let billing_date = command.billing_date.unwrap_or(today);
    if billing_date > today {
        let message = format!("billingDate is {billing_date}; it must not be after today, {today}, in the tenant's time zone.");
        return Err(Rejected::violation("/billingDate", Code::BillingDateInFuture, message));
    }
    let run = BillRun {
        id: command.id,
        version: 1,
        external_id: command.external_id,
        bill_cycle_id: cycle.id,
        billing_date,
        automatic: command.automatic,
        status: Status::Running,
        tally: Tally::default(),
        started_at: now,
        completed_at: None,
        created_at: now,
        updated_at: now,
    };
    Ok(Change::created(run).and("bill_run.started"))
}

/// Completes the run after its last account; `None` if it is already completed, so a second worker has no effect.
pub fn complete(run: BillRun, tally: Tally, now: Timestamp) -> Option<Change<BillRun>> {
    if run.status == Status::Completed {
        return None;
    }
    let after =
        BillRun { version: run.version + 1, status: Status::Completed, tally, completed_at: Some(now), updated_at: now, ..run.clone() };
    Some(Change::updated(run, after, vec!["bill_run.completed"]))
}

/// Reports an account that `run` could not bill. The account itself changes only its version and update time.
pub fn billing_failed(account: Account, run: BillRunId, refusal: &Rejected, now: Timestamp) -> Change<Account> {
    let parameters = Parameters::from([
        ("billRun.id".to_owned(), run.to_string().into()),
        ("billingError.code".to_owned(), refusal.code.as_str().into()),
        ("billingError.message".to_owned(), refusal.message.clone().into()),
    ]);
    let after = account.next_version(now);
    Change::updated(account, after, vec![Lifecycle { kind: "account.billing_failed", parameters }])
}

impl Entity for BillRun {
    const TYPE: &'static str = "billRun";
    const EVENT_OBJECT: Option<&'static str> = Some("bill_run");

    entity_members!(updated_at, external_id, status);
    fn parameters(&self) -> Parameters {
        let moment = |moment: Timestamp| moment.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let mut parameters = Parameters::from([
            ("billRun.id".to_owned(), self.id.to_string().into()),
            ("billRun.billCycle".to_owned(), self.bill_cycle_id.to_string().into()),
            ("billRun.billingDate".to_owned(), self.billing_date.to_string().into()),
            ("billRun.status".to_owned(), self.status.name().into()),
            ("billRun.accounts".to_owned(), self.tally.accounts.into()),
            ("billRun.invoices".to_owned(), self.tally.invoices.into()),
            ("billRun.failed".to_owned(), self.tally.failed.into()),
            ("billRun.startedAt".to_owned(), moment(self.started_at).into()),
        ]);
        let mut put = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                parameters.insert(name.to_owned(), value.into());
            }
        };
        put("billRun.externalId", self.external_id.clone());
        put("billRun.completedAt", self.completed_at.map(moment));
        parameters
    }
}

#[cfg(test)]
mod tests {
    use billwire_schemas::ids::{AccountId, fresh};

    use super::*;
    use crate::{
        calendar::PeriodUnit,
        customers::{account, bill_cycle},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn cycle() -> BillCycle {
        let command = bill_cycle::Create {
            id: BillCycleId(fresh()),
            external_id: None,
            name: "monthly".into(),
            period: PeriodUnit::Month,
            length: 1,
            individual: false,
            billing_day: Some(1),
            billing_month: None,
            announce_days: None,
            auto_run: None,
        };
        bill_cycle::create(command, at("2027-01-01T00:00:00Z")).expect("a cycle").after
    }

    fn started(billing_date: Option<&str>, running: Option<&BillRun>) -> Result<Change<BillRun>, Rejected> {
        let settings = BillingSettings { time_zone: chrono_tz::Europe::Berlin, ..BillingSettings::default() };
        let billing_date = billing_date.map(|date| date.parse().expect("a date"));
        let command = Start { id: BillRunId(fresh()), external_id: None, billing_date, automatic: false };
        start(command, &cycle(), running, &settings, at("2027-01-31T23:30:00Z"))
    }

    #[test]
    fn a_run_bills_up_to_today_in_the_tenants_zone_unless_told_otherwise() {
        let change = started(None, None).expect("a run");
        assert_eq!(change.lifecycle, ["bill_run.started"]);
        assert_eq!(change.after.billing_date.to_string(), "2027-02-01", "it is February in Berlin");
        assert!(started(Some("2027-01-15"), None).is_ok());
    }

    #[test]
    fn each_rule_of_a_start_has_its_code() {
        let run = started(None, None).expect("a run").after;
        assert_eq!(started(Some("2027-02-02"), None).unwrap_err().code, "billing_date_in_future");
        assert_eq!(started(None, Some(&run)).unwrap_err().code.as_str(), "bill_run_in_progress");
    }

    #[test]
    fn a_run_is_completed_once() {
        let run = started(None, None).expect("a run").after;
        let tally = Tally { accounts: 3, invoices: 2, failed: 1, totals: Vec::new() };
        let change = complete(run, tally.clone(), at("2027-02-01T00:00:00Z")).expect("a change");
        assert_eq!(change.lifecycle, ["bill_run.completed"]);
        assert_eq!((change.after.version, &change.after.tally), (2, &tally));
        assert_eq!(complete(change.after, tally, at("2027-02-01T00:00:01Z")), None);
    }

    #[test]
    fn an_account_that_fails_says_why() {
        let command = account::Create {
            id: AccountId(fresh()),
            external_id: None,
            name: "a".into(),
            currency: Some("EUR".into()),
            active: true,
            billing_day: None,
            company: None,
            payment_term_days: None,
            attributes: Default::default(),
        };
        let now = at("2027-01-01T00:00:00Z");
        let account = account::create(command, &cycle(), &BillingSettings::default(), now).expect("an account").after;
        let change = billing_failed(account, BillRunId(fresh()), &Rejected::conflict(Code::NothingToBill, "a message"), now);
        assert_eq!(change.lifecycle, ["account.billing_failed"]);
        assert_eq!(change.lifecycle[0].parameters.get("billingError.code"), Some(&"nothing_to_bill".into()));
        assert_eq!(change.after.version, 2);
    }
}
