//! Contracts with commit tiers.

use billwire_app::{
    CreateContract, DeleteContract, Filter, UpdateContract,
    domain::{Rejected, Violation, customers::account::Account, usage::contract},
};
use billwire_schemas::ids::{ContractId, fresh};
use billwire_schemas::refusal::Code;
use chrono::NaiveDate;
use poem_openapi::{Object, OpenApi, Tags, param::Path, types::Example};
use uuid::Uuid;

use crate::{
    customers::accounts::Period,
    http::{
        problem::Problem,
        request_context::{Context, Query},
        responses::{Created, Done, Found, IfNoneMatch, Listed},
        validated_body::{Validate, Validated},
    },
    openapi::operation::{Operation, change, create, created, delete, get, list, updated},
    types::example::{example_id, example_moment},
    types::{
        money::{Money, MoneyInput},
        nullable::Nullable,
        scalars::{ContractStatus, Date, ExternalId, Moment, Name, PeriodMonths, Reference},
    },
};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Spending commitments of accounts.
    #[oai(rename = "Contracts")]
    Contracts,
}

pub(crate) struct Contracts;

/// Registry entries of the operations below.
pub(crate) const OPERATIONS: &[Operation] = &[
    create(
        "createContract",
        "contracts:write",
        &[
            Code::ExternalIdTaken,
            Code::AccountUnknown,
            Code::AccountDeactivated,
            Code::EndDateBeforeStart,
            Code::ContractTooLongAgo,
            Code::TimeOutOfRange,
            Code::CurrencyMismatch,
            Code::CurrencyUnknown,
            Code::AmountNotPositive,
            Code::TiersNotAscending,
            Code::AmountInvalid,
            Code::AmountTooFine,
            Code::AmountOutOfRange,
        ],
        created("contract", "Contract", &["contract.created"]),
    ),
    list("listContracts", "contracts:read"),
    get("getContract", "contracts:read", &[Code::ContractNotFound]),
    change(
        "updateContract",
        "contracts:write",
        &[
            Code::ContractNotFound,
            Code::ExternalIdTaken,
            Code::AccountDeactivated,
            Code::ContractEnded,
            Code::EndDateInPast,
            Code::TimeOutOfRange,
        ],
        updated("contract", "Contract", &["contract.updated"]),
    ),
    delete(
        "deleteContract",
        "contracts:write",
        &[Code::ContractNotFound, Code::AccountDeactivated, Code::ContractStarted],
        "contract",
        "Contract",
    ),
];

/// The commit tier to create.
#[derive(Debug, Object)]
pub(crate) struct CommitTierInput {
    /// Display name.
    name: Name,
    /// Minimum spending per period; greater than that of the previous tier.
    commit: MoneyInput,
}

/// The contract to create.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ContractInput {
    /// External id: the id in your system; unique among contracts.
    external_id: Option<ExternalId>,
    /// Id or external id of the committed account.
    account: Reference,
    /// Display name.
    name: Name,
    /// First day of the contract, at most two hundred years ahead. The first period must not have ended yet.
    start_date: Date,
    /// Length of a period in months, counted from the start date.
    period_months: PeriodMonths,
    /// First day after the contract, at most two hundred years ahead. Absent: the contract is open-ended.
    end_date: Option<Date>,
    /// The commit tiers, in ascending order.
    #[oai(validator(min_items = 1, max_items = 20))]
    tiers: Vec<CommitTierInput>,
}

impl Validate for ContractInput {}

impl Example for ContractInput {
    fn example() -> Self {
        let tier = |name: &str, amount| CommitTierInput { name: name.into(), commit: MoneyInput::of(amount, "EUR") };
        Self {
            external_id: Some("FRAME-2035".into()),
            account: "CRM-4711".into(),
            name: "Frame contract 2035".into(),
            start_date: Date(NaiveDate::from_ymd_opt(2035, 1, 1).unwrap_or_default()),
            period_months: PeriodMonths(1),
            end_date: Some(Date(NaiveDate::from_ymd_opt(2036, 1, 1).unwrap_or_default())),
            tiers: vec![tier("Silver", "100.00"), tier("Gold", "500.00")],
        }
    }
}

/// Changes to a contract. Absent members keep their values.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct ContractUpdate {
    /// External id: the id in your system; unique. The old one is free afterwards.
    external_id: Nullable<ExternalId>,
    /// Display name.
    name: Option<Name>,
    /// First day after the contract, in the future, at most two hundred years ahead; null: the contract becomes open-ended. The current period is
    /// shortened or extended accordingly.
    end_date: Nullable<Date>,
}

impl Validate for ContractUpdate {}

impl Example for ContractUpdate {
    fn example() -> Self {
        Self {
            external_id: Nullable::default(),
            name: None,
            end_date: Date(NaiveDate::from_ymd_opt(2029, 1, 1).unwrap_or_default()).into(),
        }
    }
}

/// A tier of a contract.
#[derive(Debug, Object)]
pub(crate) struct CommitTier {
    /// Display name.
    name: String,
    /// Minimum spending per period.
    commit: Money,
}

/// An account's commitment to spend a minimum in each period.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none, example)]
pub(crate) struct Contract {
    /// Unique id.
    id: Uuid,
    /// Version, starting at 1.
    version: i64,
    /// External id: the id in your system.
    external_id: Option<String>,
    /// The owning account.
    account_id: Uuid,
    /// Display name.
    name: String,
    /// `active` or `ended`. More values may be added.
    status: String,
    /// First day of the contract.
    start_date: NaiveDate,
    /// Length of a period in months, counted from the start date.
    period_months: u32,
    /// First day after the contract.
    end_date: Option<NaiveDate>,
    /// The commit tiers, in ascending order.
    tiers: Vec<CommitTier>,
    /// The current period, or the last one.
    period: Period,
    /// Start of that period, midnight in the tenant's time zone.
    period_starts_at: Moment,
    /// End of that period, when the spending is compared with the tiers.
    period_ends_at: Moment,
    /// Creation time.
    created_at: Moment,
    /// Time of the last change.
    updated_at: Moment,
}

impl Example for Contract {
    fn example() -> Self {
        let date = |year, month| NaiveDate::from_ymd_opt(year, month, 1).unwrap_or_default();
        Self {
            id: example_id(18),
            version: 1,
            external_id: Some("FRAME-2027".to_owned()),
            account_id: example_id(1),
            name: "Frame contract 2027".to_owned(),
            status: "active".to_owned(),
            start_date: date(2027, 1),
            period_months: 1,
            end_date: Some(date(2028, 1)),
            tiers: vec![CommitTier { name: "Silver".to_owned(), commit: Money::of("100.00", "EUR") }],
            period: Period::of(date(2027, 1), date(2027, 2)),
            period_starts_at: example_moment(),
            period_ends_at: example_moment(),
            created_at: example_moment(),
            updated_at: example_moment(),
        }
    }
}

#[OpenApi(prefix_path = "/v1", tag = "Tag::Contracts")]
impl Contracts {
    /// Create a contract
    ///
    /// At the end of each period, at midnight in the tenant's time zone, the net amounts of the account's charges in the period are summed
    /// up. Each tier that is not reached publishes `contract.under_commit`.
    #[oai(path = "/contracts", method = "post", operation_id = "createContract")]
    async fn create(&self, context: Context, input: Validated<ContractInput>) -> Result<Created, Problem> {
        let new = input.body;
        let mut broken: Vec<Violation> = Vec::new();
        let mut tiers = Vec::with_capacity(new.tiers.len());
        for (index, tier) in new.tiers.into_iter().enumerate() {
            if let Some(commit) = tier.commit.read(&format!("/tiers/{index}/commit"), &mut broken) {
                tiers.push(contract::Tier { name: tier.name.0, commit });
            }
        }
        if let Some(rejected) = Rejected::from_violations(broken) {
            return Err(rejected.into());
        }
        let command = contract::Create {
            id: ContractId(fresh()),
            external_id: new.external_id.map(|id| id.0),
            name: new.name.0,
            start_date: new.start_date.0,
            period_months: new.period_months.0,
            end_date: new.end_date.map(|date| date.0),
            tiers,
        };
        let reply = context.execute_on(&new.account, input.canonical.as_deref(), CreateContract { command }).await?;
        Ok(Created::under("/v1/contracts", reply))
    }

    /// List contracts
    ///
    /// Oldest first.
    #[oai(path = "/contracts", method = "get", operation_id = "listContracts")]
    async fn list(
        &self,
        context: Context,
        /// Only contracts of this account, by its id or external id.
        account: Query<Reference>,
        /// Only contracts with this status.
        status: Query<ContractStatus>,
    ) -> Result<Listed<Contract>, Problem> {
        let filter = Filter::new()
            .is_id("account_id", context.filtered::<Account>(&account).await?)
            .is("status", status.0.map(ContractStatus::wire));
        Listed::objects::<contract::Contract>(&context, filter).await
    }

    /// Get a contract
    ///
    /// Returns the object with this id or external id.
    #[oai(path = "/contracts/:contract", method = "get", operation_id = "getContract")]
    async fn get(
        &self,
        context: Context,
        known: IfNoneMatch,
        /// Id or external id of the contract.
        contract: Path<Reference>,
    ) -> Result<Found<Contract>, Problem> {
        Found::of(&context.app().get::<contract::Contract>(context.tenant(), &contract.0.0).await?, &known)
    }

    /// Change a contract
    ///
    /// Absent members keep their values.
    #[oai(path = "/contracts/:contract", method = "patch", operation_id = "updateContract")]
    async fn update(
        &self,
        context: Context,
        /// Id or external id of the contract.
        contract: Path<Reference>,
        input: Validated<ContractUpdate>,
    ) -> Result<Done, Problem> {
        let wanted = input.body;
        let command = contract::Update {
            external_id: wanted.external_id.map(|id| id.0),
            name: wanted.name.map(|name| name.0),
            end_date: wanted.end_date.map(|date| date.0),
        };
        Ok(Done(context.execute_on(&contract.0, input.canonical.as_deref(), UpdateContract { command }).await?))
    }

    /// Delete a contract
    ///
    /// Allowed only before the contract starts. Set an end date on a contract that has started.
    #[oai(path = "/contracts/:contract", method = "delete", operation_id = "deleteContract")]
    async fn delete(
        &self,
        context: Context,
        /// Id or external id of the contract.
        contract: Path<Reference>,
    ) -> Result<Done, Problem> {
        Ok(Done(context.execute_on(&contract.0, None, DeleteContract).await?))
    }
}
